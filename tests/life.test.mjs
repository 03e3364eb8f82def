// A key's life on a clock that is set by hand:
//
//   1. a grace period, to the second: both keys work, the old one says so, and it ends when it was told
//   2. a grace period that is ended early, by the call and by a second rotation, or cut by the key's end
//   3. a stale update is lost to nobody: 50 writers change one key at the same time
//   4. each step of a life is an event, with who did it and by which call, in order, once
//   5. what was admitted is counted to the last one, and but for one reservation after a crash
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { DAY, HOUR, MINUTE, SECOND, startClockedGate } from "./support/clock.mjs";
import { assertProblem } from "./support/expect.mjs";
import { act, holder, makeKey } from "./support/keys.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";

let backend;
let gate;
let began;
before(async () => {
  backend = await startBackend();
  gate = await startClockedGate({
    policy: testPolicy({ backend, routes: [{ name: "plain", path: "/plain" }] }),
    name: "life",
    at: Date.parse("2027-03-01T10:00:00Z"),
  });
});
beforeEach(async () => {
  // A whole hour on which nothing happened yet: objects' clocks do not go back.
  began = Math.ceil(gate.now / DAY) * DAY + 10 * HOUR;
  await gate.setTime(began);
  backend.clear();
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

const make = (wish) => makeKey(gate, { limits: [atMost(10_000, "1h")], ...wish });
const call = (key) => gate.request({ path: "/plain", headers: key.bearer });
const shown = async (key) => (await gate.api("GET", `keys/${key.id}`)).body.key;
const verified = async (key) => (await gate.api("POST", "keys/verify", { key: key.secret })).body;
const text = (ms) => new Date(ms).toISOString().replace(".000Z", "Z");

/** Fails unless the key is good, and says when it ends and since when if it was rotated at `since`. */
async function assertWorks(key, since, end) {
  const answer = await call(key);
  assert.equal(answer.status, 200, answer.text);
  const { deprecation, sunset } = answer.headers;
  const expected = since === undefined ? [undefined, undefined] : [`@${since / SECOND}`, new Date(end).toUTCString()];
  assert.deepEqual([deprecation, sunset], expected);
  assert.equal((await verified(key)).valid, true);
}

/** Fails unless the key has ended, at every place where it could be good. */
async function assertEnded(key) {
  const seen = backend.requests.length;
  assertProblem(await call(key), 401, "key_expired");
  assert.equal(backend.requests.length, seen, "the backend hears nothing of it");
  assert.deepEqual(await verified(key), { valid: false, code: "key_expired" });
  assert.equal((await shown(key)).state, "expired");
}

describe("a grace period", () => {
  test("lasts to the second: told beforehand, good until then, over from then on", async () => {
    const old = await make();
    await gate.advance(10 * DAY + 7 * SECOND);
    const rotatedAt = gate.now;
    const rotated = await act(gate, old, "rotate", { grace: "48h" });
    const fresh = holder(rotated);
    const end = rotatedAt + 48 * HOUR;
    assert.equal(rotated.previous.expires_at, text(end));
    assert.deepEqual(rotated.previous.deprecated, { since: text(rotatedAt), successor: fresh.id });
    assert.equal(fresh.key.expires_at, text(rotatedAt + 365 * DAY), "a whole life from now");
    for (const before of [48 * HOUR, 47 * HOUR, MINUTE, 2 * SECOND, SECOND, 1]) {
      await gate.setTime(end - before);
      await assertWorks(old, rotatedAt, end);
      await assertWorks(fresh);
    }
    for (const after of [0, 1, SECOND, DAY]) {
      await gate.setTime(end + after);
      await assertEnded(old);
      await assertWorks(fresh);
    }
  });

  test("ends to the second where the object alone knows the time, after a restart", async () => {
    const old = await make();
    const fresh = holder(await act(gate, old, "rotate", { grace: "1h" }));
    await gate.setTime(began + HOUR - SECOND);
    await gate.kill();
    await gate.start();
    await assertWorks(old, began, began + HOUR);
    await gate.advance(SECOND);
    await gate.kill();
    await gate.start();
    await assertEnded(old);
    await assertWorks(fresh);
  });

  test("is ended early by the call, at that instant, and by nobody twice", async () => {
    const old = await make();
    const fresh = holder(await act(gate, old, "rotate"));
    await gate.advance(HOUR);
    await assertWorks(old, began, began + 48 * HOUR);
    const ended = (await act(gate, old, "end-grace")).key;
    assert.deepEqual([ended.expires_at, ended.version], [text(began + HOUR), 3]);
    await assertEnded(old);
    await assertWorks(fresh);
    await gate.advance(HOUR);
    assert.equal((await act(gate, old, "end-grace")).key.version, 3, "it has ended already");
    assertProblem(await gate.api("POST", `keys/${fresh.id}/end-grace`), 409, "state_conflict");
    const longer = { version: 3, expires_at: text(gate.now + DAY) };
    assertProblem(await gate.api("PATCH", `keys/${old.id}`, longer), 400, "invalid_field", { members: ["errors"] });
    await assertEnded(old);
  });

  test("is ended by a second rotation, whose own runs on", async () => {
    const first = await make();
    const second = holder(await act(gate, first, "rotate", { grace: "48h" }));
    await gate.advance(HOUR);
    const third = holder(await act(gate, second, "rotate", { grace: "2h" }));
    await assertEnded(first);
    await assertWorks(second, began + HOUR, began + 3 * HOUR);
    await assertWorks(third);
    await gate.advance(2 * HOUR - SECOND);
    await assertWorks(second, began + HOUR, began + 3 * HOUR);
    await gate.advance(SECOND);
    await assertEnded(second);
    await assertWorks(third);
    assertProblem(await gate.api("POST", `keys/${second.id}/rotate`), 409, "state_conflict");
  });

  test("of none is none, and none is longer than the key's own life", async () => {
    const emergency = await make();
    const fresh = holder(await act(gate, emergency, "rotate", { grace: "0s" }));
    await assertEnded(emergency);
    await assertWorks(fresh);
    const short = await make({ expires_in: "10h" });
    await gate.advance(4 * HOUR);
    const next = holder(await act(gate, short, "rotate", { grace: "48h" }));
    assert.equal(next.key.expires_at, text(gate.now + 10 * HOUR), "the old lifetime, from now");
    await gate.setTime(began + 10 * HOUR - SECOND);
    await assertWorks(short, began + 4 * HOUR, began + 10 * HOUR);
    await gate.advance(SECOND);
    await assertEnded(short);
    await gate.setTime(began + 14 * HOUR);
    await assertEnded(next);
  });
});

describe("50 writers of one key", () => {
  test("each reads, changes and writes until it is in: none is lost, and each conflict is told", async () => {
    const WRITERS = 50;
    const key = await make({ metadata: { before: true } });
    const conflicts = [];
    const write = async (name) => {
      for (let tries = 0; tries < 10 * WRITERS; tries += 1) {
        const { version, metadata } = await shown(key);
        const wish = { version, metadata: { ...metadata, [name]: tries } };
        const answer = await gate.api("PATCH", `keys/${key.id}`, wish);
        if (answer.status === 200) {
          assert.equal(answer.body.key.version, version + 1);
          assert.deepEqual(answer.body.key.metadata, wish.metadata, "what was written is what is answered");
          return version + 1;
        }
        const told = assertProblem(answer, 409, "version_conflict", { members: ["version"] });
        assert.ok(told.version > version, `${told.version} after ${version}`);
        conflicts.push(name);
      }
      throw new Error(`${name} never got in`);
    };
    const names = Array.from({ length: WRITERS }, (_, i) => `w${i}`);
    const versions = await Promise.all(names.map(write));
    assert.ok(conflicts.length > 0, "they were at it at the same time");
    assert.deepEqual(versions.sort((a, b) => a - b), names.map((_, i) => i + 2), "each has a version of its own");
    const end = await shown(key);
    assert.equal(end.version, WRITERS + 1);
    assert.deepEqual(Object.keys(end.metadata).sort(), ["before", ...names].sort());
    const page = await gate.api("GET", `keys?limit=100`);
    const listed = page.body.keys.find(({ id }) => id === key.id);
    assert.deepEqual([listed.version, listed.metadata], [end.version, end.metadata], "and the registry has the last");
  });

  test("who names no version is told so, and a life's call is done once more on what is there", async () => {
    const key = await make();
    assertProblem(await gate.api("PATCH", `keys/${key.id}`, { name: "x" }), 400, "invalid_field", { members: ["errors"] });
    const racing = await Promise.all([
      ...Array.from({ length: 5 }, (_, i) => gate.api("PATCH", `keys/${key.id}`, { version: 1, name: `n${i}` })),
      gate.api("POST", `keys/${key.id}/revoke`),
    ]);
    assert.equal(racing.at(-1).status, 200, "a revoke needs no version and loses to nobody");
    const changed = racing.slice(0, -1).filter(({ status }) => status === 200);
    assert.ok(changed.length <= 1, "of five on one version one at most");
    assert.equal((await shown(key)).state, "revoked");
  });
});

describe("a life in the audit", () => {
  const entries = async (tenant, key) => {
    const answer = await gate.api("GET", `audit?tenant=${tenant}&key=${key}&limit=100`);
    assert.equal(answer.status, 200, answer.text);
    return answer.body.entries.toReversed();
  };

  test("has each step with its caller, its call and what belongs to it, and nothing twice", async () => {
    const calls = [];
    const step = async (type, method, path, body, detail = {}, fields) => {
      await gate.advance(MINUTE);
      const answer = await gate.api(method, path, body);
      assert.ok(answer.status < 300, answer.text);
      calls.push({ type, at: text(gate.now), request_id: answer.headers["x-request-id"], detail, fields });
      return answer.body;
    };
    const year = text(began + MINUTE + 365 * DAY);
    const { key: old } = await step("key.created", "POST", "keys", { tenant: "acme", kind: "sk", name: "x" }, { kind: "sk", expires_at: year });
    const at = `keys/${old.id}`;
    await step("key.updated", "PATCH", at, { version: 1, name: "y", tags: ["a"] }, {}, ["name", "tags"]);
    await step("key.disabled", "POST", `${at}/disable`);
    await step("key.enabled", "POST", `${at}/enable`);
    // What is so already is no event.
    assert.equal((await gate.api("POST", `${at}/enable`)).status, 200);
    const { key: fresh } = await step("key.rotated", "POST", `${at}/rotate`, { grace: "1h" });
    Object.assign(calls.at(-1), { detail: { successor: fresh.id, grace_ends_at: text(gate.now + HOUR) } });
    await step("key.grace_ended", "POST", `${at}/end-grace`, undefined, { successor: fresh.id });
    await step("key.revoked", "POST", `${at}/revoke`);
    for (const tenant of ["acme", "*"]) {
      const told = (await entries(tenant, old.id)).filter(({ type }) => type.startsWith("key."));
      assert.deepEqual(
        told.map(({ type, at, request_id, detail, fields }) => ({ type, at, request_id, detail: detail ?? {}, fields: fields?.length ? fields : undefined })),
        calls,
        tenant,
      );
      for (const entry of told) assert.deepEqual([entry.actor, entry.tenant, entry.address], ["root", "acme", "127.0.0.1"]);
      const others = await entries(tenant, fresh.id);
      assert.deepEqual(others.map(({ type }) => type), ["key.created"], "the new key's life begins with the same call");
      assert.equal(others[0].request_id, calls.find(({ type }) => type === "key.rotated").request_id);
    }
  });
});

describe("what was admitted is counted", () => {
  const used = async (key) => {
    const frame = `from=${text(began)}&to=${text(began + DAY)}&by=hour`;
    const answer = await gate.api("GET", `keys/${key.id}/usage?${frame}`);
    assert.equal(answer.status, 200, answer.text);
    return answer.body.usage;
  };
  const send = async (key, n) => {
    const answers = await Promise.all(Array.from({ length: n }, () => call(key)));
    return answers.filter(({ status }) => status === 200).length;
  };
  const settled = async (key) => {
    await gate.advance(6 * SECOND);
    await gate.alarm("KEY", key.key.family);
  };

  test("to the last one, in the hour it was in", async () => {
    const key = await make();
    assert.equal(await send(key, 37), 37);
    await gate.setTime(began + HOUR);
    assert.equal(await send(key, 5), 5);
    await settled(key);
    const usage = await used(key);
    assert.equal(usage.admitted, 42);
    assert.deepEqual(
      usage.buckets.filter(({ admitted }) => admitted > 0).map(({ at, admitted }) => [at, admitted]),
      [[text(began), 37], [text(began + HOUR), 5]],
    );
    await settled(key);
    assert.equal((await used(key)).admitted, 42, "and no second time");
  });

  test("but for one reservation after a crash, and never twice", async () => {
    const RESERVATION = 200; // a fiftieth of 10 000
    const key = await make();
    let truth = 0;
    for (let crash = 1; crash <= 3; crash += 1) {
      truth += await send(key, 30);
      await gate.kill();
      await gate.start();
      truth += await send(key, 3);
      await settled(key);
      const { admitted } = await used(key);
      assert.ok(admitted <= truth, `${admitted} of ${truth}: none twice`);
      assert.ok(admitted >= truth - crash * RESERVATION, `${admitted} of ${truth}`);
    }
    const small = await make({ limits: [atMost(100, "1h")] });
    truth = await send(small, 30);
    await gate.kill();
    await gate.start();
    await settled(small);
    const { admitted } = await used(small);
    assert.ok(admitted <= truth && admitted >= truth - 2, `${admitted} of ${truth}: 2 of 100 are one reservation`);
  });

  test("while it is in use it is told once a minute", async () => {
    const key = await make();
    for (let second = 0; second < 66; second += 3) {
      await send(key, 2);
      await gate.advance(3 * SECOND);
      await gate.ring();
    }
    const { admitted } = await used(key);
    assert.ok(admitted >= 38, `${admitted} after a minute without a pause`);
  });
});
