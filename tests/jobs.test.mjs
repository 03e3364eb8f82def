// Changes of many keys:
//
//   1. which keys: by tenant, tag, family; what a dry run tells; what is left out, and for whom
//   2. keys that are on their way to the registry belong to it, and those that come after it do not
//   3. a key that cannot be reached is tried again, and holds up no other
//   4. the same from a terminal: tenants, jobs, keys revoke
//   5. 300 keys, the gate killed in the middle: in the end every one is refused, and the job is done once
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startBackend } from "./support/backend.mjs";
import { runCli } from "./support/cli.mjs";
import { DAY, SECOND, startClockedGate } from "./support/clock.mjs";
import { assertProblem } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { act, holder, makeKey } from "./support/keys.mjs";
import { by, WHOLE } from "./support/management.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";

const HERE = { addresses: ["127.0.0.0/8"], limits: [atMost(100_000, "1h")] };
const routes = [{ name: "plain", path: "/plain" }];

let backend, gate, api;
before(async () => {
  backend = await startBackend();
  gate = await startClockedGate({ policy: testPolicy({ backend, routes }), name: "jobs", worker: "held-worker.mjs" });
  api = (...args) => gate.api(...args);
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

const use = (key) => gate.request({ path: "/plain", headers: key.bearer });
const control = (name, value) => gate.request({ headers: { [`x-test-${name}`]: value } });
const stateOf = async ({ id }) => (await api("GET", `keys/${id}`)).body.key.state;
const read = async ({ id }) => (await api("GET", `jobs/${id}`)).body.job;

async function revoke(body, options) {
  const answer = await api("POST", "keys/revoke", body, options);
  assert.equal(answer.status, 202, answer.text);
  assert.equal(answer.headers.location, `/_tollgate/v1/jobs/${answer.body.job.id}`);
  return answer.body.job;
}

async function rehearsed(body, options) {
  const answer = await api("POST", "keys/revoke", { ...body, dry_run: true }, options);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}

/** Rings what is due until the job has ended. */
async function ended(job, { turns = 20 } = {}) {
  for (let turn = 0; turn < turns; turn += 1) {
    await gate.ring();
    const now = await read(job);
    if (now.state === "done") return now;
    await gate.advance(SECOND);
  }
  throw new Error(`the job does not end:\n${gate.output}`);
}

async function keysOf(tenant, count, wish = {}) {
  const keys = [];
  for (let i = 0; i < count; i += 1) keys.push(await makeKey(gate, { tenant, name: `k${i}`, ...wish }));
  return keys;
}

describe("which keys", () => {
  test("all of a tenant, and nobody else's", async () => {
    const tenant = "whole";
    const keys = await keysOf(tenant, 5);
    const other = await makeKey(gate, { tenant: "other" });
    const successor = holder(await act(gate, keys[0], "rotate"));
    await act(gate, keys[1], "disable");
    await act(gate, keys[2], "revoke");
    const would = await rehearsed({ tenant });
    assert.deepEqual([would.dry_run, would.count, would.skipped], [true, 5, 0]);
    assert.deepEqual(would.keys.sort(), [keys[0], keys[1], keys[3], keys[4], successor].map(({ id }) => id).sort());
    assert.equal((await use(keys[3])).status, 200, "a dry run does nothing");
    const { started_at, ...job } = await revoke({ tenant });
    assert.equal(Date.parse(started_at), gate.now);
    const { id } = job;
    assert.deepEqual(job, {
      id, kind: "revoke", tenant, tag: null, family: null, state: "running", total: 5, done: 0, failed: 0, skipped: 0, actor: "root", finished_at: null,
      superseded_by: null,
    });
    const done = await ended(job);
    assert.deepEqual([done.total, done.done, done.failed], [5, 5, 0]);
    assert.ok(Date.parse(done.finished_at) >= Date.parse(started_at));
    for (const key of [...keys, successor]) assertProblem(await use(key), 401, "key_revoked");
    assert.equal((await use(other)).status, 200);
    assert.equal((await rehearsed({ tenant })).count, 0);
  });

  test("all with a tag, in one tenant or in all", async () => {
    const wish = { tags: ["leak-7", "web"] };
    const [here] = await keysOf("tag-a", 1, wish);
    const [there] = await keysOf("tag-b", 1, wish);
    const [plain] = await keysOf("tag-a", 1, { tags: ["web"] });
    const rotated = holder(await act(gate, here, "rotate"));
    const untagged = await api("PATCH", `keys/${rotated.id}`, { version: 1, tags: [] });
    assert.equal(untagged.status, 200);
    const narrow = await ended(await revoke({ tag: "leak-7", tenant: "tag-a" }));
    assert.deepEqual([narrow.total, narrow.done, narrow.tag, narrow.tenant], [1, 1, "leak-7", "tag-a"]);
    assertProblem(await use(here), 401, "key_revoked");
    for (const key of [there, plain, rotated]) assert.equal((await use(key)).status, 200);
    const wide = await ended(await revoke({ tag: "leak-7" }));
    assert.deepEqual([wide.total, wide.done, wide.tenant], [1, 1, null]);
    assertProblem(await use(there), 401, "key_revoked");
    for (const key of [plain, rotated]) assert.equal((await use(key)).status, 200);
  });

  test("a whole family, named by any key of it", async () => {
    const [first] = await keysOf("line", 1);
    const second = holder(await act(gate, first, "rotate"));
    const [other] = await keysOf("line", 1);
    const job = await revoke({ family: second.id });
    assert.deepEqual([job.family, job.tenant], [first.id, "line"]);
    assert.equal((await ended(job)).done, 2);
    for (const key of [first, second]) assertProblem(await use(key), 401, "key_revoked");
    assert.equal((await use(other)).status, 200);
  });

  test("only those that the caller may change, and the rest is told", async () => {
    const tenant = "rights";
    const keys = await keysOf(tenant, 2);
    const writer = await makeKey(gate, { tenant, kind: "ak", scopes: ["keys:read", "keys:write"], ...HERE });
    const whole = await makeKey(gate, { tenant, kind: "ak", scopes: WHOLE, ...HERE });
    const reader = await makeKey(gate, { tenant, kind: "ak", scopes: ["keys:read"], ...HERE });
    assertProblem(await api("POST", "keys/revoke", { tenant }, by(reader)), 403, "insufficient_scope", { members: ["required_scopes"] });
    for (const body of [{ tenant: "whole" }, { tenant: "*" }]) assertProblem(await api("POST", "keys/revoke", body, by(whole)), 404, "not_found");
    const elsewhere = await makeKey(gate, { tenant: "other" });
    assertProblem(await api("POST", "keys/revoke", { family: elsewhere.id }, by(whole)), 404, "not_found");
    assertProblem(await api("POST", "keys/revoke", { family: whole.id }, by(whole)), 403, "not_grantable");
    assertProblem(await api("POST", "keys/revoke", { family: reader.id }, by(writer)), 403, "insufficient_scope", { members: ["required_scopes"] });
    const would = await rehearsed({ tenant }, by(writer));
    assert.deepEqual([would.count, would.skipped], [2, 3], "no admin keys");
    const job = await revoke({ tenant }, by(whole));
    assert.deepEqual([job.total, job.skipped, job.actor], [4, 1, whole.id], "not itself");
    await ended(job);
    for (const key of [...keys, writer, reader]) assert.equal(await stateOf(key), "revoked");
    assert.equal((await api("GET", `jobs/${job.id}`, undefined, by(whole))).body.job.state, "done");
  });

  test("and no key without being named: mistakes are told at once", async () => {
    for (const [body, fields] of [
      [{}, [""]], [{ dry_run: true }, [""]], [{ family: "short", tenannt: "x" }, ["family", "tenannt"]],
      [{ family: "0".repeat(16), tag: "x" }, ["family"]], [{ tenant: "Bad", tag: "", dry_run: 1 }, ["dry_run", "tag", "tenant"]],
    ]) {
      const answer = await api("POST", "keys/revoke", body);
      assertProblem(answer, 400, "invalid_field", { members: ["errors"], why: JSON.stringify(body) });
      assert.deepEqual(answer.body.errors.map(({ field }) => field).sort(), fields);
    }
    assertProblem(await api("POST", "keys/revoke", { family: "0".repeat(16) }), 404, "not_found");
  });
});

describe("jobs", () => {
  test("are listed newest first, each to whoever may see it, for 30 days", async () => {
    const tenant = "history";
    const own = await makeKey(gate, { tenant, kind: "ak", scopes: ["keys:read", "keys:write"], ...HERE });
    const jobs = [];
    for (let i = 0; i < 3; i += 1) {
      jobs.unshift(await revoke({ tenant, tag: `t${i}` }));
      await gate.advance(SECOND);
    }
    for (const job of jobs) await ended(job);
    const ids = jobs.map(({ id }) => id);
    const listed = async (query, options) => {
      const seen = [];
      for (let cursor = ""; cursor !== null; ) {
        const { body } = await api("GET", `jobs?limit=2${query}${cursor && `&cursor=${cursor}`}`, undefined, options);
        seen.push(...body.jobs.map(({ id }) => id));
        cursor = body.nextCursor;
      }
      return seen;
    };
    assert.deepEqual(await listed(`&tenant=${tenant}`), ids);
    assert.deepEqual(await listed("", by(own)), ids);
    assert.deepEqual((await listed("")).slice(0, 3), ids);
    assert.deepEqual(await listed(`&tenant=${tenant}&state=running`), []);
    const other = await makeKey(gate, { tenant: "other", kind: "ak", scopes: ["keys:read"], ...HERE });
    assertProblem(await api("GET", `jobs/${ids[0]}`, undefined, by(other)), 404, "not_found");
    assertProblem(await api("GET", `jobs?tenant=${tenant}`, undefined, by(other)), 404, "not_found");
    for (const id of ["none", "0".repeat(16), "x".repeat(300)]) assertProblem(await api("GET", `jobs/${id}`), 404, "not_found");
    for (const query of ["limit=101", "state=off", "cursor=1", "kind=revoke"]) {
      assertProblem(await api("GET", `jobs?${query}`), 400, "invalid_field", { members: ["errors"] });
    }
    await gate.advanceTo(gate.now + 31 * DAY, { ringing: true });
    await gate.alarm("TENANT", tenant);
    await gate.alarm("TENANT", "*");
    assert.deepEqual(await listed(`&tenant=${tenant}`), []);
    assertProblem(await api("GET", `jobs/${ids[0]}`), 404, "not_found");
  });

  test("take along what was on its way, and leave what comes after them", async () => {
    const [there] = await keysOf("way-a", 1, { tags: ["way"] });
    await keysOf("way-b", 1);
    await control("deliver", "off");
    const [coming] = await keysOf("way-a", 1, { tags: ["way"] });
    const [elsewhere] = await keysOf("way-b", 1, { tags: ["way"] });
    const tagged = await makeKey(gate, { tenant: "way-b", name: "tagged late" });
    const rotated = holder(await act(gate, there, "rotate"));
    assert.equal((await api("PATCH", `keys/${tagged.id}`, { version: 1, tags: ["way"] })).status, 200);
    const all = await revoke({ tag: "way" });
    assert.equal(all.total, 1, "as far as the registry has heard");
    // Nothing but the jobs' own object moves: no family tells anybody anything.
    const only = async (name, job) => {
      for (let turn = 0; turn < 30 && (await read(job)).state === "running"; turn += 1) {
        await gate.alarm("TENANT", name);
        await gate.advance(500);
      }
      return read(job);
    };
    await gate.advance(10);
    const later = await makeKey(gate, { tenant: "way-b", tags: ["way"] });
    const done = await only("*", all);
    assert.deepEqual([done.state, done.total, done.done], ["done", 5, 5]);
    for (const key of [there, coming, elsewhere, tagged, rotated]) assertProblem(await use(key), 401, "key_revoked");
    assert.equal((await use(later)).status, 200);
    const [unheard] = await keysOf("way-c", 1);
    const whole = await only("way-c", await revoke({ tenant: "way-c" }));
    assert.deepEqual([whole.state, whole.total, whole.done], ["done", 1, 1]);
    assertProblem(await use(unheard), 401, "key_revoked");
    await control("deliver", "on");
  });

  test("try again what could not be reached, and go on with the rest", async () => {
    const keys = await keysOf("deaf", 3);
    await control("deaf", keys[1].id);
    const job = await revoke({ tenant: "deaf" });
    await gate.alarm("TENANT", "deaf");
    const stuck = await read(job);
    assert.deepEqual([stuck.state, stuck.total, stuck.done, stuck.failed], ["running", 3, 2, 1]);
    await gate.advance(10 * SECOND);
    await gate.alarm("TENANT", "deaf");
    assert.equal((await read(job)).state, "running");
    const [other] = await keysOf("deaf", 1, { tags: ["x"] });
    assert.equal((await ended(await revoke({ tenant: "deaf", tag: "x" }))).done, 1, "another job is not held up");
    assertProblem(await use(other), 401, "key_revoked");
    await control("deaf", "none");
    const done = await ended(job, { turns: 60 });
    assert.deepEqual([done.done, done.failed], [3, 0]);
    for (const key of keys) assertProblem(await use(key), 401, "key_revoked");
  });

  test("are not held up by a family that does not say whether its key is there", async () => {
    await control("deliver", "off");
    const [quiet, other] = await keysOf("mute", 2);
    await control("deaf", quiet.id);
    const job = await revoke({ tenant: "mute" });
    for (let turn = 0; turn < 12; turn += 1) {
      await gate.alarm("TENANT", "mute");
      await gate.advance(SECOND);
    }
    assertProblem(await use(other), 401, "key_revoked");
    const stuck = await read(job);
    assert.deepEqual([stuck.state, stuck.done, stuck.failed], ["running", 1, 1]);
    await control("deaf", "none");
    const done = await ended(job);
    assert.deepEqual([done.done, done.failed], [2, 0]);
    assertProblem(await use(quiet), 401, "key_revoked");
    await control("deliver", "on");
  });

  test("over all tenants find what a tenant's own job was the first to hear of", async () => {
    await control("deliver", "off");
    const [key] = await keysOf("heard", 1, { tags: ["heard"] });
    const only = async (name, job) => {
      for (let turn = 0; turn < 30 && (await read(job)).state === "running"; turn += 1) {
        await gate.alarm("TENANT", name);
        await gate.advance(500);
      }
      return read(job);
    };
    assert.equal((await only("heard", await revoke({ tenant: "heard", tag: "other" }))).done, 0);
    assert.equal((await only("*", await revoke({ tag: "heard" }))).done, 1);
    assertProblem(await use(key), 401, "key_revoked");
    await control("deliver", "on");
  });

  test("go on after a kill in the middle of an alarm, without being asked about", async () => {
    const [key] = await keysOf("killed", 1);
    // What the tenant's object keeps of this wants an alarm that is far, before the job wants its own.
    const admin = await makeKey(gate, { tenant: "killed", kind: "ak", scopes: WHOLE, ...HERE });
    const options = { ...by(admin), headers: { "Idempotency-Key": "kept" } };
    assert.equal((await api("POST", "keys", { tenant: "killed", kind: "sk", name: "new" }, options)).status, 201);
    await gate.advanceTo(gate.now + 5 * SECOND, { ringing: true });
    await control("hold", key.id);
    assert.equal((await revoke({ tenant: "killed" })).total, 3);
    const lost = gate.alarm("TENANT", "killed").catch(() => {});
    while (Number((await gate.request({ headers: { "x-test-held": "?" } })).text) === 0) await sleep(5);
    await gate.kill();
    await lost;
    await gate.start();
    const at = await gate.alarmAt("TENANT", "killed");
    assert.ok(at !== null && at <= gate.now + 30 * SECOND, `the next alarm: ${at}, now ${gate.now}`);
    assert.equal((await use(key)).status, 200);
    for (let turn = 0; turn < 5; turn += 1) {
      await gate.advance(30 * SECOND);
      await gate.ring();
    }
    assertProblem(await use(key), 401, "key_revoked");
    const { entries } = (await api("GET", "audit?tenant=killed&type=job.done")).body;
    assert.deepEqual(entries.map(({ detail }) => detail.total), [3]);
    await gate.advanceTo(gate.now + 120 * SECOND, { ringing: true });
    assert.ok((await gate.alarmAt("TENANT", "killed")) > gate.now + 120 * SECOND, "and then it rests");
  });

  test("stand in the audit with their beginning and end, in both chains", async () => {
    const tenant = "written";
    const [key] = await keysOf(tenant, 1);
    const job = await revoke({ tenant });
    await ended(job);
    await gate.advanceTo(gate.now + 5 * SECOND, { ringing: true });
    for (const query of [`tenant=${tenant}&limit=100`, "limit=100"]) {
      const { body } = await api("GET", `audit?${query}`);
      const entries = body.entries.filter(({ detail, key: of }) => detail?.job === job.id || of === key.id);
      const kinds = entries.map(({ type }) => type).reverse();
      assert.deepEqual(kinds, ["key.created", "job.started", "key.revoked", "job.done"], query);
      assert.deepEqual(entries.map(({ actor }) => actor), ["root", "root", "root", "root"]);
    }
  });
});

test("from a terminal", async (t) => {
  const own = await startGate({ policy: testPolicy({ backend, routes }), name: "jobs-cli" });
  t.after(() => own.stop());
  const tollgate = (...args) => runCli(own, args);
  const said = async (...args) => {
    const { code, out, err } = await tollgate(...args, "--json");
    assert.equal(code, 0, `${args.join(" ")}: ${out}${err}`);
    return JSON.parse(out);
  };
  const made = await said("tenants", "create", "acme", "--title", "Acme Corp.", "--max-keys", "3", "--largest-limit", "600/1m", "--allow-scope", "a:read");
  assert.deepEqual(made.tenant.largest_limits, [{ requests: 600, window: "1m" }]);
  const keys = await Promise.all([1, 2, 3].map((n) => makeKey(own, { tags: n < 3 ? ["lost"] : [] })));
  const full = await tollgate("keys", "create", "--tenant", "acme", "--kind", "sk", "--name", "x");
  assert.equal(full.code, 1);
  assert.match(full.err, /^409 state_conflict: The tenant `acme` has as many keys as it may: 3/);
  const wider = await said("tenants", "update", "acme", "--max-keys", "4", "--clear", "allowed-scopes");
  assert.deepEqual([wider.tenant.version, wider.tenant.max_keys, wider.tenant.allowed_scopes], [2, 4, null]);
  assert.match((await tollgate("tenants", "list")).out, /^NAME  STATE   KEYS            MAX KEYS  .*\nacme  active  live 3 total 3  4 /);
  assert.equal((await tollgate("tenants", "show", "nobody")).code, 1);
  assert.equal((await tollgate("keys", "revoke")).code, 2, "which keys?");
  const would = await tollgate("keys", "revoke", "--tag", "lost", "--tenant", "acme", "--dry-run");
  assert.deepEqual(would.out.split("\n").sort(), ["", "would revoke 2 keys, and leave out 0 that you may not", keys[0].id, keys[1].id].sort());
  const { job } = await said("keys", "revoke", "--tag", "lost", "--wait");
  assert.deepEqual([job.state, job.total, job.done], ["done", 2, 2]);
  for (const [at, status] of [[0, 401], [1, 401], [2, 200]]) {
    assert.equal((await own.request({ path: "/plain", headers: keys[at].bearer })).status, status);
  }
  assert.deepEqual((await said("jobs", "list")).jobs.map(({ id }) => id), [job.id]);
  const shown = await tollgate("jobs", "show", job.id);
  assert.match(shown.out, /^state +done\n/m);
  const family = await said("keys", "revoke", "--family", keys[2].id, "--wait");
  assert.equal(family.job.done, 1);
  assert.equal((await said("keys", "list", "--tenant", "acme", "--state", "active")).keys.length, 0);
  const off = await said("tenants", "update", "acme", "--state", "suspended", "--wait");
  assert.equal(off.tenant.state, "suspended");
});

test("300 keys and a gate that is killed in the middle", async (t) => {
  const COUNT = 300;
  const killed = await startGate({ policy: testPolicy({ backend, routes }), name: "jobs-killed" });
  t.after(() => killed.stop());
  const keys = [];
  for (let i = 0; i < COUNT; i += 20) {
    keys.push(...(await Promise.all(Array.from({ length: 20 }, () => makeKey(killed, { tenant: "many" })))));
  }
  const spared = await makeKey(killed, { tenant: "few" });
  const started = await killed.api("POST", "keys/revoke", { tenant: "many" });
  assert.equal(started.status, 202, started.text);
  const { id, total } = started.body.job;
  assert.equal(total, COUNT);
  const job = async () => (await killed.api("GET", `jobs/${id}`)).body.job;
  const kills = [];
  for (const least of [1, 150]) {
    for (;;) {
      const { done, state } = await job();
      if (done >= least) {
        kills.push({ done, state });
        break;
      }
    }
    await killed.kill();
    await killed.start();
  }
  assert.ok(kills.every(({ done, state }) => state === "running" && done < COUNT), `in the middle: ${JSON.stringify(kills)}`);
  let now = await job();
  for (const end = performance.now() + 60_000; now.state === "running" && performance.now() < end; now = await job()) await sleep(50);
  assert.deepEqual([now.state, now.total, now.done, now.failed], ["done", COUNT, COUNT, 0]);
  for (const key of keys) {
    assertProblem(await killed.request({ path: "/plain", headers: key.bearer }), 401, "key_revoked");
  }
  assert.equal((await killed.request({ path: "/plain", headers: spared.bearer })).status, 200);
  const { entries } = (await killed.api("GET", "audit?tenant=many&type=job.done")).body;
  assert.equal(entries.filter(({ detail }) => detail.job === id).length, 1, "done once");
});
