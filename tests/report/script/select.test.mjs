import assert from "node:assert/strict";
import test from "node:test";
import { listed, ORDERS, searchable, wordsOf } from "../../../src/tsds/report/assets/modules/select.mjs";
import { makeState } from "../../../src/tsds/report/assets/modules/state.mjs";
import { flags, heldOutAt, sourcesOf } from "../../../src/tsds/report/assets/modules/path.mjs";
import { typical } from "../../../src/tsds/report/assets/modules/coverage.mjs";

const explorer = {
  texts: ["two apples and a pear", [["user", "Wie viele Äpfel?"], ["assistant", "Drei."]], "the target"],
  records: [{ text: 0, group: "math", id: "a-1", row: 7, tokens: 5 }, { text: 1, group: null, id: 9, row: 3, tokens: 8 }],
  targets: [{ text: 2, id: "t", task: "sums" }, { text: 2, id: "u", task: "words" }],
  chosen: [{ record: 0, target: 0, distance: 0.9, probability: 0.1, density: 1 }, { record: 1, target: 1, distance: 0.2, probability: 0.3, density: null }],
};
const haystacks = explorer.chosen.map((c) => searchable(c, explorer));

test("search looks in texts, turns, targets, sources and ids; all words must occur", () => {
  const find = (query) => listed(explorer, haystacks, { query });
  assert.deepEqual(find("APPLES pear"), [0]);
  assert.deepEqual(find('"pear and"'), []);
  assert.deepEqual(find('"and a pear"'), [0]);
  assert.deepEqual(find("äpfel drei"), [1]);
  assert.deepEqual(find("target"), [0, 1]);
  assert.deepEqual(find("math"), [0]);
  assert.deepEqual(find("a-1"), [0]);
  assert.deepEqual(find("words"), [1]);
  assert.deepEqual(wordsOf(' a  "b c" '), ["a", "b c"]);
});

test("every order sorts by what it says", () => {
  const by = (order) => listed(explorer, haystacks, { order });
  assert.deepEqual([by("near"), by("far"), by("likely"), by("long"), by("short"), by("row"), by("shown")], [[1, 0], [0, 1], [1, 0], [1, 0], [0, 1], [1, 0], [0, 1]]);
  for (const order of Object.keys(ORDERS)) assert.equal(by(order).length, 2);
});

test("filters of the map, of the source and of the task", () => {
  assert.deepEqual(listed(explorer, haystacks, { kept: new Set([1]) }), [1]);
  assert.deepEqual(listed(explorer, haystacks, { group: "math" }), [0]);
  assert.deepEqual(listed(explorer, haystacks, { task: "words" }), [1]);
});

test("listeners hear of what changed and of nothing else", () => {
  const state = makeState({ a: 1, b: 2 }), heard = [];
  state.on(["a"], (now) => heard.push(now.a));
  state.set({ b: 3 });
  state.set({ a: 1 });
  state.set({ a: 5, b: 4 });
  assert.deepEqual(heard, [5]);
});

test("sources of the path by their largest share; held-out cost between measured strengths", () => {
  const stops = [{ sources: [["a", 0.9], ["b", 0.1]] }, { sources: [["c", 0.5], ["a", 0.3], ["b", 0.2]] }];
  assert.deepEqual(sourcesOf(stops), ["a", "c", "b"]);
  assert.deepEqual(sourcesOf([stops[0], { ...stops[1], here: true }]), ["c", "a", "b"]);
  const curve = [{ neighbors: 100, cost: 3 }, { neighbors: 1, cost: 1 }];
  assert.equal(heldOutAt(curve, 10), 2);
  assert.equal(heldOutAt(curve, 0.5), null);
  assert.equal(heldOutAt([], 5), null);
});

test("the options for a strength keep the method: auto with a strength alone would be kde", () => {
  assert.equal(flags({ method: "auto", sampling: "shares" }, 1500), "--method balanced --neighbors 1500");
  assert.equal(flags({ method: "balanced", sampling: "top" }, 15), "--method balanced --neighbors 15 --sampling top");
  assert.equal(flags({ method: "kde", sampling: "systematic" }, 2.5), "--method kde --neighbors 2.5");
  const published = { method: "kde-published", sampling: "multinomial", bandwidth: 0.1 };
  assert.equal(flags(published, 9), "--method kde --neighbors 9 --bandwidth 0.1 --sampling multinomial");
});

test("the typical distance is the median, as far as a histogram tells", () => {
  assert.equal(typical({ edges: [0, 1, 2, 3], counts: [1, 2, 1] }), 1.5);
});
