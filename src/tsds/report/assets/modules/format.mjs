// Numbers as people read them. Rounded as `tsds path` rounds: three digits, whole numbers where things are counted.

export const whole = (x) => Math.round(x).toLocaleString("en");

export function num(x, digits = 3) {
  if (x === null || x === undefined || !Number.isFinite(x)) return "–";
  if (x === 0) return "0";
  const size = Math.abs(x);
  const rounded = Number(x.toPrecision(digits));
  if (size < 1e-4 || size >= 1e9) return rounded.toExponential().replace("e+", "e");
  return rounded.toLocaleString("en", { maximumSignificantDigits: digits });
}

export function percent(x) {
  if (x === null || x === undefined) return "–";
  if (x > 0 && x < 0.0005) return "< 0.1 %";
  return (100 * x).toFixed(x < 0.0995 && x > 0 ? 1 : 0) + " %";
}

export function lift(chosen, pool) {
  if (!pool) return "–";
  const times = chosen / pool;
  return times.toFixed(times < 10 ? 1 : 0) + "×";
}

// A place in a target's list in words, counted from 0 as in selection.parquet: "nearest", "2nd nearest".
export function nearestOf(rank) {
  const n = rank + 1, teen = n % 100 > 10 && n % 100 < 14;
  return n === 1 ? "nearest" : `${whole(n)}${(!teen && ["th", "st", "nd", "rd"][n % 10]) || "th"} nearest`;
}

export const plural = (n, one, many = one + "s") => `${whole(n)} ${n === 1 ? one : many}`;
