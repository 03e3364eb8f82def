// Events to a tenant's own servers, on a clock that is set by hand:
//
//   1. an endpoint: made, shown, listed, changed, deleted; its secret once; what is wrong is refused
//   2. where events may be sent: a table of addresses through the API, in dev and in production
//   3. every event that the audit has arrives, signed as `standardwebhooks` and `svix` verify it, once
//      for each endpoint that wants it, and nothing of before
//   4. rotation: both secrets sign, then one
//   5. what fails is tried again on the schedule, `Retry-After` honoured; 3xx is a failure and is not
//      followed; 410 and an endpoint that is dead switch it off
//   6. test events, replay of one and of all since a time, what is held
//   7. a tenant's endpoints are its own; scopes; kills
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { reply, startBackend } from "./support/backend.mjs";
import { DAY, HOUR, MINUTE, SECOND, startClockedGate } from "./support/clock.mjs";
import { answering, deliveriesOf, EVENT_HEADERS, known, makeEndpoint, verified, verifies } from "./support/endpoints.mjs";
import { assertProblem } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { act, change, makeKey } from "./support/keys.mjs";
import { by } from "./support/management.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";
import { wrapped } from "./support/wrap.mjs";

const START = Date.parse("2027-03-01T10:00:00Z");
const HERE = { addresses: ["127.0.0.0/8"], limits: [atMost(100_000, "1h")] };
const routes = [{ name: "plain", path: "/plain" }];
/** A source of webhooks, of the tenant `hooked`. */
const sources = [{ name: "github", tenant: "hooked", path: "/hooks/github", scheme: "github", secrets: ["${secret:GITHUB}"], rewrite: "/in/github" }];
const GITHUB = randomBytes(24).toString("hex");

let backend, gate, api;
/** Where the gate sends events to. */
let hook;
/** Endpoints that a test has made. */
const endpoints = [];
before(async () => {
  [backend, hook] = [await startBackend(), await startBackend()];
  gate = await startClockedGate({ policy: testPolicy({ backend, routes, sources }), secrets: { GITHUB }, name: "hooks-endpoints", at: START });
  api = (...args) => gate.api(...args);
});
beforeEach(async () => {
  // What an earlier test left is over: a year goes by, and its keys have their end to tell of.
  answering(hook, 200);
  for (const { id, tenant } of endpoints.splice(0)) await gate.api("DELETE", `hooks/endpoints/${id}?tenant=${tenant}`);
  await gate.advance(40 * DAY);
  await gate.ring();
  hook.clear();
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
  await hook?.stop();
});

let made = 0;
/** A tenant that no other test has. */
const fresh = () => `hooks-${(made += 1)}`;
const at = (path = "/hook") => `${hook.origin}${path}`;
/** An endpoint of a tenant that has a key. */
async function endpointOf(tenant, wish = {}) {
  const key = await makeKey(gate, { tenant, ...HERE });
  await gate.ring();
  const endpoint = await makeEndpoint(gate, { tenant, url: at(), ...wish });
  endpoints.push({ id: endpoint.id, tenant });
  return { ...endpoint, tenant, key };
}
const show = async ({ id, tenant }) => (await api("GET", `hooks/endpoints/${id}?tenant=${tenant}`)).body.endpoint;
const deliveries = (endpoint, query = "") => deliveriesOf(gate, endpoint, `tenant=${endpoint.tenant}${query}`);
const post = (endpoint, action, body = {}) => api("POST", `hooks/endpoints/${endpoint.id}/${action}?tenant=${endpoint.tenant}`, body);
/** What happened, as its type and the days, hours, … since `began`. */
const typesOf = (requests) => requests.map(({ body }) => JSON.parse(body).type);
const days = (ms) => new Date(ms).toISOString().replace(/\.000Z$/, "Z");

describe("an endpoint", () => {
  test("is made, shown, listed, changed and deleted; its secret is told once", async () => {
    const tenant = fresh();
    await makeKey(gate, { tenant });
    const wish = { tenant, url: at("/a?b=c"), description: "billing", events: ["key.created", "key.revoked"] };
    const created = await api("POST", "hooks/endpoints", wish, { headers: { "Idempotency-Key": `once-${tenant}` } });
    assert.equal(created.status, 201, created.text);
    const { endpoint, secret } = created.body;
    known(gate, secret);
    assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
    assert.match(endpoint.id, /^ep_[0-9A-Za-z]{16}$/);
    assert.equal(created.headers.location, `/_tollgate/v1/hooks/endpoints/${endpoint.id}`);
    assert.deepEqual(endpoint, {
      id: endpoint.id, ...wish, state: "enabled", disabled_because: null, version: 1, created_at: days(gate.now),
      failing_since: null, previous_secret_until: null,
    });
    const again = await api("POST", "hooks/endpoints", wish, { headers: { "Idempotency-Key": `once-${tenant}` } });
    assert.deepEqual([again.status, again.body, again.headers["idempotency-replayed"]], [201, created.body, "true"]);
    await gate.advance(SECOND);
    const other = await makeEndpoint(gate, { tenant, url: at("/b") });
    assert.deepEqual([other.endpoint.events, other.endpoint.description], [null, null]);

    assert.deepEqual(await show({ id: endpoint.id, tenant }), endpoint);
    const first = await api("GET", `hooks/endpoints?tenant=${tenant}&limit=1`);
    assert.deepEqual(first.body.endpoints, [endpoint]);
    const rest = await api("GET", `hooks/endpoints?tenant=${tenant}&limit=1&cursor=${first.body.nextCursor}`);
    assert.deepEqual(rest.body, { endpoints: [other.endpoint], nextCursor: null });

    const path = `hooks/endpoints/${endpoint.id}?tenant=${tenant}`;
    const changed = await api("PATCH", path, { version: 1, url: at("/c"), events: null, description: null, state: "disabled" });
    assert.deepEqual(changed.body.endpoint, { ...endpoint, url: at("/c"), events: null, description: null, state: "disabled", version: 2 });
    const stale = await api("PATCH", path, { version: 1, description: "x" });
    assert.equal(assertProblem(stale, 409, "version_conflict", { members: ["version"] }).version, 2);
    const on = await api("PATCH", path, { version: 2, state: "enabled" });
    assert.deepEqual([on.body.endpoint.state, on.body.endpoint.version], ["enabled", 3]);

    const gone = await api("DELETE", path);
    assert.deepEqual([gone.status, gone.text], [204, ""]);
    for (const [method, more] of [["GET", ""], ["DELETE", ""], ["GET", "/deliveries"]]) {
      assertProblem(await api(method, `hooks/endpoints/${endpoint.id}${more}?tenant=${tenant}`), 404, "not_found", { why: `${method} ${more}` });
    }
    const { entries } = (await api("GET", `audit?tenant=${tenant}&limit=100`)).body;
    const written = entries.filter(({ type }) => type.startsWith("endpoint.")).map(({ type, actor, fields, detail }) => [type, actor, fields, detail.endpoint]);
    assert.deepEqual(written.reverse(), [
      ["endpoint.created", "root", undefined, endpoint.id],
      ["endpoint.created", "root", undefined, other.id],
      ["endpoint.updated", "root", ["description", "events", "state", "url"], endpoint.id],
      ["endpoint.updated", "root", ["state"], endpoint.id],
      ["endpoint.deleted", "root", undefined, endpoint.id],
    ]);
  });

  test("is refused with every field that is wrong", async () => {
    const tenant = fresh();
    const { id } = await endpointOf(tenant);
    const post = (body) => api("POST", "hooks/endpoints", body);
    const on = (action, body) => api(action === "" ? "PATCH" : "POST", `hooks/endpoints/${id}${action}?tenant=${tenant}`, body);
    for (const [why, answer, fields] of [
      ["nothing", await post({}), ["url"]],
      ["no URL", await post({ tenant, url: "acme" }), ["url"]],
      ["unknown types", await post({ tenant, url: at(), events: ["key.made", "key.created"] }), ["events[0]"]],
      ["a type twice", await post({ tenant, url: at(), events: ["key.created", "key.created"] }), ["events[1]"]],
      ["no types", await post({ tenant, url: at(), events: [] }), ["events"]],
      ["a type of the audit that is no event", await post({ tenant, url: at(), events: ["management.refused"] }), ["events[0]"]],
      ["what nobody writes", await post({ tenant, url: at(), secret: "whsec_x", id: "ep_1" }), ["id", "secret"]],
      ["a key in the URL", await post({ tenant, url: at(`/?k=${(await makeKey(gate, { tenant })).secret}`) }), ["url"]],
      ["no name of a tenant", await post({ tenant: "A", url: at() }), ["tenant"]],
      ["an update without a version", await on("", { state: "off" }), ["version", "state"]],
      ["another tenant", await on("", { version: 1, tenant: "acme" }), ["tenant"]],
      ["a long grace", await on("/rotate", { grace: "8d" }), ["grace"]],
      ["a replay of nothing", await on("/replay", {}), [""]],
      ["a replay of both", await on("/replay", { ids: [], since: days(START) }), [""]],
      ["a replay of no events", await on("/replay", { ids: ["x"] }), ["ids[0]"]],
      ["a replay of what is under way", await on("/replay", { since: days(START), state: "pending" }), ["state"]],
      ["a bad list", await api("GET", "hooks/endpoints?limit=0&cursor=x&page=2"), ["page", "limit", "cursor"]],
      ["bad deliveries", await api("GET", `hooks/endpoints/${id}/deliveries?state=x&since=y`), ["state", "since"]],
    ]) {
      const { errors } = assertProblem(answer, 400, "invalid_field", { members: ["errors"], why });
      assert.deepEqual(errors.map(({ field }) => field), fields, why);
    }
    assertProblem(await api("GET", "hooks/endpoints/ep_0000000000000000"), 404, "not_found");
    assertProblem(await api("GET", "hooks/endpoints/1"), 404, "not_found");
    assertProblem(await api("GET", "hooks/endpoints?tenant=nobody-there"), 404, "not_found");
    assertProblem(await post({ tenant: "nobody-there", url: at() }), 404, "not_found");
  });

  test("there are at most twenty of a tenant", async () => {
    const tenant = fresh();
    await endpointOf(tenant);
    for (let i = 1; i < 20; i += 1) await makeEndpoint(gate, { tenant, url: at(`/${i}`) });
    assertProblem(await api("POST", "hooks/endpoints", { tenant, url: at() }), 409, "state_conflict");
  });
});

/** Spellings of places that are not on the public internet, or are not said as one says them. */
const NOWHERE = [
  "http://hooks.acme.com/", "https://user@hooks.acme.com/", "https://u:p@hooks.acme.com/", "https://hooks.acme.com:8443/", "https://hooks.acme.com#x",
  "https://hooks.acme.com./", "https://HTTPS/", "ftp://hooks.acme.com/", "https://", "https://hooks.acme.com\\@10.0.0.1/", "https://ho%6fks.acme.com/",
  "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://100.64.0.1/", "https://169.254.169.254/latest", "https://0.0.0.0/",
  "https://192.0.2.1/", "https://198.18.0.1/", "https://224.0.0.1/", "https://255.255.255.255/", "https://168.63.129.16/",
  "https://0x7f.1/", "https://2130706433/", "https://017700000001/", "https://127.1/", "https://0177.0.0.1/", "https://3232235777/", "https://10.1/",
  "https://\uff11\uff12\uff17.0.0.1/", "https://127\u30020\u30020\u30021/", "https://\u24db\u24de\u24d2alhost/",
  "https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://[fc00::1]/", "https://[fd00:ec2::254]/", "https://[::]/", "https://[::ffff:10.0.0.1]/",
  "https://[::ffff:7f00:1]/", "https://[64:ff9b::a00:1]/", "https://[2002:a00:1::]/", "https://[2001:db8::1]/", "https://[ff02::1]/", "https://[::127.0.0.1]/",
  "https://metadata.google.internal/", "https://metadata.goog/", "https://metadata/", "https://backend/", "https://db.internal/", "https://nas.local/",
  "https://a.lan/", "https://a.corp/", "https://router.home.arpa/", "https://app.svc.cluster.local/", "https://x.onion/", "https://a.test/",
  "https://api.example.com/", "https://API.EXAMPLE.com:443/x",
];
/** This machine, which is somewhere while one develops on it. */
const LOOPBACK = ["http://127.0.0.1:3000/", "http://localhost:3000/", "https://127.0.0.1/", "https://[::1]/", "https://localhost/", "https://a.localhost/"];

describe("events may be sent", () => {
  const policy = () => {
    const place = { upstream: { main: "https://backend.example.com" }, gate: { admin_host: "gate.example.com", platform: "workerd", client_ip: "socket" } };
    return testPolicy({ backend, routes, gate: { hosts: ["api.example.com"], admin_host: "gate.example.com" }, environments: { production: place } });
  };
  for (const [environment, refused, accepted] of [
    ["production", [...NOWHERE, ...LOOPBACK, "https://gate.example.com/_tollgate/v1/keys"], ["https://hooks.acme.com/a?b=c", "https://1.1.1.1/", "https://hooks.acme.com:443"]],
    ["dev", NOWHERE, LOOPBACK],
  ]) {
    test(`in ${environment} to the public internet${environment === "dev" ? ", and to this machine" : ""}`, async () => {
      const worker = environment === "production" ? wrapped("https-worker.mjs") : undefined;
      const strict = await startGate({ policy: policy(), environment, worker, name: `hooks-places-${environment}` });
      try {
        const create = (url) =>
          strict.request({
            host: environment === "production" ? "gate.example.com" : strict.adminHost,
            method: "POST",
            path: "/_tollgate/v1/hooks/endpoints",
            headers: { Authorization: `Bearer ${strict.secrets.ROOT_TOKEN}`, "Content-Type": "application/json" },
            body: JSON.stringify({ tenant: "*", url }),
          });
        for (const url of refused) {
          const { errors } = assertProblem(await create(url), 400, "invalid_field", { members: ["errors"], why: url });
          assert.deepEqual(errors.map(({ field }) => field), ["url"], url);
        }
        for (const url of accepted) {
          const made = await create(url);
          assert.equal(made.status, 201, `${url}: ${made.text}`);
          known(strict, made.json.secret);
        }
      } finally {
        await strict.stop();
      }
    });
  }
});

describe("what happens", () => {
  test("is told to each endpoint that wants it, signed, and nothing of before", async () => {
    const tenant = fresh();
    const all = await endpointOf(tenant);
    const some = await makeEndpoint(gate, { tenant, url: at("/some"), events: ["key.revoked", "key.disabled"] });
    const key = await makeKey(gate, { tenant, name: "told", expires_in: "60d" });
    await change(gate, key, { name: "other" });
    await act(gate, key, "disable");
    await act(gate, key, "enable");
    const { key: next } = await act(gate, key, "rotate", { grace: "1h" });
    await act(gate, next, "revoke");
    await gate.ring();
    const [here, there] = ["/hook", "/some"].map((url) => hook.requests.filter((seen) => seen.url === url));
    assert.deepEqual(typesOf(here).sort(), ["key.created", "key.created", "key.disabled", "key.revoked", "key.rotated", "key.updated"]);
    assert.deepEqual(typesOf(there).sort(), ["key.disabled", "key.revoked"]);
    for (const [requests, { secret }] of [[here, all], [there, some]]) {
      for (const seen of requests) {
        assert.equal(seen.method, "POST");
        assert.deepEqual(seen.pairs.map(([name]) => name.toLowerCase()).sort(), EVENT_HEADERS);
        assert.deepEqual([seen.header("content-type"), seen.header("user-agent")], ["application/json", "tollgate"]);
        assert.match(seen.header("webhook-id"), /^evt_[0-9A-Za-z]{16}$/);
        assert.equal(Number(seen.header("webhook-timestamp")), Math.floor(gate.now / 1000));
        verified(seen, secret, gate.now);
      }
    }
    assert.ok(!verifies(here[0], some.secret, gate.now), "each has its own secret");
    const body = Buffer.from(here[0].body);
    body[body.length - 2] ^= 1;
    assert.ok(!verifies({ ...here[0], body }, all.secret, gate.now), "an altered one");

    const created = here.map(({ body }) => JSON.parse(body)).find(({ type, data }) => type === "key.created" && data.key === key.id);
    const { seq, request_id, ...data } = created.data;
    assert.deepEqual([typeof seq, typeof request_id], ["number", "string"]);
    assert.deepEqual({ ...created, data }, {
      type: "key.created",
      timestamp: days(gate.now),
      data: { actor: "root", tenant, key: key.id, kind: "sk", expires_at: days(gate.now + 60 * DAY) },
    });
    const updated = here.map(({ body }) => JSON.parse(body)).find(({ type }) => type === "key.updated");
    assert.deepEqual(updated.data.fields, ["name"]);
    assert.ok(!hook.requests.some(({ body }) => body.includes(key.secret.slice(-30))), "no secret");

    // The same event has one id, whoever gets it.
    const idOf = (requests, type) => requests.find(({ body }) => JSON.parse(body).type === type).header("webhook-id");
    assert.equal(idOf(here, "key.revoked"), idOf(there, "key.revoked"));
  });

  test("is told of what the gate itself finds: ends, limits, sessions that failed", async () => {
    const tenant = fresh();
    const { secret } = await endpointOf(tenant, { events: ["key.expiring", "limit.reached", "session.failed"] });
    const key = await makeKey(gate, { tenant, expires_in: "31d", limits: [atMost(1, "1h")] });
    const call = () => gate.request({ path: "/plain", headers: key.bearer });
    assert.deepEqual([(await call()).status, (await call()).status, (await call()).status], [200, 429, 429]);
    await gate.advanceTo(gate.now + 31 * DAY - MINUTE, { ringing: true });
    const told = hook.requests.map((seen) => verified(seen, secret, Number(seen.header("webhook-timestamp")) * 1000));
    const mine = told.filter(({ data }) => data.key === key.id).map(({ type, data }) => [type, data.days]);
    assert.deepEqual(mine, [["limit.reached", undefined], ["key.expiring", 30], ["key.expiring", 7], ["key.expiring", 1]]);
  });

  test("is told of a webhook that its backend did not take", async () => {
    const { secret } = await endpointOf("hooked", { events: ["webhook.dead"] });
    answering(backend, 410);
    const body = JSON.stringify({ zen: "it is not dead" });
    const answer = await gate.request({
      method: "POST", path: "/hooks/github", body,
      headers: { "Content-Type": "application/json", "X-Hub-Signature-256": `sha256=${createHmac("sha256", GITHUB).update(body).digest("hex")}` },
    });
    assert.equal(answer.status, 202, answer.text);
    await gate.ring();
    // The inbox delivers as soon as it has it, alarm or not.
    for (let turn = 0; turn < 100 && hook.requests.length === 0; turn += 1) {
      await sleep(20);
      await gate.ring();
    }
    backend.answer = undefined;
    const { seq, event, ...data } = verified(hook.last, secret, gate.now).data;
    assert.deepEqual(data, { tenant: "hooked", actor: "gate", source: "github", attempts: 1, status: 410 });
    const { events } = (await api("GET", "hooks/github/events?state=dead")).body;
    assert.deepEqual(events.map(({ id }) => id), [event]);
    const chained = (await api("GET", "audit?type=webhook.dead")).body.entries;
    assert.deepEqual(chained.map(({ tenant, detail }) => [tenant, detail.event]), [["hooked", event]]);
    assert.equal(typeof seq, "number");
  });

  test("of all tenants is told to operators", async () => {
    const everything = await makeEndpoint(gate, { tenant: "*", url: at("/operators"), events: ["key.created"] });
    const [one, other] = [await makeKey(gate, { tenant: fresh() }), await makeKey(gate, { tenant: fresh() })];
    await gate.ring();
    const told = hook.requests.filter(({ url }) => url === "/operators").map((seen) => verified(seen, everything.secret, gate.now).data.key);
    assert.deepEqual(told.sort(), [one.id, other.id].sort());
    assert.equal((await api("DELETE", `hooks/endpoints/${everything.id}`)).status, 204, "without a tenant it is theirs");
  });

  test("and a gate that is killed before it told loses nothing", async () => {
    const tenant = fresh();
    await endpointOf(tenant, { events: ["key.created"] });
    const keys = [];
    for (let i = 0; i < 5; i += 1) keys.push((await makeKey(gate, { tenant })).id);
    await gate.kill();
    await gate.start();
    // Whoever asks sets going again what was on its way.
    await api("GET", `hooks/endpoints?tenant=${tenant}`);
    await api("GET", `keys?tenant=${tenant}`);
    await gate.alarm("TENANT", tenant);
    await gate.alarm("ENDPOINT", tenant);
    await gate.ring();
    assert.deepEqual(hook.requests.map(({ body }) => JSON.parse(body).data.key).sort(), keys.sort());
    assert.equal(new Set(hook.requests.map((seen) => seen.header("webhook-id"))).size, 5);
  });
});

describe("a secret", () => {
  test("is rotated: both sign for the time of grace, then the new one alone", async () => {
    const tenant = fresh();
    const endpoint = await endpointOf(tenant);
    const rotate = async (body) => {
      const answer = await post(endpoint, "rotate", body);
      assert.equal(answer.status, 200, answer.text);
      known(gate, answer.body.secret);
      return answer.body;
    };
    const sign = async (secrets) => {
      hook.clear();
      assert.equal((await post(endpoint, "test")).status, 202);
      await gate.ring();
      const [seen] = hook.requests;
      assert.equal(hook.requests.length, 1);
      return [seen.header("webhook-signature").split(" ").length, ...secrets.map((secret) => verifies(seen, secret, gate.now))];
    };
    const second = await rotate({ grace: "2h" });
    assert.deepEqual([second.endpoint.version, second.endpoint.previous_secret_until], [2, days(gate.now + 2 * HOUR)]);
    assert.deepEqual(await sign([endpoint.secret, second.secret]), [2, true, true]);
    await gate.advance(2 * HOUR - SECOND);
    assert.deepEqual(await sign([endpoint.secret, second.secret]), [2, true, true]);
    await gate.advance(SECOND);
    assert.deepEqual(await sign([endpoint.secret, second.secret]), [1, false, true]);
    assert.equal((await show(endpoint)).previous_secret_until, null);
    // A further rotation ends the one before the last; without grace the last as well.
    const third = await rotate({});
    const fourth = await rotate({});
    assert.equal(fourth.endpoint.previous_secret_until, days(gate.now + DAY));
    assert.deepEqual(await sign([second.secret, third.secret, fourth.secret]), [2, false, true, true]);
    const fifth = await rotate({ grace: "0s" });
    assert.deepEqual(await sign([fourth.secret, fifth.secret]), [1, false, true]);
  });
});

/** When the attempts after the first one are, in ms after it: Standard Webhooks, with the jitter of the gate at most. */
const PAUSES = [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];

describe("what does not arrive", () => {
  test("is tried again on the schedule, with the same id and a time of its own, until it does", async () => {
    const tenant = fresh();
    const endpoint = await endpointOf(tenant);
    const attempts = [];
    hook.answer = (seen, response) => {
      attempts.push({ at: gate.now, seen });
      reply(response, attempts.length < 4 ? 500 : 204);
    };
    const sent = await post(endpoint, "test");
    assert.equal(sent.status, 202, sent.text);
    const { delivery } = sent.body;
    assert.deepEqual(delivery, { id: delivery.id, type: "endpoint.test", at: days(gate.now), state: "pending", next_attempt_at: days(gate.now), attempts: [] });
    const began = gate.now;
    await gate.advanceTo(began + DAY, { ringing: true });
    assert.equal(attempts.length, 4);
    for (const [i, { at, seen }] of attempts.entries()) {
      assert.equal(seen.header("webhook-id"), delivery.id);
      assert.deepEqual(verified(seen, endpoint.secret, at), { type: "endpoint.test", timestamp: days(began), data: { endpoint: endpoint.id, tenant } });
      const pause = i === 0 ? 0 : at - attempts[i - 1].at;
      const wanted = i === 0 ? 0 : PAUSES[i - 1];
      assert.ok(pause >= wanted && pause <= wanted * 1.1, `attempt ${i + 1} came after ${pause} ms`);
    }
    const [shown] = await deliveries(endpoint);
    assert.deepEqual([shown.id, shown.state, shown.next_attempt_at], [delivery.id, "delivered", null]);
    assert.deepEqual(shown.attempts.map(({ status, fault }) => [status, fault]), [[500, null], [500, null], [500, null], [204, null]]);
    assert.deepEqual(shown.attempts.map(({ at }) => Math.floor(Date.parse(at) / SECOND)), attempts.map(({ at }) => Math.floor(at / SECOND)));
    assert.equal((await show(endpoint)).failing_since, null);
  });

  for (const [why, answer, status, fault] of [
    ["a redirect, which is not followed", (r) => reply(r, 302, "", { Location: at("/elsewhere") }), 302, null],
    ["a permanent redirect", (r) => reply(r, 308, "", { Location: at("/elsewhere") }), 308, null],
    ["not modified", (r) => r.writeHead(304).end(), 304, null],
    ["a refusal", (r) => reply(r, 400, "no"), 400, null],
    ["not found", (r) => reply(r, 404), 404, null],
    ["a connection that breaks", (r) => r.destroy(), null, "unreachable"],
  ]) {
    test(`is a failure: ${why}`, async () => {
      const endpoint = await endpointOf(fresh());
      hook.answer = (_, response) => answer(response);
      await post(endpoint, "test");
      await gate.ring();
      assert.deepEqual(hook.requests.map(({ url }) => url), ["/hook"]);
      const [shown] = await deliveries(endpoint);
      assert.deepEqual([shown.state, shown.attempts.map((attempt) => [attempt.status, attempt.fault])], ["pending", [[status, fault]]]);
      assert.equal((await show(endpoint)).failing_since, days(gate.now));
    });
  }

  test("is asked for again when the endpoint says", async () => {
    const endpoint = await endpointOf(fresh());
    answering(hook, 503, { "Retry-After": "3600" });
    await post(endpoint, "test");
    await gate.ring();
    assert.equal((await deliveries(endpoint))[0].next_attempt_at, days(gate.now + HOUR));
  });

  test("holds up nobody else: an endpoint that hangs, while others get what happens", async () => {
    const tenant = fresh();
    const slow = await endpointOf(tenant, { url: at("/slow"), events: ["key.created"] });
    const quick = await makeEndpoint(gate, { tenant, url: at("/quick"), events: ["key.created", "key.disabled"] });
    const open = [];
    hook.answer = ({ url }, response) => (url === "/slow" ? open.push(response) : reply(response, 200));
    const arrived = async (url, count) => {
      for (const end = performance.now() + 15_000; performance.now() < end; await sleep(20)) {
        if (hook.requests.filter((seen) => seen.url === url).length === count) return;
      }
      throw new Error(`${url} does not get its ${count} events`);
    };
    const keys = [];
    for (let i = 0; i < 6; i += 1) keys.push(await makeKey(gate, { tenant }));
    // It goes on for as long as the one hangs.
    const ringing = gate.alarm("TENANT", tenant).then(() => gate.alarm("ENDPOINT", tenant));
    await arrived("/quick", 6);
    await arrived("/slow", 4);
    // What happens meanwhile is told to whoever listens.
    await act(gate, keys[0], "disable");
    await gate.alarm("TENANT", tenant);
    await arrived("/quick", 7);
    assert.equal(hook.requests.filter(({ url }) => url === "/slow").length, 4, "so many at once, and no more");
    hook.answer = (_, response) => reply(response, 200);
    for (const response of open) reply(response, 200);
    await ringing;
    await gate.ring();
    await arrived("/slow", 6);
    const states = new Set((await deliveries({ ...slow, tenant })).map(({ state }) => state));
    assert.deepEqual([...states], ["delivered"]);
    assert.equal((await api("DELETE", `hooks/endpoints/${quick.id}?tenant=${tenant}`)).status, 204);
  });

  test("anywhere is told by nobody's answer: one without an end is not read", async () => {
    const endpoint = await endpointOf(fresh());
    // As much as whoever is there takes, and no more than somebody would who reads it all.
    const [chunk, enough] = [Buffer.alloc(64 * 1024, "x"), 256 * 1024 * 1024];
    let taken = 0;
    const ended = new Promise((resolve) => {
      hook.answer = (_, response) => {
        response.writeHead(200, { "Content-Type": "application/octet-stream" });
        response.on("close", resolve).on("error", () => {});
        const more = () => {
          while (!response.destroyed && taken < enough) {
            taken += chunk.length;
            if (!response.write(chunk)) return response.once("drain", more);
          }
          response.end();
        };
        more();
      };
    });
    await post(endpoint, "test");
    await gate.ring();
    const [shown] = await deliveries(endpoint);
    assert.deepEqual([shown.state, Object.keys(shown.attempts[0])], ["delivered", ["at", "duration_ms", "fault", "status"]]);
    await ended;
    assert.ok(taken < 32 * 1024 * 1024, `${taken} bytes were taken: what the sockets hold and no more`);
  });

  test("because the endpoint wants nothing (410) switches it off, and holds what waits", async () => {
    const tenant = fresh();
    const endpoint = await endpointOf(tenant, { events: ["key.created"] });
    answering(hook, 503);
    const early = await makeKey(gate, { tenant });
    await gate.ring();
    await gate.advance(SECOND);
    answering(hook, 410);
    const late = await makeKey(gate, { tenant });
    await gate.ring();
    const now = await show(endpoint);
    assert.deepEqual([now.state, now.disabled_because, now.version], ["disabled", "gone", 2]);
    await gate.advance(SECOND);
    const later = await makeKey(gate, { tenant });
    hook.clear();
    await gate.advanceTo(gate.now + 5 * DAY, { ringing: true });
    assert.equal(hook.requests.length, 0);
    const states = (await deliveries(endpoint)).map(({ type, state, attempts }) => [type, state, attempts.length]);
    assert.deepEqual(states, [["key.created", "held", 0], ["key.created", "dead", 1], ["key.created", "held", 1]]);
    for (const chain of [tenant, "*"]) {
      const { entries } = (await api("GET", `audit?tenant=${chain}&type=endpoint.disabled&limit=1`)).body;
      assert.deepEqual(entries.map(({ actor, detail }) => [actor, detail]), [["gate", { endpoint: endpoint.id, why: "gone" }]]);
    }
    // On again it gets what comes, and what was held when somebody says so.
    answering(hook, 200);
    for (const action of ["test", "replay"]) {
      const refused = await post(endpoint, action, action === "test" ? {} : { since: days(START) });
      assertProblem(refused, 409, "state_conflict", { why: action });
    }
    const on = await api("PATCH", `hooks/endpoints/${endpoint.id}?tenant=${tenant}`, { version: 2, state: "enabled" });
    assert.deepEqual([on.body.endpoint.state, on.body.endpoint.disabled_because, on.body.endpoint.failing_since], ["enabled", null, null]);
    const replay = { since: days(START), state: "held" };
    assert.deepEqual((await post(endpoint, "replay", { ...replay, dry_run: true })).body, { dry_run: true, count: 2 });
    const replayed = await post(endpoint, "replay", replay);
    assert.deepEqual([replayed.status, replayed.body], [202, { dry_run: false, count: 2 }]);
    await gate.ring();
    assert.deepEqual(hook.requests.map(({ body }) => JSON.parse(body).data.key).sort(), [early.id, later.id].sort());
    assert.notEqual(late.id, later.id);
  });

  test("for as long as one event is tried switches the endpoint off", async () => {
    const endpoint = await endpointOf(fresh());
    answering(hook, 500);
    await post(endpoint, "test");
    await gate.advanceTo(gate.now + 5 * DAY, { ringing: true });
    assert.equal(hook.requests.length, 10);
    const [shown] = await deliveries(endpoint);
    assert.deepEqual([shown.state, shown.attempts.length], ["dead", 10]);
    const now = await show(endpoint);
    assert.deepEqual([now.state, now.disabled_because], ["disabled", "dead"]);
  });

  test("while others do switches nothing off", async () => {
    const endpoint = await endpointOf(fresh());
    answering(hook, 500);
    const { id } = (await post(endpoint, "test")).body.delivery;
    await gate.advance(DAY / 2);
    await gate.ring();
    hook.answer = (seen, response) => reply(response, seen.header("webhook-id") === id ? 500 : 200);
    await post(endpoint, "test");
    await gate.ring();
    await gate.advanceTo(gate.now + 5 * DAY, { ringing: true });
    const states = (await deliveries(endpoint)).map(({ state }) => state);
    assert.deepEqual(states, ["delivered", "dead"]);
    assert.equal((await show(endpoint)).state, "enabled");
  });
});

describe("what was sent", () => {
  test("is listed, page by page, by state and time; and sent again, one or all since a time", async () => {
    const endpoint = await endpointOf(fresh());
    const ids = [];
    for (let i = 0; i < 5; i += 1) {
      ids.push((await post(endpoint, "test")).body.delivery.id);
      await gate.ring();
      await gate.advance(MINUTE);
    }
    assert.deepEqual((await deliveries(endpoint)).map(({ id }) => id), [...ids].reverse());
    const path = `hooks/endpoints/${endpoint.id}/deliveries?tenant=${endpoint.tenant}&limit=3`;
    const first = (await api("GET", path)).body;
    const rest = (await api("GET", `${path}&cursor=${first.nextCursor}`)).body;
    assert.deepEqual([...first.deliveries, ...rest.deliveries].map(({ id }) => id), [...ids].reverse());
    assert.deepEqual([first.deliveries.length, rest.nextCursor], [3, null]);
    assert.deepEqual(await deliveries(endpoint, "&state=dead"), []);
    const since = days(gate.now - 2 * MINUTE);
    assert.deepEqual((await deliveries(endpoint, `&since=${since}`)).map(({ id }) => id), [ids[4], ids[3]]);

    hook.clear();
    assert.equal((await post(endpoint, "replay", { ids: [ids[1], "evt_0000000000000000"] })).body.count, 1);
    await gate.ring();
    assert.deepEqual(hook.requests.map((seen) => seen.header("webhook-id")), [ids[1]]);
    verified(hook.requests[0], endpoint.secret, gate.now);
    hook.clear();
    assert.equal((await post(endpoint, "replay", { since })).body.count, 2);
    await gate.ring();
    assert.deepEqual(hook.requests.map((seen) => seen.header("webhook-id")).sort(), [ids[3], ids[4]].sort());
    assert.deepEqual((await deliveries(endpoint)).map(({ attempts }) => attempts.length), [2, 2, 1, 2, 1]);
    // After 30 days it is forgotten.
    await gate.advanceTo(gate.now + 31 * DAY, { ringing: true });
    assert.deepEqual(await deliveries(endpoint), []);
  });
});

describe("a tenant", () => {
  test("sees and changes its own endpoints, with the scopes for it, and nobody else's", async () => {
    const [tenant, other] = [fresh(), fresh()];
    const admin = (wish) => makeKey(gate, { tenant, kind: "ak", scopes: ["hooks:read", "hooks:write"], ...HERE, ...wish });
    const [own, reader, keys, stranger] = [
      await admin(), await admin({ scopes: ["hooks:read"] }), await admin({ scopes: ["keys:read", "keys:write"] }), await admin({ tenant: other }),
    ];
    const created = await api("POST", "hooks/endpoints", { url: at() }, by(own));
    assert.equal(created.status, 201, created.text);
    known(gate, created.body.secret);
    const { id, ...endpoint } = created.body.endpoint;
    assert.equal(endpoint.tenant, tenant);
    const calls = [
      ["GET", `hooks/endpoints/${id}`, undefined, "hooks:read"],
      ["GET", `hooks/endpoints/${id}/deliveries`, undefined, "hooks:read"],
      ["PATCH", `hooks/endpoints/${id}`, { version: 1, description: "x" }, "hooks:write"],
      ["POST", `hooks/endpoints/${id}/test`, {}, "hooks:write"],
      ["POST", `hooks/endpoints/${id}/replay`, { since: days(START) }, "hooks:write"],
      ["POST", `hooks/endpoints/${id}/rotate`, {}, "hooks:write"],
      ["DELETE", `hooks/endpoints/${id}`, undefined, "hooks:write"],
    ];
    for (const [method, path, body, scope] of calls) {
      const why = `${method} ${path}`;
      assertProblem(await api(method, path, body, by(stranger)), 404, "not_found", { why });
      assertProblem(await api(method, `${path}?tenant=${tenant}`, body, by(stranger)), 404, "not_found", { why });
      const { required_scopes } = assertProblem(await api(method, path, body, by(keys)), 403, "insufficient_scope", { members: ["required_scopes"], why });
      assert.deepEqual(required_scopes, [scope], why);
      if (scope === "hooks:write") assertProblem(await api(method, path, body, by(reader)), 403, "insufficient_scope", { members: ["required_scopes"], why });
      else assert.equal((await api(method, path, body, by(reader))).status, 200, why);
    }
    assert.deepEqual((await api("GET", "hooks/endpoints", undefined, by(stranger))).body.endpoints, []);
    assertProblem(await api("POST", "hooks/endpoints", { tenant, url: at() }, by(stranger)), 404, "not_found");
    for (const [method, path, body] of calls) {
      const answer = await api(method, path, body, by(own));
      assert.ok(answer.status < 300, `${method} ${path}: ${answer.text}`);
      if (answer.body?.secret) known(gate, answer.body.secret);
    }
    assert.equal((await api("GET", "hooks/endpoints", undefined, by(own))).body.endpoints.length, 0);
  });
});
