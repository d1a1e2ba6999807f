// Scales, ticks, and what lies where in the plane. Pure functions.

export function linear([d0, d1], [r0, r1]) {
  const slope = d1 === d0 ? 0 : (r1 - r0) / (d1 - d0);
  return (x) => r0 + slope * (x - d0);
}

export function logarithmic([d0, d1], range) {
  const scale = linear([Math.log(d0), Math.log(d1)], range);
  return (x) => scale(Math.log(x));
}

// Round numbers that cover [low, high] in about `count` steps.
export function ticks(low, high, count = 5) {
  if (!(high > low)) return [low];
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

// 1, 10, 100 within [low, high]; also 2 and 5 where there would be few.
export function logTicks(low, high) {
  const decades = Math.log10(high / low), found = [];
  const steps = decades > 2.6 ? [1] : decades > 1.7 ? [1, 3] : [1, 2, 5];
  for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k++)
    for (const m of steps) {
      const v = Number((m * 10 ** k).toPrecision(3));
      if (v >= low * 0.999 && v <= high * 1.001) found.push(v);
    }
  return found;
}

// The place of the point nearest to (x, y), or -1 if none is within `reach`.
export function nearest(points, x, y, reach = Infinity) {
  let best = -1, least = reach * reach;
  points.forEach(([px, py], i) => {
    const square = (px - x) ** 2 + (py - y) ** 2;
    if (square <= least) { best = i; least = square; }
  });
  return best;
}

// Whether a point lies inside a polygon: an odd number of its edges crosses the ray to the right.
export function inside([x, y], polygon) {
  let odd = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [xi, yi] = polygon[i], [xj, yj] = polygon[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
  }
  return odd;
}

// A box around most of the points: the few farthest out may lie at its border.
export function box(points, share = 0.995) {
  const bound = (axis) => {
    const values = points.map((p) => p[axis]).sort((a, b) => a - b);
    const skip = Math.floor(((1 - share) / 2) * values.length);
    let low = values[skip], high = values[values.length - 1 - skip];
    const margin = (high - low || 1) * 0.06;
    return [low - margin, high + margin];
  };
  return { x: bound(0), y: bound(1) };
}
