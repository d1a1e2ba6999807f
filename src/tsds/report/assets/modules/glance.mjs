// At a glance: what was chosen, the numbers that matter, and what to look out for.
import { el } from "./dom.mjs";
import { num, plural, whole } from "./format.mjs";
import { visible } from "./text.mjs";

export function glance(facts, explorer) {
  const s = facts.strength;
  const seconds = facts.seconds < 60 ? `${num(facts.seconds)} s` : `${num(facts.seconds / 60)} min`;
  const tiles = [
    facts.tokens === null ? null : [whole(facts.tokens), "tokens chosen", `${num(facts.tokens / Math.max(facts.size, 1))} a record`],
    [whole(facts.support), "candidates with mass", `of ${whole(facts.pool.used)}`],
    [whole(facts.effective_size), "effective sample size", "1 / sum of p²"],
    s.neighbors === null ? null : [num(s.neighbors), "effective neighbours s", s.alpha === null ? "a target" : `alpha ${num(s.alpha)}, C ${num(s.scale)}`],
    [num(facts.transport_cost), "transport cost", "mean distance"],
    facts.rule ? null : [facts.exact ? "optimal" : "not proven", "the plan", facts.exact ? "certified over the whole pool" : "see the certificate below"],
    [seconds, "in all", `peak ${num(Math.max(0, ...facts.stages.map((x) => x.peak_mb)) / 1000, 2)} GB`],
  ].filter(Boolean);
  const repeats = facts.distinct === facts.size ? "" : ` (${whole(facts.distinct)} different ones)`;
  const title = el("h1", {}, el("b", {}, whole(facts.size)), ` of ${whole(facts.pool.used)} records${repeats} chosen for `, el("i", {}, plural(facts.target.used, "target")));
  const how = el("p", { class: "soft lead" }, `${facts.method}: ${facts.method_line}${facts.method_why ? `; ${facts.method_why}` : ""}. `, s.why && !facts.rule ? `Strength ${visible(s.asked)}: ${visible(s.why)}.` : "");
  const warnings = facts.warnings.map((w) => el("p", { class: "warning", role: "note" }, el("strong", {}, visible(w.what)), w.remedy ? el("span", {}, " " + visible(w.remedy)) : null));
  const stats = el("dl", { class: "stats" }, ...tiles.map(([value, label, more]) => el("div", {}, el("dt", {}, label), el("dd", {}, el("b", {}, value), el("span", {}, more)))));
  return el("section", { id: "glance", "aria-label": "At a glance" }, title, how, stats, ...warnings, composed(facts),
    el("p", { class: "soft" }, `Certificate: ${visible(facts.certificate)}.`, facts.density_note ? ` Densities: ${facts.density_note}.` : ""));
}

// The largest sources in one line of bars' worth of words, for those who read no further.
function composed(facts) {
  const some = facts.composition.filter((g) => g.chosen).slice(0, 3);
  if (!some.length) return null;
  const words = some.map((g) => `${Math.round(100 * g.chosen_share)} % ${visible(g.name)}`).join(", ");
  return el("p", { class: "soft" }, `Chosen from: ${words}${facts.composition.filter((g) => g.chosen).length > 3 ? ", …" : "."}`);
}
