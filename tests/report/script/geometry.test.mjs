import assert from "node:assert/strict";
import test from "node:test";
import { box, inside, linear, logarithmic, logTicks, nearest, ticks } from "../../../src/tsds/report/assets/modules/geometry.mjs";

test("scales map ends to ends", () => {
  const x = linear([2, 4], [0, 100]), y = logarithmic([1, 100], [200, 0]);
  assert.deepEqual([x(2), x(3), x(4)], [0, 50, 100]);
  assert.ok(Math.abs(y(10) - 100) < 1e-9);
  assert.equal(linear([3, 3], [7, 9])(3), 7);
});

test("ticks are round and within", () => {
  assert.deepEqual(ticks(0, 1, 5), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(ticks(0.31, 0.97, 3), [0.5]);
  assert.deepEqual(ticks(5, 5), [5]);
  assert.deepEqual(logTicks(0.5, 2000), [1, 10, 100, 1000]);
  for (let i = 1; i < 200; i++) {
    const low = Math.sin(i) * 10 ** (i % 7), high = low + Math.abs(Math.cos(i)) * 10 ** (i % 5) + 1e-6;
    const found = ticks(low, high, 5);
    assert.ok(found.length <= 7 && found.every((v) => v >= low - (high - low) * 1e-6 && v <= high + (high - low) * 1e-6), `${low} ${high} ${found}`);
  }
});

test("the nearest point, within reach", () => {
  const points = [[0, 0], [10, 0], [0, 10]];
  assert.equal(nearest(points, 8, 1), 1);
  assert.equal(nearest(points, 5, 50, 10), -1);
});

test("inside a polygon that is not convex", () => {
  const c = [[0, 0], [10, 0], [10, 2], [2, 2], [2, 8], [10, 8], [10, 10], [0, 10]];
  assert.ok(inside([1, 5], c) && inside([9, 1], c) && inside([9, 9], c));
  assert.ok(!inside([5, 5], c) && !inside([-1, 5], c) && !inside([11, 1], c));
});

test("a box does not follow the farthest few", () => {
  const points = Array.from({ length: 1000 }, (_, i) => [i / 1000, (i * 7 % 1000) / 1000]);
  points.push([1e6, -1e6]);
  const { x, y } = box(points);
  assert.ok(x[0] < 0.01 && x[1] < 2 && x[1] > 0.99 && y[0] > -1);
});
