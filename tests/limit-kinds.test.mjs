// What limits measure, and what they are counted by, through the live gate:
//
//   1. every measure, counted by everything: exactly as many pass as it says, the refusal's code and
//      headers, and who else it leaves alone
//   2. costs, and limits of several measures: all of them are charged, or none
//   3. what a limit of its own object (tenant, route, address) was charged for a request that the key's
//      limits refuse, or the key itself, is given back
//   4. routes that ask for no key have limits by route and by address
//
// Time stands still, so that nothing but a test frees anything.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { assertProblem, tally } from "./support/expect.mjs";
import { startClockedGate } from "./support/clock.mjs";
import { makeHolder } from "./support/hold.mjs";
import { act, makeKey } from "./support/keys.mjs";
import { assertLimited, MEASURES, told, toldOf } from "./support/limits.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";
import { eventually } from "./support/usage.mjs";

const N = 3;
const AMPLE = [atMost(1_000, "24h")];
const BY = ["key", "key+address", "key+param:channel", "tenant", "route", "address"];
const OWN_OBJECT = ["tenant", "route", "address"];
const word = (by) => by.replace(/\W.*/, "") + by.slice(by.replace(/\W.*/, "").length).replace(/\W/g, "-").slice(0, 6);
const cell = (measure, by) => `${measure}-${word(by)}`;

const cells = Object.keys(MEASURES).flatMap((measure) => BY.map((by) => ({ measure, by, name: cell(measure, by) })));
const given = Object.keys(MEASURES).flatMap((measure) => OWN_OBJECT.map((by) => ({ measure, by, name: `back-${measure}-${by}` })));
const costly = ["rate", "bucket", "quota"];

let backend;
let gate;
let holder;
before(async () => {
  holder = makeHolder();
  backend = await startBackend({ answer: holder.answer });
  const route = (name, limits, more = {}) => ({ name, path: `/${name}/{channel}`, limits, ...more });
  const limits = {
    ...Object.fromEntries(cells.map(({ measure, by, name }) => [name, { ...MEASURES[measure].policy(N), by }])),
    ...Object.fromEntries(given.map(({ measure, by, name }) => [name, { ...MEASURES[measure].policy(6), by }])),
    ...Object.fromEntries(costly.map((measure) => [`cost-${measure}`, MEASURES[measure].policy(12)])),
    all: { ...MEASURES.rate.policy(50), ...MEASURES.quota.policy(4), concurrency: 3 },
    first: { ...MEASURES.rate.policy(20) },
    second: { ...MEASURES.quota.policy(2) },
    anyone: { ...MEASURES.quota.policy(5), by: "route" },
    stranger: { ...MEASURES.bucket.policy(2), by: "address" },
  };
  gate = await startClockedGate({
    policy: testPolicy({
      backend,
      admin: { client_ip: "x-forwarded-for:1" },
      limits,
      routes: [
        ...cells.flatMap(({ name }) => [route(name, [name]), route(`${name}-other`, [name])]),
        ...given.map(({ name }) => route(name, [name])),
        ...costly.map((measure) => route(`cost-${measure}`, [`cost-${measure}`], { cost: 5 })),
        route("all", ["all"]),
        route("several", ["first", "second"]),
        route("first", ["first"]),
        route("open", ["anyone", "stranger"], { auth: "public" }),
        { name: "plain", path: "/plain" },
      ],
    }),
    name: "limit-kinds",
  });
});
after(async () => {
  holder?.free();
  await gate?.stop();
  await backend?.stop();
});

let strangers = 0;
/** An address that nobody used before. */
const newAddress = () => `10.${(strangers += 1) >> 16}.${(strangers >> 8) & 255}.${strangers & 255}`;
let tenants = 0;
const newTenant = () => `tenant-${(tenants += 1)}`;
const newKey = (more = {}) => makeKey(gate, { tenant: newTenant(), limits: AMPLE, ...more });

const send = ({ key, address, route, channel = "one", more = {} }) =>
  gate.request({ path: `/${route}/${channel}`, headers: { ...key?.bearer, "X-Forwarded-For": address, ...more } });

describe("each measure, counted by each", () => {
  // What else is different, and which counts that leaves alone.
  const OTHERS = [
    ["another key of the tenant", async (caller) => ({ ...caller, key: await newKey({ tenant: caller.key.key.tenant }) }), ["key", "key+address", "key+param:channel"]],
    ["another tenant's key", async (caller) => ({ ...caller, key: await newKey() }), ["key", "key+address", "key+param:channel", "tenant"]],
    ["another address", async (caller) => ({ ...caller, address: newAddress() }), ["key+address", "address"]],
    ["another parameter", async (caller) => ({ ...caller, channel: "two" }), ["key+param:channel"]],
    ["another route with the same limit", async (caller) => ({ ...caller, route: `${caller.route}-other` }), ["route"]],
  ];

  for (const { measure, by, name } of cells) {
    test(`${measure} by ${by}`, async () => {
      const { code, all } = MEASURES[measure];
      const held = measure === "concurrency";
      const caller = { key: await newKey(), address: newAddress(), route: name };
      for (let i = 1; i <= N; i += 1) {
        const answer = held ? await holder.hold(gate, caller) : await send(caller);
        assert.equal(answer.status, 200, `request ${i} of ${N}`);
        assert.deepEqual([told(answer, name).left, told(answer, name).policy], [N - i, all(N)]);
        assert.equal(told(answer, "default").policy, "q=1000;w=86400", "the key's own is told beside it");
      }
      const refused = await send(caller);
      assertLimited(refused, code, [name]);
      assert.deepEqual([told(refused, name).left, told(refused, name).policy], [0, all(N)]);
      for (const [what, other, untouched] of OTHERS) {
        const answer = await send(await other(caller));
        if (untouched.includes(by)) assert.equal(answer.status, 200, `${what}: ${answer.text}`);
        else assertLimited(answer, code, [name], what);
      }
      if (held) {
        holder.free();
        const again = await eventually(() => send(caller), ({ status }) => status === 200);
        assert.equal(again.status, 200, "what ended is no longer in flight");
      }
    });
  }
});

describe("costs and several measures", () => {
  for (const measure of costly) {
    test(`a route that costs 5, on a ${measure} of 12`, async () => {
      const name = `cost-${measure}`;
      const caller = { key: await newKey(), address: newAddress(), route: name };
      for (const left of [7, 2]) assert.equal(told(await send(caller), name).left, left);
      const refused = await send(caller);
      assertLimited(refused, MEASURES[measure].code, [name]);
      assert.equal(told(refused, name).left, 2, "too few for one more, and still there");
      assert.equal(told(refused, "default").left, 1_000 - 2 * 5, "the key's own is charged the same, and only for what passed");
    });
  }

  test("a limit of several measures is charged for each of them, or for none", async () => {
    const caller = { key: await newKey(), address: newAddress(), route: "all" };
    const first = await send(caller);
    assert.deepEqual(
      Object.entries(toldOf(first)).map(([name, { policy }]) => [name, policy]),
      [
        ["default", "q=1000;w=86400"],
        ["all", "q=50;w=3600"],
        ["all.quota", "q=4;w=86400"],
        ["all.concurrency", 'q=3;qu="concurrent-requests"'],
      ],
    );
    for (let i = 0; i < 3; i += 1) assert.equal((await eventually(() => send(caller), ({ status }) => status === 200)).status, 200);
    const refused = await send(caller);
    assertLimited(refused, "quota_exceeded", ["all.quota"]);
    assert.deepEqual([told(refused, "all").left, told(refused, "default").left], [46, 996], "a refusal costs nothing");
  });

  test("what is in flight refuses by its own code, and charges nothing else", async () => {
    const caller = { key: await newKey(), address: newAddress(), route: "all" };
    for (let i = 0; i < 3; i += 1) assert.equal((await holder.hold(gate, caller)).status, 200);
    const refused = await send(caller);
    assertLimited(refused, "concurrency_exceeded", ["all.concurrency"]);
    assert.deepEqual([told(refused, "all").left, told(refused, "all.quota").left], [47, 1]);
    holder.free();
    const last = await eventually(() => send(caller), ({ status }) => status === 200);
    assert.equal(told(last, "all.quota").left, 0);
    const ended = await eventually(() => send(caller), ({ json }) => json?.code === "quota_exceeded");
    assertLimited(ended, "quota_exceeded", ["all.quota"]);
  });

  test("limits of the key itself, of each measure", async () => {
    for (const [measure, { key: own, code, all }] of Object.entries(MEASURES)) {
      const key = await newKey({ limits: [{ name: "mine", ...own(2) }] });
      const caller = { key, address: newAddress(), route: "several" };
      for (const left of [1, 0]) {
        const answer = measure === "concurrency" ? await holder.hold(gate, caller) : await send(caller);
        assert.equal(answer.status, 200, measure);
        assert.deepEqual([told(answer, "mine").left, told(answer, "mine").policy], [left, all(2)], measure);
      }
      const refused = await gate.request({ path: "/plain", headers: { ...key.bearer, "X-Forwarded-For": caller.address } });
      assertLimited(refused, code, ["mine"], measure);
      holder.free();
    }
  });

  test("two limits of one call: both or neither", async () => {
    const key = await newKey();
    const caller = { key, address: newAddress(), route: "several" };
    const answers = await Promise.all(Array.from({ length: 40 }, () => send(caller)));
    assert.deepEqual(tally(answers.map(({ status }) => status)), { 200: 2, 429: 38 });
    assertLimited(await send(caller), "quota_exceeded", ["second"]);
    const other = await send({ ...caller, route: "first" });
    assert.deepEqual([told(other, "first").left, told(other, "default").left], [20 - 2 - 1, 1_000 - 2 - 1], "only what passed is counted");
  });
});

describe("what another object was charged is given back", () => {
  for (const { measure, by, name } of given) {
    test(`${measure} by ${by}, when the key's own limits refuse`, async () => {
      const [address, tenant] = [newAddress(), newTenant()];
      const keys = await Promise.all([1, 2, 3].map(() => newKey({ tenant, limits: [atMost(1, "1h")] })));
      for (const key of keys) {
        const caller = { key, address, route: name };
        const sent = await Promise.all([send(caller), send(caller), send(caller)]);
        const statuses = tally(sent.map(({ status }) => status));
        assert.deepEqual(statuses, { 200: 1, 429: 2 });
        for (const answer of sent.filter(({ status }) => status === 429)) assertLimited(answer, "rate_limited", ["default"]);
      }
      // Three passed; what the others were charged comes back, and what is in flight no longer is.
      const expected = measure === "concurrency" ? 6 : 3;
      const last = await newKey({ tenant });
      let sent = 0;
      const left = await eventually(
        async () => {
          const answer = await send({ key: last, address, route: name });
          sent += answer.status === 200 ? 1 : 0;
          return told(answer, name).left + (measure === "concurrency" ? 1 : sent);
        },
        (whole) => whole === expected,
        5_000,
      );
      assert.equal(left, expected);
    });
  }

  for (const by of OWN_OBJECT) {
    test(`quota by ${by}, when the key is revoked meanwhile`, async () => {
      const name = `back-quota-${by}`;
      const [address, tenant] = [newAddress(), newTenant()];
      const [key, other] = [await newKey({ tenant }), await newKey({ tenant })];
      const { left } = told(await send({ key, address, route: name }), name);
      await act(gate, key, "revoke");
      for (let i = 0; i < 3; i += 1) assertProblem(await send({ key, address, route: name }), 401, "key_revoked");
      assert.equal(told(await send({ key: other, address, route: name }), name).left, left - 1);
    });
  }
});

test("without a key: by route and by address", async () => {
  const [one, two, three] = [newAddress(), newAddress(), newAddress()];
  const at = (address) => send({ address, route: "open" });
  for (const [address, anyone, stranger] of [[one, 4, 1], [one, 3, 0], [two, 2, 1], [two, 1, 0]]) {
    const answer = await at(address);
    assert.deepEqual([answer.status, told(answer, "anyone").left, told(answer, "stranger").left], [200, anyone, stranger]);
  }
  assertLimited(await at(one), "rate_limited", ["stranger"]);
  // What the route was charged for that is given back, and a third client has it.
  const last = await eventually(() => at(three), ({ status }) => status === 200);
  assert.equal(told(last, "anyone").left, 0);
  assertLimited(await at(newAddress()), "quota_exceeded", ["anyone"]);
});

test("the headers are those of an answer, and nothing more", async () => {
  const caller = { key: await newKey(), address: newAddress(), route: "several" };
  const answer = await send(caller);
  assert.equal(answer.headers["ratelimit-policy"], '"default";q=1000;w=86400, "first";q=20;w=3600, "second";q=2;w=86400');
  // The tightest is told to older clients: the one with the least left.
  assert.deepEqual(
    ["x-ratelimit-limit", "x-ratelimit-remaining"].map((name) => answer.headers[name]),
    ["2", "1"],
  );
  assert.equal(answer.headers["retry-after"], undefined);
});
