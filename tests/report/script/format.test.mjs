import assert from "node:assert/strict";
import test from "node:test";
import { lift, nearestOf, num, percent, whole } from "../../../src/tsds/report/assets/modules/format.mjs";

test("numbers have three digits, as tsds path prints them", () => {
  const shown = [[0.8137449, "0.814"], [56.1259, "56.1"], [1234.5, "1,230"], [0.0005, "0.0005"], [0, "0"], [-2.5, "-2.5"], [0.00001234, "1.23e-5"], [2e12, "2e12"]];
  for (const [x, text] of shown) assert.equal(num(x), text);
  assert.equal(num(0.0124470, 2), "0.012");
  for (const x of [null, undefined, NaN, Infinity]) assert.equal(num(x), "–");
});

test("ranks are words, from 0 as in the table", () => {
  const shown = [[0, "nearest"], [1, "2nd nearest"], [2, "3rd nearest"], [10, "11th nearest"], [11, "12th nearest"], [20, "21st nearest"], [110, "111th nearest"], [1233, "1,234th nearest"]];
  for (const [rank, words] of shown) assert.equal(nearestOf(rank), words);
});

test("counts are whole, shares are percent", () => {
  assert.equal(whole(1234567.4), "1,234,567");
  assert.deepEqual([0, 0.0001, 0.0123, 0.0994, 0.0996, 0.5, 1, null].map(percent), ["0 %", "< 0.1 %", "1.2 %", "9.9 %", "10 %", "50 %", "100 %", "–"]);
  assert.equal(lift(0.5, 0.05), "10×");
  assert.equal(lift(0.5, 0), "–");
});
