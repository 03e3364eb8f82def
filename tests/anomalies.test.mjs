// Anomalies, with real traffic on a hand-set clock and low thresholds.
//
//   1. each detector tells once, of what it is for and of nothing else
//   2. the key's own last 7 days; what is remembered outlives a restart; what was told goes after 90 days
//   3. who sees what: filters, pages, tenants, rights
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { DAY, HOUR, MINUTE, SECOND, startClockedGate } from "./support/clock.mjs";
import { act, bearer, makeKey, partsOf } from "./support/keys.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";
import { usageOf } from "./support/usage.mjs";

let backend;
let gate;
/** A key of nobody's concern: what it does is what makes the edge bring what it gathered. */
let courier;
before(async () => {
  backend = await startBackend();
  gate = await startClockedGate({
    policy: testPolicy({
      backend,
      anomalies: { refusals: { requests: 3, window: "5m" }, volume: { factor: 2, at_least: 5 }, learn: "1h" },
      routes: [
        { name: "plain", path: "/plain" },
        { name: "other", path: "/other" },
        { name: "thing", path: "/things/{id}", scopes: ["things:read:{id}"] },
      ],
    }),
    name: "anomalies",
  });
  courier = await madeKey({ tenant: "couriers" });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

const madeKey = (wish) => makeKey(gate, { limits: [atMost(100_000, "1h")], ...wish });

/** How many requests each key made, by its id. */
const sent = new Map();

/** So many requests of a key, from a country, and what the gate said. */
async function use(key, { path = "/plain", country = "DE", times = 1, status = 200 } = {}) {
  for (let at = 0; at < times; at += 1) {
    const answer = await gate.request({ path, headers: { ...bearer(key.secret), "x-test-country": country } });
    assert.equal(answer.status, status, answer.text);
  }
  const { id } = partsOf(key.secret);
  sent.set(id, (sent.get(id) ?? 0) + times);
}

/** Has the edge bring what it gathered, and the tenants' objects tell the one over all of it. */
async function settle() {
  await gate.advance(11 * SECOND); // longer than anybody may take to bring it: the next request does
  await use(courier);
  // It is brought after the answer, one message for each tenant: to wait so long says nothing, and to go
  // on before it is there would be a race.
  for (const [id, requests] of sent) {
    const found = await usageOf(gate, { id }, requests, `?by=day&from=${new Date(gate.now - 40 * DAY).toISOString()}`);
    assert.equal(found.requests, requests);
  }
  await gate.advance(20 * SECOND);
  await gate.ring();
}

async function list(query = "", options = {}) {
  const answer = await gate.api("GET", `anomalies${query}`, undefined, options);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}
const told = async (key, query = "") => {
  const { anomalies } = await list(`?key=${key.id}${query}`);
  return anomalies.map(({ kind, detail }) => [kind, detail]).reverse();
};
const events = async (key, type) => {
  const answer = await gate.api("GET", `audit?key=${key.id}&type=${type}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.body.entries.map(({ at, tenant, actor, detail }) => ({ at, tenant, actor, detail })).reverse();
};
const hour = () => `${new Date(Math.floor(gate.now / HOUR) * HOUR).toISOString().slice(0, 19)}Z`;

describe("a key", () => {
  let key;
  let worst;

  test("is learned for a while: its first uses are accesses and no anomalies", async () => {
    key = await madeKey({ name: "watched" });
    await use(key, { times: 2 });
    await settle();
    await use(key, { path: "/other", country: "FR" });
    await settle();
    assert.deepEqual(await told(key), []);
    const accessed = (await events(key, "key.accessed")).map(({ tenant, actor, detail }) => [tenant, actor, detail]);
    assert.deepEqual(accessed, [
      ["acme", "gate", { first: true, country: "DE" }],
      ["acme", "gate", { country: "FR" }],
    ]);
  });

  test("that does what it did is told of nothing", async () => {
    await gate.advance(2 * HOUR);
    await use(key, { times: 2 });
    await use(key, { path: "/other", country: "FR" });
    await settle();
    assert.deepEqual(await told(key), []);
  });

  test("is told of by a new route and a new country, once", async () => {
    for (const _ of [1, 2]) {
      await use(key, { path: "/things/1", status: 403 });
      await settle();
      assert.deepEqual(await told(key), [], "what was refused was not used");
    }
    await gate.api("PATCH", `keys/${key.id}`, { version: 1, scopes: ["things:read:1"] });
    await gate.advance(HOUR);
    for (const _ of [1, 2]) {
      await use(key, { path: "/things/1", country: "NL" });
      await settle();
      const both = (await told(key)).sort();
      assert.deepEqual(both, [["new_country", { country: "NL" }], ["new_route", { route: "thing" }]]);
    }
  });

  test("is told of when it is refused again and again", async () => {
    const repeated = (refused) => ["repeated_refusals", { refused, window: "5m", codes: { insufficient_scope: refused } }];
    await gate.advance(HOUR);
    await use(key, { path: "/things/2", times: 2, status: 403 });
    await settle();
    assert.deepEqual(await told(key, "&kind=repeated_refusals"), []);
    await use(key, { path: "/things/2", status: 403 });
    await settle();
    assert.deepEqual(await told(key, "&kind=repeated_refusals"), [repeated(3)]);
    await use(key, { path: "/things/2", times: 5, status: 403 });
    await settle();
    assert.deepEqual(await told(key, "&kind=repeated_refusals"), [repeated(3)], "not again within the hour");
    await gate.advance(61 * MINUTE);
    await use(key, { path: "/things/2", times: 4, status: 403 });
    await settle();
    assert.deepEqual(await told(key, "&kind=repeated_refusals"), [repeated(3), repeated(4)], "of this window alone");
  });

  test("is told of by an hour far busier than any of its last 7 days", async () => {
    const volumes = async () => (await told(key, "&kind=sudden_volume")).map(([, detail]) => detail);
    const inNextHour = async (times) => {
      await gate.setTime((Math.floor(gate.now / HOUR) + 1) * HOUR);
      const at = hour();
      await use(key, { times });
      await settle();
      return at;
    };
    await inNextHour(4);
    assert.deepEqual(await volumes(), [], "twice and more, but under the least");
    await inNextHour(7);
    assert.deepEqual(await volumes(), [], "less than twice the busiest");
    worst = await inNextHour(14);
    const first = { hour: worst, requests: 14, busiest: 7 };
    assert.deepEqual(await volumes(), [first]);
    await use(key, { times: 3 });
    await settle();
    await inNextHour(20);
    assert.deepEqual(await volumes(), [first], "neither the same hour again, nor what is usual since then");
    await gate.advance(6 * DAY + 20 * HOUR);
    await inNextHour(20);
    assert.deepEqual(await volumes(), [first], "the busiest hour still counts");
    await gate.advance(8 * DAY);
    const next = await inNextHour(5);
    assert.deepEqual(await volumes(), [first, { hour: next, requests: 5, busiest: 0 }], "nothing of it is left");
  });

  test("that was rotated and is still in use is told of once a day", async () => {
    const old = await madeKey({ name: "old" });
    const grace = async () => (await told(old, "&kind=old_key_in_grace")).length;
    await use(old);
    await settle();
    assert.equal(await grace(), 0, "it is not old yet");
    const { secret } = await act(gate, old, "rotate", { grace: "72h" });
    await use({ secret });
    await settle();
    assert.equal(await grace(), 0, "the new one is in use");
    for (const [advance, count] of [[MINUTE, 1], [HOUR, 1], [24 * HOUR, 2]]) {
      await gate.advance(advance);
      await use(old, { times: 2 });
      await settle();
      assert.equal(await grace(), count);
    }
    assert.deepEqual((await told(old)).at(-1), ["old_key_in_grace", { requests: 2 }]);
  });

  test("is remembered through a restart, and what was told is an event, too", async () => {
    const before = await list(`?key=${key.id}`);
    await gate.restart();
    await use(key, { path: "/things/1", country: "NL" });
    await settle();
    assert.deepEqual(await list(`?key=${key.id}`), before, "the route and the country are known");
    // Those of one moment stand in the list by their ids.
    const sorted = (list) => list.map((one) => JSON.stringify([one.at, one.tenant, one.actor, Object.entries(one.detail).sort()])).sort();
    const detected = before.anomalies.map(({ at, kind, detail }) => ({ at, tenant: "acme", actor: "gate", detail: { kind, ...detail } }));
    assert.deepEqual(sorted(await events(key, "anomaly.detected")), sorted(detected));
  });
});

describe("the list", () => {
  test("is narrowed by each filter and goes on from page to page", async () => {
    const { anomalies: all, nextCursor } = await list("?tenant=acme&limit=100");
    assert.equal(nextCursor, null);
    assert.ok(all.length > 5);
    assert.deepEqual([...all].sort((a, b) => b.at.localeCompare(a.at)).map(({ at }) => at), all.map(({ at }) => at), "newest first");
    assert.equal(new Set(all.map(({ id }) => id)).size, all.length);
    for (const [query, test] of [
      ["kind=new_route", ({ kind }) => kind === "new_route"],
      [`key=${all[0].key}`, ({ key }) => key === all[0].key],
      [`since=${all[2].at}`, ({ at }) => at >= all[2].at],
      ["tenant=nobody", () => false],
    ]) {
      assert.deepEqual((await list(`?limit=100&${query}`)).anomalies, all.filter(test), query);
    }
    const pages = [];
    for (let cursor = ""; cursor !== null; ) {
      const page = await list(`?limit=2${cursor && `&cursor=${cursor}`}`);
      assert.ok(page.anomalies.length <= 2);
      pages.push(...page.anomalies);
      cursor = page.nextCursor;
    }
    assert.deepEqual(pages, all);
    const wrong = await gate.api("GET", "anomalies?kind=odd&since=now&limit=0&cursor=x&colour=red");
    assert.equal(wrong.status, 400);
    assert.deepEqual(wrong.body.errors.map(({ field }) => field).sort(), ["colour", "cursor", "kind", "limit", "since"]);
  });

  test("of a tenant is for those who may read usage there", async () => {
    const admin = (wish) => madeKey({ kind: "ak", scopes: ["usage:read"], ...wish });
    const [own, other, operator] = [await admin({}), await admin({ tenant: "globex" }), await admin({ tenant: "*" })];
    const by = ({ secret }) => ({ token: secret });
    const all = await list("?tenant=acme&limit=100");
    assert.deepEqual(await list("?limit=100", by(own)), all);
    assert.deepEqual(await list("?limit=100&tenant=acme", by(operator)), all);
    assert.deepEqual((await list(`?key=${all.anomalies[0].key}`, by(other))).anomalies, []);
    const elsewhere = await gate.api("GET", "anomalies?tenant=acme", undefined, by(other));
    assert.deepEqual([elsewhere.status, elsewhere.body.code], [404, "not_found"]);
    const blind = await gate.api("GET", "anomalies", undefined, by(await admin({ scopes: ["keys:read"] })));
    assert.deepEqual([blind.status, blind.body.code], [403, "insufficient_scope"]);
  });

  test("forgets after 90 days", async () => {
    const newest = (await list("?limit=1")).anomalies[0].at;
    await gate.advanceTo(Date.parse(newest) + 89 * DAY);
    for (const object of ["acme", "*"]) await gate.alarm("TENANT", object);
    assert.equal((await list("?limit=1")).anomalies[0].at, newest);
    await gate.advance(2 * DAY);
    for (const object of ["acme", "*"]) await gate.alarm("TENANT", object);
    assert.deepEqual(await list(), { anomalies: [], nextCursor: null });
  });
});
