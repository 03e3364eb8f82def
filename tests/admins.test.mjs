// The management API: who may do what, and what it tells.
//
//   1. credentials: root, admin keys, none, others
//   2. each call takes its scope; tenants are apart; nobody grants more than they have
//   3. verify and explain say what the road says, and leave no trace
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { assertProblem } from "./support/expect.mjs";
import { act, bearer, forged, holder, makeKey, partsOf } from "./support/keys.mjs";
import { by, startManagement, WHOLE } from "./support/management.mjs";
import { atMost } from "./support/policy.mjs";

let world, backend, gate, api, create, admin;
before(async () => {
  world = await startManagement("admins");
  ({ backend, gate, api, create, admin } = world);
});
after(() => world?.stop());

describe("who may do what", () => {
  test("a call without a good credential is refused like any request", async () => {
    const key = await makeKey(gate);
    const ak = await admin();
    const parts = partsOf(ak.secret);
    for (const [why, headers, status, code] of [
      ["none", {}, 401, "key_missing"],
      ["nonsense", bearer("nonsense"), 401, "key_invalid"],
      ["nearly root", bearer(`${gate.secrets.ROOT_TOKEN}x`), 401, "key_invalid"],
      ["root as an API key", { "X-Api-Key": gate.secrets.ROOT_TOKEN }, 401, "key_invalid"],
      ["root in a page", { ...bearer(gate.secrets.ROOT_TOKEN), Origin: "https://evil.example" }, 403, "secret_key_in_browser"],
      ["root in a page of this very host", { ...bearer(gate.secrets.ROOT_TOKEN), Origin: `http://${gate.adminHost}` }, 403, "secret_key_in_browser"],
      ["root in a browser", { ...bearer(gate.secrets.ROOT_TOKEN), "Sec-Fetch-Site": "same-origin" }, 403, "secret_key_in_browser"],
      ["two", { ...ak.bearer, "X-Api-Key": ak.secret }, 400, "malformed_request"],
      ["a key for routes", key.bearer, 403, "wrong_kind"],
      ["of another environment", bearer(forged({ ...parts, env: "prod" })), 403, "wrong_environment"],
      ["a wrong secret", bearer(forged({ ...parts, secret: "0".repeat(32) })), 401, "key_invalid"],
      ["an id that nobody made", bearer(forged({ ...parts, id: "0".repeat(16) })), 401, "key_invalid"],
    ]) {
      const answer = await gate.request({ host: gate.adminHost, path: "/_tollgate/v1/keys", headers });
      assertProblem(answer, status, code, { why });
      if (status === 401) assert.match(answer.headers["www-authenticate"], /^Bearer realm="test"/, why);
      assert.equal(answer.headers["access-control-allow-origin"], undefined, why);
    }
    assert.equal((await gate.request({ host: gate.adminHost, path: "/_tollgate/v1/keys", headers: { "X-Api-Key": ak.secret } })).status, 200);
  });

  test("an admin key is refused with the answer that takes it away", async () => {
    const ak = await admin();
    assert.equal((await api("GET", "keys", undefined, by(ak))).status, 200);
    await act(gate, ak, "disable");
    assertProblem(await api("GET", "keys", undefined, by(ak)), 401, "key_disabled");
    await act(gate, ak, "enable");
    assert.equal((await api("GET", "keys", undefined, by(ak))).status, 200, "and back with the one that gives it back");
    const elsewhere = await admin({ addresses: ["192.0.2.1"] });
    assertProblem(await api("GET", "keys", undefined, by(elsewhere)), 403, "ip_not_allowed");
    const few = await admin({ limits: [atMost(1, "1h")] });
    const first = await api("GET", "keys", undefined, by(few));
    assert.equal(first.headers["ratelimit-policy"], '"default";q=1;w=3600');
    assertProblem(await api("GET", "keys", undefined, by(few)), 429, "rate_limited", { members: ["retry_after", "violated-policies"] });
    await act(gate, ak, "revoke");
    assertProblem(await api("GET", "keys", undefined, by(ak)), 401, "key_revoked");
  });

  test("an admin key that is revoked while its body trickles in does nothing any more", async () => {
    const ak = await admin({ tenant: "slow" });
    const text = JSON.stringify({ kind: "sk", name: "too late" });
    let half;
    const sentHalf = new Promise((resolve) => (half = resolve));
    let goOn;
    const revoked = new Promise((resolve) => (goOn = resolve));
    async function* slowly() {
      yield Buffer.from(text.slice(0, 10));
      half();
      await revoked;
      yield Buffer.from(text.slice(10));
    }
    const slow = gate.request({
      host: gate.adminHost, method: "POST", path: "/_tollgate/v1/keys", headers: { ...ak.bearer, "Content-Type": "application/json" }, body: slowly(),
    });
    await sentHalf;
    // Time for the gate to have looked at the credential.
    await sleep(300);
    await act(gate, ak, "revoke");
    goOn();
    assertProblem(await slow, 401, "key_revoked");
    const listed = (await api("GET", "keys?tenant=slow")).body.keys;
    assert.deepEqual(listed.map(({ id }) => id), [ak.id], "nothing was made");
  });

  test("a body that does not come is not waited for", async () => {
    async function* never(signal) {
      yield Buffer.from("{");
      await signal;
    }
    let end;
    const ended = new Promise((resolve) => (end = resolve));
    const answer = await gate.request({
      host: gate.adminHost, method: "POST", path: "/_tollgate/v1/keys", headers: { ...bearer(gate.secrets.ROOT_TOKEN), "Content-Type": "application/json" }, body: never(ended),
    });
    end();
    const { detail } = assertProblem(answer, 400, "malformed_request");
    assert.equal(detail, "The body did not come within 10s.");
    assert.ok(answer.ms >= 9_500 && answer.ms < 15_000, `${answer.ms} ms`);
  });

  test("each call takes its scope", async () => {
    const target = await makeKey(gate);
    const [reader, writer, none] = [
      await admin({ scopes: ["keys:read"] }), await admin({ scopes: ["keys:write"] }), await admin({ scopes: ["audit:read"] }),
    ];
    const calls = [
      ["GET", "keys", undefined, "read"],
      ["GET", `keys/${target.id}`, undefined, "read"],
      ["POST", "keys/verify", { key: target.secret }, "read"],
      ["POST", "explain", { request: { method: "GET", url: "http://localhost/plain" } }, "read"],
      ["POST", "keys", { kind: "sk", name: "x" }, "write"],
      ["PATCH", `keys/${target.id}`, { version: 1, name: "y" }, "write"],
      ["POST", `keys/${target.id}/disable`, undefined, "write"],
    ];
    for (const [method, path, body, scope] of calls) {
      for (const [caller, held] of [[reader, "read"], [writer, "write"], [none, ""]]) {
        const answer = await api(method, path, body, by(caller));
        if (held === scope) assert.ok(answer.status < 300, `${held} ${method} ${path}: ${answer.text}`);
        else assertProblem(answer, 403, "insufficient_scope", { members: ["required_scopes"], why: `${held} ${method} ${path}` });
      }
    }
    const session = await makeKey(gate, { kind: "ak", scopes: ["keys:read", "keys:write"] });
    assert.equal(session.key.mfa, true, "a write from anywhere needs a second factor");
    assert.equal((await api("GET", "keys", undefined, by(session))).status, 200);
    assertProblem(await create({}, by(session)), 403, "second_factor_required");
  });

  test("tenants do not see each other", async () => {
    const [own, foreign] = [await makeKey(gate, { tenant: "red" }), await makeKey(gate, { tenant: "blue" })];
    const red = await admin({ tenant: "red" });
    for (const [method, path, body] of [
      ["GET", `keys/${foreign.id}`],
      ["PATCH", `keys/${foreign.id}`, { version: 1, name: "mine" }],
      ...["rotate", "end-grace", "disable", "enable", "revoke"].map((action) => ["POST", `keys/${foreign.id}/${action}`]),
      ["GET", "keys?tenant=blue"],
      ["POST", "explain", { key_id: foreign.id, request: { method: "GET", url: "http://localhost/plain" } }],
    ]) {
      assertProblem(await api(method, path, body, by(red)), 404, "not_found", { why: `${method} ${path}` });
    }
    assert.deepEqual((await api("POST", "keys/verify", { key: foreign.secret }, by(red))).body, { valid: false, code: "key_invalid" });
    const nobody = await api("GET", `keys/${"0".repeat(16)}`, undefined, by(red));
    const theirs = await api("GET", `keys/${foreign.id}`, undefined, by(red));
    const { correlationId: _1, ...first } = nobody.body;
    const { correlationId: _2, ...second } = theirs.body;
    assert.deepEqual(first, second, "what is another's looks like what is nobody's");
    const listed = (await api("GET", "keys?limit=100", undefined, by(red))).body.keys;
    assert.deepEqual([...new Set(listed.map(({ tenant }) => tenant))], ["red"]);
    assert.ok(listed.some(({ id }) => id === own.id));
    assert.equal((await gate.request({ path: "/plain", headers: foreign.bearer })).status, 200, "and nothing happened to it");
    const made = await api("POST", "keys", { kind: "sk", name: "own tenant goes without saying" }, by(red));
    assert.equal(made.body.key.tenant, "red");
    const operator = await admin({ tenant: "*" });
    assert.equal((await api("GET", `keys/${foreign.id}`, undefined, by(operator))).status, 200);
    assert.equal((await create({ tenant: "green" }, by(operator))).status, 201);
  });

  test("nobody grants what they do not have, nor changes themselves", async () => {
    const ak = await admin({ tenant: "red", scopes: ["keys:read", "keys:admin"], addresses: ["127.0.0.0/16"] });
    const wish = { kind: "ak", name: "made", tenant: "red", scopes: ["keys:read"], addresses: ["127.0.0.1"] };
    for (const [why, more, code] of [
      ["less", {}, undefined],
      ["as much", { scopes: ["keys:read", "keys:admin"], addresses: ["127.0.0.0/16"] }, undefined],
      ["a scope it lacks", { scopes: ["keys:read", "audit:read"] }, "not_grantable"],
      ["everywhere", { addresses: [] }, "not_grantable"],
      ["a wider network", { addresses: ["127.0.0.0/8"] }, "not_grantable"],
      ["another tenant", { tenant: "blue" }, "not_grantable"],
      ["all tenants", { tenant: "*" }, "not_grantable"],
      ["a key for routes, without keys:write", { kind: "sk", scopes: [], addresses: [] }, "insufficient_scope"],
    ]) {
      const answer = await api("POST", "keys", { ...wish, ...more }, by(ak));
      if (code === undefined) assert.equal(answer.status, 201, `${why}: ${answer.text}`);
      else assertProblem(answer, 403, code, { why, members: code === "insufficient_scope" ? ["required_scopes"] : [] });
    }
    const strong = await admin({ tenant: "red", scopes: WHOLE });
    for (const action of ["rotate", "enable"]) {
      assertProblem(await api("POST", `keys/${strong.id}/${action}`, undefined, by(ak)), 403, "not_grantable", { why: action });
    }
    assert.equal((await api("POST", `keys/${strong.id}/disable`, undefined, by(ak))).status, 200, "weaker is always possible");
    const successor = holder(await act(gate, ak, "rotate"));
    for (const [who, target] of [[ak, ak], [ak, successor], [successor, ak], [successor, successor]]) {
      for (const action of ["rotate", "disable", "revoke"]) {
        assertProblem(await api("POST", `keys/${target.id}/${action}`, undefined, by(who)), 403, "not_grantable");
      }
      assertProblem(await api("PATCH", `keys/${target.id}`, { version: 1, scopes: WHOLE }, by(who)), 403, "not_grantable");
    }
  });
});

describe("verify and explain", () => {
  test("verify says what the road would say, at no cost to the key", async () => {
    const key = await makeKey(gate, { scopes: ["things:read:1"], addresses: ["127.0.0.0/8"], limits: [atMost(5, "1h")] });
    const page = await makeKey(gate, { kind: "pk", origins: ["https://app.example.com"] });
    const [revoked, disabled] = [await makeKey(gate), await makeKey(gate)];
    await act(gate, revoked, "revoke");
    await act(gate, disabled, "disable");
    for (const [why, ask, code] of [
      ["good", { key: key.secret }],
      ["for this scope", { key: key.secret, scope: "things:read:1" }],
      ["for another", { key: key.secret, scope: "things:read:2" }, "insufficient_scope"],
      ["from here", { key: key.secret, address: "127.0.0.9" }],
      ["from elsewhere", { key: key.secret, address: "192.0.2.1" }, "ip_not_allowed"],
      ["in a page", { key: key.secret, origin: "https://app.example.com" }, "secret_key_in_browser"],
      ["in its page", { key: page.secret, origin: "https://app.example.com" }],
      ["in another", { key: page.secret, origin: "https://evil.example" }, "origin_not_allowed"],
      ["revoked", { key: revoked.secret }, "key_revoked"],
      ["disabled", { key: disabled.secret }, "key_disabled"],
      ["a wrong secret", { key: forged({ ...partsOf(key.secret), secret: "0".repeat(32) }) }, "key_invalid"],
      ["nonsense", { key: "nonsense" }, "key_invalid"],
      ["of another environment", { key: forged({ ...partsOf(key.secret), env: "prod" }) }, "wrong_environment"],
    ]) {
      const answer = await api("POST", "keys/verify", ask);
      assert.equal(answer.status, 200, `${why}: ${answer.text}`);
      if (code === undefined) assert.deepEqual([answer.body.valid, answer.body.key.id], [true, partsOf(ask.key).id], why);
      else assert.deepEqual(answer.body, { valid: false, code }, why);
    }
    const left = (await gate.request({ path: "/plain", headers: key.bearer })).headers["x-ratelimit-remaining"];
    assert.equal(left, "4", "the first request of all");
  });

  test("explain walks the road without leaving a trace, and shows no secret", async () => {
    backend.clear();
    const key = await makeKey(gate, { kind: "pk", scopes: ["things:read:*"], origins: ["https://app.example.com"] });
    const url = `http://localhost:${gate.port}/things/7?a=b`;
    const ask = (request, key_id = key.id) => api("POST", "explain", { ...(key_id ? { key_id } : {}), request: { method: "GET", url, headers: [], client_ip: "192.0.2.7", ...request } });
    for (const [why, answer, outcome, code, step] of [
      ["passes", await ask({ headers: [["origin", "https://app.example.com"]] }), "forward", null, undefined],
      ["another page", await ask({ headers: [["origin", "https://evil.example"]] }), "refuse", "origin_not_allowed", "origin"],
      ["no page", await ask({}), "refuse", "origin_not_allowed", "key_use"],
      ["another method", await ask({ method: "DELETE" }), "refuse", "method_not_allowed", "route"],
      ["no route", await ask({ url: url.replace("things", "nothing") }), "refuse", "route_not_found", "route"],
      ["no key", await ask({}, null), "refuse", "key_missing", "credential"],
      ["preflight", await ask({ method: "OPTIONS", headers: [["origin", "https://app.example.com"], ["access-control-request-method", "GET"]] }), "preflight", null, undefined],
    ]) {
      assert.equal(answer.status, 200, `${why}: ${answer.text}`);
      assert.deepEqual([answer.body.outcome, answer.body.code], [outcome, code], why);
      assert.equal(answer.body.steps.length, 12, why);
      assert.deepEqual(answer.body.steps.filter(({ result }) => result === "refused").map((one) => one.step), step ? [step] : [], why);
    }
    const forward = (await ask({ headers: [["origin", "https://app.example.com"]] })).body;
    assert.deepEqual([forward.upstream.method, forward.upstream.url], ["GET", `${backend.origin}/things/7?a=b`]);
    assert.ok(forward.upstream.headers.some(([name, value]) => name === "x-upstream-token" && value === "${secret:BILLING_TOKEN}"));
    const real = await gate.request({ path: "/things/7?a=b", headers: { ...key.bearer, Origin: "https://app.example.com" } });
    assert.equal(real.status, 200);
    assert.equal(backend.requests.length, 1, "of all these only the real one arrived");
    assert.equal(real.headers["x-ratelimit-remaining"], "59", "and only it was counted");
    const presented = await ask({ headers: [["origin", "https://app.example.com"], ["x-api-key", key.secret]] }, null);
    assert.equal(presented.body.outcome, "forward");
    const wrong = await ask({ headers: [["origin", "https://app.example.com"], ["x-api-key", forged({ ...partsOf(key.secret), secret: "0".repeat(32) })]] }, null);
    assert.equal(wrong.body.code, "key_invalid");
    for (const answer of [presented, wrong]) assert.ok(!answer.text.includes(partsOf(key.secret).secret));
  });
});
