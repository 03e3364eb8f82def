// What is measured: the sides, what is asked of each, what has to come back, and the targets.

/** What goes over the line, and what has to come back: the status, and a text in the body. */
export const KINDS = {
  pass: { title: "passes", status: 200 },
  bad: { title: "bad checksum", status: 401, marker: '"code":"key_invalid"' },
  origin: { title: "wrong origin", status: 403, marker: '"code":"origin_not_allowed"', origin: "https://evil.example" },
  limit: { title: "over limit", status: 429, marker: '"code":"rate_limited"' },
};

/** Where requests go: a socket of the one workerd, and whose keys are sent there. */
export const SIDES = {
  floor: { title: "floor: bare Worker", socket: "floor", keys: "exact", kinds: ["pass"] },
  refusal: { title: "a bare refusal", socket: "refusal", keys: "exact", kinds: ["bad"] },
  object: { title: "floor + one object call", socket: "object", keys: "exact", kinds: ["pass"] },
  hono: { title: "Hono gate", socket: "hono", keys: "hono", kinds: ["pass", "bad", "origin", "limit"] },
  "hono-kept": { title: "Hono gate, records kept", socket: "hono-kept", keys: "hono", kinds: ["pass"] },
  exact: { title: "Tollgate exact", socket: "http", keys: "exact", kinds: ["pass", "bad", "origin", "limit"] },
  leased: { title: "Tollgate leased", socket: "http", keys: "leased", kinds: ["pass", "bad", "origin", "limit"] },
};

/** Every case by its name: `exact` passes, `exact/bad` is refused. */
export const CASES = Object.entries(SIDES).flatMap(([side, { kinds }]) =>
  kinds.map((kind) => ({ name: kind === kinds[0] ? side : `${side}/${kind}`, side, kind })),
);

/** Bounds of CPU per request, each as a multiple of another case in the same run. */
export const TARGETS = [
  { of: "exact", over: "floor", most: 1.8 },
  { of: "exact", over: "object", most: 1.25 },
  { of: "leased", over: "floor", most: 1.15 },
  { of: "exact", over: "hono", most: 0.7 },
  { of: "exact/bad", over: "floor", most: 0.35 },
];

/** How much later than the floor a fresh gate may answer first, in ms. */
export const START_TARGET = 10;

/** The cases that `only` names (all without it): a side stands for all its kinds. */
export function chosen(only) {
  if (only === undefined) return CASES;
  const wanted = only.split(",");
  const unknown = wanted.filter((name) => !CASES.some((c) => c.name === name || c.side === name));
  if (unknown.length > 0) {
    throw new Error(`no such case: ${unknown.join(", ")}; there are ${CASES.map((c) => c.name).join(", ")}`);
  }
  return CASES.filter((c) => wanted.includes(c.name));
}
