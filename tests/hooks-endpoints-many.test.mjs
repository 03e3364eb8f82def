// Endpoints when much waits for them, and when something fails in the middle, on a clock that is set by hand:
//
//   1. one that hangs, with a thousand events due: the others have their turn, also after the alarm's time
//   2. on Cloudflare no more requests at a time than it has connections
//   3. what is stored together is there whole or not at all
//   4. a replay of many: in parts, each event once
//   5. an endpoint that is moved while an attempt is under way
//   6. what is too old goes, a part at a time, and nothing that is on its way
//   7. nobody wants events any more: the audit tells nobody, until somebody does
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { reply, startBackend } from "./support/backend.mjs";
import { DAY, HOUR, MINUTE, SECOND, startClockedGate } from "./support/clock.mjs";
import { answering, deliveriesOf, makeEndpoint } from "./support/endpoints.mjs";
import { act, makeKey } from "./support/keys.mjs";
import { testPolicy } from "./support/policy.mjs";

const START = Date.parse("2027-03-01T10:00:00Z");
const routes = [{ name: "plain", path: "/plain" }];
const worker = "faulty-worker.mjs";

let backend, hook, gate;
before(async () => {
  [backend, hook] = [await startBackend(), await startBackend()];
  gate = await startClockedGate({ policy: testPolicy({ backend, routes }), worker, name: "hooks-endpoints-many", at: START });
});
beforeEach(() => {
  answering(hook, 200);
  hook.clear();
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
  await hook?.stop();
});

let made = 0;
/** A tenant that no other test has, with a key. */
async function fresh() {
  const tenant = `many-${(made += 1)}`;
  const key = await makeKey(gate, { tenant });
  await gate.ring();
  return { tenant, key };
}
const endpointOf = async (tenant, path, events) => ({ tenant, ...(await makeEndpoint(gate, { tenant, url: `${hook.origin}${path}`, events })) });
const path = ({ id, tenant }, action = "") => `hooks/endpoints/${id}${action}?tenant=${tenant}`;
const show = async (endpoint) => (await gate.api("GET", path(endpoint))).body.endpoint;
const deliveries = (endpoint) => deliveriesOf(gate, endpoint, `tenant=${endpoint.tenant}`);
const post = (endpoint, action, body = {}) => gate.api("POST", path(endpoint, `/${action}`), body);
async function remove(...endpoints) {
  for (const endpoint of endpoints) assert.equal((await gate.api("DELETE", path(endpoint))).status, 204);
}

/** Runs SQL in an object. */
async function sql(place, statement, at = gate) {
  const answer = await at.request({ method: "POST", headers: { "x-test-sql": place }, body: statement });
  assert.equal(answer.status, 200, `${statement}: ${answer.text}`);
  return answer.json;
}
const one = async (place, statement) => (await sql(place, statement))[0][0];
const states = async ({ id, tenant }) =>
  Object.fromEntries(await sql(`ENDPOINT/${tenant}`, `SELECT state, count(*) FROM delivery WHERE endpoint = '${id}' GROUP BY state ORDER BY state`));

let events = 0;
/** So many events for an endpoint, as if they had happened a second ago. */
async function fill({ id, tenant }, count, { state = "pending", at = gate } = {}) {
  const [from, then] = [events, at.now - SECOND];
  events += count;
  const name = "printf('evt_%016d', i)";
  const numbers = `WITH RECURSIVE n(i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ${events})`;
  const record = JSON.stringify({ state, next_at: then, tries: 0, attempts: [] });
  await sql(`ENDPOINT/${tenant}`, `INSERT INTO event ${numbers} SELECT ${name}, 'key.created', ${then}, ${then}, '{}' FROM n`, at);
  await sql(`ENDPOINT/${tenant}`, `INSERT INTO delivery ${numbers} SELECT '${id}', ${name}, '${state}', ${then}, '${record}' FROM n`, at);
}
/** The next statement with this text in it fails. */
const fail = (text) => gate.ask("fault", text);

async function until(look, what) {
  for (const end = performance.now() + 15_000; performance.now() < end; await sleep(20)) {
    if (await look()) return;
  }
  throw new Error(`${what} does not come:\n${gate.output}`);
}
const seen = (url) => hook.requests.filter((request) => request.url === url);
/** The requests to these paths get no answer until they are given one: `open`. */
function hang(...urls) {
  const open = [];
  hook.answer = (request, response) => (urls.includes(request.url) ? open.push(response) : reply(response, 200));
  return open;
}

describe("an endpoint that hangs", () => {
  test("with a thousand events due leaves places to the others", async () => {
    const { tenant, key } = await fresh();
    const [slow, quick] = [await endpointOf(tenant, "/slow", ["key.created"]), await endpointOf(tenant, "/quick", ["key.disabled"])];
    await gate.ring();
    const open = hang("/slow");
    await fill(slow, 1_000);
    await act(gate, key, "disable");
    await gate.alarm("TENANT", tenant);
    const ringing = gate.alarm("ENDPOINT", tenant);
    await until(() => seen("/quick").length === 1, "the other one's event");
    await until(() => seen("/slow").length === 4, "those at once");
    await remove(slow);
    for (const response of open) reply(response, 200);
    await ringing;
    assert.equal(seen("/slow").length, 4);
    await remove(quick);
  });

  test("holds up no alarm for longer than its time, and is asked nothing twice", async () => {
    const { tenant, key } = await fresh();
    const [slow, quick] = [await endpointOf(tenant, "/slow", ["key.created"]), await endpointOf(tenant, "/quick", ["key.disabled", "key.updated"])];
    await gate.ring();
    const open = hang("/slow");
    await fill(slow, 4);
    const first = gate.alarm("ENDPOINT", tenant);
    await until(() => open.length === 4, "those at once");
    await gate.advance(MINUTE + SECOND);
    await first;
    assert.deepEqual(await states(slow), { pending: 4 }, "they are still under way");

    // The next alarm has the others told, and knows what is under way: also when that takes longer than is foreseen.
    await act(gate, key, "disable");
    await gate.alarm("TENANT", tenant);
    const second = gate.alarm("ENDPOINT", tenant);
    await until(() => seen("/quick").length === 1, "the other one's event");
    await gate.advance(3 * MINUTE);
    await second;
    const third = gate.alarm("ENDPOINT", tenant);
    await sleep(200);
    await gate.advance(MINUTE + SECOND);
    await third;
    assert.equal(seen("/slow").length, 4, "of each one attempt");

    // What comes of it is stored, though no alarm is at work.
    for (const response of open) reply(response, 200);
    await until(async () => (await states(slow)).delivered === 4, "what came of it");
    assert.deepEqual((await deliveries(slow)).map(({ attempts }) => attempts.length), [1, 1, 1, 1]);
    await remove(slow, quick);
  });
});

describe("on Cloudflare", () => {
  test("there are at most six requests at a time, and two to one endpoint", async () => {
    const policy = testPolicy({ backend, routes, admin: { platform: "cloudflare" } });
    const there = await startClockedGate({ policy, worker, name: "hooks-endpoints-cloudflare", at: START });
    try {
      const headers = { "CF-Connecting-IP": "192.0.2.1" };
      const tenant = "many";
      await makeKey(there, { tenant }, { headers });
      const urls = ["/a", "/b", "/c", "/d"];
      const open = hang(...urls);
      for (const url of urls) {
        const endpoint = await makeEndpoint(there, { tenant, url: `${hook.origin}${url}`, events: ["key.disabled"] }, { headers });
        await fill({ ...endpoint, tenant }, 10, { at: there });
      }
      const ringing = there.alarm("ENDPOINT", tenant);
      await until(() => open.length === 6, "six of them");
      await sleep(1_500);
      const counts = () => urls.map((url) => seen(url).length).sort().join();
      assert.deepEqual([open.length, counts()], [6, "1,1,2,2"]);
      // Whoever waited the longest has the place that becomes free, and not the one whose place it was.
      reply(open.shift(), 200);
      await until(() => counts() === "1,2,2,2", "the turn of one of the others");
      await sql(`ENDPOINT/${tenant}`, "UPDATE delivery SET state = 'held'", there);
      for (const response of open) reply(response, 200);
      await ringing;
    } finally {
      await there.stop();
    }
  });
});

describe("a fault in the middle", () => {
  test("of a page of the audit: each event is told once, under one id", async () => {
    const { tenant } = await fresh();
    const endpoint = await endpointOf(tenant, "/hook", ["key.created"]);
    await gate.ring();
    const keys = [];
    for (let i = 0; i < 5; i += 1) keys.push((await makeKey(gate, { tenant })).id);
    await fail("3 INTO delivery VALUES");
    await gate.ring();
    assert.deepEqual([hook.requests.length, await one(`ENDPOINT/${tenant}`, "SELECT count(*) FROM event")], [0, 0]);
    await gate.advance(30 * SECOND);
    await gate.ring();
    assert.deepEqual(hook.requests.map(({ body }) => JSON.parse(body).data.key).sort(), keys.sort());
    assert.equal((await deliveries(endpoint)).length, 5);
    await remove(endpoint);
  });

  test("of switching an endpoint off: it is off with all that belongs to it, or not yet", async () => {
    const { tenant } = await fresh();
    const endpoint = await endpointOf(tenant, "/hook");
    await gate.ring();
    answering(hook, 410);
    await fail("INTO notice");
    await post(endpoint, "test");
    await gate.ring();
    assert.deepEqual([hook.requests.length, (await show(endpoint)).state, await states(endpoint)], [1, "enabled", { pending: 1 }]);
    await gate.advance(2 * MINUTE);
    await gate.ring();
    assert.deepEqual([hook.requests.length, (await show(endpoint)).state, await states(endpoint)], [2, "disabled", { dead: 1 }]);
    const { entries } = (await gate.api("GET", `audit?tenant=${tenant}&type=endpoint.disabled`)).body;
    assert.deepEqual(entries.map(({ detail }) => detail), [{ endpoint: endpoint.id, why: "gone" }]);
    await remove(endpoint);
  });
});

describe("a replay", () => {
  test("of many is made in parts, and chooses each event once", async () => {
    const { tenant } = await fresh();
    const endpoint = await endpointOf(tenant, "/hook");
    await gate.ring();
    await fill(endpoint, 5_000, { state: "held" });
    const begin = START - HOUR;
    const since = new Date(begin).toISOString();
    const place = `ENDPOINT/${tenant}`;
    const part = async (from) => {
      const replay = { which: { since: { since: begin, state: null } }, dry_run: false };
      const body = JSON.stringify({ replay: { id: endpoint.id, replay, from } });
      const { replayed } = (await gate.request({ method: "POST", headers: { "x-test-object": place }, body })).json;
      // All of it arrives before the next part, and something more.
      await sql(place, "UPDATE delivery SET state = 'delivered', record = json_set(record, '$.state', 'delivered') WHERE state = 'pending'");
      await fill(endpoint, 1, { state: "delivered" });
      return replayed;
    };
    const parts = [];
    for (let next; parts.length < 9; ) {
      const told = await part(next);
      parts.push(told.count);
      next = told.next;
      if (next === undefined) break;
    }
    assert.deepEqual(parts, [2_000, 2_000, 1_000]);

    // The same, as one asks for it.
    assert.deepEqual((await post(endpoint, "replay", { since, dry_run: true })).body, { dry_run: true, count: 5_003 });
    assert.deepEqual(await states(endpoint), { delivered: 5_003 });
    const replayed = await post(endpoint, "replay", { since, state: "delivered" });
    assert.deepEqual([replayed.status, replayed.body, await states(endpoint)], [202, { dry_run: false, count: 5_003 }, { pending: 5_003 }]);
    const [record] = await sql(place, "SELECT DISTINCT record FROM delivery");
    assert.deepEqual(JSON.parse(record), { state: "pending", next_at: gate.now, tries: 0, attempts: [] });
    await remove(endpoint);
  });
});

describe("an endpoint that is moved while an attempt is under way", () => {
  test("is not switched off by what its old place says", async () => {
    const { tenant } = await fresh();
    const endpoint = await endpointOf(tenant, "/old");
    await gate.ring();
    const open = hang("/old");
    await post(endpoint, "test");
    const ringing = gate.alarm("ENDPOINT", tenant);
    await until(() => open.length === 1, "the attempt");
    assert.equal((await gate.api("PATCH", path(endpoint), { version: 1, url: `${hook.origin}/new` })).status, 200);
    reply(open[0], 410);
    await ringing;
    const { state, failing_since, version } = await show(endpoint);
    assert.deepEqual([state, failing_since, version, await states(endpoint)], ["enabled", null, 2, { pending: 1 }]);
    await gate.advanceTo(gate.now + 10 * SECOND, { ringing: true });
    assert.deepEqual([seen("/new").length, await states(endpoint)], [1, { delivered: 1 }]);
    await remove(endpoint);
  });
});

describe("what is too old", () => {
  test("goes a part at a time and once an hour, and nothing goes that is on its way", async () => {
    const { tenant } = await fresh();
    const endpoint = await endpointOf(tenant, "/hook", ["key.disabled"]);
    const place = `ENDPOINT/${tenant}`;
    await gate.ring();
    await fill(endpoint, 600, { state: "delivered" });
    const count = () => one(place, "SELECT count(*) FROM event");
    await gate.advance(30 * DAY - HOUR);
    answering(hook, 503);
    const late = `evt_${String(events - 1).padStart(16, "0")}`;
    assert.equal((await post(endpoint, "replay", { ids: [late] })).body.count, 1);
    await gate.alarm("ENDPOINT", tenant);
    assert.equal(await count(), 600);
    await gate.advance(2 * HOUR);
    await gate.alarm("ENDPOINT", tenant);
    assert.equal(await count(), 350, "a part of them");
    await gate.ring();
    assert.deepEqual([await count(), await states(endpoint)], [1, { pending: 1 }]);
    answering(hook, 200);
    await gate.advance(DAY);
    await gate.alarm("ENDPOINT", tenant);
    assert.deepEqual([hook.last.header("webhook-id"), await count()], [late, 0], "it arrived, and then it goes");

    // It is not looked for at each alarm.
    await fill(endpoint, 1, { state: "delivered" });
    await sql(place, `UPDATE event SET made = ${START - DAY}`);
    await gate.alarm("ENDPOINT", tenant);
    assert.equal(await count(), 1);
    await gate.advance(HOUR);
    await gate.alarm("ENDPOINT", tenant);
    assert.equal(await count(), 0);
    await remove(endpoint);
  });
});

describe("a tenant without endpoints", () => {
  const watched = (tenant) => one(`TENANT/${tenant}`, "SELECT count(*) FROM outbound");

  test("pays nothing: the audit tells nobody any more, until somebody wants it again", async () => {
    const { tenant, key } = await fresh();
    const endpoint = await endpointOf(tenant, "/hook", ["key.disabled", "key.updated"]);
    await gate.ring();
    assert.equal(await watched(tenant), 1);
    await remove(endpoint);
    await act(gate, key, "disable");
    await gate.ring();
    assert.deepEqual([await watched(tenant), hook.requests.length], [0, 0]);
    const again = await endpointOf(tenant, "/again", ["key.disabled"]);
    await act(gate, key, "enable");
    await act(gate, key, "disable");
    await gate.ring();
    assert.deepEqual([await watched(tenant), seen("/again").length], [1, 1], "of what came after it, and nothing of before");
    await remove(again);
  });

  test("has its events told though the first endpoint was made while the last one went", async () => {
    const { tenant, key } = await fresh();
    const endpoint = await endpointOf(tenant, "/hook", ["key.disabled"]);
    // As if the keeper had said that nobody wants events before it had this one.
    await sql(`TENANT/${tenant}`, "DELETE FROM outbound");
    await act(gate, key, "disable");
    await gate.ring();
    assert.deepEqual([await watched(tenant), seen("/hook").length], [1, 1]);
    await remove(endpoint);
  });
});
