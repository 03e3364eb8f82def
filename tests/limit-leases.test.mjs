// Leased limits, whose requests pass without a call of the object, on a clock that is set by hand:
//
//   1. a hot key is served from the isolate: hardly any calls, and none that a request waits for
//   2. several isolates at once, whose clocks differ: in any window never more than the limit
//   3. revocation holds within the lease: a second after it at the latest, everywhere
//   4. what a lease paid for is counted once
//   5. an isolate or a process that dies with a lease loses it, and nothing comes back twice
//
// The isolates are services of one workerd, each with the whole Worker; the objects are those of the first.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { assertProblem, tally } from "./support/expect.mjs";
import { MINUTE, SECOND, startClockedGate } from "./support/clock.mjs";
import { act, change, makeKey } from "./support/keys.mjs";
import { assertLimited, told } from "./support/limits.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";
import { seenOf } from "./support/race.mjs";
import { eventually, usageOf } from "./support/usage.mjs";

let backend;
let gate;
before(async () => {
  backend = await startBackend();
  gate = await startClockedGate({
    worker: "counting-worker.mjs",
    edges: 3,
    policy: testPolicy({
      backend,
      limits: {
        route: { rate: { requests: 600, window: "1m" }, by: "route", mode: "leased" },
        team: { quota: { requests: 100, per: "day" }, by: "tenant", mode: "leased" },
      },
      routes: [
        { name: "plain", path: "/plain" },
        { name: "busy", path: "/busy", auth: "public", limits: ["route"] },
        { name: "team", path: "/team", limits: ["team"] },
      ],
    }),
    name: "limit-leases",
  });
  // An isolate that is ahead of the object, one that is behind it, one that is nearly the same.
  [gate.edges[0].ahead, gate.edges[1].ahead, gate.edges[2].ahead] = [90 * SECOND, -90 * SECOND, 3];
  await gate.setTime(gate.now);
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

const newKey = (limits, more = {}) => makeKey(gate, { mode: "leased", limits, ...more });
const send = (key, { isolate = gate, path = "/plain" } = {}) => isolate.request({ path, headers: key?.bearer, timeout: 60_000 });
const counts = () => gate.ask("counts", "take");
/** Calls of objects for limits since the last time. */
const calls = async () => {
  const { calls: all } = await counts();
  const of = (...kinds) => Object.entries(all).reduce((sum, [name, count]) => sum + (kinds.includes(name.split(".")[1]) ? count : 0), 0);
  return { waited: of("admit", "charge"), renewals: of("lease") };
};

/** Sends until the key is served from a lease of this isolate. */
async function warmUp(key, options) {
  const served = async () => {
    await counts();
    const answer = await send(key, options);
    return answer.status === 200 && (await calls()).waited === 0;
  };
  assert.ok(await eventually(served, (without) => without, 10_000), "a lease is granted");
}

test("a hot key is served without calls that a request waits for", async () => {
  const key = await newKey([atMost(60_000, "1m")]);
  /** Twenty at once, fifty times a second. */
  const ticks = async (many) => {
    for (let tick = 0; tick < many; tick += 1) {
      await gate.advance(20);
      const answers = await Promise.all(Array.from({ length: 20 }, () => send(key)));
      assert.deepEqual(tally(answers.map(({ status }) => status)), { 200: 20 });
    }
  };
  // What is asked for ahead grows with what is asked for.
  await ticks(10);
  await counts();
  await ticks(50);
  const { waited, renewals } = await calls();
  assert.ok(waited <= 10, `${waited} of 1000 requests waited for the object`);
  assert.ok(renewals <= 50, `${renewals} renewals for 1000 requests`);
});

test("any number of isolates with clocks of their own: in any window never more than the limit", async () => {
  const LIMIT = 300;
  const isolates = [gate, ...gate.edges];
  for (const [what, caller] of [
    ["a leased key", { key: await newKey([atMost(LIMIT, "1m")]) }],
    ["a leased bucket", { key: await newKey([{ name: "default", bucket: { requests: 150, window: "1m", burst: 150 } }]) }],
  ]) {
    const passed = [];
    backend.clear();
    // Nearly three windows, in which far more is asked for than there is.
    for (let step = 0; step < 110; step += 1) {
      await gate.advance(step % 7 === 0 ? 2_500 : 1_300);
      const answers = await Promise.all(isolates.flatMap((isolate) => Array.from({ length: 5 }, () => send(caller.key, { isolate }))));
      const { 200: admitted = 0, 429: refused = 0, ...rest } = tally(answers.map(({ status }) => status));
      assert.deepEqual(rest, {}, what);
      assert.equal(admitted + refused, answers.length);
      passed.push({ at: gate.now, admitted });
    }
    const total = passed.reduce((sum, { admitted }) => sum + admitted, 0);
    assert.equal(seenOf(backend, caller.key), total, "what passed is what the backend saw");
    for (const { at } of passed) {
      const within = passed.filter((other) => other.at > at - MINUTE && other.at <= at).reduce((sum, { admitted }) => sum + admitted, 0);
      assert.ok(within <= LIMIT, `${what}: ${within} within a minute`);
    }
    assert.ok(total >= LIMIT, `${what}: ${total} in all, so it was not all refused either`);
  }
});

test("a limit of its own object is leased too", async () => {
  await counts();
  const answers = [];
  for (let tick = 0; tick < 20; tick += 1) {
    await gate.advance(50);
    answers.push(...(await Promise.all(Array.from({ length: 10 }, () => send(undefined, { path: "/busy" })))));
  }
  assert.deepEqual(tally(answers.map(({ status }) => status)), { 200: 200 });
  const { waited } = await calls();
  assert.ok(waited <= 60, `${waited} of 200 waited`);
  for (const answer of answers) assert.equal(told(answer, "route").policy, "q=600;w=60");
});

test("a leased quota gives its last one, and no more", async () => {
  const keys = await Promise.all([1, 2].map(() => newKey([atMost(100_000, "1h")], { tenant: "team" })));
  let passed = 0;
  let refused = 0;
  for (let round = 0; refused < 40 && round < 400; round += 1) {
    // Leases end within a second: what nobody spent of them is lost.
    await gate.advance(100);
    const isolates = [gate, ...gate.edges];
    const answers = await Promise.all(isolates.map((isolate, i) => send(keys[i % 2], { isolate, path: "/team" })));
    passed += answers.filter(({ status }) => status === 200).length;
    refused += answers.filter(({ status }) => status === 429).length;
    for (const answer of answers) if (answer.status === 429) assertLimited(answer, "quota_exceeded", ["team"]);
  }
  assert.ok(passed <= 100, `${passed} of 100 passed`);
  assert.ok(passed >= 60, `only ${passed} of 100 passed`);
});

test("revocation: within the lease, and at once where it was made", async () => {
  const [edge] = gate.edges;
  const key = await newKey([atMost(60_000, "1m")]);
  for (const isolate of [gate, edge]) await warmUp(key, { isolate });
  // A second of no requests: what was granted before is over.
  await gate.advance(2 * SECOND);
  for (const isolate of [gate, edge]) await warmUp(key, { isolate });
  const from = gate.now;
  await act(gate, key, "revoke");
  assertProblem(await send(key), 401, "key_revoked", { why: "the isolate that revoked it knows" });
  await gate.setTime(from + SECOND - 1);
  assert.equal((await send(key, { isolate: edge })).status, 200, "the lease has a millisecond left");
  await gate.setTime(from + SECOND);
  for (const isolate of [edge, ...gate.edges]) assertProblem(await send(key, { isolate }), 401, "key_revoked");
});

test("a change of the key holds within the lease as well", async () => {
  const [edge] = gate.edges;
  const key = await newKey([atMost(60_000, "1m")]);
  await warmUp(key, { isolate: edge });
  await change(gate, key, { limits: [atMost(2, "1m")], mode: "exact" });
  await gate.advance(SECOND);
  const answers = [];
  for (let i = 0; i < 4; i += 1) answers.push(await send(key, { isolate: edge }));
  // What passed under the wider limit counts: there is no room in the narrow one for a minute.
  for (const answer of answers) assertLimited(answer, "rate_limited", ["default"]);
  await gate.advance(MINUTE + SECOND);
  for (const status of [200, 200, 429]) assert.equal((await send(key, { isolate: edge })).status, status);
});

test("usage counts what leases paid for exactly once", async () => {
  const key = await newKey([atMost(60_000, "1m")]);
  const isolates = [gate, ...gate.edges.slice(0, 2)];
  const ROUNDS = 40;
  for (let round = 0; round < ROUNDS; round += 1) {
    await gate.advance(10);
    const answers = await Promise.all(isolates.flatMap((isolate) => [send(key, { isolate }), send(key, { isolate })]));
    assert.deepEqual(tally(answers.map(({ status }) => status)), { 200: answers.length });
  }
  const sent = ROUNDS * isolates.length * 2;
  // The object tells what it counted itself when it is idle.
  await gate.advanceTo(gate.now + 2 * MINUTE, { ringing: true });
  const used = await usageOf(gate, key, sent);
  assert.deepEqual([used.requests, used.admitted, used.refused], [sent, sent, 0]);
});

test("a process that is killed with leases out: nothing comes back twice", async () => {
  const LIMIT = 200;
  const key = await newKey([atMost(LIMIT, "1h")]);
  const isolates = [gate, ...gate.edges];
  backend.clear();
  for (let kill = 0; kill < 3; kill += 1) {
    for (let round = 0; round < 5; round += 1) {
      await gate.advance(100);
      await Promise.all(isolates.map((isolate) => send(key, { isolate })));
    }
    await gate.kill();
    await gate.start();
  }
  for (let refused = 0; refused < LIMIT; ) {
    await gate.advance(SECOND);
    const answers = await Promise.all(isolates.flatMap((isolate) => Array.from({ length: 10 }, () => send(key, { isolate }))));
    refused += answers.filter(({ status }) => status === 429).length;
  }
  const seen = seenOf(backend, key);
  assert.ok(seen <= LIMIT, `${seen} of ${LIMIT}`);
  assert.ok(seen >= 60, `${seen} of ${LIMIT}, which were asked for`);
});
