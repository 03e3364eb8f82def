// Keys as their holders use them:
//
//   1. where they are read, one at a time, never in the URL, and one code for all that fail
//   2. what a key is bound to: addresses, origins, scopes with path parameters
//   3. limits: what is told, 429, several at once, by parameter and by address, in shadow
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertHeaders, assertProblem, limitOf, REFUSAL } from "./support/expect.mjs";
import { act, bearer, forged, makeKey, partsOf } from "./support/keys.mjs";
import { atMost } from "./support/policy.mjs";
import { APP, startRoad } from "./support/road.mjs";

let road, gate, backend, server, base, get;
before(async () => {
  road = await startRoad("keys");
  ({ gate, backend, server, base, get } = road);
});
after(() => road?.stop());

describe("credentials", () => {
  const basic = (user, password) => ({ Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` });

  test("are read from three places", async () => {
    const { brand, env, kind, id } = partsOf(server.secret);
    const [name, secret] = [`${brand}_${env}_${kind}_${id}`, server.secret.slice(-38)];
    for (const [why, headers] of [
      ["Bearer", server.bearer],
      ["Bearer in any case", { Authorization: `bEARER ${server.secret}` }],
      ["X-Api-Key", { "X-Api-Key": server.secret }],
      ["Basic", basic(name, secret)],
    ]) {
      assert.equal((await get("/v1/plain", headers)).status, 200, why);
    }
  });

  test("that fail have one code, whatever is wrong with them", async () => {
    const parts = partsOf(server.secret);
    for (const [why, secret, code, status] of [
      ["a letter changed", server.secret.replace(/.$/, (last) => (last === "0" ? "1" : "0")), "key_invalid", 401],
      ["a letter missing", server.secret.slice(0, -1), "key_invalid", 401],
      ["the wrong secret", forged({ ...parts, secret: "0".repeat(32) }), "key_invalid", 401],
      ["an id that nobody made", forged({ ...parts, id: "0".repeat(16) }), "key_invalid", 401],
      ["another kind", forged({ ...parts, kind: "pk" }), "key_invalid", 401],
      ["another brand", forged({ ...parts, brand: "xx" }), "key_invalid", 401],
      ["another environment", forged({ ...parts, env: "prod" }), "wrong_environment", 403],
      ["an admin key", forged({ ...parts, kind: "ak" }), "wrong_kind", 403],
    ]) {
      assertProblem(await get("/v1/plain", { "X-Api-Key": secret }), status, code, { why });
    }
  });

  test("are never taken from the URL, wherever in it, and are logged as [key]", async () => {
    const encoded = [...server.secret].map((c) => `%${c.charCodeAt(0).toString(16)}`).join("");
    for (const [why, path, logged] of [
      ["path", `/v1/invoices/${server.secret}`, "/v1/invoices/[key]"],
      ["query", `/v1/plain?key=${server.secret}`, "/v1/plain"],
      ["encoded in the path", `/v1/invoices/${encoded}`, "/v1/invoices/[key]"],
      ["encoded in the query", `/v1/plain?key=${encoded}`, "/v1/plain"],
      ["a route without keys", `/v1/open?key=${server.secret}`, "/v1/open"],
      ["no route", `/nowhere/${server.secret}/x`, "/nowhere/[key]/x"],
      ["cut short", `/v1/plain/${server.secret.slice(0, -10)}`, "/v1/plain/[key]"],
      ["a page of the gate", `/_tollgate/health?key=${server.secret}`, "/_tollgate/health"],
    ]) {
      const answer = await get(path);
      assertProblem(answer, 400, "credential_in_url", { why });
      assert.ok(!answer.text.includes(server.secret.slice(30, 50)), why);
      const line = await gate.logged((line) => line.request_id === answer.headers["x-request-id"]);
      assert.equal(line.path, logged, why);
    }
  });

  test("may be left to the backend, and then X-Api-Key alone is the gate's", async () => {
    const answer = await get("/v1/own-auth", { "X-Api-Key": server.secret, Authorization: "Bearer of-the-backend" });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(backend.last.header("authorization"), "Bearer of-the-backend");
    assertProblem(await get("/v1/own-auth", server.bearer), 401, "key_missing");
  });

  test("a disabled, a revoked and an expired key say which, to the holder of the secret alone", async () => {
    for (const [action, code] of [["disable", "key_disabled"], ["revoke", "key_revoked"]]) {
      const key = await makeKey(gate);
      await act(gate, key, action);
      assertProblem(await get("/v1/plain", key.bearer), 401, code);
      const wrong = forged({ ...partsOf(key.secret), secret: "0".repeat(32) });
      assertProblem(await get("/v1/plain", bearer(wrong)), 401, "key_invalid");
    }
    // The shortest life there is: the one wait of this file.
    const key = await makeKey(gate, { expires_in: "1s" });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    assertProblem(await get("/v1/plain", key.bearer), 401, "key_expired");
  });
});

describe("what a key is bound to", () => {
  test("addresses: one entry means only those", async () => {
    for (const [addresses, status] of [
      [["127.0.0.1"], 200],
      [["127.0.0.0/8", "2001:db8::/32"], 200],
      [["192.0.2.0/24"], 403],
      [["::1"], 403],
    ]) {
      const key = await makeKey(gate, { addresses });
      const answer = await get("/v1/plain", { ...key.bearer, "X-Forwarded-For": "192.0.2.1", "CF-Connecting-IP": "192.0.2.1" });
      assert.equal(answer.status, status, `${addresses}: what a client says of itself is not believed`);
      if (status === 403) assertProblem(answer, 403, "ip_not_allowed");
    }
  });

  test("origins: those that the key lists, of those that the route lists", async () => {
    const key = await makeKey(gate, { kind: "pk", scopes: ["invoices:read"], origins: ["https://a.example.org"] });
    for (const [origin, status] of [["https://a.example.org", 200], ["https://b.example.org", 403], [APP, 403]]) {
      const answer = await get("/v1/invoices/1", { ...key.bearer, Origin: origin });
      assert.equal(answer.status, status, origin);
      // The route lets the page in, so it may read why the key does not.
      assert.equal(answer.headers["access-control-allow-origin"], origin);
    }
  });

  test("scopes: of one resource, of each, never of another", async () => {
    for (const [scopes, passes, refused] of [
      [["accounts:read:7"], ["7"], ["8", "77"]],
      [["accounts:read:*"], ["7", "8"], []],
      [["accounts:*:7"], ["7"], ["8"]],
      [["accounts:read"], [], ["7"]],
      [["*:*"], [], ["7"]],
    ]) {
      const key = await makeKey(gate, { scopes });
      for (const id of passes) assert.equal((await get(`/v1/accounts/${id}`, key.bearer)).status, 200, `${scopes} ${id}`);
      for (const id of refused) {
        assertProblem(await get(`/v1/accounts/${id}`, key.bearer), 403, "insufficient_scope", {
          why: `${scopes} ${id}`, members: ["required_scopes"],
        });
      }
    }
    const all = await makeKey(gate, { scopes: ["accounts:read:*"] });
    for (const id of ["*", "%2A", "a%3Ab", "a%25b", "a%2525b"]) {
      assertProblem(await get(`/v1/accounts/${id}`, all.bearer), 400, "malformed_request", { why: id });
    }
  });
});

describe("limits", () => {
  test("60 a minute for a key that says nothing", async () => {
    const key = await makeKey(gate);
    const answer = await get("/v1/plain", key.bearer);
    assert.deepEqual(limitOf(answer), { quota: 60, window: 60, remaining: 59, reset: 60 });
  });

  test("are told with each answer, and the refusal says which and for how long", async () => {
    const key = await makeKey(gate, { limits: [atMost(3, "1h")] });
    for (const left of [2, 1, 0]) {
      const answer = await get("/v1/plain", key.bearer);
      assert.equal(answer.status, 200);
      assert.equal(limitOf(answer).remaining, left);
      assert.deepEqual(
        [answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"], answer.headers["retry-after"]],
        ["3", String(left), undefined],
      );
    }
    backend.clear();
    // The second is answered from the isolate's memory.
    for (const round of ["by the object", "from memory"]) {
      const answer = await get("/v1/plain", key.bearer);
      const document = assertProblem(answer, 429, "rate_limited", { base, members: ["retry_after", "violated-policies"] });
      assertHeaders(answer, {
        ...REFUSAL, vary: "Origin", "retry-after": /^\d+$/,
        "ratelimit-policy": '"default";q=3;w=3600', ratelimit: /^"default";r=0;t=\d+$/,
        "x-ratelimit-limit": "3", "x-ratelimit-remaining": "0", "x-ratelimit-reset": /^\d+$/,
      }, round);
      assert.deepEqual(document["violated-policies"], ["default"]);
      assert.equal(document.retry_after, Number(answer.headers["retry-after"]));
      assert.ok(document.retry_after > 3500 && document.retry_after <= 3600, String(document.retry_after));
    }
    assert.equal(backend.requests.length, 0);
  });

  test("come back when their window has passed, and a retry after Retry-After passes", async () => {
    const key = await makeKey(gate, { limits: [atMost(2, "1s")] });
    let answer;
    for (let i = 0; i < 20 && answer?.status !== 429; i += 1) answer = await get("/v1/plain", key.bearer);
    assert.equal(answer.status, 429);
    assert.equal(answer.headers["retry-after"], "1");
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    assert.equal((await get("/v1/plain", key.bearer)).status, 200);
  });

  test("of the key and of the route are charged together or not at all", async () => {
    const key = await makeKey(gate, { limits: [atMost(10, "1h")] });
    for (let i = 0; i < 2; i += 1) assert.equal((await get("/v1/tight", key.bearer)).status, 200);
    const refused = await get("/v1/tight", key.bearer);
    assert.deepEqual(refused.json["violated-policies"], ["tight"]);
    assert.equal(limitOf(await get("/v1/plain", key.bearer)).remaining, 7, "two passed on the one, one on the other");
  });

  test("by parameter count each value apart", async () => {
    const key = await makeKey(gate);
    const post = (channel) => get(`/v1/channels/${channel}`, key.bearer, { method: "POST" });
    assert.equal((await post("a")).status, 200);
    assert.equal((await post("a")).status, 429);
    assert.equal((await post("b")).status, 200);
  });

  test("by address hold where there is no key", async () => {
    const visit = () => get("/v1/site", { Origin: APP });
    for (let i = 0; i < 3; i += 1) assert.equal((await visit()).status, 200);
    const answer = await visit();
    assertProblem(answer, 429, "rate_limited", { members: ["retry_after", "violated-policies"] });
    assert.deepEqual(answer.json["violated-policies"], ["visitor"]);
  });

  test("of a page's key: each visitor is limited besides the site, and tested first", async () => {
    const key = await makeKey(gate, { kind: "pk", origins: [APP], scopes: ["invoices:read"], limits: [atMost(500, "1h")] });
    const answer = await get("/v1/invoices/1", { ...key.bearer, Origin: APP });
    assert.equal(answer.headers["ratelimit-policy"], '"address";q=60;w=60, "default";q=500;w=3600');
  });

  test("in shadow refuse nothing, and the log says what they would", async () => {
    const key = await makeKey(gate, { addresses: ["192.0.2.0/24"] });
    const would = [];
    for (let i = 0; i < 3; i += 1) {
      const answer = await get("/v1/shadowed", key.bearer);
      assert.equal(answer.status, 200, answer.text);
      would.push((await gate.logged((line) => line.request_id === answer.headers["x-request-id"])).would_refuse);
    }
    const always = ["ip_not_allowed", "insufficient_scope"];
    assert.deepEqual(would, [always, always, [...always, "rate_limited"]]);
  });
});
