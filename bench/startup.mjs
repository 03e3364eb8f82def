// How long a fresh workerd takes to its first answer, and how much memory it has, with one side alone.
// The sides take turns; the platform's own parts are the same for all of them.
import { memoryOf } from "./cpu.mjs";
import { CONNECTIONS } from "./measure.mjs";
import { SIDES } from "./sides.mjs";
import { summary } from "./stats.mjs";
import { bytes } from "./world.mjs";

const TURNS = 9;
/** Requests before memory is read. */
const USED = 2_000;
/** A route without key, store or limit on each side. */
const PATH = "/v1/status";

/** What is started, by the service; the Hono gate knows no such route and says so. */
const STARTED = {
  floor: { title: SIDES.floor.title, socket: "floor", status: 200 },
  hono: { title: SIDES.hono.title, socket: "hono", status: 404, marker: "404 Not Found" },
  gate: { title: "Tollgate", socket: "http", status: 200 },
};

/** @returns {Promise<Record<string, {title: string, ms: object, mib: object}>>} median and spread of each */
export async function startUp(world, say) {
  const taken = Object.fromEntries(Object.keys(STARTED).map((service) => [service, { ms: [], mib: [] }]));
  const turn = Object.keys(STARTED);
  for (let round = 0; round < TURNS; round += 1) {
    say(`start ${round + 1} of ${TURNS}`);
    for (const service of turn) {
      const { ms, mib } = await once(world, service);
      taken[service].ms.push(ms);
      taken[service].mib.push(mib);
    }
    turn.push(turn.shift());
  }
  return Object.fromEntries(
    Object.entries(taken).map(([service, { ms, mib }]) => [
      service,
      { title: STARTED[service].title, ms: summary(ms), mib: summary(mib) },
    ]),
  );
}

async function once(world, service) {
  const { socket, status, marker = world.marker } = STARTED[service];
  const began = performance.now();
  const workerd = await world.open([service]);
  try {
    const port = workerd.ports[socket];
    const ready = { name: `start of ${service}`, port, status, marker, request: bytes(port, PATH) };
    await world.send(ready, 1, 1);
    const ms = performance.now() - began;
    await world.send(ready, USED, CONNECTIONS);
    return { ms, mib: memoryOf(workerd.pid) };
  } finally {
    await workerd.stop();
  }
}
