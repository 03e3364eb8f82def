// The gate killed in the middle of a race and started again where it was.
import { setTimeout as sleep } from "node:timers/promises";
import { tally } from "./expect.mjs";
import { seenOf } from "./race.mjs";

/**
 * Lets `clients` send without a pause, kills the gate with SIGKILL once the backend has seen `killAt`
 * requests of the key, starts it again on the same state and port, and sends on until more were refused
 * than the limit allows.
 *
 * @param {object} gate
 * @param {object} backend
 * @param {object} options
 * @param {object} options.key
 * @param {number} options.killAt
 * @param {string} [options.path]
 * @param {number} [options.clients]
 * @param {number} [options.enough] refusals that are enough to believe them
 * @param {object[]} [options.isolates] of the gate, which the clients send to by turns
 * @returns {Promise<{beforeKill: number, seen: number, statuses: Record<string, number>}>} requests that
 *   the backend had seen at the kill, and in all; answers of each status after it
 */
export async function raceThroughAKill(gate, backend, { key, killAt, path = "/plain", clients = 8, enough = 200, isolates = [gate] }) {
  const stop = { now: false };
  let turn = 0;
  const once = async () => {
    try {
      const isolate = isolates[(turn += 1) % isolates.length];
      return (await isolate.request({ path, headers: key.bearer, timeout: 30_000 })).status;
    } catch {
      return "cut off";
    }
  };
  const client = async () => {
    while (!stop.now) await once();
  };
  const running = Array.from({ length: clients }, client);
  while (seenOf(backend, key) < killAt) await sleep(0);
  const killing = gate.kill();
  stop.now = true;
  await killing;
  await Promise.all(running);
  const beforeKill = seenOf(backend, key);
  await gate.start();
  const statuses = [];
  while (statuses.filter((status) => status === 429).length < enough) {
    statuses.push(...(await Promise.all(Array.from({ length: 40 }, once))));
    if (statuses.includes("cut off")) break;
  }
  return { beforeKill, seen: seenOf(backend, key), statuses: tally(statuses) };
}
