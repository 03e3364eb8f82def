// The measurement itself: every case in turn, round after round, each round beginning with another one.
import { cpuOf, watchOthers } from "./cpu.mjs";
import { quantile } from "./stats.mjs";
import { prepare, servicesOf, until } from "./world.mjs";

/** Requests under way at a time. */
export const CONNECTIONS = 8;

/**
 * Measures the cases on one workerd.
 *
 * @param {{rounds: number, requests: number, warmUp: number}} amount
 * @param {(text: string) => void} say progress
 * @returns {Promise<{cases: Record<string, object[]>, skipped: {name: string, reason: string}[], others: number}>}
 *   rounds of each case: micros of CPU, requests per second, p50 and p99 in ms; others: which share of the
 *   machine's CPUs was used by anybody else
 */
export async function measure(world, cases, { rounds, requests, warmUp }, say) {
  const workerd = await world.open(servicesOf(cases));
  try {
    const { ready, skipped } = await prepare(world, workerd, cases);
    await checkLogs(world, ready);
    for (const one of ready) await world.send(one, warmUp, CONNECTIONS);
    const others = watchOthers([process.pid, workerd.pid, ...world.pids]);
    const measured = Object.fromEntries(ready.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round += 1) {
      world.clearLog();
      say(`round ${round + 1} of ${rounds}`);
      const first = round % ready.length;
      for (const one of [...ready.slice(first), ...ready.slice(0, first)]) {
        measured[one.name].push(await oneRound(world, workerd, one, requests));
      }
    }
    return { cases: measured, skipped, others: others() };
  } finally {
    await workerd.stop();
  }
}

async function oneRound(world, workerd, one, requests) {
  const { micros, result } = await cpuOf(workerd.pid, () => world.send(one, requests, CONNECTIONS));
  return {
    cpu: micros / requests,
    rps: (requests * 1_000) / result.elapsed,
    p50: quantile(result.micros, 0.5) / 1_000,
    p99: quantile(result.micros, 0.99) / 1_000,
  };
}

/** Every side writes one line for a request, and all of them the same members for the same kind. */
async function checkLogs(world, ready) {
  const members = {};
  for (const one of ready) {
    world.clearLog();
    await world.send(one, 1, 1);
    const [line] = await until(() => world.logLines().length > 0 && world.logLines(), `${one.name}: its log line`);
    const found = Object.keys(JSON.parse(line)).join(" ");
    members[one.kind] ??= { found, by: one.name };
    const { found: wanted, by } = members[one.kind];
    if (found !== wanted) throw new Error(`log lines differ: ${by} writes ${wanted}, ${one.name} writes ${found}`);
  }
}
