"use strict";
// Texts of the data are hostile: they only ever become text nodes.
const facts = JSON.parse(document.getElementById("facts").textContent);
const page = document.getElementById("page");
const SVG = "http://www.w3.org/2000/svg";

function el(tag, options = {}, ...children) {
  const node = options.svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(options)) if (key !== "svg") node.setAttribute(key, value);
  for (const child of children) if (child !== null) node.append(child);
  return node;
}
const s = (tag, options, ...children) => el(tag, { ...options, svg: true }, ...children);
const whole = (x) => Math.round(x).toLocaleString("en");
const num = (x) => (x === null ? "–" : Math.abs(x) >= 1000 ? whole(x) : String(Number(x.toPrecision(3))));
const percent = (x) => (100 * x).toFixed(x < 0.1 ? 1 : 0) + " %";

function table(heads, rows) {
  const cell = (tag, head, value) => {
    const node = el(tag, head.n ? { class: "n" } : head.t ? { class: "t" } : {});
    if (tag === "th") node.setAttribute("scope", "col");
    node.append(value);
    return node;
  };
  const body = el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((value, i) => cell("td", heads[i], value)))));
  const head = el("thead", {}, el("tr", {}, ...heads.map((h) => cell("th", h, h.name))));
  return el("div", { class: "scroll" }, el("table", {}, head, body));
}

function section(title, ...children) {
  page.append(el("section", {}, el("h2", {}, title), ...children.filter((child) => child !== null)));
}

function long(text) {
  if (text.length <= 180) return text;
  return el("details", {}, el("summary", {}, text.slice(0, 170) + "…"), el("p", {}, text));
}

function headline() {
  const t = facts.target.used;
  page.append(el("h1", {}, `${whole(facts.size)} of ${whole(facts.pool.used)} records chosen for ${whole(t)} targets`));
  page.append(el("p", { class: "soft" }, `${facts.method}: ${facts.method_line}`));
  const tiles = [
    [whole(facts.tokens), "tokens chosen"],
    [whole(facts.support), "candidates with mass"],
    [whole(facts.effective_size), "effective sample size"],
    [num(facts.strength.neighbors), "effective neighbours s"],
    [num(facts.strength.alpha), `alpha (C = ${num(facts.strength.scale)})`],
    [facts.exact ? "optimal" : "not proven", facts.exact ? "certified over the whole pool" : "see the certificate"],
  ];
  page.append(el("div", { class: "tiles" }, ...tiles.map(([b, text]) => el("div", { class: "tile" }, el("b", {}, b), el("span", {}, text)))));
  for (const w of facts.warnings) page.append(el("p", { class: "warning" }, w.what + (w.remedy ? ` — ${w.remedy}` : "")));
}

function composition() {
  if (!facts.composition.length) return;
  const chosen = facts.composition.filter((g) => g.chosen), none = facts.composition.length - chosen.length;
  const most = Math.max(...chosen.map((g) => Math.max(g.pool_share, g.chosen_share)));
  const bar = (share, kind) => el("div", { class: "bar " + kind, "aria-hidden": "true", "data-share": share / most });
  const heads = [{ name: "source", t: 0 }, { name: "chosen", n: 1 }, { name: "share", n: 1 }, { name: "of the pool", n: 1 }, { name: "lift", n: 1 }, { name: "chosen / pool" }];
  const rows = chosen.map((g) => {
    const bars = el("div", { class: "bars" }, bar(g.chosen_share, "chosen"), bar(g.pool_share, "pool"));
    return [g.name, whole(g.chosen), percent(g.chosen_share), percent(g.pool_share), g.lift === null ? "–" : g.lift.toFixed(1) + "x", bars];
  });
  section("What was chosen from where", table(heads, rows), none ? el("p", { class: "soft" }, `Nothing from ${none} other sources of the pool.`) : null);
  for (const node of page.querySelectorAll(".bar")) node.style.width = 100 * node.dataset.share + "%";
}

// A line chart on logarithmic axes: the two curves of the path.
function pathChart() {
  const points = facts.path.filter((p) => p.neighbors > 0);
  if (points.length < 2) return;
  const W = 720, H = 300, left = 60, right = 12, top = 12, bottom = 40;
  const xs = points.map((p) => Math.log10(p.neighbors)), ys = points.flatMap((p) => [Math.log10(p.support), Math.log10(p.effective_size)]);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.floor(Math.min(...ys)), Math.ceil(Math.max(...ys))];
  const X = (v) => left + ((W - left - right) * (Math.log10(v) - x0)) / (x1 - x0 || 1);
  const Y = (v) => H - bottom - ((H - top - bottom) * (Math.log10(v) - y0)) / (y1 - y0 || 1);
  const line = (key, kind) => s("polyline", { class: kind, points: points.map((p) => `${X(p.neighbors)},${Y(p[key])}`).join(" ") });
  const svg = s("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": "candidates with mass and effective size along the path" });
  for (let k = y0; k <= y1; k++) {
    svg.append(s("line", { class: "axis", x1: left, x2: W - right, y1: Y(10 ** k), y2: Y(10 ** k) }));
    svg.append(s("text", { x: left - 8, y: Y(10 ** k) + 4, "text-anchor": "end" }, whole(10 ** k)));
  }
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const v = 10 ** (x0 + share * (x1 - x0));
    svg.append(s("text", { x: X(v), y: H - bottom + 18, "text-anchor": share === 1 ? "end" : "middle" }, num(v)));
  }
  svg.append(s("text", { x: (left + W) / 2, y: H - 4, "text-anchor": "middle" }, "effective neighbours of a target, s"));
  svg.append(line("support", "b"), line("effective_size", "a"));
  const here = facts.strength.neighbors;
  if (here) svg.append(s("line", { class: "here", x1: X(here), x2: X(here), y1: top, y2: H - bottom }));
  const mark = s("circle", { class: "dot", r: 4, visibility: "hidden" });
  svg.append(mark);
  const readout = el("p", { class: "soft", "aria-live": "polite" });
  const tell = (p) => {
    readout.textContent = `s ${num(p.neighbors)}: alpha ${num(p.alpha)}, lambda ${num(p.penalty)}, transport cost ${num(p.transport_cost)}, ${whole(p.support)} candidates, effective size ${whole(p.effective_size)}, largest p ${num(p.largest)}`;
    mark.setAttribute("cx", X(p.neighbors)); mark.setAttribute("cy", Y(p.effective_size)); mark.setAttribute("visibility", "visible");
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), x = ((event.clientX - box.left) * W) / box.width;
    tell(points.reduce((a, b) => (Math.abs(X(b.neighbors) - x) < Math.abs(X(a.neighbors) - x) ? b : a)));
  });
  const near = points.reduce((a, b) => (Math.abs(Math.log(b.neighbors / here)) < Math.abs(Math.log(a.neighbors / here)) ? b : a));
  tell(here ? near : points[0]);
  section("How strongly to diversify", el("figure", {}, svg, el("figcaption", {}, "Dashed: candidates with mass. Solid: effective sample size. The upright line is the strength in use. Move over the chart for numbers.")), readout, el("p", {}, `${facts.strength.asked}: ${facts.strength.why}.`));
}

function coverage() {
  const near = facts.targets.map((t) => t.nearest);
  if (!near.length) return;
  const W = 720, H = 150, bins = 30, low = Math.min(...near), high = Math.max(...near), counts = new Array(bins).fill(0);
  for (const d of near) counts[Math.min(bins - 1, Math.floor((bins * (d - low)) / (high - low || 1)))]++;
  const most = Math.max(...counts), svg = s("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": "histogram of the targets' distances to their nearest candidates" });
  counts.forEach((c, i) => svg.append(s("rect", { class: "bin", x: (i * W) / bins + 1, width: W / bins - 2, y: 120 - (110 * c) / most, height: (110 * c) / most })));
  svg.append(s("text", { x: 0, y: 140 }, num(low)), s("text", { x: W, y: 140, "text-anchor": "end" }, num(high)));
  const heads = [{ name: "target" }, { name: "nearest", n: 1 }, { name: "reach", n: 1 }, { name: "candidates", n: 1 }, { name: "chosen", n: 1 }, { name: "text", t: 1 }];
  const rows = facts.targets.slice(0, 25).map((t) => [(t.task ? t.task + " " : "") + t.id, num(t.nearest), num(t.reach), whole(t.candidates), whole(t.chosen), long(t.text)]);
  const shown = facts.targets.length < facts.targets_total ? ` of the ${facts.targets.length} worst served of ${facts.targets_total}` : "";
  section("How well the pool serves the targets", el("figure", {}, svg, el("figcaption", {}, `Distance of the nearest candidate${shown}.`)), el("p", { class: "soft" }, "The targets that are served worst:"), table(heads, rows));
}

function examples() {
  if (!facts.examples.length) return;
  const heads = [{ name: "chosen record", t: 1 }, { name: "target it serves", t: 1 }, { name: "distance", n: 1 }, { name: "rank", n: 1 }, { name: "probability", n: 1 }, { name: "density", n: 1 }, { name: "source" }];
  const rows = facts.examples.map((e) => [long(e.text), long(e.target_text), num(e.distance), whole(e.rank + 1), num(e.probability), num(e.density), e.group ?? `row ${e.row}`]);
  const body = table(heads, rows);
  const trs = [...body.querySelectorAll("tbody tr")];
  trs.forEach((tr) => tr.classList.add("example"));
  const box = el("input", { type: "search", placeholder: "search in texts, targets and sources", "aria-label": "search the examples" });
  box.addEventListener("input", () => {
    const wanted = box.value.toLowerCase();
    trs.forEach((tr, i) => { const e = facts.examples[i]; tr.hidden = !`${e.text} ${e.target_text} ${e.group ?? ""} ${e.id}`.toLowerCase().includes(wanted); });
  });
  section(`${facts.examples.length} of the chosen records`, box, body);
}

function details() {
  const counted = (c) => `${whole(c.read)} read, ${whole(c.used)} usable, ${whole(c.copies)} exact copies collapsed, ${whole(c.excluded)} excluded, ${whole(c.empty)} without text, ${whole(c.bad)} unusable`;
  const rows = [
    ["pool", counted(facts.pool)], ["pool files", facts.pool.shards.slice(0, 20).join(", ")],
    ["target", counted(facts.target)], ["target files", facts.target.shards.slice(0, 20).join(", ")],
    ["size asked for", facts.size_asked], ["certificate", facts.certificate], ["density", facts.density_note ?? "not used"],
    ["bandwidth", facts.bandwidth === null ? "not used" : `${num(facts.bandwidth)}: ${facts.bandwidth_why}`],
    ["near-duplicates of a candidate", num(facts.near_duplicates)], ["transport cost", num(facts.transport_cost)],
    ["encoder", facts.encoder], ["metric", facts.metric], ["sampling", facts.sampling], ["seed", String(facts.seed)],
    ["command", facts.command ?? "from Python"], ["version", facts.version],
  ];
  section("Settings and certificate", table([{ name: "what" }, { name: "value", t: 1 }], rows));
  const stages = facts.stages.map((x) => [x.name, x.seconds.toFixed(2), whole(x.peak_mb)]);
  section(`Where the ${facts.seconds.toFixed(1)} seconds went`, table([{ name: "stage" }, { name: "seconds", n: 1 }, { name: "peak MB so far", n: 1 }], stages));
}

headline(); composition(); pathChart(); coverage(); examples(); details();
