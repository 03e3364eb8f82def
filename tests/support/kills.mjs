// Kills of a gate (SIGKILL) in the middle of a crowd, for each kind of limit: tests/limit-crash.test.mjs does
// a few, tests/proof/limit-crash.test.mjs many. The clock is set by hand and stands still, so that nothing
// but what a limit says comes free.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { startBackend } from "./backend.mjs";
import { HOUR, SECOND, startClockedGate } from "./clock.mjs";
import { raceThroughAKill } from "./crash.mjs";
import { makeHolder } from "./hold.mjs";
import { makeKey } from "./keys.mjs";
import { atMost, testPolicy } from "./policy.mjs";
import { chance, seed } from "./random.mjs";

const CLIENTS = 8;
const AMPLE = [atMost(1_000_000, "24h")];
/** A place in flight is free after this at the latest. */
const EXCHANGE = HOUR;

/** What is killed: the key that a crowd has, where it sends, how many may pass, and from how many isolates. */
const KINDS = {
  rate: { limit: 60, wish: { limits: [atMost(60, "1h")] } },
  "large rate": { limit: 500, wish: { limits: [atMost(500, "1h")] } },
  bucket: { limit: 60, wish: { limits: [{ name: "default", bucket: { requests: 1, window: "1h", burst: 60 } }] } },
  quota: { limit: 60, wish: { limits: [{ name: "default", quota: { requests: 60, per: "day" } }] } },
  costly: { limit: 40, wish: { limits: [atMost(120, "1h")] }, path: "/costly" },
  "rate of a tenant": { limit: 60, wish: { limits: AMPLE }, path: "/tenant" },
  "leased rate": { limit: 200, wish: { mode: "leased", limits: [atMost(200, "1h")] }, leased: true },
  "leased bucket": { limit: 200, wish: { mode: "leased", limits: [{ name: "default", bucket: { requests: 1, window: "1h", burst: 200 } }] }, leased: true },
  "leased quota": { limit: 200, wish: { mode: "leased", limits: [{ name: "default", quota: { requests: 200, per: "day" } }] }, leased: true },
};
export const kinds = [...Object.keys(KINDS), "concurrency"];

/** A gate to be killed, with its backend. */
export async function startDoomed(name) {
  const holder = makeHolder();
  const backend = await startBackend({ answer: holder.answer });
  const gate = await startClockedGate({
    edges: 2,
    policy: testPolicy({
      backend,
      main: { timeout: "1m", max_stream: "59m" },
      limits: { tenant: { rate: { requests: 60, window: "1h" }, by: "tenant" }, few: { concurrency: 5 } },
      routes: [
        { name: "plain", path: "/plain" },
        { name: "costly", path: "/costly", cost: 3 },
        { name: "tenant", path: "/tenant", limits: ["tenant"] },
        { name: "few", path: "/few", limits: ["few"] },
      ],
    }),
    name,
  });
  const random = chance(seed());
  let tenants = 0;
  return {
    /** Kills it in a crowd at a random point, and sees that the limit of this kind held before and after. */
    async kill(kind) {
      const wish = { tenant: `doomed-${(tenants += 1)}`, limits: AMPLE, ...KINDS[kind]?.wish };
      const key = await makeKey(gate, wish);
      if (kind === "concurrency") await killInFlight({ gate, backend, holder, random, key });
      else await killInACrowd({ gate, backend, random, key, ...KINDS[kind] });
      backend.clear();
    },
    async stop() {
      holder.free();
      await gate.stop();
      await backend.stop();
    },
  };
}

async function killInACrowd({ gate, backend, random, key, limit, path = "/plain", leased = false }) {
  const killAt = 1 + random.below(limit - 1 - CLIENTS);
  const isolates = leased ? [gate, ...gate.edges] : [gate];
  const { beforeKill, seen, statuses } = await raceThroughAKill(gate, backend, { key, killAt, path, clients: CLIENTS, isolates });
  const why = `seed ${random.seed}: killed after ${beforeKill}, ${seen} in all, then ${JSON.stringify(statuses)}`;
  assert.deepEqual(Object.keys(statuses).filter((status) => !["200", "429"].includes(status)), [], why);
  assert.ok(seen <= limit, why);
  // A crash loses what was written ahead, and what was on its way between the object and the backend. Of a
  // lease it loses what was not spent.
  const lost = Math.max(1, limit / 50) + CLIENTS;
  if (!leased) assert.ok(seen >= limit - lost, why);
}

async function killInFlight({ gate, backend, holder, random, key }) {
  const LIMIT = 5;
  holder.most = 0;
  const answer = backend.answer;
  backend.answer = async (seen, response) => {
    holder.live.add(response);
    holder.most = Math.max(holder.most, holder.live.size);
    response.once("close", () => holder.live.delete(response));
    response.write("a");
    await sleep(random.below(4));
    holder.live.delete(response);
    response.end("b");
  };
  const killAt = 20 + random.below(100);
  const { beforeKill, statuses } = await raceThroughAKill(gate, backend, { key, killAt, path: "/few", clients: 2 * CLIENTS, enough: 0 });
  const why = `seed ${random.seed}: killed after ${beforeKill}, then ${JSON.stringify(statuses)}`;
  const crowd = async () => {
    for (let i = 0; i < 10; i += 1) await gate.request({ path: "/few", headers: key.bearer }).then(({ status }) => assert.ok([200, 429].includes(status)));
  };
  await Promise.all(Array.from({ length: 2 * CLIENTS }, crowd));
  assert.ok(holder.most <= LIMIT, `${holder.most} at a time; ${why}`);
  // Those who died with the gate have their places until their time: then all are there again.
  backend.answer = answer;
  await gate.advance(EXCHANGE + SECOND);
  const held = [];
  while (held.at(-1)?.status !== 429) held.push(await holder.hold(gate, { key, path: "/few" }));
  assert.equal(held.length - 1, LIMIT, why);
  holder.free();
  await Promise.all(held.map(({ ended }) => ended));
}
