// What the gate says by itself about keys that grow old, on a clock that is set by hand:
//
//   1. `key.expiring` 30, 7 and 1 days before the end, by the object's alarm, each once
//   2. through restarts, kills and use in between, which all set nearer alarms
//   3. of what was slept through only the latest; of what is over nothing
//   4. `key.rotation_due` at 90 days, and every 90 again
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { DAY, HOUR, SECOND, startClockedGate } from "./support/clock.mjs";
import { act, change, holder, makeKey } from "./support/keys.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";

const START = Date.parse("2027-03-01T10:00:00Z");

let backend;
let gate;
let began;
before(async () => {
  backend = await startBackend();
  gate = await startClockedGate({
    policy: testPolicy({ backend, routes: [{ name: "plain", path: "/plain" }] }),
    name: "expiry",
    at: START,
  });
});
beforeEach(async () => {
  // Each on ground of its own: objects' clocks do not go back.
  await gate.advance(1_000 * DAY);
  began = gate.now;
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

const make = (wish) => makeKey(gate, { limits: [atMost(10_000, "1h")], ...wish });
const call = (key) => gate.request({ path: "/plain", headers: key.bearer });
const text = (ms) => new Date(ms).toISOString().replace(".000Z", "Z");
const alarmOf = (key) => gate.alarmAt("KEY", key.key.family);
const days = (ms) => (ms - began) / DAY;

/** The notices of a key in the audit, oldest first: day, type, days, as which they are told. */
async function notices(key, tenant = "acme") {
  const all = [];
  for (const type of ["key.expiring", "key.rotation_due"]) {
    const answer = await gate.api("GET", `audit?tenant=${tenant}&key=${key.id}&type=${type}&limit=100`);
    assert.equal(answer.status, 200, answer.text);
    all.push(...answer.body.entries);
  }
  for (const { actor } of all) assert.equal(actor, "gate");
  return all
    .map(({ at, type, detail }) => [days(Date.parse(at)), type, detail.days])
    .sort(([a], [b]) => a - b);
}

const EXPIRING = (end) => [30, 7, 1].map((left) => [end - left, "key.expiring", left]);

describe("the end of a key", () => {
  test("is told of 30, 7 and 1 days before, when the alarm goes off, and once each", async () => {
    const key = await make({ expires_in: "60d" });
    await gate.advance(2 * SECOND);
    await gate.ring();
    for (const [day, then] of [[30, 53], [53, 59], [59, null]]) {
      assert.equal(days(await alarmOf(key)), day);
      await gate.setTime(began + day * DAY - 1);
      assert.equal(await gate.ring(), 0, "not a millisecond before");
      await gate.setTime(began + day * DAY);
      await gate.ring();
      assert.equal((await notices(key)).at(-1)[0], day);
      // The alarm that delivers what is delivered already sets the next one.
      await gate.advance(10 * SECOND);
      await gate.ring();
      assert.equal(then === null ? await alarmOf(key) : days(await alarmOf(key)), then);
    }
    assert.deepEqual(await notices(key), EXPIRING(60));
    assert.deepEqual(await notices(key, "*"), EXPIRING(60), "the operators read the same");
    await gate.alarm("KEY", key.key.family);
    assert.equal((await notices(key)).length, 3);
  });

  test("says when it is", async () => {
    const key = await make({ expires_in: "2d" });
    await gate.advanceTo(began + 2 * DAY, { ringing: true });
    const { entries } = (await gate.api("GET", `audit?tenant=acme&key=${key.id}&type=key.expiring`)).body;
    assert.deepEqual(entries.map(({ detail }) => detail), [{ days: 1, expires_at: text(began + 2 * DAY) }]);
  });

  test("is told through kills and restarts, with nearer alarms in between", async () => {
    const key = await make({ expires_in: "40d" });
    // Killed before the first alarm, which delivers what was made: it is there after it.
    await gate.kill();
    await gate.start();
    assert.ok((await alarmOf(key)) <= began + 2 * SECOND);
    await gate.advance(2 * SECOND);
    await gate.alarm("KEY", key.key.family);
    assert.equal(days(await alarmOf(key)), 10);
    // A request puts a near alarm in its place, and the power is cut.
    await gate.advance(DAY);
    assert.equal((await call(key)).status, 200);
    assert.ok((await alarmOf(key)) <= gate.now + 6 * SECOND);
    await gate.kill();
    await gate.start();
    await gate.advance(6 * SECOND);
    await gate.alarm("KEY", key.key.family);
    assert.equal(days(await alarmOf(key)), 10, "the far one is back");
    // Told and killed at once: it is not told again.
    await gate.setTime(began + 10 * DAY);
    await gate.alarm("KEY", key.key.family);
    await gate.kill();
    await gate.start();
    await gate.advance(DAY);
    await gate.alarm("KEY", key.key.family);
    await gate.restart();
    await gate.alarm("KEY", key.key.family);
    assert.deepEqual(await notices(key), [[10, "key.expiring", 30]]);
    assert.equal(days(await alarmOf(key)), 33);
    await gate.advanceTo(began + 50 * DAY, { ringing: true });
    assert.deepEqual(await notices(key), EXPIRING(40));
  });

  test("is told of a short life only as far as that had a before", async () => {
    const month = await make({ expires_in: "30d" });
    const week = await make({ expires_in: "7d" });
    const hours = await make({ expires_in: "24h" });
    await gate.advanceTo(began + 40 * DAY, { ringing: true });
    assert.deepEqual(await notices(month), EXPIRING(30).slice(1));
    assert.deepEqual(await notices(week), EXPIRING(7).slice(2));
    assert.deepEqual(await notices(hours), []);
  });

  test("that was slept through is told as it is now, and a missed alarm is made up for by use", async () => {
    const key = await make({ expires_in: "60d" });
    // No alarm goes off in 55 days; then somebody uses the key.
    await gate.advance(55 * DAY);
    assert.equal((await call(key)).status, 200);
    await gate.advance(6 * SECOND);
    await gate.ring();
    const told = await notices(key);
    assert.deepEqual(told.map(([, type, left]) => [type, left]), [["key.expiring", 7]]);
    await gate.advanceTo(began + 61 * DAY, { ringing: true });
    assert.deepEqual((await notices(key)).slice(1), EXPIRING(60).slice(2));
  });

  test("that is another one is told of as that", async () => {
    const key = await make({ expires_in: "20d" });
    await gate.advanceTo(began + 13 * DAY, { ringing: true });
    await change(gate, key, { expires_at: text(began + 80 * DAY) });
    const soon = await make({ expires_in: "80d" });
    await gate.advanceTo(began + 14 * DAY, { ringing: true });
    await change(gate, soon, { expires_at: text(began + 18 * DAY) });
    await gate.advanceTo(began + 90 * DAY, { ringing: true });
    assert.deepEqual(await notices(key), [[13, "key.expiring", 7], ...EXPIRING(80)]);
    assert.deepEqual(await notices(soon), [[17, "key.expiring", 1]], "whoever brings it near knows");
  });

  test("is not told of a revoked key, nor of one in its grace period", async () => {
    const revoked = await make({ expires_in: "40d" });
    const old = await make({ expires_in: "40d" });
    const off = await make({ expires_in: "40d" });
    await act(gate, off, "disable");
    await gate.advanceTo(began + 8 * DAY, { ringing: true });
    await act(gate, revoked, "revoke");
    const fresh = holder(await act(gate, old, "rotate", { grace: "720h" }));
    await gate.advanceTo(began + 60 * DAY, { ringing: true });
    assert.deepEqual(await notices(revoked), []);
    assert.deepEqual(await notices(old), []);
    assert.deepEqual(await notices(fresh), EXPIRING(48), "its successor's is, which has 40 days from the rotation");
    assert.deepEqual(await notices(off), EXPIRING(40), "a key that is off can be switched on again");
    assert.equal(await alarmOf(revoked), null, "and nothing is waited for any more");
  });
});

describe("a rotation", () => {
  test("is due at 90 days, and every 90 days again, and begins anew with the new key", async () => {
    const key = await make({ expires_in: "400d" });
    await gate.advanceTo(began + 300 * DAY, { ringing: true });
    const due = [90, 180, 270].map((day) => [day, "key.rotation_due", day]);
    assert.deepEqual(await notices(key), due);
    const { entries } = (await gate.api("GET", `audit?tenant=acme&key=${key.id}&type=key.rotation_due`)).body;
    assert.deepEqual(entries[0].detail, { days: 270, expires_at: text(began + 400 * DAY) });
    const fresh = holder(await act(gate, key, "rotate"));
    await gate.advanceTo(began + 391 * DAY, { ringing: true });
    assert.deepEqual(await notices(fresh), [[390, "key.rotation_due", 90]]);
    assert.deepEqual(await notices(key), due, "and of the old one no more");
  });

  test("is reminded of as the policy says, or never", async () => {
    const key = await make({ expires_in: "365d" });
    const { policy } = gate;
    const after30 = policy.replace(/^gate = \{/m, 'gate = { rotate_after = "720h",');
    assert.notEqual(after30, policy);
    await gate.restart({ policy: after30 });
    await gate.advance(2 * SECOND);
    await gate.alarm("KEY", key.key.family);
    await gate.advanceTo(began + 61 * DAY, { ringing: true });
    assert.deepEqual(await notices(key), [[30, "key.rotation_due", 30], [60, "key.rotation_due", 60]]);
    await gate.restart({ policy: policy.replace(/^gate = \{/m, 'gate = { rotate_after = "off",') });
    await gate.alarm("KEY", key.key.family);
    await gate.advanceTo(began + 300 * DAY, { ringing: true });
    assert.equal((await notices(key)).length, 2);
    await gate.restart({ policy });
  });
});
