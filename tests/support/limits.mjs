// Limits for tests: each measure as the policy and as a key states it, and what the headers tell of it.
import assert from "node:assert/strict";

/**
 * What a limit of `n` measures, by the name of the measure: `policy`, in the policy; `key`, among a key's
 * own limits; `code` of its refusal; `all`, what `RateLimit-Policy` tells of it after its name. None lets
 * more through within the hour, but for what is no longer in flight.
 */
export const MEASURES = {
  rate: {
    policy: (n) => ({ rate: { requests: n, window: "1h" } }),
    key: (n) => ({ requests: n, window: "1h" }),
    code: "rate_limited",
    all: (n) => `q=${n};w=3600`,
  },
  bucket: {
    policy: (n) => ({ bucket: { rate: { requests: 1, window: "1h" }, burst: n } }),
    key: (n) => ({ bucket: { requests: 1, window: "1h", burst: n } }),
    code: "rate_limited",
    all: (n) => `q=${n};w=${3600 * n}`,
  },
  quota: {
    policy: (n) => ({ quota: { requests: n, per: "day" } }),
    key: (n) => ({ quota: { requests: n, per: "day" } }),
    code: "quota_exceeded",
    all: (n) => `q=${n};w=86400`,
  },
  concurrency: {
    policy: (n) => ({ concurrency: n }),
    key: (n) => ({ concurrency: n }),
    code: "concurrency_exceeded",
    all: (n) => `q=${n};qu="concurrent-requests"`,
  },
};

/** The items of a header of RateLimit's, by the limit's name: `{ default: { q: "60", w: "60" } }`. */
function items(header = "") {
  const read = (item) => {
    const [name, ...rest] = item.trim().split(";");
    return [name.slice(1, -1), Object.fromEntries(rest.map((pair) => pair.split("=")))];
  };
  return header === "" ? {} : Object.fromEntries(header.split(",").map(read));
}

/** What an answer tells of each of its limits, by name: `{ left, wait, policy }`, seconds to wait for more. */
export function toldOf(answer) {
  const policies = answer.headers["ratelimit-policy"] ?? "";
  const states = items(answer.headers.ratelimit);
  assert.deepEqual(Object.keys(states), Object.keys(items(policies)), "both tell the same limits, in the same order");
  const policyOf = (name) => policies.split(", ").find((item) => item.startsWith(`"${name}";`)).slice(name.length + 3);
  const told = ([name, { r, t }]) => [name, { left: Number(r), wait: Number(t), policy: policyOf(name) }];
  return Object.fromEntries(Object.entries(states).map(told));
}

/** What an answer tells of the limit of this name, which has to be there. */
export function told(answer, name) {
  const limit = toldOf(answer)[name];
  assert.ok(limit, `no limit "${name}" in ${answer.headers["ratelimit-policy"]}`);
  return limit;
}

/**
 * The answer to a request that has to be refused by limits: a problem document with this code, which names
 * them, and the headers that go with it.
 *
 * @param {object} answer
 * @param {string} code
 * @param {string[]} violated
 */
export function assertLimited(answer, code, violated, why = "") {
  assert.equal(answer.status, 429, `${why}: ${answer.text}`);
  const document = answer.json;
  assert.equal(document.code, code, why);
  assert.deepEqual(document["violated-policies"], violated, why);
  assert.ok(Number.isInteger(document.retry_after) && document.retry_after >= 1, why);
  assert.equal(answer.headers["retry-after"], String(document.retry_after), why);
  for (const name of violated) told(answer, name);
  return document;
}
