import assert from "node:assert/strict";
import test from "node:test";
import { oneLine, plainText, visible } from "../../../src/tsds/report/assets/modules/text.mjs";

test("what acts or can't be seen is shown as its code", () => {
  assert.equal(visible("a\u0000b\u001b[31m"), "a␀b␛[31m");
  assert.equal(visible("\u202eturned\u200b\ufeff"), "⟨202E⟩turned⟨200B⟩⟨FEFF⟩");
  assert.equal(visible("half \ud800 pair \udc00"), "half ⟨D800⟩ pair ⟨DC00⟩");
});

test("whole texts stay as they are", () => {
  const text = "line\n\ttab, ünïcode, 漢字, العربية, 👩\u200d🚀, <b>&amp;</b> </script>";
  assert.equal(visible(text), text);
});

test("one line of bounded length", () => {
  assert.equal(oneLine([["user", "a\n b"], ["assistant", "c"]]), "a b c");
  assert.equal(oneLine("x".repeat(500), 20).length, 20);
  assert.equal(plainText([["user", "a"], ["assistant", "b"]]), "a\nb");
});
