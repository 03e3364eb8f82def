// Many requests at once against one limit, and what came of them on both sides of the gate.
import { tally } from "./expect.mjs";

/**
 * Sends `requests` at once, each on a connection of its own that is kept for the next race.
 *
 * @param {object} gate
 * @param {object} backend
 * @param {object} options
 * @param {{id: string, bearer: object}} options.key
 * @param {(i: number) => string} options.path
 * @returns {Promise<{statuses: Record<string, number>, seen: number, answers: object[]}>}
 *   how many answers of each status there were, and how many requests of this key the backend saw
 */
export async function race(gate, backend, { key, path, requests = 400, method = "GET" }) {
  const before = seenOf(backend, key);
  const one = (i) => gate.request({ path: path(i), method, headers: key.bearer, timeout: 60_000 });
  const answers = await Promise.all(Array.from({ length: requests }, (_, i) => one(i)));
  return { statuses: tally(answers.map((answer) => answer.status)), seen: seenOf(backend, key) - before, answers };
}

/** The requests of this key that reached the backend. */
export const seenOf = (backend, key) =>
  backend.requests.filter((seen) => seen.header("x-tollgate-key") === key.id).length;
