// Numbers of several rounds as one.

const sorted = (values) => [...values].sort((a, b) => a - b);

/** The value below which the share `q` of all lies, between the two nearest. */
export function quantile(values, q) {
  const all = sorted(values);
  const at = (all.length - 1) * q;
  const below = Math.floor(at);
  const above = Math.min(below + 1, all.length - 1);
  return all[below] + (all[above] - all[below]) * (at - below);
}

export const median = (values) => quantile(values, 0.5);

/** Median and spread. */
export const summary = (values) => ({
  median: median(values),
  least: Math.min(...values),
  most: Math.max(...values),
});

/** How many times `over` each of `values` was in its own round: what slowed both is not in it. */
export const ratio = (values, over) => summary(values.map((value, round) => value / over[round]));
