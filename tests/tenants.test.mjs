// Tenants as operators own them:
//
//   1. made, and come to be with their first key; read, listed, changed under a version
//   2. who may: operators all of it, an admin key of one tenant reads its own, and nothing else is there
//   3. bounds: scopes, limits, and a number of keys that no race exceeds
//   4. suspended: none of its keys works and none is made; afterwards each is as it was
//   5. what an older version stored is still there
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { DAY, SECOND, startClockedGate } from "./support/clock.mjs";
import { assertProblem } from "./support/expect.mjs";
import { act, change, holder, makeKey } from "./support/keys.mjs";
import { by, WHOLE } from "./support/management.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";

const HERE = { addresses: ["127.0.0.0/8"], limits: [atMost(100_000, "1h")] };

let backend, gate, api;
before(async () => {
  backend = await startBackend();
  const routes = [{ name: "plain", path: "/plain" }];
  gate = await startClockedGate({ policy: testPolicy({ backend, routes }), name: "tenants", worker: "held-worker.mjs" });
  api = (...args) => gate.api(...args);
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

const tenantOf = async (name) => (await api("GET", `tenants/${name}`)).body.tenant;
const use = (key) => gate.request({ path: "/plain", headers: key.bearer });
const fieldsOf = (answer) => answer.body.errors.map(({ field }) => field).sort();

async function make(name, wish = {}) {
  const made = await api("POST", "tenants", { name, ...wish });
  assert.equal(made.status, 201, made.text);
  return made.body.tenant;
}

/** `PATCH tenants/{name}` on the version that is there now; the body of the answer. */
async function update(name, fields) {
  const { version } = await tenantOf(name);
  const done = await api("PATCH", `tenants/${name}`, { version, ...fields });
  assert.equal(done.status, 200, done.text);
  return done.body;
}

/** Rings what is due until the job has ended. */
async function ended({ id }, turns = 20) {
  for (let turn = 0; turn < turns; turn += 1) {
    await gate.ring();
    const { job } = (await api("GET", `jobs/${id}`)).body;
    if (job.state === "done") return job;
    await gate.advance(SECOND);
  }
  throw new Error(`the job does not end:\n${gate.output}`);
}

async function* pages(path, noun, limit) {
  for (let cursor = ""; cursor !== null; ) {
    const { body } = await api("GET", `${path}${path.includes("?") ? "&" : "?"}limit=${limit}${cursor && `&cursor=${cursor}`}`);
    yield* body[noun];
    cursor = body.nextCursor;
  }
}

describe("a tenant", () => {
  test("comes to be with its first key, and not by being asked for", async () => {
    const objects = () => readdirSync(gate.state, { recursive: true }).filter((name) => String(name).endsWith(".sqlite")).length;
    await makeKey(gate, { tenant: "warm-up" });
    const before = objects();
    for (const name of ["nobody", "no-body-2"]) {
      assertProblem(await api("GET", `tenants/${name}`), 404, "not_found");
      assertProblem(await api("PATCH", `tenants/${name}`, { version: 1, title: "x" }), 404, "not_found");
    }
    assert.equal(objects(), before, "a name that nobody used has no object");
    await makeKey(gate, { tenant: "first" });
    const { created_at, ...rest } = await tenantOf("first");
    assert.equal(Date.parse(created_at), gate.now);
    assert.deepEqual(rest, {
      name: "first", title: null, state: "active", version: 1, allowed_scopes: null, largest_limits: null, max_keys: null,
      keys: { live: 1, total: 1 }, metadata: {},
    });
    assertProblem(await api("POST", "tenants", { name: "first" }), 409, "state_conflict");
  });

  test("is made with all that is said, and every mistake is told at once", async () => {
    const wish = {
      name: "made", title: "Made – Überblick", allowed_scopes: ["a:read", "files:*:*"],
      largest_limits: [{ requests: 600, window: "1m" }, { requests: 10_000, window: "24h" }], max_keys: 7, metadata: { crm: [1, null] },
    };
    const answer = await api("POST", "tenants", wish);
    assert.equal(answer.status, 201, answer.text);
    assert.equal(answer.headers.location, "/_tollgate/v1/tenants/made");
    const { version, created_at, state, keys, ...kept } = answer.body.tenant;
    assert.deepEqual(kept, wish);
    assert.deepEqual({ version, state, keys }, { version: 1, state: "active", keys: { live: 0, total: 0 } });
    assert.deepEqual(await tenantOf("made"), answer.body.tenant);
    assert.ok(created_at);
    const bad = await api("POST", "tenants", {
      name: "Bad", titel: "x", state: "suspended", allowed_scopes: ["a"], largest_limits: [{ requests: 0 }], max_keys: -1, metadata: [],
    });
    assertProblem(bad, 400, "invalid_field", { members: ["errors"] });
    assert.deepEqual(fieldsOf(bad), ["allowed_scopes[0]", "largest_limits[0].window", "max_keys", "metadata", "name", "state", "titel"]);
  });

  test("changes under the version that was seen, and counts it up", async () => {
    await make("versions", { title: "one", max_keys: 3 });
    const second = (await update("versions", { title: "two" })).tenant;
    assert.deepEqual([second.version, second.title, second.max_keys], [2, "two", 3]);
    const stale = await api("PATCH", "tenants/versions", { version: 1, title: "lost" });
    assertProblem(stale, 409, "version_conflict", { members: ["version"] });
    assert.equal(stale.body.version, 2);
    assert.equal((await update("versions", { title: "two" })).tenant.version, 2, "what is so already is no change");
    const bare = (await update("versions", { title: null, max_keys: null })).tenant;
    assert.deepEqual([bare.version, bare.title, bare.max_keys], [3, null, null]);
    for (const [body, fields] of [[{}, ["version"]], [{ version: 3, name: "x", keys: 1 }, ["keys", "name"]], [{ version: 3, state: "gone" }, ["state"]]]) {
      const bad = await api("PATCH", "tenants/versions", body);
      assertProblem(bad, 400, "invalid_field", { members: ["errors"] });
      assert.deepEqual(fieldsOf(bad), fields);
    }
  });

  test("loses no update under 50 concurrent writers", async () => {
    await make("racing", { metadata: { n: 0 } });
    let won = 0;
    const writer = async () => {
      for (;;) {
        const { version, metadata } = await tenantOf("racing");
        const done = await api("PATCH", "tenants/racing", { version, metadata: { n: metadata.n + 1 } });
        if (done.status === 200) return void (won += 1);
        assertProblem(done, 409, "version_conflict", { members: ["version"] });
      }
    };
    await Promise.all(Array.from({ length: 50 }, writer));
    const { version, metadata } = await tenantOf("racing");
    assert.deepEqual([won, metadata.n, version], [50, 50, 51]);
  });

  test("is listed by name, page by page, while others come and go", async () => {
    const names = ["list-a", "list-b", "list-c", "list-d", "list-e"];
    for (const name of [...names].reverse()) await make(name);
    const ours = async (limit, between = () => {}) => {
      const seen = [];
      for await (const { name } of pages("tenants", "tenants", limit)) {
        if (!name.startsWith("list-")) continue;
        seen.push(name);
        await between(name);
      }
      return seen;
    };
    for (const limit of [1, 2, 100]) assert.deepEqual(await ours(limit), names, `limit ${limit}`);
    const seen = await ours(1, (name) => (name === "list-b" ? make("list-aa") : undefined));
    assert.deepEqual(seen, names, "one that comes before the place is not shown, and nothing twice");
    await update("list-c", { state: "suspended" });
    const suspended = [];
    for await (const { name } of pages("tenants?state=suspended", "tenants", 1)) suspended.push(name);
    assert.deepEqual(suspended, ["list-c"]);
    for (const query of ["limit=0", "cursor=list-a", "state=off", "owner=x"]) {
      assertProblem(await api("GET", `tenants?${query}`), 400, "invalid_field", { members: ["errors"] });
    }
  });

  test("belongs to operators; its own admin keys read it", async () => {
    await make("own", { title: "Own" });
    const operator = await makeKey(gate, { tenant: "*", kind: "ak", scopes: WHOLE, ...HERE });
    const own = await makeKey(gate, { tenant: "own", kind: "ak", scopes: WHOLE, ...HERE });
    const reader = await makeKey(gate, { tenant: "*", kind: "ak", scopes: ["keys:read", "keys:write"], ...HERE });
    assert.equal((await api("GET", "tenants/own", undefined, by(own))).body.tenant.title, "Own");
    const listed = (await api("GET", "tenants", undefined, by(own))).body;
    assert.deepEqual([listed.tenants.map(({ name }) => name), listed.nextCursor], [["own"], null]);
    assertProblem(await api("PATCH", "tenants/own", { version: 1, max_keys: 9 }, by(own)), 403, "not_grantable");
    assertProblem(await api("POST", "tenants", { name: "other" }, by(own)), 403, "not_grantable");
    assertProblem(await api("GET", "tenants/first", undefined, by(own)), 404, "not_found");
    assertProblem(await api("PATCH", "tenants/first", { version: 1, title: "x" }, by(own)), 404, "not_found");
    assertProblem(await api("POST", "tenants", { name: "other" }, by(reader)), 403, "insufficient_scope", { members: ["required_scopes"] });
    assert.equal((await api("POST", "tenants", { name: "by-operator" }, by(operator))).status, 201);
    assertProblem(await api("GET", "tenants/*"), 404, "not_found");
  });
});

describe("bounds", () => {
  test("no key has a scope beyond its tenant's", async () => {
    await make("scoped", { allowed_scopes: ["a:read", "files:*:*"] });
    const key = await makeKey(gate, { tenant: "scoped", scopes: ["a:read", "files:write:7"] });
    const excess = await api("POST", "keys", { tenant: "scoped", kind: "sk", name: "x", scopes: ["a:read", "a:write", "files:*"] });
    assertProblem(excess, 403, "not_grantable");
    assert.match(excess.body.detail, /`a:write`.*`files:\*`/);
    assert.ok(!excess.body.detail.includes("`a:read`"));
    assertProblem(await api("PATCH", `keys/${key.id}`, { version: 1, scopes: ["b:read"] }), 403, "not_grantable");
    assert.deepEqual((await change(gate, key, { scopes: [] })).scopes, []);
    assert.ok(await makeKey(gate, { tenant: "scoped", kind: "ak", scopes: ["keys:read"] }), "rights over keys are no such scopes");
    // Narrower than what is there: that stays as it is, and comes out of no change stronger.
    const old = await makeKey(gate, { tenant: "scoped", scopes: ["files:write:7"] });
    await update("scoped", { allowed_scopes: ["a:read"] });
    assert.equal((await change(gate, old, { name: "renamed" })).name, "renamed");
    assertProblem(await api("POST", `keys/${old.id}/rotate`), 403, "not_grantable");
    await act(gate, old, "disable");
    assertProblem(await api("POST", `keys/${old.id}/enable`), 403, "not_grantable");
    await change(gate, old, { scopes: ["a:read"] });
    await act(gate, old, "enable");
  });

  test("no key has a limit beyond its tenant's", async () => {
    await make("limited", { largest_limits: [{ requests: 30, window: "1m" }] });
    const wish = { tenant: "limited", kind: "sk", name: "x" };
    const bare = await api("POST", "keys", wish);
    assertProblem(bare, 403, "not_grantable");
    assert.match(bare.body.detail, /more than 30 requests in 1m/, "60 a minute is what it would get");
    for (const [limits, status] of [
      [[atMost(30, "1m")], 201], [[atMost(31, "1m")], 403], [[atMost(1, "2s")], 201], [[atMost(1, "1s")], 403], [[atMost(30, "1h")], 201],
      [[atMost(1, "1h", { by: "key+address" })], 403], [[atMost(1_000, "1h"), atMost(30, "1m", { name: "each" })], 201],
      [[{ bucket: { requests: 20, window: "1m", burst: 10 } }], 201], [[{ bucket: { requests: 20, window: "1m", burst: 11 } }], 403],
      [[{ quota: { requests: 1, per: "day" }, concurrency: 1 }], 403],
    ]) {
      const answer = await api("POST", "keys", { ...wish, limits });
      assert.equal(answer.status, status, `${JSON.stringify(limits)}: ${answer.text}`);
    }
    const key = await makeKey(gate, { ...wish, limits: [atMost(30, "1m")] });
    assertProblem(await api("PATCH", `keys/${key.id}`, { version: 1, limits: [] }), 403, "not_grantable");
  });

  test("50 creates at once never make more keys than a tenant may have", async () => {
    const MAX = 7;
    await make("full", { max_keys: MAX });
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => api("POST", "keys", { tenant: "full", kind: "sk", name: `k${i}` })));
    const made = answers.filter(({ status }) => status === 201);
    assert.equal(made.length, MAX);
    for (const refused of answers.filter(({ status }) => status !== 201)) {
      assertProblem(refused, 409, "state_conflict", { members: ["max_keys"] });
      assert.equal(refused.body.max_keys, MAX);
    }
    assert.deepEqual((await tenantOf("full")).keys, { live: MAX, total: MAX });
    const [first, second] = made.map(({ body }) => holder(body));
    // A rotation takes another one's place; until that has gone the tenant is over full.
    const rotated = holder(await act(gate, first, "rotate", { grace: "1h" }));
    assert.deepEqual((await tenantOf("full")).keys, { live: MAX + 1, total: MAX + 1 });
    const create = () => api("POST", "keys", { tenant: "full", kind: "sk", name: "one more" });
    await act(gate, second, "disable");
    assertProblem(await create(), 409, "state_conflict", { members: ["max_keys"] });
    await act(gate, second, "revoke");
    assertProblem(await create(), 409, "state_conflict", { members: ["max_keys"] });
    await act(gate, rotated, "revoke", { family: true });
    const left = await Promise.all([1, 2, 3].map(create));
    assert.deepEqual(left.map(({ status }) => status).sort(), [201, 201, 409], "two had gone beyond the one too many");
  });

  test("what is on its way takes room, and so does what comes back from its end", async () => {
    await make("two", { max_keys: 2 });
    const short = await makeKey(gate, { tenant: "two", expires_in: "1h" });
    const create = (options = {}) => api("POST", "keys", { tenant: "two", kind: "sk", name: "x", ...options });
    await gate.request({ headers: { "x-test-deliver": "off" } });
    assert.equal((await create()).status, 201);
    assert.equal((await tenantOf("two")).keys.total, 1, "the registry has not heard of it");
    assertProblem(await create(), 409, "state_conflict", { members: ["max_keys"] });
    await gate.request({ headers: { "x-test-deliver": "on" } });
    await gate.advance(11 * 60 * SECOND);
    await gate.ring();
    assert.equal((await tenantOf("two")).keys.total, 2);
    assertProblem(await create(), 409, "state_conflict", { members: ["max_keys"] });
    await gate.advance(DAY);
    const last = await create();
    assert.equal(last.status, 201, "one has come to its end");
    const back = await api("PATCH", `keys/${short.id}`, { version: 1, expires_in: "48h" });
    assertProblem(back, 409, "state_conflict", { members: ["max_keys"] });
    await act(gate, holder(last.body), "revoke");
    assert.equal((await api("PATCH", `keys/${short.id}`, { version: 1, expires_in: "48h" })).status, 200);
    assertProblem(await create(), 409, "state_conflict", { members: ["max_keys"] });
  });
});

describe("what is announced", () => {
  const control = (name, value) => gate.request({ headers: { [`x-test-${name}`]: value } });
  const tell = async (name, message) => {
    const answer = await gate.request({ method: "POST", headers: { "x-test-object": `TENANT/${name}` }, body: JSON.stringify({ tenant: message }) });
    assert.equal(answer.status, 200, answer.text);
    return JSON.parse(answer.text);
  };
  const coming = async (name) => (await tell(name, { on_the_way: { until: 4_000_000_000_000 } })).on_the_way;

  test("takes no room when it could not be made", async () => {
    await control("untold", "slow-one");
    assertProblem(await api("POST", "keys", { tenant: "slow-one", kind: "sk", name: "x" }), 503, "admission_unavailable");
    assert.deepEqual(await coming("slow-one"), []);
    await control("untold", "none");
    assert.equal((await api("POST", "keys", { tenant: "slow-one", kind: "sk", name: "x" })).status, 201);
    const key = await makeKey(gate, { tenant: "slow-one" });
    assertProblem(await api("PATCH", `keys/${key.id}`, { version: 7, name: "y" }), 409, "version_conflict", { members: ["version"] });
    assert.deepEqual(await coming("slow-one"), []);
  });

  test("is withdrawn by whoever announced it, and by nobody else", async () => {
    await make("twice");
    const announce = (attempt) =>
      tell("twice", { announce: { tenant: "twice", id: "abcdefghij012345", version: 2, attempt, takes: "room", asked: { kind: "sk" } } });
    await announce("one");
    await gate.advance(SECOND);
    await announce("two");
    await tell("twice", { withdraw: { id: "abcdefghij012345", version: 2, attempt: "one" } });
    assert.deepEqual(await coming("twice"), [{ id: "abcdefghij012345", version: 2, at: gate.now }]);
  });

  test("and never arrives is asked about, and who does not answer holds up nobody", async () => {
    const tenant = "overdue";
    await control("deliver", "off");
    const [quiet] = [await makeKey(gate, { tenant }), await makeKey(gate, { tenant })];
    await control("deaf", quiet.id);
    const asked = async (minutes) => {
      await gate.advance(minutes * 60 * SECOND);
      await control("untold", tenant);
      await gate.alarm("TENANT", tenant);
      await control("untold", "none");
      return (await tenantOf(tenant)).keys.total;
    };
    assert.equal(await asked(11), 1, "the other one");
    await control("deaf", "none");
    assert.equal(await asked(5), 1, "not yet");
    assert.equal(await asked(6), 2);
    assert.deepEqual(await coming(tenant), []);
    await control("deliver", "on");
  });
});

test("a suspended tenant has no key that works, and afterwards each is as it was", async () => {
  await make("off", { title: "Off" });
  const tenant = "off";
  const [plain, off, gone, line] = [await makeKey(gate, { tenant }), await makeKey(gate, { tenant }), await makeKey(gate, { tenant }), await makeKey(gate, { tenant })];
  const other = await makeKey(gate, { tenant: "first" });
  const own = await makeKey(gate, { tenant, kind: "ak", scopes: WHOLE, ...HERE });
  const successor = holder(await act(gate, line, "rotate"));
  await act(gate, off, "disable");
  await act(gate, gone, "revoke");
  assert.equal((await use(plain)).status, 200);
  const { tenant: suspended, job } = await update(tenant, { state: "suspended" });
  assert.deepEqual([suspended.state, suspended.version], ["suspended", 2]);
  assert.deepEqual([job.kind, job.tenant, job.state, job.total], ["suspend", tenant, "running", 5]);
  for (const [method, path, body] of [
    ["POST", "keys", { tenant, kind: "sk", name: "x" }], ["POST", `keys/${plain.id}/rotate`], ["POST", `keys/${off.id}/enable`],
    ["PATCH", `keys/${plain.id}`, { version: 1, name: "x" }],
  ]) {
    assertProblem(await api(method, path, body), 409, "state_conflict", { why: `${method} ${path}` });
  }
  assert.equal((await ended(job)).done, 5);
  for (const key of [plain, off, line, successor]) assertProblem(await use(key), 401, "key_disabled");
  assertProblem(await use(gone), 401, "key_revoked");
  assertProblem(await api("GET", "keys", undefined, by(own)), 401, "key_disabled");
  assert.equal((await use(other)).status, 200, "and nobody else's");
  assert.equal((await act(gate, successor, "revoke")).key.state, "revoked", "what ends is always possible");
  const { job: resumed } = await update(tenant, { state: "active" });
  assert.equal(resumed.kind, "resume");
  const fresh = await makeKey(gate, { tenant });
  assert.equal((await use(fresh)).status, 200, "a new one needs not wait");
  await ended(resumed);
  // What is wider again comes by KV, and an isolate believes for a minute what it has refused.
  await gate.advanceTo(gate.now + 61 * SECOND, { ringing: true });
  for (const [key, status, code] of [[plain, 200], [line, 200], [off, 401, "key_disabled"], [gone, 401, "key_revoked"], [successor, 401, "key_revoked"]]) {
    const answer = await use(key);
    if (status === 200) assert.equal(answer.status, 200, answer.text);
    else assertProblem(answer, status, code);
  }
  assert.equal((await api("GET", "keys", undefined, by(own))).status, 200);
});

test("a registry of the first version goes on with what it has", async () => {
  const tell = async (message) => {
    const answer = await gate.request({ method: "POST", headers: { "x-test-object": "TENANT/older" }, body: JSON.stringify(message) });
    return JSON.parse(answer.text);
  };
  const list = async (query) => (await tell({ list: { limit: 10, ...query } })).keys;
  for (const query of [{}, { tenant: "older" }, { tag: "web" }, { owner: "ana", kind: "sk", state: "active" }, { unused_since: 1_700_000_000_001 }]) {
    const found = await list(query);
    assert.deepEqual(found.map(({ key, last_used_at }) => [key.name, last_used_at]), [["old", null]], JSON.stringify(query));
  }
  for (const query of [{ tag: "other" }, { unused_since: 1_700_000_000_000 }]) assert.deepEqual(await list(query), [], JSON.stringify(query));
  const { tenant } = await tell({ tenant: { read: { name: "older" } } });
  assert.deepEqual([tenant.counted.tenant.created_at, tenant.counted.live, tenant.counted.total], [1_700_000_000_000, 1, 1]);
  await makeKey(gate, { tenant: "older", tags: ["web"] });
  assert.deepEqual((await tenantOf("older")).keys, { live: 2, total: 2 });
  assert.equal((await list({ tag: "web" })).length, 2);
});

test("off and on again at once ends with every key on", async () => {
  await make("flicker");
  const keys = [];
  for (let i = 0; i < 5; i += 1) keys.push(await makeKey(gate, { tenant: "flicker" }));
  const jobs = [];
  for (const state of ["suspended", "active", "suspended", "active"]) jobs.push((await update("flicker", { state })).job);
  for (const job of jobs) await ended(job);
  await gate.advanceTo(gate.now + 61 * SECOND, { ringing: true });
  for (const key of keys) assert.equal((await use(key)).status, 200);
});

test("a key that cannot be reached keeps no tenant suspended", async () => {
  const tenant = "stuck";
  const control = (name, value) => gate.request({ headers: { [`x-test-${name}`]: value } });
  await make(tenant);
  const [deaf, late, plain] = [await makeKey(gate, { tenant }), await makeKey(gate, { tenant }), await makeKey(gate, { tenant })];
  await control("deaf", deaf.id);
  await control("late", late.id);
  const { job: off } = await update(tenant, { state: "suspended" });
  await gate.alarm("TENANT", tenant);
  assertProblem(await use(plain), 401, "key_disabled");
  const { job: on } = await update(tenant, { state: "active" });
  await gate.alarm("TENANT", tenant);
  const job = async ({ id }) => (await api("GET", `jobs/${id}`)).body.job;
  const gone = await job(off);
  assert.deepEqual([gone.state, gone.superseded_by, gone.total, gone.done, gone.failed], ["done", on.id, 3, 1, 2]);
  assert.ok(gone.finished_at);
  const running = await job(on);
  assert.deepEqual([running.state, running.superseded_by], ["running", null]);
  // What was asked for long ago comes after what was asked for later.
  const { text } = await control("late", "now");
  assert.match(text, /"suspended":true/);
  await gate.advanceTo(gate.now + 30 * SECOND, { ringing: true });
  assert.equal((await job(on)).state, "running", "it has not been too long");
  await control("deaf", "none");
  const done = await ended(on, 90);
  assert.deepEqual([done.done, done.failed], [3, 0]);
  await gate.advanceTo(gate.now + 61 * SECOND, { ringing: true });
  for (const key of [deaf, late, plain]) assert.equal((await use(key)).status, 200);
  const { entries } = (await api("GET", `audit?tenant=${tenant}&type=job.done`)).body;
  assert.deepEqual(entries.map(({ detail }) => [detail.job, detail.superseded_by]), [[on.id, undefined], [off.id, on.id]]);
});
