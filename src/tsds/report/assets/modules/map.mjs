// The map: pool, targets and chosen in the plane of the two leading principal axes.
import { el, responsive } from "./dom.mjs";
import { box, inside, linear, nearest } from "./geometry.mjs";
import { num, percent, plural, whole } from "./format.mjs";
import { oneLine, targetName } from "./text.mjs";
import { forTarget } from "./chosen.mjs";

const REACH = 14; // pixels from which a point counts as pointed at

export function pointsOf(explorer) {
  const map = explorer.map, points = [];
  map.x.forEach((x, i) => points.push({ kind: "pool", at: [x, map.y[i]], record: map.record[i] }));
  explorer.chosen.forEach((c, i) => { if (c.at) points.push({ kind: "chosen", at: c.at, chosen: i, record: c.record }); });
  explorer.targets.forEach((t, i) => { if (t.at) points.push({ kind: "target", at: t.at, target: i }); });
  explorer.map_targets.x.forEach((x, i) => points.push({ kind: "target", at: [x, explorer.map_targets.y[i]] }));
  return points;
}

export function mapView(facts, explorer, state) {
  if (!explorer.map || !explorer.map.x.length) return null;
  const points = pointsOf(explorer), bounds = box(points.map((p) => p.at));
  const shown = { pool: true, chosen: true, target: true };
  const canvas = el("canvas", { tabindex: 0, role: "img", "aria-label": "map of pool, targets and chosen records; arrow keys walk through the chosen, Enter lists what serves the same target, Escape lists all" });
  const tip = el("div", { class: "tip", role: "status", hidden: true });
  let places = [], current = -1, lasso = null, size = [0, 0];

  const draw = () => {
    const [width, height] = size, dense = Math.min(3, window.devicePixelRatio || 1);
    canvas.width = width * dense; canvas.height = height * dense;
    canvas.style.width = `${width}px`; canvas.style.height = `${height}px`;
    const ink = canvas.getContext("2d"), style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(`--${name}`).trim();
    ink.scale(dense, dense);
    const x = linear(bounds.x, [0, width]), y = linear(bounds.y, [height, 0]);
    const inFrame = (v, most) => Math.max(3, Math.min(most - 3, v));
    places = points.map((p) => [inFrame(x(p.at[0]), width), inFrame(y(p.at[1]), height)]);
    const kept = state.get().kept, targets = points.filter((p) => p.kind === "target").length;
    const many = targets > 400, r = many ? 3 : targets > 150 ? 4 : 5;
    const dot = (i, radius) => { ink.beginPath(); ink.arc(places[i][0], places[i][1], radius, 0, 7); ink.fill(); };
    points.forEach((p, i) => {
      if (p.kind !== "pool" || !shown.pool) return;
      ink.fillStyle = colour("pool"); ink.globalAlpha = 0.5;
      dot(i, 1.7);
    });
    const drawChosen = () => points.forEach((p, i) => {
      if (p.kind !== "chosen" || !shown.chosen) return;
      ink.globalAlpha = kept && !kept.has(p.chosen) ? 0.18 : 0.9; ink.fillStyle = colour("chosen");
      dot(i, kept && kept.has(p.chosen) ? 4.2 : 3);
    });
    const drawTargets = () => points.forEach((p, i) => {
      if (p.kind !== "target" || !shown.target) return;
      const [px, py] = places[i];
      ink.globalAlpha = many ? 0.75 : 0.95; ink.fillStyle = colour("target"); ink.strokeStyle = colour("card"); ink.lineWidth = 1;
      ink.beginPath(); ink.moveTo(px, py - r); ink.lineTo(px + r, py); ink.lineTo(px, py + r); ink.lineTo(px - r, py); ink.closePath(); ink.fill();
      if (!many) ink.stroke();
    });
    // A few targets lie above the chosen, thousands of them below.
    for (const layerOf of many ? [drawTargets, drawChosen] : [drawChosen, drawTargets]) layerOf();
    ink.globalAlpha = 1;
    if (current >= 0) { ink.strokeStyle = colour("ink"); ink.lineWidth = 2; ink.beginPath(); ink.arc(places[current][0], places[current][1], 8, 0, 7); ink.stroke(); }
    if (lasso && lasso.length > 1) {
      ink.strokeStyle = colour("ink"); ink.lineWidth = 1.5; ink.setLineDash([5, 4]); ink.beginPath();
      lasso.forEach(([px, py], i) => (i ? ink.lineTo(px, py) : ink.moveTo(px, py)));
      ink.stroke(); ink.setLineDash([]);
    }
  };
  const holder = responsive((one, width) => { size = [width, Math.max(280, Math.min(560, Math.round(width * 0.82)))]; one.replaceChildren(canvas, tip); draw(); }, "map");

  // The targets and the chosen come before the pool, whose points lie everywhere.
  const at = (px, py) => {
    for (const kind of ["target", "chosen", "pool"]) {
      const some = points.flatMap((p, i) => (p.kind === kind && shown[kind] ? [i] : []));
      const hit = nearest(some.map((i) => places[i]), px, py, kind === "pool" ? REACH / 2 : REACH);
      if (hit >= 0) return some[hit];
    }
    return -1;
  };
  const text = (p) => (p.kind === "target" ? (p.target === undefined ? null : explorer.texts[explorer.targets[p.target].text]) : p.record === null ? null : explorer.texts[explorer.records[p.record].text]);
  const tell = (i) => {
    if (i === current) return;
    current = i;
    tip.hidden = i < 0;
    if (i >= 0) {
      const p = points[i], what = text(p);
      const title = p.kind === "target" ? `target${p.target === undefined ? "" : ` ${targetName(explorer.targets[p.target])}, nearest candidate at ${num(explorer.targets[p.target].nearest)}`}`
        : p.kind === "chosen" ? `chosen, ${num(explorer.chosen[p.chosen].distance)} from its target` : "in the pool";
      tip.replaceChildren(el("b", { class: p.kind }, title), el("div", { dir: "auto" }, what === null ? "(its text is not in this page)" : oneLine(what, 280)));
      const [px, py] = places[i];
      tip.style.left = `${Math.max(0, Math.min(size[0] - 290, px + 12))}px`;
      tip.style.top = py > size[1] * 0.62 ? "auto" : `${py + 14}px`;
      tip.style.bottom = py > size[1] * 0.62 ? `${size[1] - py + 14}px` : "auto";
    }
    draw();
  };
  const clear = () => state.set({ kept: null, keptWhy: "" });
  const choose = (i) => {
    const p = points[i];
    if (!p || p.kind === "pool" || (p.kind === "target" && p.target === undefined)) return clear();
    return state.set(forTarget(explorer, p.kind === "target" ? p.target : explorer.chosen[p.chosen].target));
  };
  const place = (event) => { const r = canvas.getBoundingClientRect(); return [event.clientX - r.left, event.clientY - r.top]; };
  canvas.addEventListener("pointermove", (event) => {
    const p = place(event);
    if (lasso) { lasso.push(p); draw(); } else tell(at(...p));
  });
  canvas.addEventListener("pointerdown", (event) => { if (event.pointerType !== "touch") { lasso = [place(event)]; canvas.setPointerCapture(event.pointerId); } });
  canvas.addEventListener("pointerup", (event) => {
    const ring = lasso, end = place(event);
    lasso = null;
    const moved = ring && ring.some(([x, y]) => Math.hypot(x - ring[0][0], y - ring[0][1]) > 6);
    if (moved) {
      const kept = new Set(points.flatMap((p, i) => (p.kind === "chosen" && inside(places[i], ring) ? [p.chosen] : [])));
      state.set({ kept, keptWhy: `${plural(kept.size, "record")} in the marked area` });
    } else choose(at(...end));
    draw();
  });
  canvas.addEventListener("pointerleave", () => { if (!lasso) tell(-1); });
  const walk = points.flatMap((p, i) => (p.kind === "chosen" ? [i] : [])).sort((a, b) => points[a].at[0] - points[b].at[0]);
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step && walk.length) { tell(walk[(walk.indexOf(current) + step + walk.length) % walk.length]); event.preventDefault(); }
    else if (event.key === "Enter" && current >= 0) choose(current);
    else if (event.key === "Escape") { tell(-1); clear(); }
  });
  state.on(["kept", "theme"], draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  const layer = (kind, label) => {
    const check = el("input", { type: "checkbox", checked: true });
    check.addEventListener("change", () => { shown[kind] = check.checked; draw(); });
    return el("label", { class: `layer ${kind}` }, check, el("span", { class: `swatch ${kind}` }), label);
  };
  const total = explorer.map.total, count = explorer.map.x.length;
  const sample = count < total ? `${whole(count)} of ${whole(total)} candidates stand for the pool` : `all ${whole(total)} candidates of the pool`;
  const spread = explorer.map.spread.map(percent).join(" and ");
  return el("figure", { class: "mapbox" }, el("div", { class: "layers" }, layer("pool", "pool"), layer("chosen", "chosen"), layer("target", "targets")), holder,
    el("figcaption", {}, `${sample}. The two axes hold ${spread} of the variance, so what is near here may still be far apart. Point to read; click, or draw around records, to list them.`));
}
