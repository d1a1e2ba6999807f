// Coverage: how well the pool serves each target, the worst served first.
import { el, folding, growing, responsive, section, table } from "./dom.mjs";
import { barHistogram } from "./charts.mjs";
import { num, percent, plural, whole } from "./format.mjs";
import { oneLine, targetName, visible } from "./text.mjs";
import { forTarget } from "./chosen.mjs";

const FAR = 1.5; // as in the warnings of the run

// The distance below which half of all targets have their nearest candidate, from the histogram.
export function typical({ edges, counts }) {
  const half = counts.reduce((a, b) => a + b, 0) / 2;
  let seen = 0;
  for (let i = 0; i < counts.length; i++) {
    if (seen + counts[i] >= half && counts[i]) return edges[i] + ((half - seen) / counts[i]) * (edges[i + 1] - edges[i]);
    seen += counts[i];
  }
  return edges[edges.length - 1];
}

export function coverage(facts, explorer, state) {
  if (!explorer.targets.length) return null;
  const middle = typical(explorer.nearest), worst = explorer.targets.slice(0, explorer.targets_worst);
  const chart = responsive((box, width) => box.replaceChildren(barHistogram(width, explorer.nearest, "distances of the targets to their nearest candidates", "distance of a target's nearest candidate", middle)));
  const far = worst.filter((t) => t.nearest > FAR * middle).length;
  const verdict = far ? `Nothing in the pool is near ${plural(far, "target")}: ${far === 1 ? "its" : "their"} nearest candidate is more than ${FAR} times as far as is typical. Such data is what to go and get.`
    : "No target lies far outside of what the pool holds.";
  const list = el("div", { class: "wants" });
  growing(list, worst.length, (i) => {
    const t = worst[i], nearestRecord = t.nearest_record === null ? null : explorer.records[t.nearest_record];
    const show = t.chosen ? el("button", { type: "button", class: "link", onclick: () => { state.set(forTarget(explorer, i)); document.getElementById("why").scrollIntoView(); } }, plural(t.chosen, "record")) : "none of the chosen";
    return el("article", { class: "want" },
      el("div", { class: "distance" }, el("b", {}, num(t.nearest)), el("span", { class: t.nearest > FAR * middle ? "far" : "soft" }, t.nearest > FAR * middle ? "far from everything" : `${num(t.nearest / (middle || 1), 2)} × typical`)),
      el("div", {}, el("p", { class: "soft" }, `target ${targetName(t)} · mass over ${plural(t.candidates, "candidate")} up to ${num(t.reach)} · first served by `, show),
        folding(explorer.texts[t.text], 3),
        nearestRecord ? el("p", { class: "nearest", dir: "auto" }, el("span", { class: "soft" }, "nearest: "), oneLine(explorer.texts[nearestRecord.text], 200)) : null));
  }, 6);
  const shown = worst.length < facts.targets_total ? `The ${whole(worst.length)} worst served of ${whole(facts.targets_total)} targets:` : "All targets, the worst served first:";
  return section("coverage", "How well the pool serves the targets", el("p", {}, verdict), byTask(facts),
    el("div", { class: "columns why" }, el("figure", { class: "beside" }, chart), el("div", {}, el("p", { class: "soft" }, shown), list)));
}

function byTask(facts) {
  if (!facts.tasks.length) return null;
  const heads = [{ name: "task" }, { name: "targets", n: 1 }, { name: "share of the mass", n: 1 }, { name: "chosen", n: 1 }, { name: "nearest candidate", n: 1 }];
  return table(heads, facts.tasks.map((t) => [visible(t.name), whole(t.targets), percent(t.weight), whole(t.chosen), num(t.nearest)]), "tasks");
}
