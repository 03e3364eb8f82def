// Usage as tests read it. What was counted arrives a little after it happened, so that it is asked for
// until it is there; how long that takes says nothing.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

/** Longer than this nothing takes that comes at all, in ms. */
const PATIENCE = 30_000;

/** `GET usage` or `GET keys/{id}/usage`, which has to succeed; the body of its answer. */
export async function usage(gate, path, options) {
  const answer = await gate.api("GET", path, undefined, options);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}

/** The first value of `read` that `test` takes; the last one, if none does. */
export async function eventually(read, test, patience = PATIENCE) {
  let value;
  for (const end = performance.now() + patience; performance.now() < end; await sleep(100)) {
    value = await read();
    if (test(value)) return value;
  }
  return value;
}

/** The usage of a key once it has so many requests, all of them whole: admitted, refused, and of each its status. */
export function usageOf(gate, key, requests, query = "") {
  const read = async () => (await usage(gate, `keys/${key.id}/usage${query}`)).usage;
  const told = ({ statuses }) => Object.values(statuses).reduce((sum, count) => sum + count, 0);
  return eventually(read, (found) => found.requests >= requests && told(found) >= requests);
}
