// Chance that can be had again: a test says its seed when it fails, and the same seed gives the same
// bytes.

/** Numbers from a seed (mulberry32). */
export function chance(seed) {
  let state = seed >>> 0;
  const random = {
    seed,
    /** A whole number from 0 to `end` - 1. */
    below(end) {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
      return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * end);
    },
    pick: (list) => list[random.below(list.length)],
    bytes: (length) => Buffer.from(Array.from({ length }, () => random.below(256))),
  };
  return random;
}

/** A seed of this run, unless the environment gives that of another. */
export const seed = () => Number(process.env.TOLLGATE_SEED ?? Date.now() % 2 ** 31);
