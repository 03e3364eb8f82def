// What a test expects of an answer: this, and nothing more.
import assert from "node:assert/strict";

/** The headers of every answer, whoever makes the rest of it. */
export const STAMP = {
  "x-request-id": /^[0-9A-Za-z]{19}$/,
  "strict-transport-security": "max-age=31536000",
};

/** The headers of every refusal. */
export const REFUSAL = {
  ...STAMP,
  "content-type": "application/problem+json",
  "content-length": /^\d+$/,
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
};

/** Fails unless the answer has exactly these headers, each once. A pattern stands for a value that varies. */
export function assertHeaders(answer, expected, why = "") {
  const names = answer.pairs.map(([name]) => name.toLowerCase()).sort();
  assert.deepEqual(names, Object.keys(expected).sort(), why);
  for (const [name, value] of Object.entries(expected)) {
    if (value instanceof RegExp) assert.match(answer.headers[name], value, `${why}: ${name}`);
    else assert.equal(answer.headers[name], value, `${why}: ${name}`);
  }
}

/**
 * Fails unless the answer is a refusal with this code: a whole problem document of RFC 9457, with these
 * members besides the usual ones and no others.
 *
 * @returns {object} the document
 */
export function assertProblem(answer, status, code, { base, members = [], why = "" } = {}) {
  assert.equal(answer.status, status, `${why}: ${answer.text}`);
  assert.equal(answer.headers["content-type"], "application/problem+json", why);
  const document = JSON.parse(answer.text);
  assert.equal(document.code, code, why);
  assert.equal(document.status, status, why);
  const usual = ["type", "title", "status", "detail", "code", "correlationId"];
  assert.deepEqual(Object.keys(document).sort(), [...usual, ...members].sort(), why);
  for (const name of ["title", "detail"]) assert.ok(document[name].length > 0, `${why}: ${name}`);
  assert.equal(document.correlationId, answer.headers["x-request-id"], why);
  if (base === undefined) assert.match(document.type, new RegExp(`/_tollgate/errors/${code}$`), why);
  else assert.equal(document.type, `${base}/_tollgate/errors/${code}`, why);
  return document;
}

/** What the headers tell of a limit: its quota, window and what is left, seconds until more is. */
export function limitOf(answer, name = "default") {
  const policy = answer.headers["ratelimit-policy"]?.match(new RegExp(`"${name}";q=(\\d+);w=(\\d+)`));
  const state = answer.headers.ratelimit?.match(new RegExp(`"${name}";r=(\\d+);t=(\\d+)`));
  assert.ok(policy && state, `no limit "${name}" in ${answer.headers["ratelimit-policy"]} and ${answer.headers.ratelimit}`);
  const [quota, window, remaining, reset] = [...policy.slice(1), ...state.slice(1)].map(Number);
  return { quota, window, remaining, reset };
}

/** How many of each there are: `{ 200: 60, 429: 340 }`. */
export function tally(values) {
  const counts = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}
