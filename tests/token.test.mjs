// Tokens: what a server trades its key for (OAuth 2 client credentials).
//
//   1. the endpoint: other people's client, its answers to the last header, what it refuses and how
//   2. a token on the road: as its key, never more, never longer, dead with it at once
//   3. what it is not: a credential for management, a key, something to be found in a log
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import * as oauth from "oauth4webapi";
import { reply, startBackend } from "./support/backend.mjs";
import { MINUTE, SECOND, startClockedGate } from "./support/clock.mjs";
import { assertHeaders, assertProblem, limitOf, REFUSAL, STAMP, tally } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { act, bearer, change, checkOf, forged, makeKey, partsOf } from "./support/keys.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";
import { AMPLE } from "./support/road.mjs";
import { askToken, basic, FORM, halves, noted, TOKEN, trade } from "./support/tokens.mjs";

const SCOPES = ["invoices:read:*", "accounts:read"];
const ROUTES = [
  { name: "plain", path: "/v1/plain" },
  { name: "invoice", path: "/v1/invoices/{id}", scopes: ["invoices:read:{id}"] },
  { name: "accounts", path: "/v1/accounts", scopes: ["accounts:read"] },
  { name: "own-auth", path: "/v1/own-auth", passthrough: ["authorization"] },
];
const OAUTH = ["error", "error_description"];

let gate, backend, server;
const get = (path, headers = {}) => gate.request({ path, headers });

before(async () => {
  backend = await startBackend({ answer: (seen, response) => reply(response, 200, JSON.stringify({ url: seen.url })) });
  gate = await startClockedGate({ policy: testPolicy({ backend, routes: ROUTES }), name: "token" });
  server = await makeKey(gate, { scopes: SCOPES, limits: AMPLE });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

/** Fails unless this is a refusal with OAuth's members besides. */
function assertRefused(answer, status, code, error, why = "") {
  const members = { insufficient_scope: ["required_scopes"], rate_limited: ["retry_after", "violated-policies"], too_many_failures: ["retry_after"] };
  const document = assertProblem(answer, status, code, { members: [...OAUTH, ...(members[code] ?? [])], why });
  assert.equal(document.error, error, why);
  assert.match(document.error_description, /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/, why);
  return document;
}

describe("the token endpoint", () => {
  const as = () => ({ issuer: gate.url("/"), token_endpoint: gate.url(TOKEN) });
  const insecure = { [oauth.allowInsecureRequests]: true };

  async function stock(key, auth, parameters = {}) {
    const { client_id, client_secret } = halves(key.secret);
    const response = await oauth.clientCredentialsGrantRequest(
      as(), { client_id }, auth(client_secret), new URLSearchParams(parameters), insecure,
    );
    return oauth.processClientCredentialsResponse(as(), { client_id }, response);
  }

  for (const [name, auth] of [["Basic", oauth.ClientSecretBasic], ["the form", oauth.ClientSecretPost]]) {
    test(`serves a stock client that shows itself by ${name}`, async () => {
      const got = await stock(server, auth, { scope: "accounts:read" });
      noted(gate, got.access_token);
      const { access_token: token, ...rest } = got;
      // The client gives the type in lower case.
      assert.deepEqual(rest, { token_type: "bearer", expires_in: 300, scope: "accounts:read" });
      const url = new URL(gate.url("/v1/accounts"));
      const answer = await oauth.protectedResourceRequest(token, "GET", url, undefined, undefined, insecure);
      assert.equal(answer.status, 200);
      assert.equal(backend.last.header("x-tollgate-key"), server.id);
      const other = new URL(gate.url("/v1/invoices/1"));
      await assert.rejects(
        oauth.protectedResourceRequest(token, "GET", other, undefined, undefined, insecure),
        (error) => error.cause[0].parameters.error === "insufficient_scope",
      );
    });
  }

  test("tells a stock client its errors by OAuth's names", async () => {
    const refused = (parameters) =>
      oauth
        .genericTokenEndpointRequest(
          as(), { client_id: halves(server.secret).client_id }, oauth.ClientSecretPost(halves(server.secret).client_secret),
          parameters.grant_type ?? "client_credentials", new URLSearchParams(parameters), insecure,
        )
        .then((response) => oauth.processGenericTokenEndpointResponse(as(), { client_id: "x" }, response));
    for (const [parameters, error] of [
      [{ grant_type: "password" }, "unsupported_grant_type"],
      [{ scope: "no-scope" }, "invalid_scope"],
    ]) {
      await assert.rejects(refused(parameters), (thrown) => {
        assert.ok(thrown instanceof oauth.ResponseBodyError, String(thrown));
        assert.equal(thrown.error, error);
        return true;
      });
    }
    const wrong = { ...server, secret: forged({ ...partsOf(server.secret), secret: "0".repeat(32) }) };
    await assert.rejects(stock(wrong, oauth.ClientSecretBasic), (thrown) => {
      assert.ok(thrown instanceof oauth.WWWAuthenticateChallengeError, String(thrown));
      assert.equal(thrown.cause[0].parameters.error, "invalid_token");
      return true;
    });
  });

  test("answers with these headers and members, and no others", async () => {
    const key = await makeKey(gate, { scopes: SCOPES, limits: [atMost(5, "1h")] });
    const answer = await askToken(gate, { key });
    assertHeaders(answer, {
      ...STAMP, "content-type": "application/json", "content-length": /^\d+$/, "x-content-type-options": "nosniff",
      "cache-control": "no-store", pragma: "no-cache",
      "ratelimit-policy": '"default";q=5;w=3600', ratelimit: /^"default";r=4;t=\d+$/,
      "x-ratelimit-limit": "5", "x-ratelimit-remaining": "4", "x-ratelimit-reset": /^\d+$/,
    });
    const { access_token: token, ...rest } = answer.json;
    assert.deepEqual(rest, { token_type: "Bearer", expires_in: 300, scope: SCOPES.join(" ") });
    assert.match(token, new RegExp(`^tg_dev_tk_${key.id}_[0-9A-Za-z]+$`));
    assert.equal(token.slice(-6), checkOf(token.slice(0, -6)));
    const bare = await makeKey(gate, { limits: AMPLE });
    assert.deepEqual(Object.keys((await askToken(gate, { key: bare })).json).sort(), ["access_token", "expires_in", "token_type"]);
  });

  test("says what is wrong with a request", async () => {
    const { client_id, client_secret } = halves(server.secret);
    const fields = { client_id, client_secret };
    const wrong = { secret: forged({ ...partsOf(server.secret), secret: "0".repeat(32) }) };
    const made = await makeKey(gate, { kind: "pk", origins: ["https://app.example.com"] });
    const admin = await makeKey(gate, { kind: "ak", scopes: ["keys:read"] });
    const unmade = { secret: forged({ ...partsOf(server.secret), id: "0".repeat(16) }) };
    const foreign = { secret: forged({ ...partsOf(server.secret), env: "prod" }) };
    for (const [why, ask, status, code, error] of [
      ["no form", { key: server, headers: { "Content-Type": "application/json" }, body: "{}" }, 400, "malformed_request", "invalid_request"],
      ["no grant", { key: server, body: "scope=a:b" }, 400, "invalid_field", "invalid_request"],
      ["another grant", { key: server, fields: { grant_type: "refresh_token" } }, 400, "invalid_field", "unsupported_grant_type"],
      ["twice", { key: server, body: "grant_type=client_credentials&grant_type=client_credentials" }, 400, "invalid_field", "invalid_request"],
      ["both ways", { key: server, fields }, 400, "malformed_request", "invalid_request"],
      ["Bearer", { headers: server.bearer }, 400, "malformed_request", "invalid_request"],
      ["X-Api-Key", { headers: { "X-Api-Key": server.secret } }, 400, "malformed_request", "invalid_request"],
      ["nobody", {}, 401, "key_missing", "invalid_client"],
      ["no secret", { fields: { client_id } }, 401, "key_missing", "invalid_client"],
      ["a wrong secret", { key: wrong }, 401, "key_invalid", "invalid_client"],
      ["an id that nobody made", { key: unmade }, 401, "key_invalid", "invalid_client"],
      ["of production", { key: foreign }, 403, "wrong_environment", "invalid_client"],
      ["a page's key", { key: made }, 403, "wrong_kind", "unauthorized_client"],
      ["an admin key", { key: admin }, 403, "wrong_kind", "unauthorized_client"],
      ["a scope it lacks", { key: server, fields: { scope: "accounts:read accounts:write" } }, 403, "insufficient_scope", "invalid_scope"],
      ["what is no scope", { key: server, fields: { scope: "all" } }, 400, "invalid_field", "invalid_scope"],
      ["too long a form", { key: server, fields: { x: "x".repeat(40_000) } }, 413, "body_too_large", "invalid_request"],
    ]) {
      const answer = await askToken(gate, ask);
      const errors = code === "invalid_field" && answer.json.errors !== undefined;
      if (errors) delete answer.json.errors;
      const document = errors ? answer.json : assertRefused(answer, status, code, error, why);
      assert.deepEqual([answer.status, document.code, document.error], [status, code, error], why);
      assert.ok(!answer.text.includes(client_secret.slice(4, 24)), why);
      assert.equal(answer.headers["cache-control"], "no-store", why);
      if (status === 401) assert.match(answer.headers["www-authenticate"], /^Bearer realm="test"/, why);
    }
    const lacking = (await askToken(gate, { key: server, fields: { scope: "accounts:read a:b" } })).json;
    assert.deepEqual(lacking.required_scopes, ["a:b"]);
    assertHeaders(await askToken(gate, { key: server, body: "" }), REFUSAL, "and nothing more");
  });

  test("is for POST, and on the hosts of the API alone", async () => {
    const wrong = await gate.request({ path: TOKEN });
    assertRefused(wrong, 405, "method_not_allowed", "invalid_request");
    assert.equal(wrong.headers.allow, "POST");
    assertProblem(await askToken(gate, { key: server, host: gate.adminHost }), 404, "not_found");
    const preflight = await gate.request({
      method: "OPTIONS", path: TOKEN, headers: { Origin: "https://app.example.com", "Access-Control-Request-Method": "POST" },
    });
    assert.equal(preflight.status, 405);
    assert.equal(preflight.headers["access-control-allow-origin"], undefined);
  });

  test("asks what the road asks: state, place, never a page", async () => {
    const listed = await makeKey(gate, { addresses: ["192.0.2.0/24"], limits: AMPLE });
    assertRefused(await askToken(gate, { key: listed }), 403, "ip_not_allowed", "unauthorized_client");
    for (const headers of [{ Origin: "https://app.example.com" }, { "Sec-Fetch-Site": "same-origin" }]) {
      const answer = await askToken(gate, { key: server, headers });
      assertRefused(answer, 403, "secret_key_in_browser", "unauthorized_client");
      assert.equal(answer.headers["access-control-allow-origin"], undefined);
    }
    for (const [action, code] of [["disable", "key_disabled"], ["revoke", "key_revoked"]]) {
      const key = await makeKey(gate, { limits: AMPLE });
      assert.equal((await askToken(gate, { key })).status, 200);
      await act(gate, key, action);
      assertRefused(await askToken(gate, { key }), 401, code, "invalid_client");
    }
  });

  test("costs the key's limits one request, and what it refuses costs nothing", async () => {
    const key = await makeKey(gate, { scopes: ["a:b"], limits: [atMost(3, "1h")] });
    assertRefused(await askToken(gate, { key, fields: { scope: "c:d" } }), 403, "insufficient_scope", "invalid_scope");
    const token = await trade(gate, key);
    assert.equal(limitOf(await get("/v1/plain", token.bearer)).remaining, 1);
    assert.equal(limitOf(await askToken(gate, { key })).remaining, 0);
    const answer = await askToken(gate, { key });
    const document = assertRefused(answer, 429, "rate_limited", "temporarily_unavailable");
    assert.equal(document.retry_after, Number(answer.headers["retry-after"]));
    assertProblem(await get("/v1/plain", token.bearer), 429, "rate_limited", { members: ["retry_after", "violated-policies"] });
    await gate.advance(60 * MINUTE);
    assert.equal((await askToken(gate, { key })).status, 200);
  });

  test("is bounded for an address that only brings failures", async () => {
    const strict = await startGate({
      policy: testPolicy({ backend, routes: ROUTES, gate: { failures: { requests: 3, window: "1h" } } }), name: "token-failures",
    });
    try {
      const key = await makeKey(strict, { limits: AMPLE });
      await trade(strict, key);
      const wrong = { secret: forged({ ...partsOf(key.secret), secret: "0".repeat(32) }) };
      const codes = [];
      for (let i = 0; i < 5; i += 1) codes.push((await askToken(strict, { key: wrong })).json.code);
      assert.deepEqual(tally(codes), { key_invalid: 3, too_many_failures: 2 });
      const refused = await askToken(strict, { key: wrong });
      assertRefused(refused, 429, "too_many_failures", "temporarily_unavailable");
      await trade(strict, key);
      const other = await makeKey(strict);
      assert.equal((await askToken(strict, { key: other })).status, 429, "nobody here knows it by heart");
    } finally {
      await strict.stop();
    }
  });
});

describe("a token on the road", () => {
  test("is its key to the backend, and is not passed on", async () => {
    const token = await trade(gate, server);
    const answer = await get("/v1/invoices/7", token.bearer);
    assert.equal(answer.status, 200, answer.text);
    const told = ["x-tollgate-key", "x-tollgate-tenant", "x-tollgate-scopes", "authorization"];
    assert.deepEqual(told.map((name) => backend.last.header(name)), [server.id, "acme", SCOPES.join(" "), undefined]);
    const line = await gate.logged((line) => line.request_id === answer.headers["x-request-id"]);
    assert.deepEqual([line.key, line.tenant], [server.id, "acme"]);
    const few = await trade(gate, server, "invoices:read:7");
    assert.equal((await get("/v1/invoices/7", few.bearer)).status, 200);
    assert.equal(backend.last.header("x-tollgate-scopes"), "invoices:read:7");
    assertProblem(await get("/v1/invoices/8", few.bearer), 403, "insufficient_scope", { members: ["required_scopes"] });
  });

  test("ends to the second, and never later than its key", async () => {
    const token = await trade(gate, server);
    await gate.advance(299 * SECOND + 999);
    assert.equal((await get("/v1/plain", token.bearer)).status, 200);
    await gate.advance(1);
    const ended = await get("/v1/plain", token.bearer);
    assertProblem(ended, 401, "token_expired");
    assert.match(ended.headers["www-authenticate"], /^Bearer realm="test", error="invalid_token"/);
    const short = await makeKey(gate, { expires_in: "90s", limits: AMPLE });
    await gate.advance(30 * SECOND);
    const last = await trade(gate, short);
    assert.equal(last.expires_in, 60);
    await gate.advance(60 * SECOND - 1);
    assert.equal((await get("/v1/plain", last.bearer)).status, 200);
    await gate.advance(1);
    assertProblem(await get("/v1/plain", last.bearer), 401, "token_expired");
    assertRefused(await askToken(gate, { key: short }), 401, "key_expired", "invalid_client");
  });

  test("is dead with its key at once", async () => {
    for (const [action, code] of [["disable", "key_disabled"], ["revoke", "key_revoked"]]) {
      const key = await makeKey(gate, { limits: AMPLE });
      const token = await trade(gate, key);
      assert.equal((await get("/v1/plain", token.bearer)).status, 200);
      await act(gate, key, action);
      assertProblem(await get("/v1/plain", token.bearer), 401, code);
      if (action === "disable") {
        await act(gate, key, "enable");
        assert.equal((await get("/v1/plain", token.bearer)).status, 200, "it was only asleep");
      }
    }
  });

  test("of a rotated key ends with its grace, and its answers say so", async () => {
    const key = await makeKey(gate, { limits: AMPLE });
    const token = await trade(gate, key);
    await act(gate, key, "rotate", { grace: "60s" });
    const answer = await get("/v1/plain", token.bearer);
    assert.equal(answer.status, 200);
    assert.ok(answer.headers.deprecation && answer.headers.sunset);
    const late = await askToken(gate, { key });
    assert.deepEqual([late.status, late.json.expires_in], [200, 60]);
    assert.ok(late.headers.deprecation && late.headers.sunset);
    await gate.advance(60 * SECOND - 1);
    assert.equal((await get("/v1/plain", token.bearer)).status, 200);
    await gate.advance(1);
    assertProblem(await get("/v1/plain", token.bearer), 401, "key_expired");
  });

  test("loses at once what its key loses, and gains nothing that it gains", async () => {
    const key = await makeKey(gate, { scopes: ["accounts:read", "invoices:read:*"], limits: AMPLE });
    const token = await trade(gate, key);
    assert.equal((await get("/v1/accounts", token.bearer)).status, 200);
    await change(gate, key, { scopes: ["invoices:read:1"] });
    assertProblem(await get("/v1/accounts", token.bearer), 403, "insufficient_scope", { members: ["required_scopes"] });
    assert.equal((await get("/v1/invoices/1", token.bearer)).status, 200);
    assert.equal(backend.last.header("x-tollgate-scopes"), "invoices:read:1");
    await change(gate, key, { addresses: ["192.0.2.0/24"] });
    assertProblem(await get("/v1/invoices/1", token.bearer), 403, "ip_not_allowed");
    const small = await makeKey(gate, { scopes: ["a:b"], limits: AMPLE });
    const old = await trade(gate, small);
    await change(gate, small, { scopes: ["a:b", "accounts:read"] });
    await gate.advance(MINUTE);
    assertProblem(await get("/v1/accounts", old.bearer), 403, "insufficient_scope", { members: ["required_scopes"] });
    assert.equal((await get("/v1/accounts", (await trade(gate, small)).bearer)).status, 200);
  });

  test("comes as Bearer, from a server, and from nowhere else", async () => {
    const token = await trade(gate, server);
    const [front, rest] = [token.text.slice(0, token.text.lastIndexOf("_")), token.text.slice(token.text.lastIndexOf("_") + 1)];
    const pair = { Authorization: `Basic ${Buffer.from(`${front}:${rest}`).toString("base64")}` };
    for (const [why, path, headers, status, code] of [
      ["X-Api-Key", "/v1/plain", { "X-Api-Key": token.text }, 401, "key_invalid"],
      ["Basic", "/v1/plain", pair, 401, "key_invalid"],
      ["of the backend", "/v1/own-auth", token.bearer, 401, "key_missing"],
      ["a page", "/v1/plain", { ...token.bearer, "Sec-Fetch-Site": "none" }, 403, "secret_key_in_browser"],
      ["with a key", "/v1/plain", { ...token.bearer, "X-Api-Key": server.secret }, 400, "malformed_request"],
    ]) {
      assertProblem(await get(path, headers), status, code, { why });
    }
    const url = await get(`/v1/invoices/${token.text}`);
    assertProblem(url, 400, "credential_in_url");
    const line = await gate.logged((line) => line.request_id === url.headers["x-request-id"]);
    assert.equal(line.path, "/v1/invoices/[key]");
  });

  test("cannot be made, moved or mended by anybody else", async () => {
    const token = (await trade(gate, server, "accounts:read")).text;
    const other = await makeKey(gate, { scopes: SCOPES, limits: AMPLE });
    const again = (body) => body + checkOf(body);
    const body = token.slice(0, -6);
    for (const [why, text, status, code] of [
      ["a letter changed", token.replace(/.$/, (last) => (last === "0" ? "1" : "0")), 401, "key_invalid"],
      ["another MAC", again(body.replace(/.$/, (last) => (last === "0" ? "1" : "0"))), 401, "key_invalid"],
      ["another key", again(body.replace(server.id, other.id)), 401, "key_invalid"],
      ["other claims", again(body.replace(/(?<=_tk_\w{16}_\w{30})./, (one) => (one === "0" ? "1" : "0"))), 401, "key_invalid"],
      ["another environment", again(body.replace("_dev_", "_prod_")), 403, "wrong_environment"],
      ["as a key", token.replace("_tk_", "_sk_"), 401, "key_invalid"],
    ]) {
      assertProblem(await get("/v1/accounts", bearer(text)), status, code, { why });
    }
  });

  test("50 at once are 50, and cost their key 100", async () => {
    const key = await makeKey(gate, { limits: [atMost(120, "1h")] });
    const answers = await Promise.all(Array.from({ length: 50 }, () => askToken(gate, { key })));
    assert.deepEqual(tally(answers.map((answer) => answer.status)), { 200: 50 });
    const tokens = answers.map((answer) => answer.json.access_token);
    assert.equal(new Set(tokens).size, 50);
    const used = await Promise.all(tokens.map((token) => get("/v1/plain", bearer(token))));
    assert.deepEqual(tally(used.map((answer) => answer.status)), { 200: 50 });
    assert.equal(limitOf(await get("/v1/plain", key.bearer)).remaining, 19);
  });

  test("lives through a new pepper, and dies when the old one is taken away", async () => {
    const own = await startClockedGate({ policy: testPolicy({ backend, routes: ROUTES }), name: "token-pepper" });
    try {
      const old = own.secrets.KEY_PEPPER;
      const fresh = `2:${randomBytes(32).toString("base64")}`;
      own.known.push(fresh.slice(2));
      const plain = (token) => own.request({ path: "/v1/plain", headers: token.bearer });
      const key = await makeKey(own, { limits: AMPLE });
      const token = await trade(own, key);
      own.secrets.KEY_PEPPER = `${fresh},${old}`;
      await own.restart();
      assert.equal((await plain(token)).status, 200);
      const newer = await trade(own, key);
      own.secrets.KEY_PEPPER = fresh;
      await own.restart();
      assertProblem(await plain(token), 401, "key_invalid");
      assert.equal((await plain(newer)).status, 200);
    } finally {
      await own.stop();
    }
  });
});

describe("what a token is not", () => {
  test("a credential for management", async () => {
    const token = await trade(gate, server);
    const answer = await gate.api("GET", "keys", undefined, { token: token.text });
    assertProblem(answer, 403, "wrong_kind");
  });

  test("a key to change or verify with: verify says what it is", async () => {
    const key = await makeKey(gate, { scopes: ["a:b", "c:d"], limits: AMPLE });
    const token = await trade(gate, key, "a:b");
    const verify = async (ask) => (await gate.api("POST", "keys/verify", ask)).body;
    const good = await verify({ key: token.text, scope: "a:b" });
    assert.deepEqual([good.valid, good.key.id, good.token.scopes], [true, key.id, ["a:b"]]);
    assert.equal(Date.parse(good.token.expires_at) - Date.parse(good.token.issued_at), 300 * SECOND);
    assert.deepEqual(await verify({ key: token.text, scope: "c:d" }), { valid: false, code: "insufficient_scope" });
    assert.deepEqual(await verify({ key: token.text, origin: "https://a.example" }), { valid: false, code: "secret_key_in_browser" });
    assert.deepEqual(await verify({ key: token.text.slice(0, -1) }), { valid: false, code: "key_invalid" });
    const stranger = await makeKey(gate, { kind: "ak", tenant: "other", scopes: ["keys:read"], limits: AMPLE });
    const seen = await gate.api("POST", "keys/verify", { key: token.text }, { token: stranger.secret });
    assert.deepEqual(seen.body, { valid: false, code: "key_invalid" }, "another tenant's");
    await act(gate, key, "revoke");
    assert.deepEqual(await verify({ key: token.text }), { valid: false, code: "key_revoked" });
    await gate.advance(300 * SECOND);
    assert.deepEqual(await verify({ key: token.text }), { valid: false, code: "token_expired" });
  });

  test("something that explain would not understand", async () => {
    const token = await trade(gate, server, "accounts:read");
    const explain = async (text, path) => {
      const request = { method: "GET", url: gate.url(path), headers: [["Authorization", `Bearer ${text}`]], client_ip: "127.0.0.1" };
      return (await gate.api("POST", "explain", { request })).body;
    };
    const passes = await explain(token.text, "/v1/accounts");
    assert.equal(passes.outcome, "forward");
    assert.match(passes.steps.find(({ step }) => step === "credential").detail, /^token of sk key /);
    const refused = await explain(token.text, "/v1/invoices/1");
    assert.deepEqual([refused.outcome, refused.code], ["refuse", "insufficient_scope"]);
    const body = token.text.slice(0, -6).replace(/.$/, (last) => (last === "0" ? "1" : "0"));
    const forgedToken = await explain(body + checkOf(body), "/v1/accounts");
    assert.equal(forgedToken.code, "key_invalid");
    await gate.advance(300 * SECOND);
    assert.equal((await explain(token.text, "/v1/accounts")).code, "token_expired");
  });

  test("the encoding of a form is all that Basic may have", async () => {
    const { client_id, client_secret } = halves(server.secret);
    const plain = { Authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString("base64")}` };
    for (const headers of [plain, basic(server.secret)]) {
      assert.equal((await askToken(gate, { headers: { ...headers, "Content-Type": `${FORM}; charset=utf-8` } })).status, 200);
    }
  });
});
