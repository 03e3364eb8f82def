// Limits under a race, on workerd, with Durable Objects on disk:
//
//   1. 400 requests at once on a limit of 60: exactly 60 pass, ten keys in a row
//   2. the same again at once for several keys, which do not disturb each other
//   3. several limits on one request: charged together or not at all
//   4. limits by parameter, and by address where there is no key: exact too
//
// What passed is counted twice: by the caller, and by the backend.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { limitOf, tally } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { makeKey } from "./support/keys.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";
import { race } from "./support/race.mjs";

const REQUESTS = 400;
const LIMIT = 60;

let backend;
let gate;
before(async () => {
  backend = await startBackend();
  gate = await startGate({
    policy: testPolicy({
      backend,
      limits: {
        narrow: { rate: { requests: 50, window: "1h" } },
        channel: { rate: { requests: 40, window: "1h" }, by: "key+param:channel" },
        visitor: { rate: { requests: LIMIT, window: "1h" }, by: "address" },
      },
      routes: [
        { name: "plain", path: "/plain" },
        { name: "narrow", path: "/narrow", limits: ["narrow"] },
        { name: "channel", path: "/channel/{channel}", limits: ["channel"] },
        { name: "open", path: "/open", auth: "public", limits: ["visitor"] },
      ],
    }),
    name: "race",
  });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

const passed = (count) => ({ 200: count, 429: REQUESTS - count });

test("of 400 at once on a limit of 60 exactly 60 pass, ten times over", async () => {
  for (let round = 0; round < 10; round += 1) {
    const key = await makeKey(gate, { limits: [atMost(LIMIT, "1m")] });
    const { statuses, seen, answers } = await race(gate, backend, { key, path: () => "/plain", requests: REQUESTS });
    assert.deepEqual(statuses, passed(LIMIT), `round ${round}`);
    assert.equal(seen, LIMIT, `round ${round}: what passed is what the backend saw`);
    // Each admission left one less than the one before it: nothing was counted twice.
    const left = answers.filter(({ status }) => status === 200).map((answer) => limitOf(answer).remaining);
    assert.deepEqual(left.sort((a, b) => a - b), Array.from({ length: LIMIT }, (_, i) => i), `round ${round}`);
    for (const answer of answers.filter(({ status }) => status === 429)) {
      assert.equal(answer.json.code, "rate_limited");
      assert.ok(Number(answer.headers["retry-after"]) >= 1);
    }
  }
});

test("keys that race at the same time do not disturb each other", async () => {
  const limits = [5, 60, 133];
  const keys = await Promise.all(limits.map((limit) => makeKey(gate, { limits: [atMost(limit, "1m")] })));
  const races = await Promise.all(keys.map((key) => race(gate, backend, { key, path: () => "/plain", requests: 200 })));
  assert.deepEqual(races.map(({ statuses }) => statuses[200]), limits);
  assert.deepEqual(races.map(({ seen }) => seen), limits);
});

test("several limits are charged together or not at all", async () => {
  const key = await makeKey(gate, { limits: [atMost(100, "1h"), { name: "second", requests: 70, window: "1h" }] });
  const { statuses, seen } = await race(gate, backend, { key, path: () => "/narrow", requests: REQUESTS });
  assert.deepEqual(statuses, passed(50), "the narrowest decides");
  assert.equal(seen, 50);
  const after = await gate.request({ path: "/plain", headers: key.bearer });
  assert.equal(after.status, 200);
  assert.equal(limitOf(after).remaining, 100 - 50 - 1, "350 refusals cost the wider limit nothing");
  assert.equal(limitOf(after, "second").remaining, 70 - 50 - 1);
});

test("two routes race for the same limit of a key", async () => {
  const key = await makeKey(gate, { limits: [atMost(60, "1h")] });
  const path = (i) => (i % 2 ? "/plain" : "/narrow");
  const { statuses, seen } = await race(gate, backend, { key, path, requests: REQUESTS });
  assert.deepEqual(statuses, passed(60));
  assert.equal(seen, 60);
});

test("a limit by parameter is exact for each value", async () => {
  const key = await makeKey(gate, { limits: [atMost(1000, "1h")] });
  const path = (i) => `/channel/${i % 4}`;
  const { statuses, answers } = await race(gate, backend, { key, path, requests: REQUESTS });
  assert.deepEqual(statuses, passed(160));
  const channels = answers.map((answer, i) => (answer.status === 200 ? path(i) : "refused"));
  assert.deepEqual(tally(channels), { "/channel/0": 40, "/channel/1": 40, "/channel/2": 40, "/channel/3": 40, refused: 240 });
});

test("a limit by address is exact without any key", async () => {
  backend.clear();
  const answers = await Promise.all(Array.from({ length: REQUESTS }, () => gate.request({ path: "/open", timeout: 60_000 })));
  assert.deepEqual(tally(answers.map(({ status }) => status)), passed(LIMIT));
  assert.equal(backend.requests.length, LIMIT);
});
