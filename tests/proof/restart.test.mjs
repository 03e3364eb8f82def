// The kill of tests/restart.test.mjs, twenty times at different points of the race, on one state that
// is carried from kill to kill; and revocations that are answered right before a kill.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startBackend } from "../support/backend.mjs";
import { raceThroughAKill } from "../support/crash.mjs";
import { assertProblem } from "../support/expect.mjs";
import { startGate } from "../support/gate.mjs";
import { act, makeKey } from "../support/keys.mjs";
import { atMost, testPolicy } from "../support/policy.mjs";

const LIMIT = 60;
const KILLS = 20;

let backend;
let gate;
before(async () => {
  backend = await startBackend();
  gate = await startGate({
    policy: testPolicy({ backend, routes: [{ name: "plain", path: "/plain" }] }), name: "proof-restart",
  });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

test("twenty kills in the middle of a race: never more than the limit", async () => {
  for (let kill = 0; kill < KILLS; kill += 1) {
    const key = await makeKey(gate, { limits: [atMost(LIMIT, "1h")] });
    const killAt = 1 + ((kill * 7) % 55);
    const { seen, statuses } = await raceThroughAKill(gate, backend, { key, killAt });
    assert.ok(seen <= LIMIT, `kill ${kill} at ${killAt}: ${seen}`);
    assert.ok(statuses[429] >= 200, `kill ${kill}: ${JSON.stringify(statuses)}`);
  }
});

test("one key through twenty kills: never more than its limit in all", async () => {
  // Ten at each kill would be 200 in all, were any of them given twice.
  const key = await makeKey(gate, { limits: [atMost(LIMIT, "1h")] });
  const seen = () => backend.requests.filter((one) => one.header("x-tollgate-key") === key.id).length;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const sent = Array.from({ length: 10 }, () => gate.request({ path: "/plain", headers: key.bearer }).catch(() => {}));
    await new Promise((resolve) => setTimeout(resolve, kill % 7));
    await gate.kill();
    await Promise.all(sent);
    await gate.start();
  }
  let last = 200;
  while (last === 200) last = (await gate.request({ path: "/plain", headers: key.bearer })).status;
  assert.equal(last, 429);
  assert.ok(seen() <= LIMIT, `${seen()} in all`);
});

test("a revocation that was answered holds, whatever happens next", async () => {
  for (let kill = 0; kill < KILLS; kill += 1) {
    const key = await makeKey(gate);
    assert.equal((await gate.request({ path: "/plain", headers: key.bearer })).status, 200);
    await act(gate, key, "revoke");
    await gate.kill();
    await gate.start();
    assertProblem(await gate.request({ path: "/plain", headers: key.bearer }), 401, "key_revoked");
  }
});
