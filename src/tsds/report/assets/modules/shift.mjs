// Shift: how pool, targets and chosen differ in sources, fields and lengths, and what near-duplicates weigh.
import { bar, el, legend, responsive, section, table } from "./dom.mjs";
import { stepChart } from "./charts.mjs";
import { lift, num, percent, whole } from "./format.mjs";
import { oneLine, visible } from "./text.mjs";

export function shift(facts, explorer) {
  const parts = [fields(explorer), lengths(explorer)].filter(Boolean), last = clusters(facts, explorer);
  if (!parts.length && !last) return null;
  return section("shift", "How the chosen differ from the pool", parts.length ? el("div", { class: parts.length > 1 ? "columns" : null }, ...parts) : null, last);
}

function fields(explorer) {
  if (!explorer.shift.length) return null;
  const holder = el("div", {});
  const pick = el("select", { "aria-label": "field to compare" }, ...explorer.shift.map((f, i) => el("option", { value: i }, visible(f.field))));
  const show = () => holder.replaceChildren(field(explorer.shift[Number(pick.value)]));
  pick.addEventListener("change", show);
  show();
  return el("div", {}, el("h3", {}, "By ", explorer.shift.length > 1 ? pick : visible(explorer.shift[0].field)), holder);
}

function field(one) {
  const most = Math.max(...one.values.flatMap((v) => [v.pool, v.chosen, v.target ?? 0]), 1e-9), told = one.values.some((v) => v.target !== null);
  const heads = [{ name: visible(one.field) }, { name: "chosen", n: 1 }, ...(told ? [{ name: "targets", n: 1 }] : []), { name: "pool", n: 1 }, { name: "lift", n: 1 }, { name: "" }];
  const rows = one.values.map((v) => [visible(v.name), percent(v.chosen), ...(told ? [percent(v.target)] : []), percent(v.pool), lift(v.chosen, v.pool),
    el("div", { class: "bars" }, bar(v.chosen / most, "chosen"), told ? bar((v.target ?? 0) / most, "target") : null, bar(v.pool / most, "pool"))]);
  const more = one.more ? ` ${whole(one.more)} more values are not listed.` : "";
  const sample = one.pool_records < one.pool_total ? `Shares of the pool from a sample of ${whole(one.pool_records)} records.` : "";
  return el("div", {}, table(heads, rows, `composition by ${visible(one.field)}`), sample || more ? el("p", { class: "soft" }, sample + more) : null);
}

function lengths(explorer) {
  const l = explorer.lengths;
  if (!l) return null;
  const series = [{ values: l.pool, kind: "pool", filled: true }, ...(l.target ? [{ values: l.target, kind: "target" }] : []), { values: l.chosen, kind: "chosen" }];
  const chart = responsive((box, width) => box.replaceChildren(stepChart(width, l.edges, series, "lengths of pool, targets and chosen", "tokens")));
  return el("div", {}, el("h3", {}, "By length"), chart, legend([["line chosen", "chosen"], ...(l.target ? [["line target", "targets"]] : []), ["pool", "pool"]]));
}

const small = (share) => (share === null ? "–" : `${num(100 * share, 2)} %`);

function clusters(facts, explorer) {
  const some = explorer.clusters;
  if (!some.length) return null;
  const most = Math.max(...some.flatMap((c) => [c.mass, c.mass_alone ?? 0]), 1e-12), known = some.some((c) => c.mass_alone !== null);
  const heads = [{ name: "near-duplicates of", t: 1 }, { name: "records", n: 1 }, { name: "chosen", n: 1 }, ...(known ? [{ name: "mass if each counted", n: 1, w: 1 }] : []), { name: "mass", n: 1 }, { name: "" }];
  const rows = some.map((c) => [oneLine(explorer.texts[explorer.records[c.record].text], 120), whole(c.records), whole(c.chosen), ...(known ? [small(c.mass_alone)] : []), small(c.mass),
    el("div", { class: "bars" }, known ? bar(c.mass_alone / most, "pool") : null, bar(c.mass / most, "chosen"))]);
  const note = [
    known ? "Mass if each counted: at the same lambda, if near-duplicates did not share one example's weight." : "",
    explorer.clusters_complete ? "" : "Near-duplicates were looked for around some of the candidates only.",
  ].filter(Boolean).join(" ");
  return el("div", {}, el("h3", {}, "Near-duplicates with mass, the largest clusters first"), table(heads, rows, "clusters of near-duplicates"), note ? el("p", { class: "soft" }, note) : null);
}
