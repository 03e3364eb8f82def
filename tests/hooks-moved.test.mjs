// A policy that changes while events wait: what was acknowledged is delivered all the same.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { reply, startBackend } from "./support/backend.mjs";
import { startGate } from "./support/gate.mjs";
import { arrived, post, until } from "./support/hooks.mjs";
import { testPolicy } from "./support/policy.mjs";

const SECRET = randomBytes(24).toString("base64url");

/** A gate on whose source events wait for their backend, and how it goes on with other sources. */
async function waiting(t) {
  const backend = await startBackend({ answer: (seen, response) => reply(response, 503) });
  const source = { name: "shop", path: "/hooks/shop", scheme: "stripe", secrets: ["${secret:SHOP}"], rewrite: "/in" };
  const policy = (sources, dev) => testPolicy({ backend, sources, dev: { source: { shop: { retry_speed: 1000 } }, ...dev } });
  const gate = await startGate({ name: "hooks-moved", secrets: { SHOP: SECRET }, policy: policy([source]) });
  t.after(async () => {
    await gate.stop();
    await backend.stop();
  });
  const bodies = [1, 2, 3].map((n) => JSON.stringify({ id: `evt_${n}`, type: "ping" }));
  for (const body of bodies) {
    assert.equal((await post(gate, { path: source.path, scheme: "stripe", secret: SECRET, body })).status, 202);
  }
  await arrived(backend, 3);
  return {
    gate, backend, bodies, source,
    async goOnWith(sources, dev) {
      await gate.process.stop();
      gate.policy = policy(sources, dev);
      backend.clear();
      backend.answer = undefined;
      await gate.start();
    },
  };
}

test("a source that passes through from now on delivers what lies in its inbox", async (t) => {
  const { gate, backend, bodies, source, goOnWith } = await waiting(t);
  await goOnWith([{ ...source, delivery: "forward", rewrite: "/now" }], { source: {} });
  await until(() => new Set(backend.requests.map(({ body }) => body.toString())).size === 3, "all three");
  assert.deepEqual(backend.requests.map(({ body }) => body.toString()).sort(), bodies);
  const delivered = async () => (await gate.api("GET", "hooks/shop/events?state=delivered")).body.events;
  await until(async () => (await delivered()).length === 3, "all written down");
});

test("events of a source that is gone are told of, and delivered when it is back", async (t) => {
  const { gate, backend, source, goOnWith } = await waiting(t);
  await goOnWith([{ ...source, name: "other", path: "/hooks/other" }], { source: {} });
  await until(() => /3 events wait for a source that is gone/.test(gate.output), "a word to the operator");
  assert.equal(backend.requests.length, 0);
  await goOnWith([source]);
  // Any request of the source wakes it.
  assert.equal((await gate.api("GET", "hooks/shop/events")).body.events.length, 3);
  await until(() => new Set(backend.requests.map(({ body }) => body.toString())).size === 3, "all three");
});
