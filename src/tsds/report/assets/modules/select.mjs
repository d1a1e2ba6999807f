// Which of the chosen records are listed, and in which order. Pure functions.
import { plainText } from "./text.mjs";

export function searchable(chosen, explorer) {
  const record = explorer.records[chosen.record], target = explorer.targets[chosen.target];
  return [plainText(explorer.texts[record.text]), plainText(explorer.texts[target.text]), record.group ?? "", record.id, record.row, target.id, target.task ?? ""]
    .join("\n").toLowerCase();
}

// Every word must occur; "quoted words" in this order.
export function wordsOf(query) {
  return [...query.toLowerCase().matchAll(/"([^"]+)"|(\S+)/g)].map((m) => m[1] ?? m[2]);
}

export const matches = (haystack, words) => words.every((word) => haystack.includes(word));

export const ORDERS = {
  shown: { label: "spread over the targets", value: null },
  near: { label: "nearest to its target", value: (c) => c.distance },
  far: { label: "farthest from its target", value: (c) => -c.distance },
  likely: { label: "most probable", value: (c) => -c.probability },
  crowded: { label: "most near-duplicates", value: (c) => -(c.density ?? 1) },
  long: { label: "longest", length: true, value: (c, e) => -e.records[c.record].tokens },
  short: { label: "shortest", length: true, value: (c, e) => e.records[c.record].tokens },
  row: { label: "order in the pool", value: (c, e) => e.records[c.record].row },
};

export function listed(explorer, haystacks, { query = "", order = "shown", kept = null, group = null, task = null } = {}) {
  const words = wordsOf(query), { value } = ORDERS[order];
  const found = [];
  for (let i = 0; i < explorer.chosen.length; i++) {
    if (kept && !kept.has(i)) continue;
    if (group !== null && explorer.records[explorer.chosen[i].record].group !== group) continue;
    if (task !== null && explorer.targets[explorer.chosen[i].target].task !== task) continue;
    if (words.length && !matches(haystacks[i], words)) continue;
    found.push(i);
  }
  if (value) {
    const keys = new Map(found.map((i) => [i, value(explorer.chosen[i], explorer)]));
    found.sort((a, b) => keys.get(a) - keys.get(b) || a - b);
  }
  return found;
}
