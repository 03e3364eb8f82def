// The race of tests/race.test.mjs, fifty times over, and again with a window that slides while the
// requests come: in any second never more than the limit.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startBackend } from "../support/backend.mjs";
import { startGate } from "../support/gate.mjs";
import { makeKey } from "../support/keys.mjs";
import { atMost, testPolicy } from "../support/policy.mjs";
import { race } from "../support/race.mjs";

let backend;
let gate;
before(async () => {
  backend = await startBackend();
  gate = await startGate({
    policy: testPolicy({ backend, routes: [{ name: "plain", path: "/plain" }] }), name: "proof-race",
  });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

test("of 400 at once on a limit of 60 exactly 60 pass, fifty times over", async () => {
  for (let round = 0; round < 50; round += 1) {
    const key = await makeKey(gate, { limits: [atMost(60, "1m")] });
    const { statuses, seen } = await race(gate, backend, { key, path: () => "/plain" });
    assert.deepEqual([statuses, seen], [{ 200: 60, 429: 340 }, 60], `round ${round}`);
  }
});

test("in any second of half a minute at most the limit is admitted, and at least 98 % of it", async () => {
  // The object's own clock decides when a request was admitted; nobody outside sees that instant. What
  // is seen from outside is when it was sent and when its answer was there, and the admission lies
  // between the two. So if N + 1 admissions lay within one second, there would be N + 1 requests of
  // which the last was answered less than a second after the first was sent.
  const LIMIT = 200;
  const SECONDS = 30;
  const key = await makeKey(gate, { limits: [atMost(LIMIT, "1s")] });
  const admitted = [];
  const end = performance.now() + SECONDS * 1_000;
  const client = async () => {
    while (performance.now() < end) {
      const sent = performance.now();
      const { status } = await gate.request({ path: "/plain", headers: key.bearer });
      if (status === 200) admitted.push({ sent, answered: performance.now() });
      else assert.equal(status, 429);
    }
  };
  await Promise.all(Array.from({ length: 20 }, client));
  const sent = admitted.map((one) => one.sent).sort((a, b) => a - b);
  const answered = admitted.map((one) => one.answered).sort((a, b) => a - b);
  for (let i = 0; i + LIMIT < answered.length; i += 1) {
    // Of the i + LIMIT + 1 that were answered first, LIMIT + 1 at least were sent at or after sent[i].
    assert.ok(answered[i + LIMIT] - sent[i] >= 1_000, `${answered[i + LIMIT] - sent[i]} ms for ${LIMIT + 1}`);
  }
  assert.ok(admitted.length >= 0.98 * LIMIT * (SECONDS - 1), `${admitted.length} admitted`);
});
