// The road as a user meets it, on the wire:
//
//   1. what passes: exactly these headers, the backend's body, one of the limit
//   2. what each step refuses: status, code, exactly these headers, a whole problem document
//   3. the order: a request that is wrong in many ways is refused by the first step, and no refusal
//      before admission costs the key anything of its limit
//   4. one log line per request, with these fields and no others, and no secret
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertHeaders, assertProblem, limitOf, REFUSAL, STAMP } from "./support/expect.mjs";
import { act, bearer, forged, makeKey, partsOf } from "./support/keys.mjs";
import { AMPLE, APP, BACKENDS, EXPOSED, GRANT, OTHER, RATE, startRoad } from "./support/road.mjs";

let road, gate, backend, server, page, base, get;
before(async () => {
  road = await startRoad("road");
  ({ gate, backend, server, page, base, get } = road);
});
after(() => road?.stop());

describe("what passes", () => {
  test("carries the backend's body and these headers, and nothing more", async () => {
    const answer = await get("/v1/invoices/42?a=b", server.bearer);
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json, { url: "/invoices/42?a=b" });
    assertHeaders(answer, { ...STAMP, ...BACKENDS, ...RATE, "cache-control": "no-store", vary: "Origin" });
  });

  test("without a body: HEAD", async () => {
    const answer = await get("/v1/invoices/42", server.bearer, { method: "HEAD" });
    assert.equal(answer.status, 200);
    assert.equal(answer.text, "");
    assert.equal(backend.last.method, "HEAD");
    assertHeaders(answer, { ...STAMP, ...BACKENDS, ...RATE, "cache-control": "no-store", vary: "Origin" });
  });

  test("from a page, with leave to read", async () => {
    const answer = await get("/v1/invoices/42", { ...page.bearer, Origin: APP });
    assert.equal(answer.status, 200, answer.text);
    const { "ratelimit-policy": policy, ratelimit, ...rest } = RATE;
    assertHeaders(answer, {
      ...STAMP, ...BACKENDS, ...rest, ...GRANT, "cache-control": "no-store",
      "ratelimit-policy": '"visitor";q=500;w=86400, "default";q=1000;w=86400',
      ratelimit: /^"visitor";r=\d+;t=\d+, "default";r=\d+;t=\d+$/,
      "x-ratelimit-limit": "500",
    });
  });

  test("without a key where none is asked for: no limit is told, and caches may keep it", async () => {
    const answer = await get("/v1/open", { Origin: OTHER });
    assert.equal(answer.status, 200);
    assertHeaders(answer, {
      ...STAMP, ...BACKENDS, "access-control-allow-origin": "*", "access-control-expose-headers": EXPOSED,
    });
  });

  test("each answer has a request id of its own, in the order of time", async () => {
    const ids = [];
    for (let i = 0; i < 5; i += 1) ids.push((await get("/v1/open")).headers["x-request-id"]);
    assert.equal(new Set(ids).size, 5);
    const times = ids.map((id) => id.slice(0, 8));
    assert.deepEqual(times, [...times].sort());
  });

  test("a canned answer of the policy, with no backend behind it", async () => {
    backend.clear();
    const answer = await get("/v1/mock");
    assert.deepEqual([answer.status, answer.text], [418, "short and stout"]);
    assertHeaders(answer, {
      ...STAMP, "content-type": "text/plain", "content-length": "15", "x-content-type-options": "nosniff", vary: "Origin",
    });
    assert.equal(backend.requests.length, 0);
  });

  test("a route that is going away says so", async () => {
    const answer = await get("/v1/old");
    assert.deepEqual(
      [answer.headers.deprecation, answer.headers.sunset, answer.headers.link],
      ["@1780272000", "Tue, 01 Jun 2027 00:00:00 GMT", '<https://docs.example.com/v2>; rel="deprecation"'],
    );
  });

  test("the path that was matched is the one that is forwarded, in one spelling", async () => {
    for (const [path, url] of [
      ["/v1/files/a%41%7e", "/files/aA~"],
      ["/v1/files/a%20b/c", "/files/a%20b/c"],
      ["/v1/files/%E2%82%AC", "/files/%E2%82%AC"],
      ["/v1/files/a?b=%2F&b=..%2F", "/files/a?b=%2F&b=..%2F"],
      ["/v1/%66iles/a", "/files/a"],
    ]) {
      const answer = await get(path);
      assert.deepEqual([answer.status, answer.text], [200, JSON.stringify({ url })], path);
    }
  });
});

describe("what each step refuses", () => {
  const CHALLENGE = (error) => `Bearer realm="test", error="${error}"`;
  // Each: why, request, status, code, headers besides those of every refusal, members besides the usual ones.
  const rows = () => [
    ["transport: in the clear, to a host that is not this machine", { host: "api.example.com", path: "/v1/open" }, 403, "https_required"],
    ["transport: a host that only looks like this machine", { host: "localhost.evil.example", path: "/v1/open" }, 403, "https_required"],
    ["framing: dot segment", { path: "/v1/../v1/open" }, 400, "malformed_request"],
    ["framing: encoded dot", { path: "/v1/%2e%2e/v1/open" }, 400, "malformed_request"],
    ["framing: empty segment", { path: "/v1//open" }, 400, "malformed_request"],
    ["framing: backslash", { path: "/v1\\open" }, 400, "malformed_request"],
    ["framing: encoded slash", { path: "/v1/files/a%2Fb" }, 400, "malformed_request"],
    ["framing: encoded backslash", { path: "/v1/files/a%5Cb" }, 400, "malformed_request"],
    ["framing: broken encoding", { path: "/v1/files/%zz" }, 400, "malformed_request"],
    ["framing: no UTF-8", { path: "/v1/files/%ff" }, 400, "malformed_request"],
    ["framing: NUL", { path: "/v1/files/%00" }, 400, "malformed_request"],
    ["framing: Origin twice", { path: "/v1/open", headers: [["Origin", APP], ["Origin", OTHER]] }, 400, "malformed_request"],
    ["framing: Authorization twice", { path: "/v1/open", headers: [["Authorization", "Bearer a"], ["authorization", "Bearer b"]] }, 400, "malformed_request"],
    ["framing: Content-Type twice", { path: "/v1/open", headers: [["Content-Type", "a/b"], ["Content-Type", "c/d"]] }, 400, "malformed_request"],
    ["framing: Idempotency-Key twice", { path: "/v1/open", headers: [["Idempotency-Key", "a"], ["Idempotency-Key", "b"]] }, 400, "malformed_request"],
    ["route: no such path", { path: "/v1/nothing" }, 404, "route_not_found"],
    ["route: another case", { path: "/V1/open" }, 404, "route_not_found"],
    ["route: a slash too many", { path: "/v1/open/" }, 404, "route_not_found"],
    ["route: method", { path: "/v1/invoices/1", method: "DELETE" }, 405, "method_not_allowed", { allow: "GET, HEAD" }],
    ["route: OPTIONS that is no preflight", { path: "/v1/open", method: "OPTIONS", headers: { Origin: APP } }, 405, "method_not_allowed", { allow: "GET, HEAD" }],
    ["route: declared length", { path: "/v1/invoices", method: "POST", body: Buffer.alloc(1025), headers: server.bearer }, 413, "body_too_large", { vary: "Origin" }],
    ["origin: not listed", { path: "/v1/invoices/1", headers: { ...server.bearer, Origin: OTHER } }, 403, "origin_not_allowed", { vary: "Origin" }],
    ["origin: null", { path: "/v1/invoices/1", headers: { ...server.bearer, Origin: "null" } }, 403, "origin_not_allowed", { vary: "Origin" }],
    ["origin: the bare domain of a wildcard", { path: "/v1/invoices/1", headers: { ...server.bearer, Origin: "https://example.org" } }, 403, "origin_not_allowed", { vary: "Origin" }],
    ["origin: a route for no browser", { path: "/v1/plain", headers: { ...server.bearer, Origin: APP } }, 403, "origin_not_allowed", { vary: "Origin" }],
    ["origin: none, on a route for pages", { path: "/v1/site" }, 403, "origin_not_allowed", { vary: "Origin" }],
    ["credential: none", { path: "/v1/plain" }, 401, "key_missing", { vary: "Origin", "www-authenticate": 'Bearer realm="test"' }],
    ["credential: two", { path: "/v1/plain", headers: { ...server.bearer, "X-Api-Key": server.secret } }, 400, "malformed_request", { vary: "Origin" }],
    ["credential: another scheme", { path: "/v1/plain", headers: { Authorization: "Digest a" } }, 401, "key_invalid", { vary: "Origin", "www-authenticate": /^Bearer realm="test", error="invalid_token", error_description="[^"]+"$/ }],
    ["credential: nonsense", { path: "/v1/plain", headers: { "X-Api-Key": "nonsense" } }, 401, "key_invalid", { vary: "Origin", "www-authenticate": /^Bearer realm="test", error="invalid_token", error_description="[^"]+"$/ }],
    ["use: a secret key in a page", { path: "/v1/invoices/1", headers: { ...server.bearer, Origin: APP } }, 403, "secret_key_in_browser", GRANT],
    ["use: a secret key in a page of this very site", { path: "/v1/plain", headers: { ...server.bearer, "Sec-Fetch-Site": "same-origin" } }, 403, "secret_key_in_browser", { vary: "Origin" }],
    ["use: a page's key outside of one", { path: "/v1/invoices/1", headers: page.bearer }, 403, "origin_not_allowed", { vary: "Origin" }],
    ["scope", { path: "/v1/accounts/7", headers: server.bearer }, 403, "insufficient_scope", { vary: "Origin", "www-authenticate": `${CHALLENGE("insufficient_scope")}, scope="accounts:read:7"` }, ["required_scopes"]],
    ["scope: one of several", { path: "/v1/any", headers: server.bearer }, 403, "insufficient_scope", { vary: "Origin", "www-authenticate": `${CHALLENGE("insufficient_scope")}, scope="a:read b:read"` }, ["required_scopes"]],
  ];

  // A host that the gate does not serve has no page of its about the code.
  const NOT_ITS_OWN = "";

  test("with status, code, exactly these headers and a whole problem document", async (t) => {
    backend.clear();
    for (const [why, request, status, code, more = {}, members = []] of rows()) {
      await t.test(why, async () => {
        const answer = await gate.request(request);
        assertProblem(answer, status, code, { base: request.host ? NOT_ITS_OWN : base, members, why });
        assertHeaders(answer, { ...REFUSAL, ...more }, why);
      });
    }
    assert.deepEqual(backend.requests.map((seen) => seen.url), [], "none of them reached the backend");
  });

  test("what a scope is lacking is told", async () => {
    assert.deepEqual((await get("/v1/accounts/7", server.bearer)).json.required_scopes, ["accounts:read:7"]);
    assert.deepEqual((await get("/v1/any", server.bearer)).json.required_scopes, ["a:read", "b:read"]);
  });

  test("`type` leads to a page that says cause, fix and whether a retry helps", async () => {
    const { type, code } = (await get("/v1/plain")).json;
    const page = await get(new URL(type).pathname);
    assert.equal(page.status, 200);
    assert.match(page.headers["content-type"], /^text\/html/);
    for (const part of [code, "Cause", "Fix", "Retry"]) assert.ok(page.text.includes(part), part);
  });

  test("the answer to HEAD is the same without its body", async () => {
    const answer = await get("/v1/invoices/1", {}, { method: "HEAD" });
    assert.deepEqual([answer.status, answer.text], [401, ""]);
    assert.equal(answer.headers["content-type"], "application/problem+json");
  });
});

describe("the first step that refuses ends the walk", () => {
  test("whatever else is wrong with the request", async () => {
    const revoked = await makeKey(gate, { scopes: ["invoices:read"] });
    await act(gate, revoked, "revoke");
    const bad = { ...revoked.bearer, Origin: OTHER, "Content-Type": "a, b" };
    const { "Content-Type": _, ...framed } = bad;
    for (const [step, request, status, code] of [
      ["transport", { host: "nowhere.example", path: `/v1//nothing/${revoked.secret}`, headers: bad }, 403, "https_required"],
      ["key in the URL", { path: `/v1//nothing/${revoked.secret}`, headers: bad }, 400, "credential_in_url"],
      ["framing", { path: "/v1/nothing", headers: bad }, 400, "malformed_request"],
      ["route", { path: "/v1/nothing", method: "DELETE", headers: framed }, 404, "route_not_found"],
      ["method", { path: "/v1/invoices/1", method: "DELETE", headers: framed }, 405, "method_not_allowed"],
      ["origin", { path: "/v1/invoices", method: "POST", body: Buffer.alloc(2000), headers: framed }, 403, "origin_not_allowed"],
      ["length", { path: "/v1/invoices", method: "POST", body: Buffer.alloc(2000) }, 413, "body_too_large"],
      ["credential", { path: "/v1/accounts/7", headers: { ...revoked.bearer, "X-Api-Key": "x" } }, 400, "malformed_request"],
      ["state", { path: "/v1/accounts/7", headers: { ...revoked.bearer, "Sec-Fetch-Site": "none" } }, 401, "key_revoked"],
      ["use", { path: "/v1/accounts/7", headers: { ...server.bearer, "Sec-Fetch-Site": "none" } }, 403, "secret_key_in_browser"],
      ["scope", { path: "/v1/accounts/7", headers: server.bearer }, 403, "insufficient_scope"],
    ]) {
      assertProblem(await gate.request(request), status, code, {
        why: step, members: code === "insufficient_scope" ? ["required_scopes"] : [],
      });
    }
  });

  test("and costs the key nothing of its limit", async () => {
    const key = await makeKey(gate, {
      scopes: ["invoices:read", "invoices:write"], limits: AMPLE, addresses: ["127.0.0.0/8"],
    });
    const left = async (path = "/v1/plain") => limitOf(await get(path, key.bearer)).remaining;
    const wrong = forged({ ...partsOf(key.secret), secret: "0".repeat(32) });
    const own = key.bearer;
    let expected = await left();
    assert.equal(expected, 999, "what passes costs one");
    for (const [why, request, code] of [
      ["framing", { path: "/v1//plain", headers: own }, "malformed_request"],
      ["in the URL", { path: `/v1/plain?k=${key.secret}`, headers: own }, "credential_in_url"],
      ["route", { path: "/v1/nothing", headers: own }, "route_not_found"],
      ["method", { path: "/v1/plain", method: "PUT", headers: own }, "method_not_allowed"],
      ["length", { path: "/v1/invoices", method: "POST", body: Buffer.alloc(1025), headers: own }, "body_too_large"],
      ["preflight", { path: "/v1/invoices/1", method: "OPTIONS", headers: { ...own, Origin: APP, "Access-Control-Request-Method": "GET" } }, undefined],
      ["origin", { path: "/v1/invoices/1", headers: { ...own, Origin: OTHER } }, "origin_not_allowed"],
      ["two credentials", { path: "/v1/plain", headers: { ...own, "X-Api-Key": key.secret } }, "malformed_request"],
      ["wrong secret", { path: "/v1/plain", headers: bearer(wrong) }, "key_invalid"],
      ["bad check", { path: "/v1/plain", headers: bearer(`${key.secret.slice(0, -1)}-`) }, "key_invalid"],
      ["use", { path: "/v1/plain", headers: { ...own, "Sec-Fetch-Site": "cross-site" } }, "secret_key_in_browser"],
      ["scope", { path: "/v1/accounts/7", headers: own }, "insufficient_scope"],
      ["an unfit value in the path", { path: "/v1/accounts/a%3Ab", headers: own }, "malformed_request"],
    ]) {
      const answer = await gate.request(request);
      assert.equal(answer.text === "" ? undefined : answer.json.code, code, why);
      assert.equal(answer.headers.ratelimit, undefined, `${why}: nothing was counted, so nothing is told`);
      expected -= 1;
      assert.equal(await left(), expected, why);
    }
  });
});

describe("the log", () => {
  const FIELDS = ["time", "request_id", "method", "path", "status", "duration_ms"];
  const lineOf = (answer) => gate.logged((line) => line.request_id === answer.headers["x-request-id"]);

  test("has one line per request with these fields and no others", async () => {
    for (const [why, answer, more, expected] of [
      ["passed", await get("/v1/invoices/42?secret=abc", server.bearer), ["route", "key", "tenant", "upstream_ms"],
        { method: "GET", path: "/v1/invoices/42", status: 200, route: "read", key: server.id, tenant: "acme" }],
      ["refused, key known", await get("/v1/accounts/7", server.bearer), ["route", "key", "tenant", "code"],
        { status: 403, code: "insufficient_scope", route: "account", key: server.id }],
      ["refused, key unknown", await get("/v1/plain", { "X-Api-Key": "nonsense" }), ["route", "code"],
        { status: 401, code: "key_invalid" }],
      ["no route", await get("/v1/nothing?x=y"), ["code"], { status: 404, code: "route_not_found", path: "/v1/nothing" }],
      ["preflight", await gate.request({ path: "/v1/invoices/1", method: "OPTIONS", headers: { Origin: APP, "Access-Control-Request-Method": "GET" } }),
        ["route"], { method: "OPTIONS", status: 204 }],
    ]) {
      const line = await lineOf(answer);
      assert.deepEqual(Object.keys(line).sort(), [...FIELDS, ...more].sort(), why);
      for (const [name, value] of Object.entries(expected)) assert.equal(line[name], value, `${why}: ${name}`);
      assert.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/, why);
      assert.ok(Number.isInteger(line.duration_ms) && line.duration_ms >= 0, why);
      const lines = gate.logLines.filter(({ request_id }) => request_id === line.request_id);
      assert.equal(lines.length, 1, `${why}: one line`);
    }
  });

  test("holds no query, no body, no credential", async () => {
    const canaries = ["canary-query-7Qz", "canary-body-7Qz", "canary-header-7Qz", "canary-cookie-7Qz"];
    const answer = await gate.request({
      path: `/v1/invoices?q=${canaries[0]}`, method: "POST", body: canaries[1],
      headers: { ...server.bearer, "X-Custom": canaries[2], Cookie: `a=${canaries[3]}` },
    });
    assert.equal(answer.status, 200, answer.text);
    await lineOf(answer);
    assert.ok(backend.last.body.toString() === canaries[1], "it was there to be written down");
    for (const canary of canaries) assert.ok(!gate.output.includes(canary), canary);
    for (const key of [server, page]) assert.ok(!gate.output.includes(partsOf(key.secret).secret));
  });
});
