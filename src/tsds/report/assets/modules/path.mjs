// The path explorer: one slider over every strength of diversity, and what each would choose.
import { bar, el, legend, responsive, section, svg } from "./dom.mjs";
import { band, frame, line, xAxis, yAxis } from "./charts.mjs";
import { linear, logarithmic, logTicks, ticks } from "./geometry.mjs";
import { num, percent, whole } from "./format.mjs";
import { oneLine, visible } from "./text.mjs";

const MARGIN = { left: 58, right: 14, top: 14, bottom: 42 };
const SOURCES = 8;
// Methods whose plan is not a point of the path.
const CAPPED = new Set(["auto", "auto-repeats", "balanced"]);
// It has one strength; with another, and its other settings, it is kde.
const PUBLISHED = "kde-published";

// What to type for a selection of the page's kind at this strength: given one, auto alone would be kde.
export function flags(facts, s) {
  const capped = CAPPED.has(facts.method), strength = `--neighbors ${num(s).replace(/,/g, "")}`;
  if (facts.method === PUBLISHED) return `--method kde ${strength} --bandwidth ${facts.bandwidth} --sampling ${facts.sampling}`;
  const sampling = capped && facts.sampling !== "shares" ? ` --sampling ${facts.sampling}` : "";
  return `--method ${capped ? "balanced" : facts.method} ${strength}${sampling}`;
}

// Sources worth a bar: the largest at the strength in use, then the largest anywhere on the path. Their order is fixed,
// so that bars move and rows do not.
export function sourcesOf(stops, count = SOURCES) {
  const most = new Map(), here = stops.find((stop) => stop.here);
  for (const stop of stops) for (const [name, share] of stop.sources) most.set(name, Math.max(most.get(name) ?? 0, share));
  const first = (here?.sources ?? []).slice(0, count - 2).map(([name]) => name);
  const others = [...most].sort((a, b) => b[1] - a[1]).map(([name]) => name).filter((name) => !first.includes(name));
  return [...first, ...others].slice(0, count);
}

// The cost on held-out targets at this strength, between the two measured strengths around it.
export function heldOutAt(curve, s) {
  const sorted = [...curve].sort((a, b) => a.neighbors - b.neighbors);
  if (!sorted.length || s < sorted[0].neighbors * 0.999 || s > sorted[sorted.length - 1].neighbors * 1.001) return null;
  const after = sorted.findIndex((p) => p.neighbors >= s);
  if (after <= 0) return sorted[after < 0 ? sorted.length - 1 : 0].cost;
  const [a, b] = [sorted[after - 1], sorted[after]];
  return a.cost + ((b.cost - a.cost) * Math.log(s / a.neighbors)) / Math.log(b.neighbors / a.neighbors);
}

export function readout(stop, heldOut) {
  return [
    ["neighbors", "neighbours s", num(stop.neighbors), stop.neighbors],
    ["alpha", "alpha", num(stop.alpha), stop.alpha],
    ["penalty", "lambda", num(stop.penalty), stop.penalty],
    ["effective_size", "effective size", whole(stop.effective_size), stop.effective_size],
    ["support", "candidates with mass", whole(stop.support), stop.support],
    ["transport_cost", "transport cost", num(stop.transport_cost), stop.transport_cost],
    ["largest", "largest p", num(stop.largest, 2), stop.largest],
    ...(heldOut === null ? [] : [["held_out", "held-out cost", num(heldOut), heldOut]]),
  ];
}

export function pathExplorer(facts, explorer, state) {
  const stops = explorer.stops;
  if (stops.length < 2) return null;
  const here = stops.findIndex((stop) => stop.here);
  const chosen = new Set(explorer.chosen.map((c) => c.record));
  const chart = responsive((box, width) => box.replaceChildren(curves(width, stops, here), costs(width, stops, here, explorer.held_out)));
  const slider = el("input", { type: "range", min: 0, max: stops.length - 1, step: 1, value: state.get().stop, id: "strength", "aria-describedby": "strength-help" });
  const numbers = el("dl", { class: "stats readout", "aria-live": "polite" });
  const back = el("button", { type: "button", class: "link", onclick: () => state.set({ stop: here }) }, "back to the strength in use");
  const badge = el("p", { class: "badge" });
  const command = el("code", { class: "flag" });
  const sources = el("div", { class: "sources" }), top = el("ol", { class: "top" });
  const names = sourcesOf(stops), pool = new Map(facts.composition.map((g) => [g.name, g.pool_share]));

  const show = () => {
    const i = state.get().stop, stop = stops[i];
    slider.value = i;
    slider.setAttribute("aria-valuetext", `s ${num(stop.neighbors)}, effective size ${whole(stop.effective_size)}`);
    numbers.replaceChildren(...readout(stop, explorer.held_out.length ? heldOutAt(explorer.held_out, stop.neighbors) : null).map(([key, label, text, value]) =>
      el("div", {}, el("dt", {}, label), el("dd", {}, el("b", { "data-key": key, "data-value": value }, text)))));
    badge.replaceChildren(stop.here ? el("b", {}, "The strength in use") : el("span", {}, i < here || here < 0 ? "Less diverse than the strength in use" : "More diverse than the strength in use"));
    if (here >= 0 && !stop.here) badge.append(" · ", back);
    command.textContent = flags(facts, stop.neighbors);
    const shares = new Map(stop.sources), widest = Math.max(...stop.sources.map(([, share]) => share), 1e-9);
    sources.replaceChildren(...names.map((name) => {
      const share = shares.get(name) ?? 0, own = pool.get(name);
      const track = bar(share / Math.max(widest, 0.3), "chosen");
      return el("div", { class: "source" }, el("span", { class: "name", title: visible(name) }, visible(name)), track,
        el("span", { class: "value", "data-source": name, "data-share": share }, percent(share)), el("span", { class: "soft value" }, own === undefined ? "" : percent(own)));
    }));
    top.replaceChildren(...stop.top.map(([record, p]) => {
      const one = explorer.records[record], isChosen = chosen.has(record);
      return el("li", { class: isChosen ? "is-chosen" : null, "data-row": one.row, "data-p": p },
        el("span", { class: "p" }, num(p, 2)), el("span", { class: "what", dir: "auto", title: isChosen ? "among the chosen that are listed below" : null }, oneLine(explorer.texts[one.text])));
    }));
    chart.again();
  };
  const curves_ = { at: () => state.get().stop };
  function marks(root, area, x) {
    if (here >= 0) root.append(svg("line", { class: "here", x1: x(stops[here].neighbors), x2: x(stops[here].neighbors), y1: area.top, y2: area.bottom }));
    const now = stops[curves_.at()];
    root.append(svg("line", { class: "now", x1: x(now.neighbors), x2: x(now.neighbors), y1: area.top, y2: area.bottom }));
    return now;
  }
  const xScale = (area) => logarithmic([stops[0].neighbors, stops[stops.length - 1].neighbors], [area.left, area.right]);
  function pointing(root, x) {
    root.addEventListener("pointermove", (event) => { if (event.buttons) pick(root, x, event); });
    root.addEventListener("pointerdown", (event) => pick(root, x, event));
  }
  function pick(root, x, event) {
    const at = event.clientX - root.getBoundingClientRect().left;
    let best = 0;
    stops.forEach((stop, i) => { if (Math.abs(x(stop.neighbors) - at) < Math.abs(x(stops[best].neighbors) - at)) best = i; });
    state.set({ stop: best });
  }
  function curves(width) {
    const { root, area } = frame(width, 230, { ...MARGIN, bottom: 12 }, "candidates with mass and effective sample size along the path");
    const x = xScale(area), values = stops.flatMap((p) => [p.support, p.effective_size]);
    const low = Math.max(1, Math.min(...values)), high = Math.max(...values, low * 2), y = logarithmic([low, high], [area.bottom, area.top]);
    yAxis(root, area, y, logTicks(low, high), whole);
    root.append(line(stops.map((p) => [x(p.neighbors), y(Math.max(low, p.support))]), "pool dashed"), line(stops.map((p) => [x(p.neighbors), y(Math.max(low, p.effective_size))]), "chosen"));
    const now = marks(root, area, x);
    root.append(svg("circle", { class: "dot pool", cx: x(now.neighbors), cy: y(now.support), r: 4 }), svg("circle", { class: "dot", cx: x(now.neighbors), cy: y(Math.max(low, now.effective_size)), r: 4.5 }));
    pointing(root, x);
    return root;
  }
  function costs(width, _stops, _here, held) {
    const { root, area } = frame(width, 150, { ...MARGIN, top: 16 }, held.length ? "transport cost and held-out cost along the path" : "transport cost along the path");
    const x = xScale(area), values = [...stops.map((p) => p.transport_cost), ...held.flatMap((p) => [p.low, p.high])];
    const low = Math.min(...values), high = Math.max(...values), y = linear([low, high === low ? low + 1 : high], [area.bottom - 6, area.top + 4]);
    yAxis(root, area, y, ticks(low, high, 3));
    xAxis(root, area, x, logTicks(stops[0].neighbors, stops[stops.length - 1].neighbors), "effective neighbours of a target, s");
    const inRange = held.filter((p) => p.neighbors >= stops[0].neighbors && p.neighbors <= stops[stops.length - 1].neighbors).sort((a, b) => a.neighbors - b.neighbors);
    if (inRange.length) root.append(band(inRange.map((p) => [x(p.neighbors), y(p.low), y(p.high)]), "target"), line(inRange.map((p) => [x(p.neighbors), y(p.cost)]), "target"));
    root.append(line(stops.map((p) => [x(p.neighbors), y(p.transport_cost)]), "ink"));
    const now = marks(root, area, x);
    root.append(svg("circle", { class: "dot ink", cx: x(now.neighbors), cy: y(now.transport_cost), r: 4 }));
    pointing(root, x);
    return root;
  }
  slider.addEventListener("input", () => state.set({ stop: Number(slider.value) }));
  state.on(["stop"], show);
  const key = legend([["line chosen", "effective sample size"], ["line pool dashed", "candidates with mass"], ["line ink", "transport cost"],
    ...(explorer.held_out.length ? [["line target", "cost on held-out targets"]] : [])]);
  const compositionShown = names.length > 0;
  const result = section("path", "How strongly to diversify",
    el("p", { class: "soft", id: "strength-help" }, "From each target's nearest candidate alone, on the left, to mass spread over many. Alpha, s and the effective size are one axis; every point on it is an optimal plan."),
    CAPPED.has(facts.method) ? el("p", { class: "soft" }, "The numbers, sources and candidates at the slider are the path of plain transport (kde), while this selection's plan also caps each candidate at one example, or at the repeats that it was allowed: its own numbers, above, differ.") : null,
    el("div", { class: "columns path" },
      el("div", {}, chart, el("div", { class: "slide" }, el("label", { class: "unseen", for: "strength" }, "strength of diversity"), slider), key, badge, numbers,
        el("p", { class: "soft" }, "To select at this strength: ", command)),
      el("div", {},
        compositionShown ? el("h3", {}, "What it would choose from", el("span", { class: "heads" }, el("span", {}, "mass"), el("span", {}, "pool"))) : null, compositionShown ? sources : null,
        el("h3", {}, "Its most probable candidates"), top)));
  show();
  return result;
}
