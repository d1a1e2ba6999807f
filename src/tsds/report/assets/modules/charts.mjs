// The few charts of the page, as SVG drawn for the pixels at hand.
import { svg } from "./dom.mjs";
import { linear, logarithmic, logTicks, ticks } from "./geometry.mjs";
import { num } from "./format.mjs";

export function frame(width, height, margin, label) {
  const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const area = { left: margin.left, right: width - margin.right, top: margin.top, bottom: height - margin.bottom };
  return { root, area };
}

export function yAxis(root, area, scale, values, format = num) {
  for (const v of values) {
    root.append(svg("line", { class: "grid", x1: area.left, x2: area.right, y1: scale(v), y2: scale(v) }));
    root.append(svg("text", { x: area.left - 8, y: scale(v) + 4, "text-anchor": "end" }, format(v)));
  }
}

export function xAxis(root, area, scale, values, title, format = num) {
  values.forEach((v) => {
    const x = scale(v);
    root.append(svg("line", { class: "tick", x1: x, x2: x, y1: area.bottom, y2: area.bottom + 4 }));
    const anchor = x > area.right - 14 ? "end" : x < area.left + 8 ? "start" : "middle";
    root.append(svg("text", { x, y: area.bottom + 17, "text-anchor": anchor }, format(v)));
  });
  root.append(svg("line", { class: "axis", x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom }));
  if (title) root.append(svg("text", { class: "title", x: area.right, y: area.bottom + 34, "text-anchor": "end" }, title));
}

export const line = (points, kind) => svg("polyline", { class: `line ${kind}`, points: points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ") });

export const band = (points, kind) => svg("polygon", {
  class: `band ${kind}`,
  points: [...points.map(([x, low]) => [x, low]), ...[...points].reverse().map(([x, , high]) => [x, high])].map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" "),
});

// Steps of several shares over the same edges.
export function stepChart(width, edges, series, label, title, height = 190) {
  const { root, area } = frame(width, height, { left: 46, right: 12, top: 12, bottom: 42 }, label);
  const x = logarithmic([edges[0], edges[edges.length - 1]], [area.left, area.right]);
  const top = Math.max(...series.flatMap((one) => one.values), 1e-9);
  const y = linear([0, top], [area.bottom, area.top]);
  yAxis(root, area, y, ticks(0, top, 3), (v) => `${num(100 * v, 2)} %`);
  xAxis(root, area, x, logTicks(edges[0], edges[edges.length - 1]), title);
  for (const one of series) {
    const points = one.values.flatMap((v, i) => [[x(edges[i]), y(v)], [x(edges[i + 1]), y(v)]]);
    if (one.filled) root.append(svg("polygon", { class: `band ${one.kind}`, points: [[area.left, area.bottom], ...points, [area.right, area.bottom]].map((p) => p.map((v) => v.toFixed(1)).join()).join(" ") }));
    root.append(line(points, one.kind));
  }
  return root;
}

export function barHistogram(width, { edges, counts }, label, title, mark, height = 190) {
  const { root, area } = frame(width, height, { left: 34, right: 12, top: 26, bottom: 42 }, label);
  const x = linear([edges[0], edges[edges.length - 1] === edges[0] ? edges[0] + 1 : edges[edges.length - 1]], [area.left, area.right]);
  const y = linear([0, Math.max(...counts, 1)], [area.bottom, area.top]);
  yAxis(root, area, y, ticks(0, Math.max(...counts, 1), 3).filter(Number.isInteger));
  counts.forEach((c, i) => {
    if (c) root.append(svg("rect", { class: "bin", x: x(edges[i]) + 0.5, width: Math.max(1, x(edges[i + 1]) - x(edges[i]) - 1), y: y(c), height: area.bottom - y(c) }));
  });
  xAxis(root, area, x, ticks(edges[0], edges[edges.length - 1], width < 500 ? 4 : 8), title);
  if (mark !== null && mark !== undefined) {
    root.append(svg("line", { class: "now", x1: x(mark), x2: x(mark), y1: area.top, y2: area.bottom }));
    root.append(svg("text", { class: "mark", x: x(mark), y: area.top - 8, "text-anchor": "middle" }, `typical ${num(mark)}`));
  }
  return root;
}

// Means with their intervals, one row each.
export function whiskers(width, rows, label) {
  const left = Math.min(180, width * 0.36), height = 26 * rows.length + 44;
  const { root, area } = frame(width, height, { left, right: 14, top: 6, bottom: 36 }, label);
  const low = Math.min(...rows.map((r) => r.low)), high = Math.max(...rows.map((r) => r.high)), pad = (high - low || 1) * 0.05;
  const x = linear([low - pad, high + pad], [area.left, area.right]);
  rows.forEach((r, i) => {
    const y = area.top + 26 * i + 13;
    root.append(svg("line", { class: "grid", x1: area.left, x2: area.right, y1: y, y2: y }));
    root.append(svg("text", { class: "name", x: area.left - 10, y: y + 4, "text-anchor": "end" }, r.name));
    root.append(svg("line", { class: "whisker", x1: x(r.low), x2: x(r.high), y1: y, y2: y }));
    root.append(svg("circle", { class: "dot", cx: x(r.mean), cy: y, r: 4.5 }));
  });
  xAxis(root, area, x, ticks(low - pad, high + pad, width < 500 ? 3 : 6));
  return root;
}
