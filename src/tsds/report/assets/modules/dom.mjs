// Elements from plain values. A string child is a text node; there is no way to give HTML.
import { visible } from "./text.mjs";

const SVG = "http://www.w3.org/2000/svg";

function build(node, options, children) {
  for (const [key, value] of Object.entries(options)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
  return node;
}

export const el = (tag, options = {}, ...children) => build(document.createElement(tag), options, children);
export const svg = (tag, options = {}, ...children) => build(document.createElementNS(SVG, tag), options, children);

let sections = 0;
export function section(id, title, ...children) {
  const heading = `h${++sections}`;
  return el("section", { id, "aria-labelledby": heading }, el("h2", { id: heading }, title), ...children);
}

// heads: [{name, n: numeric, t: text}], rows: lists of strings or nodes.
export function table(heads, rows, caption) {
  const kind = (head) => (head.n ? (head.w ? "n wide" : "n") : head.t ? "t" : null);
  const body = rows.map((row) => el("tr", {}, ...row.map((value, i) => el("td", { class: kind(heads[i]) }, value))));
  const head = el("tr", {}, ...heads.map((h) => el("th", { class: kind(h), scope: "col" }, h.name)));
  const label = caption ? el("caption", { class: "unseen" }, caption) : null;
  return el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": caption ?? "table" },
    el("table", {}, label, el("thead", {}, head), el("tbody", {}, ...body)));
}

// A text as it is: turns of a chat with their roles, anything else as lines.
export function prose(text, className = "prose") {
  if (typeof text === "string") return el("div", { class: className, dir: "auto" }, visible(text));
  return el("div", { class: className },
    ...text.map(([role, content]) => el("div", { class: "turn" },
      role ? el("span", { class: "role" }, visible(role)) : null, el("span", { class: "said", dir: "auto" }, visible(content)))));
}

// A long text is folded to a few lines until its button is pressed.
export function folding(text, lines = 5) {
  const body = prose(text), length = typeof text === "string" ? text.length : text.reduce((n, [, t]) => n + t.length + 40, 0);
  if (length < lines * 75) return body;
  body.classList.add("clamp");
  const button = el("button", { type: "button", class: "link", "aria-expanded": "false" }, "more");
  button.addEventListener("click", () => {
    const folded = body.classList.toggle("clamp");
    button.textContent = folded ? "more" : "less";
    button.setAttribute("aria-expanded", String(!folded));
  });
  return el("div", {}, body, button);
}

// A list that grows by a button, so that the page opens at once whatever its length.
export function growing(container, count, make, step = 20) {
  container.replaceChildren();
  let shown = 0;
  const button = el("button", { type: "button", class: "more", onclick: () => grow(step) });
  const grow = (by) => {
    const upto = Math.min(count, shown + by), first = shown;
    const fresh = [];
    for (; shown < upto; shown++) fresh.push(make(shown));
    button.before(...fresh);
    button.hidden = shown === count;
    button.textContent = `Show ${Math.min(step, count - shown)} more of ${count - shown}`;
    if (first && fresh.length) { fresh[0].tabIndex = -1; fresh[0].focus({ preventScroll: true }); }
  };
  container.append(button);
  grow(step);
}

// Widths of bars: set by script, since the page allows no inline style.
export function bar(share, kind, label) {
  const inner = el("span", { class: `fill ${kind}` });
  if (!(share > 0)) inner.classList.add("none");
  inner.style.width = `${100 * Math.max(0, Math.min(1, share))}%`;
  return el("span", { class: "bar", role: label ? "img" : null, "aria-label": label, "aria-hidden": label ? null : "true" }, inner);
}

// entries: [kind of the swatch, what it stands for].
export const legend = (entries) => el("p", { class: "key" }, ...entries.map(([kind, label]) => el("span", {}, el("span", { class: `swatch ${kind}` }), label)));

// Draws again when the width changes: charts are made for the pixels they have, so that text keeps its size.
export function responsive(draw, className = "chart") {
  const box = el("div", { class: className });
  let width = 0;
  const again = (force) => {
    const now = Math.round(box.clientWidth);
    if (now && (force || now !== width)) { width = now; draw(box, width); }
  };
  new ResizeObserver(() => again(false)).observe(box);
  box.again = () => again(true);
  return box;
}
