// A gate that is killed at random while webhooks arrive and their backend fails at random. Its sender is a
// provider: what was not acknowledged is sent again.
//
// What has to hold: every event that was acknowledged reaches the backend, and is sent no more once the
// backend has said 2xx and the gate has lived to write that down. So an event that arrives again has to have a
// kill between the two, and of each kill there can be no more of them than deliveries that are on their way
// at a time.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { reply, startBackend } from "./backend.mjs";
import { startGate } from "./gate.mjs";
import { SIGN, until } from "./hooks.mjs";
import { testPolicy } from "./policy.mjs";
import { chance, seed } from "./random.mjs";

const SENDERS = 12;
const CONCURRENCY = 16;
const SECRET = randomBytes(24).toString("base64url");

/**
 * Sends `events`, kills the gate `kills` times among them, and holds what the backend saw against what was
 * acknowledged.
 *
 * @returns {Promise<{events: number, kills: number, again: number, attempts: number}>} figures to show
 */
export async function killAmongEvents({ name, events, kills }) {
  const random = chance(seed());
  /** By event, for each 2xx of the backend: which life of the gate it was said to. */
  const arrivals = new Map();
  let killed = 0;
  let attempts = 0;
  const backend = await startBackend({
    answer: async (seen, response) => {
      attempts += 1;
      backend.requests.length = 0;
      // A connection dies with its gate: what is still answered on it after a kill is of the life before.
      const { socket } = seen.request;
      socket.life ??= killed;
      if (random.below(4) === 0) await sleep(random.below(20));
      const mood = random.below(10);
      if (mood === 0) return response.destroy();
      if (mood === 1) return reply(response, [429, 500, 503, 302][random.below(4)]);
      const { id } = JSON.parse(seen.body);
      arrivals.set(id, [...(arrivals.get(id) ?? []), socket.life]);
      reply(response, 200);
    },
  });
  const gate = await startGate({
    name,
    secrets: { SHOP: SECRET },
    policy: testPolicy({
      backend,
      dev: { source: { shop: { retry_speed: 1000 } } },
      sources: [{ name: "shop", path: "/hooks/shop", scheme: "stripe", secrets: ["${secret:SHOP}"], delivery_concurrency: CONCURRENCY }],
    }),
  });
  try {
    let next = 0;
    let acknowledged = 0;
    let up = Promise.resolve();
    const once = async (body) => {
      const headers = { "Content-Type": "application/json", ...SIGN.stripe(SECRET, body, Date.now()) };
      try {
        return (await gate.request({ method: "POST", path: "/hooks/shop", headers, body, timeout: 20_000 })).status;
      } catch {
        return "cut off";
      }
    };
    const sender = async () => {
      while (next < events) {
        const body = JSON.stringify({ id: `evt_${(next += 1)}`, padding: "x".repeat(random.below(2_000)) });
        for (let status; (status = await once(body)) !== 202; await up) {
          assert.ok(status === "cut off", `seed ${random.seed}: ${status}\n${gate.output.slice(-2_000)}`);
        }
        acknowledged += 1;
      }
    };
    const senders = Array.from({ length: SENDERS }, sender);
    for (let kill = 0; kill < kills; kill += 1) {
      const at = Math.floor(((kill + 0.2 + 0.6 * (random.below(1_000) / 1_000)) * events) / kills);
      while (acknowledged < at) await sleep(random.below(3));
      up = (async () => {
        await gate.kill();
        killed += 1;
        await gate.start();
      })();
      await up;
    }
    await Promise.all(senders);
    const missing = () => events - arrivals.size;
    await until(() => missing() === 0, `seed ${random.seed}: acknowledged, and not delivered`, 60_000).catch((error) => {
      throw new Error(`${error.message}: ${missing()} of ${events}`);
    });
    // What the last kill cut off has had its second try by now: nothing is pending any more.
    await until(async () => (await gate.api("GET", "hooks/shop/events?state=pending&limit=1")).body.events.length === 0, "nothing pending", 60_000);
    const again = [...arrivals.values()].filter((kills) => kills.length > 1);
    for (const when of again) assert.equal(new Set(when).size, when.length, `seed ${random.seed}: sent again in one life: ${when}`);
    const extra = again.reduce((sum, when) => sum + when.length - 1, 0);
    assert.ok(extra <= kills * CONCURRENCY, `seed ${random.seed}: ${extra} arrived again after ${kills} kills`);
    assert.equal(acknowledged, events);
    return { events, kills, again: extra, attempts };
  } finally {
    await gate.stop();
    await backend.stop();
  }
}
