// examples/webhook-backend, as it is: it takes what the gate sends and nothing else.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { at } from "../scripts/paths.mjs";
import { startBackend } from "./support/backend.mjs";
import { startClockedGate } from "./support/clock.mjs";
import { deliveriesOf, known, makeEndpoint } from "./support/endpoints.mjs";
import { makeKey } from "./support/keys.mjs";
import { testPolicy } from "./support/policy.mjs";
import { request } from "./support/request.mjs";

let backend, gate, hook;
before(async () => {
  backend = await startBackend();
  hook = await startBackend();
  // It looks at the real time.
  gate = await startClockedGate({ policy: testPolicy({ backend, routes: [{ name: "plain", path: "/plain" }] }), name: "example-backend", at: Date.now() });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
  await hook?.stop();
});

/** The example with these secrets: its port, and the lines that it prints. */
async function start(secrets) {
  const env = { PATH: process.env.PATH, PORT: "0", TOLLGATE_WEBHOOK_SECRET: secrets.join(" ") };
  const child = spawn(process.execPath, [at("examples/webhook-backend/server.mjs")], { env, stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => JSON.parse((await lines.next()).value);
  const { listening } = await line();
  return {
    port: listening,
    line,
    async stop() {
      child.kill();
      await once(child, "exit");
    },
  };
}

describe("the example", () => {
  test("takes an event of the gate once, in both secrets of a rotation, and no other", async () => {
    const key = await makeKey(gate, { tenant: "example" });
    const endpoint = await makeEndpoint(gate, { tenant: "example", url: hook.origin });
    const rotated = await gate.api("POST", `hooks/endpoints/${endpoint.id}/rotate?tenant=example`, {});
    known(gate, rotated.body.secret);
    const example = await start([rotated.body.secret]);
    const before = await start([endpoint.secret]);
    try {
      const path = `hooks/endpoints/${endpoint.id}?tenant=example`;
      const moved = await gate.api("PATCH", path, { version: 2, url: `http://127.0.0.1:${example.port}/` });
      assert.equal(moved.status, 200, moved.text);
      await gate.api("POST", `keys/${key.id}/disable`, {});
      await gate.ring();
      const [delivery] = await deliveriesOf(gate, endpoint, "tenant=example");
      assert.deepEqual([delivery.type, delivery.state, delivery.attempts.map(({ status }) => status)], ["key.disabled", "delivered", [204]]);
      assert.deepEqual(await example.line(), { id: delivery.id, source: "tollgate", type: "key.disabled" });

      // The same bytes, taken on the way.
      await gate.api("PATCH", path, { version: 3, url: hook.origin });
      await gate.api("POST", `hooks/endpoints/${endpoint.id}/replay?tenant=example`, { ids: [delivery.id] });
      await gate.ring();
      const seen = hook.last;
      const headers = Object.fromEntries(seen.pairs.filter(([name]) => !/^(host|content-length)$/i.test(name)));
      const send = (to, change = {}) => request({ port: to.port, method: "POST", headers: { ...headers, ...change.headers }, body: change.body ?? seen.body });
      assert.deepEqual([(await send(example)).status, (await send(example)).text], [200, "known\n"]);
      assert.equal((await send(before)).status, 204, "the secret before signs it too");
      assert.equal((await send(example, { body: Buffer.from(seen.body.toString().replace("disabled", "disablex")) })).status, 401);
      assert.equal((await send(example, { headers: { "webhook-id": "evt_0" } })).status, 401);
      assert.equal((await send(example, { headers: { "webhook-timestamp": "1" } })).status, 401);
      assert.equal((await send(example, { headers: { "webhook-signature": "" } })).status, 401);
      // Whatever the body is: what is signed is taken, and what is not is not.
      for (const [i, body] of ["text=hello&user=U1", "null", "[1]", "", "é {"].entries()) {
        const [id, now] = [`evt_other${i}`, new Date()];
        const own = {
          "webhook-id": id, "webhook-timestamp": String(Math.floor(now / 1000)),
          "webhook-signature": new Webhook(rotated.body.secret).sign(id, now, body), "x-tollgate-webhook": "slack",
        };
        assert.equal((await send(example, { headers: own, body: Buffer.from(body) })).status, 204, body);
        assert.deepEqual(await example.line(), { id, source: "slack", type: null });
        assert.equal((await send(example, { headers: { ...own, "webhook-id": "evt_0" }, body: Buffer.from(body) })).status, 401, body);
      }
      assert.equal((await request({ port: example.port })).status, 405);
      assert.equal((await send(example, { body: Buffer.alloc(1024 * 1024 + 1) })).status, 413);
    } finally {
      await example.stop();
      await before.stop();
    }
  });
});
