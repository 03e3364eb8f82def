// Many events of one source: a replay sends each once, and a list for few among many goes on to its end.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { reply, startBackend } from "./support/backend.mjs";
import { startGate } from "./support/gate.mjs";
import { arrived, post, until } from "./support/hooks.mjs";
import { testPolicy } from "./support/policy.mjs";

const SECRET = randomBytes(24).toString("base64url");
/** More than an object puts back in one call, and than it looks at for a page. */
const MANY = 2_100;

let backend, gate;
before(async () => {
  backend = await startBackend();
  gate = await startGate({
    name: "hooks-many",
    secrets: { SHOP: SECRET },
    policy: testPolicy({ backend, sources: [{ name: "shop", path: "/hooks/shop", scheme: "stripe", secrets: ["${secret:SHOP}"], shards: 2 }] }),
  });
  backend.answer = (seen, response) => reply(response, JSON.parse(seen.body).id === "gone" ? 410 : 204);
  await send("gone");
  await until(async () => (await listed("dead")).length === 1, "the one that is refused for good");
  const ids = Array.from({ length: MANY }, (_, at) => `evt_${at}`);
  while (ids.length > 0) await Promise.all(ids.splice(0, 50).map(send));
  await arrived(backend, MANY + 1, 30_000);
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

async function send(id) {
  const answer = await post(gate, { path: "/hooks/shop", scheme: "stripe", secret: SECRET, body: JSON.stringify({ id }) });
  assert.equal(answer.status, 202, answer.text);
}

/** All events in a state, page by page. */
async function listed(state, limit = 100) {
  const events = [];
  for (let cursor = ""; cursor !== null;) {
    const { body } = await gate.api("GET", `hooks/shop/events?state=${state}&limit=${limit}${cursor && `&cursor=${cursor}`}`);
    events.push(...body.events);
    cursor = body.nextCursor;
  }
  return events;
}

test("the one dead event is found behind all the others", async () => {
  const dead = await listed("dead");
  assert.deepEqual(dead.map(({ state }) => state), ["dead"]);
  await until(async () => (await listed("pending")).length === 0, "all written down");
  const delivered = await listed("delivered");
  assert.equal(new Set(delivered.map(({ id }) => id)).size, MANY);
  assert.equal(delivered.length, MANY, "none twice");
  assert.deepEqual(delivered.map(({ id }) => id), delivered.map(({ id }) => id).sort().reverse(), "the latest first");
});

test("a replay of all sends each of them once, while they arrive again", async () => {
  backend.clear();
  const asked = { since: new Date(0).toISOString(), state: "all" };
  assert.equal((await gate.api("POST", "hooks/shop/replay", { ...asked, dry_run: true })).body.count, MANY + 1);
  const { status, body } = await gate.api("POST", "hooks/shop/replay", asked);
  assert.deepEqual([status, body.count], [202, MANY + 1]);
  await arrived(backend, MANY + 1, 30_000);
  await until(async () => (await listed("pending")).length === 0, "all written down");
  assert.equal(backend.requests.length, MANY + 1);
  assert.equal(new Set(backend.requests.map((seen) => JSON.parse(seen.body).id)).size, MANY + 1);
});
