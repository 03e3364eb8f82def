// What is taken away is gone with the answer that says so:
//
//   1. revoke under a flood: what starts after the answer is refused, 500 of 500, through several
//      connections, while what started before goes on
//   2. the same with reads of the cache on their way, and from the cache of a restarted gate,
//      even with an old entry put back into it
//   3. disable and enable, narrowing a scope, narrowing addresses: felt by the next request
//   4. rotation: both keys work and share their limits, the old one says that it goes; its grace ended,
//      a second rotation, a family revoked
//   5. the cache is only a cache: entries deleted, damaged or swapped change nothing
import assert from "node:assert/strict";
import { Agent } from "node:http";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { reply, startBackend } from "./support/backend.mjs";
import { assertProblem, limitOf, tally } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { act, change, holder, makeKey } from "./support/keys.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";
import { wrapped } from "./support/wrap.mjs";

const AFTER = 500;
const CONNECTIONS = 8;
const AMPLE = { limits: [atMost(100_000, "24h")] };

let backend;
let gate;
const agents = [];
before(async () => {
  backend = await startBackend();
  gate = await startGate({
    policy: testPolicy({
      backend,
      // One proxy of the test's own stands in front and says who calls, so that each refusal has an
      // address of its own: refusals of one address have a budget.
      admin: { client_ip: "x-forwarded-for:1" },
      routes: [
        { name: "plain", path: "/plain" },
        { name: "scoped", path: "/scoped/{id}", scopes: ["things:read:{id}"] },
      ],
    }),
    worker: wrapped("kv-worker.mjs"),
    name: "revoke",
  });
  for (let i = 0; i < CONNECTIONS; i += 1) agents.push(new Agent({ keepAlive: true, maxSockets: 1 }));
});
afterEach(() => {
  backend.answer = undefined;
});
after(async () => {
  agents.forEach((agent) => agent.destroy());
  await gate?.stop();
  await backend?.stop();
});

let addresses = 0;
/** A request from an address of its own. */
function call(key, { path = "/plain", agent, batch = "none" } = {}) {
  addresses += 1;
  const from = `10.${(addresses >> 16) & 255}.${(addresses >> 8) & 255}.${addresses & 255}`;
  const headers = { ...key.bearer, "X-Forwarded-For": from, "X-Batch": batch };
  return gate.request({ path, headers, timeout: 60_000, ...(agent ? { agent } : {}) });
}

/** `count` requests through several connections; each is to be refused with this code, none reaches the backend. */
async function allRefused(key, status, code, { count = AFTER, path } = {}) {
  const batch = String(addresses);
  const calls = Array.from({ length: count }, (_, i) => call(key, { path, batch, agent: agents[i % CONNECTIONS] }));
  const codes = (await Promise.all(calls)).map((answer) => `${answer.status} ${answer.json.code}`);
  assert.deepEqual(tally(codes), { [`${status} ${code}`]: count });
  const reached = backend.requests.filter((seen) => seen.header("x-batch") === batch);
  assert.equal(reached.length, 0, "the backend heard nothing of them");
}

/** Requests without a pause until `end()`, which resolves with when each started and its answer. */
function flood(key, clients = 16) {
  let running = true;
  const all = [];
  const client = async (_, i) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (running) {
      const started = performance.now();
      const { status, text } = await call(key, { agent });
      all.push({ started, status, text });
    }
    agent.destroy();
  };
  const clients_ = Promise.all(Array.from({ length: clients }, client));
  return {
    all,
    async end() {
      running = false;
      await clients_;
      return all;
    },
  };
}

const kv = async (...args) => (await gate.request({ path: "/test/kv", method: "POST", body: JSON.stringify(args) })).json;
const tell = (what) => gate.request({ path: `/test/${what}`, method: "POST" });

test("revoked under a flood: whatever starts after the answer is refused", async () => {
  const key = await makeKey(gate, AMPLE);
  const water = flood(key);
  while (water.all.length < 200) await sleep(5);
  await act(gate, key, "revoke");
  const answered = performance.now();
  await allRefused(key, 401, "key_revoked");
  const all = await water.end();
  const [early, late] = [all.filter((one) => one.started < answered), all.filter((one) => one.started >= answered)];
  assert.ok(early.filter(({ status }) => status === 200).length > 100, "before, it passed");
  assert.ok(late.length > 0, "the flood went on");
  assert.deepEqual(Object.keys(tally(late.map(({ status }) => status))), ["401"], "and all of it was refused");
});

test("a request that was admitted before goes on to its end", async () => {
  const key = await makeKey(gate, AMPLE);
  let open;
  const arrived = new Promise((resolve) => {
    backend.answer = async (seen, response) => {
      await new Promise((go) => {
        open = go;
        resolve();
      });
      reply(response, 200, "late");
    };
  });
  const slow = call(key);
  await arrived;
  await act(gate, key, "revoke");
  open();
  const answer = await slow;
  assert.deepEqual([answer.status, answer.text], [200, "late"]);
});

test("reads of the cache that are on their way do not bring it back", async () => {
  const key = await makeKey(gate, AMPLE);
  assert.equal((await call(key)).status, 200);
  // A gate that remembers nothing: the next requests read the cache, and what they find is from before.
  await gate.restart();
  await tell("hold");
  const slow = Array.from({ length: 50 }, () => call(key));
  while ((await gate.request({ path: "/test/held" })).json < 50) await sleep(5);
  await act(gate, key, "revoke");
  const later = Array.from({ length: 50 }, () => call(key));
  await tell("free");
  const answers = await Promise.all([...slow, ...later]);
  const codes = tally(answers.map(({ status, json }) => `${status} ${json.code}`));
  assert.deepEqual(codes, { "401 key_revoked": 100 }, "their admission began after the revoke had answered");
  await allRefused(key, 401, "key_revoked");
});

test("an old entry in the cache does not bring it back, nor does a restart", async () => {
  const key = await makeKey(gate, AMPLE);
  assert.equal((await call(key)).status, 200);
  const old = await kv("get", `k/${key.id}`);
  assert.ok(old?.includes(key.id), "it lies in the cache");
  await act(gate, key, "revoke");
  await allRefused(key, 401, "key_revoked");
  // As when another place's cache is behind: KV promises no more than a minute.
  await kv("put", `k/${key.id}`, old);
  await gate.restart();
  assert.equal(await kv("get", `k/${key.id}`), old, "the old entry is what the gate will read");
  await allRefused(key, 401, "key_revoked");
});

test("disabled by the next request, and enabled again", async () => {
  const key = await makeKey(gate, AMPLE);
  assert.equal((await call(key)).status, 200);
  await act(gate, key, "disable");
  await allRefused(key, 401, "key_disabled");
  await act(gate, key, "enable");
  // A refusal that was confirmed is believed for a minute, by each isolate; one that starts knows better.
  await gate.restart();
  assert.equal((await call(key)).status, 200);
  await act(gate, key, "revoke");
  const again = await gate.api("POST", `keys/${key.id}/enable`);
  assertProblem(again, 409, "state_conflict");
  await allRefused(key, 401, "key_revoked", { count: 50 });
});

test("a narrowed scope is felt by the next request", async () => {
  const key = await makeKey(gate, { ...AMPLE, scopes: ["things:read:1", "things:read:2"] });
  for (const id of [1, 2]) assert.equal((await call(key, { path: `/scoped/${id}` })).status, 200);
  await change(gate, key, { scopes: ["things:read:1"] });
  await allRefused(key, 403, "insufficient_scope", { path: "/scoped/2", count: 100 });
  assert.equal((await call(key, { path: "/scoped/1" })).status, 200, "what is left goes on");
});

test("narrowed addresses are felt by the next request", async () => {
  const key = await makeKey(gate, AMPLE);
  assert.equal((await call(key)).status, 200);
  await change(gate, key, { addresses: ["192.0.2.0/24"] });
  await allRefused(key, 403, "ip_not_allowed", { count: 100 });
});

test("a lowered limit is felt by the next request", async () => {
  const key = await makeKey(gate, { limits: [atMost(100, "1h")] });
  for (let i = 0; i < 5; i += 1) assert.equal((await call(key)).status, 200);
  await change(gate, key, { limits: [atMost(5, "1h")] });
  const answer = await call(key);
  assertProblem(answer, 429, "rate_limited", { members: ["retry_after", "violated-policies"] });
  assert.equal(limitOf(answer).quota, 5);
});

test("a rotated key works on beside its successor, shares its limits, and says that it goes", async () => {
  const old = await makeKey(gate, { limits: [atMost(10, "1h")], scopes: ["things:read:1"] });
  assert.equal(limitOf(await call(old)).remaining, 9);
  const rotated = await act(gate, old, "rotate", { grace: "1h" });
  const fresh = holder(rotated);
  assert.notEqual(fresh.id, old.id);
  assert.equal(rotated.previous.id, old.id);
  const told = [];
  for (const key of [old, fresh, old, fresh]) {
    const answer = await call(key);
    assert.equal(answer.status, 200, answer.text);
    told.push([limitOf(answer).remaining, answer.headers.deprecation !== undefined, answer.headers.sunset !== undefined]);
  }
  assert.deepEqual(told, [[8, true, true], [7, false, false], [6, true, true], [5, false, false]]);
  const { deprecation, sunset } = (await call(old)).headers;
  const since = Number(deprecation.match(/^@(\d+)$/)[1]) * 1_000;
  const end = Date.parse(sunset);
  assert.ok(Math.abs(since - Date.now()) < 60_000, deprecation);
  assert.ok(Math.abs(end - since - 3_600_000) < 5_000, `${deprecation} ${sunset}: an hour`);
  assert.equal((await call(fresh, { path: "/scoped/1" })).status, 200, "the scopes came along");
});

test("limits are exact across a rotation", async () => {
  const old = await makeKey(gate, { limits: [atMost(60, "1h")] });
  const fresh = holder(await act(gate, old, "rotate", { grace: "1h" }));
  const calls = Array.from({ length: 200 }, (_, i) => call(i % 2 ? old : fresh));
  assert.deepEqual(tally((await Promise.all(calls)).map(({ status }) => status)), { 200: 60, 429: 140 });
});

test("a grace period that is ended is over with the answer", async () => {
  const old = await makeKey(gate, AMPLE);
  const fresh = holder(await act(gate, old, "rotate"));
  assert.equal((await call(old)).status, 200);
  await act(gate, old, "end-grace");
  await allRefused(old, 401, "key_expired", { count: 100 });
  assert.equal((await call(fresh)).status, 200);
  assertProblem(await gate.api("POST", `keys/${fresh.id}/end-grace`), 409, "state_conflict");
});

test("a rotation in an emergency leaves the old key no time at all", async () => {
  const old = await makeKey(gate, AMPLE);
  assert.equal((await call(old)).status, 200);
  const fresh = holder(await act(gate, old, "rotate", { grace: "0s" }));
  await allRefused(old, 401, "key_expired", { count: 100 });
  assert.equal((await call(fresh)).status, 200);
});

test("a second rotation ends the oldest key, and revoking one leaves the others", async () => {
  const first = await makeKey(gate, AMPLE);
  const second = holder(await act(gate, first, "rotate"));
  const third = holder(await act(gate, second, "rotate"));
  assertProblem(await call(first), 401, "key_expired");
  assert.deepEqual([(await call(second)).status, (await call(third)).status], [200, 200]);
  await act(gate, second, "revoke");
  await allRefused(second, 401, "key_revoked", { count: 50 });
  assert.equal((await call(third)).status, 200);
  for (const key of [first, second]) {
    assertProblem(await gate.api("POST", `keys/${key.id}/rotate`), 409, "state_conflict");
  }
});

test("a family that is revoked is revoked whole", async () => {
  const first = await makeKey(gate, AMPLE);
  const second = holder(await act(gate, first, "rotate"));
  const water = flood(second);
  while (water.all.length < 50) await sleep(5);
  await act(gate, first, "revoke", { family: true });
  const answered = performance.now();
  for (const key of [first, second]) await allRefused(key, 401, "key_revoked", { count: 100 });
  const late = (await water.end()).filter((one) => one.started >= answered);
  assert.deepEqual(Object.keys(tally(late.map(({ status }) => status))), ["401"]);
});

test("without its cache entry a key works all the same, and a rotated one too", async () => {
  const first = await makeKey(gate, AMPLE);
  const second = holder(await act(gate, first, "rotate"));
  for (const key of [first, second]) await kv("delete", `k/${key.id}`);
  await gate.restart();
  for (const key of [first, second]) {
    assert.equal(await kv("get", `k/${key.id}`), null, "there is none");
    assert.equal((await call(key)).status, 200);
  }
});

test("an entry that was tampered with is none", async () => {
  const key = await makeKey(gate, { ...AMPLE, scopes: ["things:read:1"] });
  const other = await makeKey(gate, { ...AMPLE, scopes: ["things:read:*"] });
  assert.equal((await call(key, { path: "/scoped/1" })).status, 200);
  const [own, foreign] = [await kv("get", `k/${key.id}`), await kv("get", `k/${other.id}`)];
  for (const [why, entry] of [
    ["widened", own.replace("things:read:1", "things:read:*")],
    ["of another key", foreign],
    ["of another key, under this one's name", foreign.replaceAll(other.id, key.id)],
    ["without its MAC", own.slice(own.indexOf("{"))],
    ["nonsense", "nonsense"],
    ["empty", ""],
    ["null", "null"],
  ]) {
    await kv("put", `k/${key.id}`, entry);
    await gate.restart();
    const right = await call(key, { path: "/scoped/1" });
    assert.equal(right.status, 200, `${why}: ${right.text}`);
    assertProblem(await call(key, { path: "/scoped/2" }), 403, "insufficient_scope", { why, members: ["required_scopes"] });
  }
});
