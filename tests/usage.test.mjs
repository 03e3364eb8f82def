// Usage: what was sent is what is told.
//
//   1. requests, refusals by code, statuses, latency and the last use of a key, exactly
//   2. what belongs to whom: tenants apart, operators over all, requests without a key, management
//   3. frames: hours, days, what is out of them
//   4. what a kill and a client that goes away leave of it
//   5. days by a hand-set clock: hours become days and stay so for a year
//   6. Analytics Engine; the command line
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { cli } from "../scripts/paths.mjs";
import { reply, startBackend } from "./support/backend.mjs";
import { environmentOf, runCli } from "./support/cli.mjs";
import { DAY, HOUR, MINUTE, startClockedGate } from "./support/clock.mjs";
import { assertProblem } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { act, bearer, forged, holder, makeKey, partsOf } from "./support/keys.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";
import { seenOf } from "./support/race.mjs";
import { eventually, usage, usageOf } from "./support/usage.mjs";
import { wrapped } from "./support/wrap.mjs";

const ROUTES = [
  { name: "plain", path: "/plain" },
  { name: "scoped", path: "/scoped", scopes: ["things:read"] },
  { name: "missing", path: "/missing" },
  { name: "broken", path: "/broken" },
  { name: "open", path: "/open", auth: "public" },
];
const AMPLE = { limits: [atMost(100_000, "1h")] };
const ERROR = "at most 1/64 (1.6 %) of the value; exact below 64 ms";

/** 404 and a broken connection where the path says so. */
const answers = (seen, response) => {
  if (seen.url === "/broken") return response.destroy();
  return reply(response, seen.url === "/missing" ? 404 : 200, "{}");
};

let backend;
before(async () => {
  backend = await startBackend({ answer: answers });
});
after(() => backend?.stop());

const policy = (more = {}) => testPolicy({ backend, routes: ROUTES, ...more });
const sum = (buckets, name) => buckets.reduce((all, bucket) => all + bucket[name], 0);

describe("a gate in use", () => {
  let gate;
  before(async () => {
    gate = await startGate({ policy: policy(), worker: wrapped("usage-worker.mjs"), name: "usage" });
  });
  after(() => gate?.stop());

  const get = (key, path = "/plain", headers = {}) => gate.request({ path, headers: { ...key.bearer, ...headers } });
  const times = async (count, send) => {
    const statuses = [];
    for (let i = 0; i < count; i += 1) statuses.push((await send(i)).status);
    return statuses;
  };
  /** The same id with another secret. */
  const wrong = (key) => {
    const { brand, env, kind, id } = partsOf(key.secret);
    return { bearer: bearer(forged({ brand, env, kind, id, secret: "0".repeat(32) })) };
  };

  test("everything that was sent with a key is told of it, and nothing else", async () => {
    const began = Date.now();
    const key = await makeKey(gate, { limits: [atMost(8, "1h")] });
    assert.deepEqual(await times(4, () => get(key, "/plain", { "x-test-country": "DE" })), [200, 200, 200, 200]);
    assert.deepEqual(await times(2, () => get(key, "/missing")), [404, 404]);
    assert.deepEqual(await times(1, () => get(key, "/broken")), [502]);
    assert.deepEqual(await times(3, () => get(key, "/scoped", { "x-test-country": "US" })), [403, 403, 403]);
    assert.deepEqual(await times(5, () => get(wrong(key))), [401, 401, 401, 401, 401]);
    assert.deepEqual(await times(1, () => get(key, "/plain", { "x-test-country": "FR" })), [200]);
    assert.deepEqual(await times(3, () => get(key, "/plain", { "x-test-country": "US" })), [429, 429, 429]);
    const found = await usageOf(gate, key, 19);
    const { from, to, buckets, latency, last_used, ...rest } = found;
    assert.deepEqual(rest, {
      by: "hour", requests: 19, admitted: 8, refused: 11,
      errors: { upstream_unreachable: 1, insufficient_scope: 3, key_invalid: 5, rate_limited: 3 },
      statuses: { "2xx": 5, "4xx": 13, "5xx": 1 },
    });
    assert.equal(latency.count, 8, "of admitted requests");
    assert.equal(latency.error, ERROR);
    assert.ok(latency.p50 <= latency.p95 && latency.p95 <= latency.p99, JSON.stringify(latency));
    assert.equal(last_used.country, "FR", "a refused request is no use of the key");
    assert.ok(Date.parse(last_used.at) >= began && Date.parse(last_used.at) <= Date.now());
    assert.equal(buckets.length, 24);
    assert.deepEqual([buckets[0].at, Date.parse(to) - Date.parse(buckets.at(-1).at)], [from, HOUR]);
    for (const name of ["requests", "admitted", "refused"]) assert.equal(sum(buckets, name), rest[name], name);
    assert.deepEqual(Object.keys(buckets[0]).sort(), ["admitted", "at", "errors", "latency", "refused", "requests"]);
    assert.deepEqual(buckets[0].latency, { count: 0, p50: null, p95: null, p99: null });
  });

  test("a key that nobody used has nothing", async () => {
    const key = await makeKey(gate);
    const found = (await usage(gate, `keys/${key.id}/usage`)).usage;
    assert.deepEqual([found.requests, found.errors, found.statuses, found.last_used], [0, {}, {}, null]);
  });

  test("the list of keys knows the last use", async () => {
    const key = await makeKey(gate, { tenant: "lastly" });
    const admin = await makeKey(gate, { tenant: "lastly", kind: "ak", scopes: ["keys:read"], ...AMPLE });
    const listed = async () => (await gate.api("GET", "keys?kind=sk", undefined, { token: admin.secret })).body.keys[0];
    assert.equal((await listed()).last_used_at, null);
    await get(key);
    const found = await eventually(listed, (found) => found.last_used_at !== null);
    const { last_used } = (await usage(gate, `keys/${key.id}/usage`)).usage;
    assert.equal(found.last_used_at, last_used.at);
  });

  test("an old key in its grace period and its successor are counted apart", async () => {
    const old = await makeKey(gate, AMPLE);
    const fresh = holder(await act(gate, old, "rotate"));
    await times(2, () => get(old));
    await times(3, () => get(fresh));
    assert.equal((await usageOf(gate, old, 2)).admitted, 2);
    assert.equal((await usageOf(gate, fresh, 3)).admitted, 3);
  });

  test("tenants are apart, and operators see all of them", async () => {
    const rights = { kind: "ak", scopes: ["usage:read", "keys:read"], ...AMPLE };
    const [one, two] = ["isle-one", "isle-two"];
    const [a, b] = [await makeKey(gate, { tenant: one, ...AMPLE }), await makeKey(gate, { tenant: two, ...AMPLE })];
    const admin = await makeKey(gate, { tenant: one, ...rights });
    const blind = await makeKey(gate, { tenant: one, ...rights, scopes: ["keys:read"] });
    await times(3, () => get(a));
    await times(5, () => get(b, "/scoped"));
    await times(1, () => get(b));
    const [ofA, ofB] = [await usageOf(gate, a, 3), await usageOf(gate, b, 6)];
    assert.deepEqual([ofA.admitted, ofA.refused, ofB.admitted, ofB.refused], [3, 0, 1, 5]);

    const as = { token: admin.secret };
    assert.equal((await usage(gate, `keys/${a.id}/usage`, as)).usage.admitted, 3);
    assertProblem(await gate.api("GET", `keys/${b.id}/usage`, undefined, as), 404, "not_found");
    assertProblem(await gate.api("GET", `usage?tenant=${two}`, undefined, as), 404, "not_found");
    assertProblem(await gate.api("GET", "usage?tenant=*", undefined, as), 404, "not_found");
    const blinded = await gate.api("GET", "usage", undefined, { token: blind.secret });
    assertProblem(blinded, 403, "insufficient_scope", { members: ["required_scopes"] });

    // The tenant's own is the same, named or not, and nobody else's.
    const own = await usage(gate, "usage", as);
    const named = await usage(gate, `usage?tenant=${one}`, as);
    assert.deepEqual(Object.keys(own).sort(), ["stale", "usage"]);
    assert.deepEqual(Object.keys(named).sort(), ["stale", "usage"]);
    assert.deepEqual(own.usage.errors.insufficient_scope ?? 0, named.usage.errors.insufficient_scope ?? 0);
    const ofTwo = await eventually(
      async () => (await usage(gate, `usage?tenant=${two}`)).usage,
      (found) => found.requests === 6,
    );
    assert.deepEqual([ofTwo.requests, ofTwo.admitted, ofTwo.refused, ofTwo.errors], [6, 1, 5, { insufficient_scope: 5 }]);

    const all = await eventually(
      () => usage(gate, "usage"),
      ({ tenants }) => tenants.some(({ tenant, requests }) => tenant === two && requests >= 6),
    );
    const listed = all.tenants.find(({ tenant }) => tenant === two);
    assert.deepEqual(listed, { tenant: two, requests: 6, admitted: 1, refused: 5, errors: { insufficient_scope: 5 } });
    assert.ok(all.usage.requests >= 9, `${all.usage.requests} over all`);
    assert.ok(all.usage.errors.insufficient_scope >= 5);
  });

  test("calls of management are counted by the admin key, under the name of the call", async () => {
    const admin = await makeKey(gate, { tenant: "managed", kind: "ak", scopes: ["keys:read"], ...AMPLE });
    const call = (path, token = admin.secret) => gate.api("GET", path, undefined, { token });
    for (let i = 0; i < 3; i += 1) assert.equal((await call("keys")).status, 200);
    assert.equal((await call(`keys/${admin.id}`)).status, 200);
    assertProblem(await call("usage"), 403, "insufficient_scope", { members: ["required_scopes"] });
    const wrongly = wrong(admin).bearer.Authorization.replace("Bearer ", "");
    assertProblem(await call("keys", wrongly), 401, "key_invalid");
    const { admitted, refused, errors, statuses } = await usageOf(gate, admin, 6);
    assert.deepEqual([admitted, refused, errors, statuses], [
      4, 2, { insufficient_scope: 1, key_invalid: 1 }, { "2xx": 4, "4xx": 2 },
    ]);
  });

  test("requests without a key belong to no tenant", async () => {
    const before = (await usage(gate, "usage?tenant=*")).usage;
    await times(4, () => gate.request({ path: "/open" }));
    await times(2, () => gate.request({ path: "/plain" }));
    await times(1, () => gate.request({ path: "/nowhere" }));
    const after = await eventually(
      async () => (await usage(gate, "usage?tenant=*")).usage,
      ({ errors }) => (errors.route_not_found ?? 0) > (before.errors.route_not_found ?? 0),
    );
    const more = (code) => (after.errors[code] ?? 0) - (before.errors[code] ?? 0);
    assert.deepEqual([more("key_missing"), more("route_not_found")], [2, 1]);
    assert.ok(after.admitted - before.admitted >= 4);
  });

  test("a limit that is reached is an event, once in an hour", async () => {
    const key = await makeKey(gate, { tenant: "limited", limits: [atMost(1, "1h")] });
    await times(4, () => get(key));
    await usageOf(gate, key, 4);
    await times(2, () => get(key));
    await usageOf(gate, key, 6);
    const answer = await gate.api("GET", `audit?tenant=limited&type=limit.reached&key=${key.id}`);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.body.entries.length, 1, answer.text);
    const [entry] = answer.body.entries;
    assert.deepEqual([entry.type, entry.actor, entry.key], ["limit.reached", "gate", key.id]);
    assert.match(entry.detail.hour, /^\d{4}-\d\d-\d\dT\d\d:00:00Z$/);
    const overAll = async () => (await gate.api("GET", `audit?type=limit.reached&key=${key.id}`)).body.entries;
    assert.equal((await eventually(overAll, (entries) => entries.length > 0)).length, 1);
  });

  test("a frame that makes no sense is refused, with every field that is wrong", async () => {
    const key = await makeKey(gate);
    const ago = (ms) => new Date(Date.now() - ms).toISOString();
    for (const [query, fields] of [
      ["by=week", ["by"]],
      ["from=yesterday&to=1", ["from", "to"]],
      ["since=1", ["since"]],
      [`from=${ago(31 * DAY)}`, ["from"]],
      [`by=day&from=${ago(370 * DAY)}`, ["from"]],
      [`from=${ago(-2 * HOUR)}`, ["from"]],
      [`from=${ago(HOUR)}&to=${ago(3 * HOUR)}`, ["to"]],
    ]) {
      for (const path of [`keys/${key.id}/usage`, "usage"]) {
        const answer = await gate.api("GET", `${path}?${query}`);
        assertProblem(answer, 400, "invalid_field", { members: ["errors"], why: `${path} ${query}` });
        assert.deepEqual(answer.body.errors.map(({ field }) => field).sort(), fields, `${path} ${query}`);
      }
    }
    assertProblem(await gate.api("GET", "keys/abcdefghij012345/usage"), 404, "not_found");
    const days = (await usage(gate, `usage?by=day&from=${ago(365 * DAY)}`)).usage;
    assert.equal(days.buckets.length, 366);
    const hours = (await usage(gate, `keys/${key.id}/usage?from=${ago(29 * DAY)}&to=${ago(28 * DAY)}`)).usage;
    assert.equal(hours.buckets.length, 25);
  });

  test("a client that goes away takes nothing with it", async () => {
    const key = await makeKey(gate, AMPLE);
    const quiet = await makeKey(gate, { ...AMPLE, owner: "quiet" });
    await get(quiet);
    await usageOf(gate, quiet, 1);
    let go;
    const held = new Promise((resolve) => (go = resolve));
    backend.answer = async (seen, response) => {
      response.writeHead(200);
      response.write("first ");
      await held;
      response.end("last");
    };
    // Nothing else is counted now: this request opens the batch, and its client leaves at once.
    const answer = await gate.open({ path: "/plain", headers: key.bearer, agent: undefined });
    assert.equal(answer.statusCode, 200);
    answer.destroy();
    const found = await usageOf(gate, key, 1);
    go();
    backend.answer = answers;
    assert.deepEqual([found.admitted, found.statuses], [1, { "2xx": 1 }]);
  });

  test("Analytics Engine gets one data point for each request, and no secret", async () => {
    const key = await makeKey(gate, AMPLE);
    const take = async () => (await gate.request({ headers: { "x-test-points": "take" } })).json;
    await take();
    await get(key, "/plain", { "x-test-country": "DE" });
    await get(key, "/scoped");
    await gate.request({ path: "/nowhere?secret=1" });
    await gate.api("GET", `keys/${key.id}`);
    const points = await take();
    const [status, ...spans] = points[0].doubles;
    assert.equal(status, 200);
    assert.equal(spans.length, 2);
    assert.ok(spans.every((ms) => Number.isInteger(ms) && ms >= 0) && spans[1] <= spans[0], `${spans}`);
    assert.deepEqual(points.map(({ doubles: [status], ...rest }) => ({ status, ...rest })), [
      { status: 200, indexes: ["acme"], blobs: [key.id, "plain", "GET", "", "DE"] },
      { status: 403, indexes: ["acme"], blobs: [key.id, "scoped", "GET", "insufficient_scope", ""] },
      { status: 404, indexes: [""], blobs: ["", "", "GET", "route_not_found", ""] },
      { status: 200, indexes: ["*"], blobs: ["root", "", "GET", "", ""] },
    ]);
    assert.ok(!JSON.stringify(points).includes(partsOf(key.secret).secret));
  });

  describe("on the command line", () => {
    const run = (...args) => runCli(gate, args);

    test("usage of a key, of a tenant, of all, for people and for scripts", async () => {
      const key = await makeKey(gate, { tenant: "terminal", limits: [atMost(2, "1h")] });
      await times(5, () => get(key));
      await usageOf(gate, key, 5);
      const told = await run("keys", "usage", key.id);
      assert.deepEqual([told.code, told.err], [0, ""]);
      assert.match(told.out, /^requests {3}5 \(2 admitted, 3 refused\)$/m);
      assert.match(told.out, /^errors {5}rate_limited 3$/m);
      assert.match(told.out, /^20\S+Z {2}5 .*█{32}$/m);
      const asJson = await run("keys", "usage", key.id, "--json", "--by", "day", "--from", "7d");
      const { usage: found } = JSON.parse(asJson.out);
      assert.deepEqual([found.by, found.requests, found.buckets.length], ["day", 5, 8]);
      const tenant = await run("usage", "--tenant", "terminal");
      assert.match(tenant.out, /^requests {3}5 /m);
      const all = await run("usage", "--json");
      assert.ok(JSON.parse(all.out).tenants.length > 0);
      const refused = await run("keys", "usage", key.id, "--from", "60d");
      assert.deepEqual([refused.code, refused.out], [2, ""]);
      assert.match(refused.err, /^from each hour is kept for 30 days/m);
      assert.equal((await run("keys", "usage", "abcdefghij012345")).code, 1);
      assert.equal((await run("usage", "--by", "week")).code, 2);
    });

    test("--watch tells each change", async () => {
      const key = await makeKey(gate, AMPLE);
      const child = spawn(cli, ["keys", "usage", key.id, "--watch"], { env: environmentOf(gate), stdio: ["ignore", "pipe", "pipe"] });
      let out = "";
      child.stdout.on("data", (chunk) => (out += chunk));
      const lines = () => out.split("\n").filter(Boolean);
      try {
        await eventually(lines, (found) => found.length >= 1);
        assert.match(lines()[0], /Z 0 requests, 0 admitted, 0 refused$/);
        await get(key);
        await eventually(lines, (found) => found.at(-1).includes("p50"));
        assert.match(lines().at(-1), /Z 1 requests, 1 admitted, 0 refused; p50 \d+ ms/);
        assert.ok(lines().length <= 3, out);
      } finally {
        child.kill("SIGINT");
        await once(child, "close");
      }
    });
  });
});

describe("what a kill leaves", () => {
  test("of admissions all but one reservation, and never one too many", async () => {
    const LIMIT = 1_000;
    const RESERVED = Math.max(1, LIMIT / 50);
    const gate = await startGate({ policy: policy(), name: "usage-kill" });
    try {
      const key = await makeKey(gate, { limits: [atMost(LIMIT, "24h")] });
      const send = async () => {
        try {
          return (await gate.request({ path: "/plain", headers: key.bearer, timeout: 30_000 })).status;
        } catch {
          return "cut off";
        }
      };
      let stop = false;
      const clients = Array.from({ length: 8 }, async () => {
        while (!stop) await send();
      });
      while (seenOf(backend, key) < 300) await new Promise((resolve) => setTimeout(resolve, 1));
      stop = true;
      await gate.kill();
      await Promise.all(clients);
      await gate.start();
      for (let i = 0; i < 10; i += 1) assert.equal(await send(), 200);
      const read = async () => (await usage(gate, `keys/${key.id}/usage`)).usage;
      const seen = seenOf(backend, key);
      const found = await eventually(read, ({ admitted }) => admitted >= seen - RESERVED);
      // What was on its way at the kill may have been admitted and never have reached the backend.
      assert.ok(found.admitted >= seen - RESERVED && found.admitted <= seen + 8, `${found.admitted} of ${seen}`);
      assert.ok(found.latency.count >= 10, "what was gathered after it");
    } finally {
      await gate.stop();
    }
  });
});

describe("by a hand-set clock", () => {
  const START = Date.parse("2030-03-01T00:00:00Z");
  const iso = (ms) => new Date(ms).toISOString().replace(".000Z", "Z");
  let gate;
  before(async () => {
    gate = await startClockedGate({ policy: policy(), name: "usage-clock", at: START + 12 * HOUR });
  });
  after(() => gate?.stop());

  test("hours become days, stay for their time, and then are gone", async () => {
    const key = await makeKey(gate, { tenant: "days", expires_in: "700d", ...AMPLE });
    const send = async (count, path = "/plain") => {
      for (let i = 0; i < count; i += 1) await gate.request({ path, headers: key.bearer });
    };
    const days = async (from, to, path = `keys/${key.id}/usage`) => {
      const { usage: found } = await usage(gate, `${path}${path.includes("?") ? "&" : "?"}by=day&from=${iso(from)}&to=${iso(to)}`);
      return found.buckets.map(({ requests, admitted, refused }) => [requests, admitted, refused]);
    };
    const whole = async (requests) => {
      const found = await usageOf(gate, key, requests, "?by=day");
      assert.equal(found.requests, requests);
      // The family tells what it admitted.
      await gate.advance(MINUTE);
      await gate.ring();
    };
    await send(3);
    await send(2, "/scoped");
    await whole(5);
    await gate.setTime(START + 23 * HOUR);
    await send(1);
    await whole(6);
    await gate.advanceTo(START + DAY + 5 * HOUR, { ringing: true });
    await send(4);
    await whole(10);
    const two = [[6, 4, 2], [4, 4, 0]];
    assert.deepEqual(await days(START, START + 2 * DAY), two);
    // Over all of the tenants the same, once the tenant has told.
    await gate.advance(2 * MINUTE);
    await gate.ring();
    for (const path of ["usage?tenant=days", "usage"]) assert.deepEqual(await days(START, START + 2 * DAY, path), two, path);

    await gate.advanceTo(START + 3 * DAY, { ringing: true });
    assert.deepEqual(await days(START, START + 2 * DAY), two, "added up");
    const hours = (await usage(gate, `keys/${key.id}/usage?from=${iso(START)}&to=${iso(START + 2 * DAY)}`)).usage;
    const used = hours.buckets.filter(({ requests }) => requests > 0).map(({ at, requests }) => [at, requests]);
    assert.deepEqual(used, [[iso(START + 12 * HOUR), 5], [iso(START + 23 * HOUR), 1], [iso(START + DAY + 5 * HOUR), 4]]);

    // A restart loses none of it.
    await gate.restart();
    assert.deepEqual(await days(START, START + 2 * DAY), two);

    await gate.advanceTo(START + 60 * DAY, { ringing: true });
    assert.deepEqual(await days(START, START + 2 * DAY), two, "the hours are gone, the days are not");
    for (const path of ["usage?tenant=days", "usage"]) assert.deepEqual(await days(START, START + 2 * DAY, path), two, path);
    const late = await gate.api("GET", `keys/${key.id}/usage?from=${iso(START)}`);
    assertProblem(late, 400, "invalid_field", { members: ["errors"] });

    await gate.advanceTo(START + 365 * DAY, { ringing: true });
    assert.deepEqual(await days(START, START + 2 * DAY), two, "a year later");
    await gate.advanceTo(START + 400 * DAY, { ringing: true });
    const gone = await gate.api("GET", `usage?tenant=days&by=day&from=${iso(START)}`);
    assertProblem(gone, 400, "invalid_field", { members: ["errors"] });
    const { stale, usage: left } = await usage(gate, "usage?tenant=days&by=day");
    assert.equal(left.requests, 0);
    assert.deepEqual([stale.count, stale.keys.map(({ id }) => id)], [1, [key.id]], "nobody used it for 90 days");
    assert.equal(stale.unused_since, iso(gate.now - 90 * DAY));
  });
});

describe("what comes in another order", () => {
  let gate;
  before(async () => {
    gate = await startClockedGate({ policy: policy(), name: "usage-order", worker: "held-worker.mjs" });
  });
  after(() => gate?.stop());

  const tell = async (name, message) => {
    const body = JSON.stringify({ usage: message });
    const answer = await gate.request({ method: "POST", headers: { "x-test-object": `TENANT/${name}` }, body });
    assert.equal(answer.status, 200, answer.text);
  };
  const counts = (a) => ({ a, r: 0, s: [0, a, 0, 0, 0], l: [] });

  test("use of a key that the registry has not heard of is not forgotten", async () => {
    await gate.request({ headers: { "x-test-deliver": "off" } });
    const keys = [await makeKey(gate, { tenant: "early" }), await makeKey(gate, { tenant: "early" })];
    const at = gate.now;
    const used = ({ id }) => ({ key: id, hours: [{ hour: at, counts: counts(1) }], routes: {}, countries: {}, last: { at } });
    await tell("early", { gathered: { tenant: "early", keys: keys.map(used) } });
    await tell("*", { summed: { tenant: "early", hours: [], last: { at }, used: keys.map(({ id }) => [id, at]) } });
    for (const key of keys) await gate.alarm("KEY", key.id);
    const reader = await makeKey(gate, { tenant: "early", kind: "ak", scopes: ["keys:read"], addresses: ["127.0.0.0/8"] });
    for (const token of [undefined, reader.secret]) {
      const { body } = await gate.api("GET", "keys?tenant=early&kind=sk", undefined, { token });
      assert.deepEqual(body.keys.map((key) => Date.parse(key.last_used_at)), [at, at], token ? "of the tenant" : "over all");
    }
    await gate.request({ headers: { "x-test-deliver": "on" } });
  });

  test("sums of a tenant that were sent earlier change nothing when they come later", async () => {
    const sums = (admitted) => tell("*", { summed: { tenant: "busy", hours: [{ at: gate.now, admitted, gathered: counts(admitted) }] } });
    const all = async () => (await usage(gate, "usage")).usage.admitted;
    const before = await all();
    for (const admitted of [10, 20, 10, 20, 21]) await sums(admitted);
    assert.equal((await all()) - before, 21);
  });
});
