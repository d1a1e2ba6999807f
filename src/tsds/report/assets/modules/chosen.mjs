// Why these: the chosen records, each beside the target that it serves.
import { el, folding, growing, prose } from "./dom.mjs";
import { listed, ORDERS, searchable } from "./select.mjs";
import { nearestOf, num, percent, plural, whole } from "./format.mjs";
import { oneLine, targetName, visible } from "./text.mjs";

export function chosenList(facts, explorer, state) {
  const haystacks = explorer.chosen.map((c) => searchable(c, explorer));
  const list = el("div", { class: "records" }), count = el("p", { class: "soft count", "aria-live": "polite" }), chips = el("div", { class: "chips" });
  const search = el("input", { type: "search", placeholder: "Search texts, targets, sources, ids", "aria-label": "search the chosen records" });
  const order = el("select", { class: "order", "aria-label": "order of the chosen records" }, ...Object.entries(ORDERS).filter(([, one]) => !one.length || facts.tokens !== null).map(([key, one]) => el("option", { value: key }, one.label)));
  const group = filter("group", "source of the chosen records", "all sources", explorer.chosen.map((c) => explorer.records[c.record].group), state);
  const task = filter("task", "task of the chosen records", "all tasks", explorer.chosen.map((c) => explorer.targets[c.target].task), state);
  search.addEventListener("input", () => state.set({ query: search.value }));
  order.addEventListener("change", () => state.set({ order: order.value }));

  const show = () => {
    const now = state.get(), found = listed(explorer, haystacks, now);
    growing(list, found.length, (i) => entry(explorer, explorer.chosen[found[i]], state), 12);
    const sample = explorer.chosen.length < explorer.chosen_total ? `, a sample of the ${whole(explorer.chosen_total)} chosen` : "";
    count.textContent = found.length === explorer.chosen.length ? `${plural(found.length, "record")}${sample}` : `${whole(found.length)} of ${plural(explorer.chosen.length, "record")}${sample}`;
    chips.replaceChildren(...(now.kept ? [el("button", { type: "button", class: "chip", onclick: () => state.set({ kept: null, keptWhy: "" }) }, now.keptWhy + " ", el("span", { "aria-hidden": "true" }, "✕"), el("span", { class: "unseen" }, "remove this filter"))] : []));
    order.value = now.order;
  };
  state.on(["query", "order", "group", "task", "kept"], show);
  show();
  return el("div", { class: "list" }, el("div", { class: "controls" }, search, order, group, task), el("div", { class: "status" }, count, chips), list);
}

// A choice among the values that occur, one for each of the chosen; none where there is but one.
function filter(key, label, all, found, state) {
  const values = [...new Set(found)].filter((value) => value !== null).sort();
  if (values.length < 2) return null;
  const pick = el("select", { "aria-label": label }, el("option", { value: "" }, all), ...values.map((value, i) => el("option", { value: i + 1 }, visible(value))));
  pick.addEventListener("change", () => state.set({ [key]: pick.value ? values[pick.value - 1] : null }));
  return pick;
}

function entry(explorer, c, state) {
  const record = explorer.records[c.record], target = explorer.targets[c.target];
  const numbers = [
    ["distance", num(c.distance)], c.rank < 0 ? null : ["rank", nearestOf(c.rank)], ["probability", num(c.probability, 2)],
    c.density === null ? null : ["density", num(c.density)], record.tokens === null ? null : ["tokens", whole(record.tokens)],
    c.count > 1 ? ["times", whole(c.count)] : null, record.copies > 1 ? ["copies", whole(record.copies)] : null,
  ].filter(Boolean);
  const head = el("header", {}, el("span", { class: "from" }, visible(record.group ?? `row ${record.row}`)), el("span", { class: "soft id" }, visible(String(record.id))),
    el("span", { class: "numbers" }, ...numbers.map(([label, value]) => el("span", {}, label === "rank" ? null : el("span", { class: "soft" }, label + " "), el("b", { "data-key": label }, value)))));
  const serves = el("div", { class: "serves" }, el("button", { type: "button", class: "link aim", title: "list all that serve this target", onclick: () => state.set(forTarget(explorer, c.target)) }, `serves target ${targetName(target)}`), folding(explorer.texts[target.text], 3));
  return el("article", { class: "record", "data-row": record.row }, head, folding(explorer.texts[record.text]), serves, near(explorer, c));
}

export function forTarget(explorer, target) {
  const kept = new Set(explorer.chosen.flatMap((c, i) => (c.target === target ? [i] : [])));
  return { kept, keptWhy: `serve target ${targetName(explorer.targets[target])}` };
}

function near(explorer, c) {
  if (!c.near || !c.near_total) return null;
  const rows = c.near.map((one) => {
    const record = explorer.records[one.record];
    const fate = one.count ? "also chosen" : one.probability ? "has mass, not chosen" : "no mass";
    return el("li", {}, el("span", { class: "soft" }, `at ${num(one.distance)}, ${fate}`), el("div", { dir: "auto" }, oneLine(explorer.texts[record.text], 240)));
  });
  const more = c.near_total > rows.length ? el("li", { class: "soft" }, `and ${whole(c.near_total - rows.length)} more`) : null;
  return el("details", { class: "near" }, el("summary", {}, plural(c.near_total, "near-duplicate"), " in the pool"), el("ul", {}, ...rows, more));
}
