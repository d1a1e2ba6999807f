// Settings as they were resolved, the certificate, time by stage, and the command.
import { bar, el, section, table } from "./dom.mjs";
import { num, whole } from "./format.mjs";
import { visible } from "./text.mjs";

export function settings(facts) {
  const counted = (c) => [[c.read, "read"], [c.used, "usable"], [c.copies, "exact copies collapsed"], [c.excluded, "excluded"], [c.empty, "without text"], [c.bad, "unusable"]]
    .filter(([n], i) => n || i < 2).map(([n, what]) => `${whole(n)} ${what}`).join(", ");
  const files = (c) => c.shards.slice(0, 12).map(visible).join(", ") + (c.shards.length > 12 ? ` and ${c.shards.length - 12} more` : "");
  const s = facts.strength;
  const rows = [
    ["pool", `${counted(facts.pool)}: ${files(facts.pool)}`], ["target", `${counted(facts.target)}: ${files(facts.target)}`],
    ["size asked for", visible(facts.size_asked)], ["method", facts.method], facts.rule ? null : ["strength", `${visible(s.asked)}${s.penalty === null ? "" : `; lambda ${num(s.penalty)}`}`],
    ["certificate", `${facts.rule ? "" : facts.exact ? "optimal: " : "not proven optimal: "}${visible(facts.certificate)}`], ["density", facts.density_note ?? "not used"],
    ["bandwidth", facts.bandwidth === null ? "not used" : `${num(facts.bandwidth)}: ${facts.bandwidth_why}`],
    ["near-duplicates of a candidate", facts.near_duplicates === null ? "not counted" : `${num(facts.near_duplicates)} on average`],
    ["encoder", visible(facts.encoder)], ["metric", facts.metric], ["sampling", facts.sampling], ["seed", String(facts.seed)], ["version", `tsds ${facts.version}`],
  ].filter(Boolean);
  const longest = Math.max(...facts.stages.map((x) => x.seconds), 1e-9);
  const stages = facts.stages.map((x) => [visible(x.name), x.seconds.toFixed(2), el("div", { class: "bars" }, bar(x.seconds / longest, "pool")), whole(x.peak_mb)]);
  return section("settings", "Settings, certificate and time",
    facts.command ? el("div", { class: "command" }, el("p", { class: "soft" }, "To select the same again:"), el("pre", { tabindex: 0 }, visible(facts.command))) : el("p", { class: "soft" }, "Selected from Python; run.json has every setting."),
    el("div", { class: "columns" },
      table([{ name: "setting" }, { name: "value", t: 1 }], rows, "settings"),
      table([{ name: "stage" }, { name: "seconds", n: 1 }, { name: "" }, { name: "peak MB so far", n: 1 }], stages, "time by stage")));
}
