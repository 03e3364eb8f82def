// When an event is tried again, on a clock that is set by hand: the schedule of Standard Webhooks, Retry-After,
// the end of it, what is kept and for how long, and replays.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";
import { reply, startBackend } from "./support/backend.mjs";
import { DAY, HOUR, MINUTE, SECOND, startClockedGate } from "./support/clock.mjs";
import { post } from "./support/hooks.mjs";
import { testPolicy } from "./support/policy.mjs";

const SECRET = randomBytes(24).toString("base64url");
/** After each attempt but the last. */
const PAUSES = [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
const OBJECT = "shop/0";

let backend;
let gate;
before(async () => {
  backend = await startBackend();
  gate = await startClockedGate({
    name: "hooks-schedule",
    secrets: { SHOP: SECRET },
    policy: testPolicy({ backend, sources: [{ name: "shop", path: "/hooks/shop", scheme: "stripe", secrets: ["${secret:SHOP}"] }] }),
  });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});
beforeEach(() => backend.clear());

let count = 0;
const send = async () => {
  const body = JSON.stringify({ id: `evt_${(count += 1)}` });
  const answer = await post(gate, { path: "/hooks/shop", scheme: "stripe", secret: SECRET, body });
  assert.equal(answer.status, 202);
  return answer.headers["x-request-id"];
};
const ring = () => gate.alarm("INBOX", OBJECT);
const due = () => gate.alarmAt("INBOX", OBJECT);
const events = async (query = "") => (await gate.api("GET", `hooks/shop/events${query}`)).body.events;
const event = async (request) => (await events()).find(({ id }) => id.startsWith(request));

test("ten attempts, each after its pause and at most a tenth more; then it is dead, for 30 days", async () => {
  backend.answer = (seen, response) => reply(response, 503);
  const id = await send();
  /** The object also wakes to forget what duplicates are known by. */
  const forgets = gate.now + 3 * DAY;
  for (const [at, pause] of PAUSES.entries()) {
    await ring();
    assert.equal(backend.requests.length, at + 1);
    const { state, next_attempt_at: next } = await event(id);
    const waits = Date.parse(next) - gate.now;
    assert.equal(state, "pending");
    assert.ok(waits >= pause && waits <= pause * 1.1, `attempt ${at + 1}: ${waits} of ${pause}`);
    assert.equal(await due(), Math.min(Date.parse(next), forgets > gate.now ? forgets : Infinity));
    // A millisecond too early is too early.
    await gate.setTime(Date.parse(next) - 1);
    await ring();
    assert.equal(backend.requests.length, at + 1);
    await gate.setTime(Date.parse(next));
  }
  await ring();
  assert.equal(backend.requests.length, 10);
  const dead = await event(id);
  assert.deepEqual([dead.state, dead.attempts, dead.next_attempt_at], ["dead", 10, null]);
  assert.equal(Date.parse(dead.kept_until), gate.now + 30 * DAY);
  await gate.advance(30 * DAY - 1);
  await ring();
  assert.ok(await event(id));
  await gate.advance(1);
  await ring();
  assert.equal(await event(id), undefined);
});

test("Retry-After counts when it is later than the schedule, and for a day at most", async () => {
  for (const [wish, waits] of [
    [() => "120", 120 * SECOND],
    [() => new Date(gate.now + HOUR).toUTCString(), HOUR],
    [() => "1", 5 * SECOND],
    [() => "999999", DAY],
    [() => "soon", 5 * SECOND],
  ]) {
    // Whole seconds, as a date has them.
    await gate.setTime(Math.ceil(gate.now / SECOND) * SECOND);
    const header = wish();
    backend.answer = (seen, response) => reply(response, 429, "", { "Retry-After": header });
    const id = await send();
    await ring();
    const { next_attempt_at: next } = await event(id);
    const waited = Date.parse(next) - gate.now;
    assert.ok(waited >= waits && waited <= Math.max(waits, 5.5 * SECOND), `${header}: ${waited}`);
    backend.answer = undefined;
    await gate.setTime(Date.parse(next));
    await ring();
    assert.equal((await event(id)).state, "delivered");
  }
});

test("what was delivered can be read for a day, and is remembered for three", async () => {
  backend.answer = undefined;
  const id = await send();
  await ring();
  const delivered = await event(id);
  assert.deepEqual([delivered.state, Date.parse(delivered.kept_until)], ["delivered", gate.now + DAY]);
  const body = JSON.stringify({ id: `evt_${count}` });
  const again = () => post(gate, { path: "/hooks/shop", scheme: "stripe", secret: SECRET, body });
  await gate.advance(DAY);
  await ring();
  assert.equal(await event(id), undefined);
  await gate.advance(2 * DAY - 1);
  assert.equal((await again()).status, 202);
  await ring();
  assert.equal(backend.requests.length, 1);
  await gate.advance(1);
  assert.equal((await again()).status, 202);
  await ring();
  assert.equal(backend.requests.length, 2);
});

test("of one id each content is remembered for its own three days", async () => {
  backend.answer = undefined;
  const send = async (n) => {
    const body = JSON.stringify({ id: "evt_two", n });
    assert.equal((await post(gate, { path: "/hooks/shop", scheme: "stripe", secret: SECRET, body })).status, 202);
    await ring();
    return backend.requests.map((seen) => [JSON.parse(seen.body).n, seen.header("x-tollgate-webhook-flag")]);
  };
  assert.deepEqual(await send(1), [[1, undefined]]);
  await gate.advance(HOUR);
  assert.deepEqual(await send(2), [[1, undefined], [2, "id_reused"]]);
  await gate.advance(3 * DAY - HOUR);
  await ring();
  assert.equal((await send(2)).length, 2, "the second was here");
  assert.deepEqual((await send(1)).at(2), [1, "id_reused"], "the first is forgotten");
});

test("a new instance sets the alarm that was missed, whatever it is asked", async () => {
  backend.answer = (seen, response) => reply(response, 500);
  const id = await send();
  await ring();
  await gate.kill();
  await gate.start();
  await gate.advance(HOUR);
  backend.answer = undefined;
  assert.equal((await event(id)).state, "pending");
  assert.ok((await due()) <= gate.now);
  await ring();
  assert.equal((await event(id)).state, "delivered");
});

test("replays: of many, of all since a time, and as a rehearsal", async () => {
  backend.answer = (seen, response) => reply(response, 410);
  const old = await send();
  await ring();
  await gate.advance(HOUR);
  const since = new Date(gate.now).toISOString();
  const dead = [await send(), await send()];
  await ring();
  backend.answer = undefined;
  const arrived = await send();
  await ring();
  backend.clear();
  const replay = async (body) => {
    const answer = await gate.api("POST", "hooks/shop/replay", body);
    await ring();
    const seen = backend.requests.length;
    backend.clear();
    return [answer.status, answer.body, seen];
  };
  const ids = async (requests) => Promise.all(requests.map(async (request) => (await event(request)).id));
  assert.deepEqual(await replay({ since, dry_run: true }), [200, { dry_run: true, count: 2 }, 0]);
  assert.deepEqual(await replay({ since }), [202, { dry_run: false, count: 2 }, 2]);
  assert.deepEqual(await replay({ since }), [202, { dry_run: false, count: 0 }, 0], "they are not dead any more");
  assert.deepEqual(await replay({ since, state: "all" }), [202, { dry_run: false, count: 3 }, 3]);
  assert.deepEqual(await replay({ ids: await ids([old, arrived]) }), [202, { dry_run: false, count: 2 }, 2]);
  assert.equal((await gate.api("POST", `hooks/shop/events/${(await ids(dead))[0]}/replay`)).status, 202);
  for (const [body, fields] of [
    [{}, [""]],
    [{ ids: ["x"] }, ["ids[0]"]],
    [{ ids: [] }, ["ids"]],
    [{ since: "yesterday", state: "pending", dryRun: true }, ["since", "state", "dryRun"]],
    [{ ids: await ids([old]), since }, ["ids"]],
  ]) {
    const { status, body: document } = await gate.api("POST", "hooks/shop/replay", body);
    assert.equal(status, 400);
    assert.deepEqual(document.errors.map(({ field }) => field).sort(), fields.sort(), JSON.stringify(body));
  }
  await ring();
});

test("events are listed, the latest first, by page, state and time; and only to whom they belong", async () => {
  await gate.advance(HOUR);
  const since = new Date(gate.now).toISOString();
  const sent = [];
  for (let i = 0; i < 5; i += 1) {
    sent.unshift(await send());
    await gate.advance(1);
  }
  const first = await gate.api("GET", `hooks/shop/events?limit=2&since=${since}`);
  const second = await gate.api("GET", `hooks/shop/events?limit=3&since=${since}&cursor=${first.body.nextCursor}`);
  assert.equal(second.body.nextCursor, null);
  const listed = [...first.body.events, ...second.body.events].map(({ id }) => id.slice(0, -1));
  assert.deepEqual(listed, sent);
  assert.equal((await events(`?state=pending&since=${since}`)).length, 5);
  assert.equal((await events(`?state=dead&since=${since}`)).length, 0);
  await ring();
  assert.equal((await events(`?state=delivered&since=${since}`)).length, 5);
  const admin = async (scopes, tenant) => (await gate.api("POST", "keys", { kind: "ak", tenant, name: "a", scopes, addresses: ["127.0.0.0/8"] })).body.secret;
  const [stranger, blind] = [await admin(["hooks:read", "hooks:write"], "other"), await admin(["keys:read"], "other")];
  const one = first.body.events[0].id;
  for (const [method, path, body] of [
    ["GET", "hooks/shop/events"],
    ["GET", `hooks/shop/events/${one}`],
    ["POST", `hooks/shop/events/${one}/replay`],
    ["POST", "hooks/shop/replay", { ids: [one] }],
  ]) {
    assert.equal((await gate.api(method, path, body, { token: stranger })).status, 404, path);
    assert.equal((await gate.api(method, path, body, { token: blind })).status, 403, path);
    assert.equal((await gate.api(method, path.replace("shop", "shops"), body)).status, 404, path);
  }
  for (const id of ["x", `${one.slice(0, -1)}b`, `1${one.slice(1)}`]) assert.equal((await gate.api("GET", `hooks/shop/events/${id}`)).status, 404, id);
  assert.equal((await gate.api("GET", "hooks/shop/events?state=gone&limit=0&x=1")).body.errors.length, 3);
});
