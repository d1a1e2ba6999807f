// The comparison with other methods, where `tsds compare` or `tsds evaluate` ran.
import { el, responsive, section, table } from "./dom.mjs";
import { whiskers } from "./charts.mjs";
import { num } from "./format.mjs";
import { visible } from "./text.mjs";

export const metricsOf = (rows) => [...new Set(rows.map((r) => r.metric))];

export function comparison(facts, explorer) {
  const rows = explorer.comparison;
  if (!rows || !rows.length) return null;
  const parts = metricsOf(rows).map((metric) => {
    const some = rows.filter((r) => r.metric === metric).map((r) => ({ ...r, name: visible(r.method) }));
    const chart = responsive((box, width) => box.replaceChildren(whiskers(width, some, `methods by ${visible(metric)}`)));
    const heads = [{ name: "method" }, { name: "mean", n: 1 }, { name: "interval", n: 1 }];
    return el("div", {}, el("h3", {}, visible(metric)), some[0].about ? el("p", { class: "soft" }, visible(some[0].about)) : null, chart,
      el("details", {}, el("summary", {}, "as a table"), table(heads, some.map((r) => [r.name, num(r.mean), `${num(r.low)} to ${num(r.high)}`]), visible(metric))));
  });
  return section("comparison", "Beside other methods", el("p", { class: "soft" }, "From tsds compare or tsds evaluate: means on targets that were held out, with their intervals."), el("div", { class: "columns" }, ...parts));
}
