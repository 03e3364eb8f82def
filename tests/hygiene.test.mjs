// What reaches a backend, and what of it can come back:
//
//   1. a plain request: these headers, and nothing more
//   2. a hostile one: every forged, hop-by-hop, overriding or nominated header is gone, in every spelling
//   3. the tenant and the credential are the gate's to set: header, query, path, in every spelling
//   4. credentials of each type: header, basic, query; one that is not set refuses its own routes only
//   5. a trace is continued or started
//   6. a backend that echoes its secret in a header, in any spelling, is cut off
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { reply, startBackend } from "./support/backend.mjs";
import { assertHeaders, assertProblem, REFUSAL } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { makeKey } from "./support/keys.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";

/** With characters that every encoding spells differently. */
const SECRET = 'hygiene/secret+"of" enough=length~1';

let backend;
let gate;
let key;
before(async () => {
  backend = await startBackend();
  const to = (prefix) => ({ at: `${backend.origin}/${prefix}` });
  gate = await startGate({
    policy: testPolicy({
      backend,
      upstreams: {
        bearer: { ...to("bearer"), credential: { type: "header", name: "authorization", value: "Bearer ${secret:BILLING_TOKEN}" } },
        basic: { ...to("basic"), credential: { type: "basic", username: "gate", password: "${secret:ODD}" } },
        query: { ...to("query"), credential: { type: "query", name: "api_key", value: "${secret:ODD}" } },
        open: { ...to("open"), leak_guard: "off", credential: { type: "header", name: "x-odd", value: "${secret:ODD}" } },
        lacking: { ...to("lacking"), credential: { type: "header", name: "authorization", value: "Bearer ${secret:MISSING}" } },
        short: { ...to("short"), credential: { type: "header", name: "authorization", value: "Bearer ${secret:SHORT}" } },
        none: to("none"),
      },
      routes: [
        { name: "plain", path: "/plain", methods: ["*"], upstream: "none" },
        { name: "header", path: "/header", methods: ["*"] },
        { name: "cookies", path: "/cookies", keep_cookies: true, upstream: "none" },
        { name: "tenant", path: "/t/{company}/x", methods: ["*"], rewrite: "/companies/{company}", upstream: "none",
          tenant: [{ header: "X-Company-Id" }, { query: "company_id" }, { param: "company" }] },
        { name: "bearer", path: "/bearer", upstream: "bearer", rewrite: "/x" },
        { name: "basic", path: "/basic", upstream: "basic", rewrite: "/x" },
        { name: "query", path: "/query", upstream: "query", rewrite: "/x" },
        { name: "open", path: "/open", upstream: "open" },
        { name: "lacking", path: "/lacking", upstream: "lacking" },
        { name: "short", path: "/short", upstream: "short" },
        { name: "public", path: "/public", auth: "public", upstream: "none" },
      ],
    }),
    secrets: { ODD: SECRET, SHORT: "fifteen-letters" },
    name: "hygiene",
  });
  key = await makeKey(gate, { tenant: "acme", scopes: ["a:read", "b:write:7"], limits: [atMost(10_000, "1h")] });
});
afterEach(() => {
  backend.answer = undefined;
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

/** Sends these header lines besides the key, and resolves with what the backend saw. */
async function sent(path, lines = [], more = {}) {
  const answer = await gate.request({ path, ...more, headers: [["Authorization", key.bearer.Authorization], ...lines] });
  assert.equal(answer.status, 200, answer.text);
  return { ...backend.last, answer, headers: lower(backend.last.pairs) };
}
const lower = (pairs) => Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), value]));

/** What the gate itself tells a backend. */
const OWN = () => ({
  "x-tollgate-tenant": "acme",
  "x-tollgate-key": key.id,
  "x-tollgate-scopes": "a:read b:write:7",
  "x-request-id": /^[0-9A-Za-z]{19}$/,
  "x-forwarded-for": "127.0.0.1",
  "x-forwarded-proto": "http",
  "x-forwarded-host": `localhost:${gate.port}`,
  via: "1.1 tollgate",
  traceparent: /^00-[0-9a-f]{32}-[0-9a-f]{16}-02$/,
  host: `127.0.0.1:${backend.port}`,
});

/** Fails unless the backend saw exactly these headers, each once. */
function assertSent({ pairs, headers }, expected, why = "") {
  assert.deepEqual(pairs.map(([name]) => name.toLowerCase()).sort(), Object.keys(expected).sort(), why);
  for (const [name, value] of Object.entries(expected)) {
    if (value instanceof RegExp) assert.match(headers[name], value, `${why}: ${name}`);
    else assert.equal(headers[name], value, `${why}: ${name}`);
  }
}

describe("a backend sees", () => {
  test("of a plain request these headers and nothing more", async () => {
    const seen = await sent("/plain?a=b", [["Accept", "text/plain"], ["X-Custom", "1"]]);
    assert.equal(seen.url, "/none/plain?a=b");
    assertSent(seen, { ...OWN(), accept: "text/plain", "x-custom": "1" });
    assert.equal(seen.headers["x-request-id"], seen.answer.headers["x-request-id"]);
  });

  test("of a body its type and length besides", async () => {
    const seen = await sent("/plain", [["Content-Type", "text/plain"]], { method: "POST", body: "hello" });
    assertSent(seen, { ...OWN(), "content-type": "text/plain", "content-length": "5" });
    assert.equal(seen.body.toString(), "hello");
  });

  test("of a hostile one the same", async () => {
    const hostile = [
      // forged identity, in the spellings that backends take for one
      "X-Tollgate-Tenant", "x_tollgate_tenant", "X-TOLLGATE-KEY", "X_Tollgate-Scopes", "X-Tollgate-Webhook", "X-Tollgate-Anything",
      // where it claims to come from
      "Forwarded", "X-Forwarded-For", "x_forwarded_for", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix",
      "X-Real-IP", "X_Real_Ip", "True-Client-IP", "CF-Connecting-IP", "CF_Connecting_IP", "CF-IPCountry", "CF-Ray", "CF-Worker",
      "X-Client-IP", "X-Cluster-Client-IP", "CDN-Loop",
      // what it would rather have asked
      "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "x_http_method_override", "X-Original-URL", "X_Original_Url",
      "X-Rewrite-URL", "X-Original-Host", "X-Host",
      // of this connection only
      "Keep-Alive", "Proxy-Authorization", "Proxy-Authenticate", "Proxy-Connection", "TE", "Upgrade",
      // the gate's own credential and id
      "X_Api_Key", "X-Request-Id", "x_request_id", "Cookie",
    ];
    const seen = await sent("/plain", [
      ...hostile.map((name) => [name, name === "Upgrade" ? "h2c" : "forged"]),
      ["Connection", "close, X-Hop, x-other-hop"],
      ["X-Hop", "forged"],
      ["X_Hop", "forged"],
      ["X-Other-Hop", "forged"],
      ["Accept", "text/plain"],
    ]);
    assertSent(seen, { ...OWN(), accept: "text/plain" });
    assert.ok(!JSON.stringify(seen.pairs).includes("forged"));
  });

  test("never the key, wherever it was read from", async () => {
    for (const headers of [key.bearer, { "X-Api-Key": key.secret }]) {
      const answer = await gate.request({ path: "/plain", headers });
      assert.equal(answer.status, 200);
      assertSent({ pairs: backend.last.pairs, headers: lower(backend.last.pairs) }, OWN());
    }
  });

  test("where there is no key, nothing about one", async () => {
    const answer = await gate.request({ path: "/public", headers: { "X-Tollgate-Tenant": "forged", Authorization: "Bearer theirs" } });
    assert.equal(answer.status, 200);
    const { "x-tollgate-tenant": _t, "x-tollgate-key": _k, "x-tollgate-scopes": _s, ...own } = OWN();
    assertSent({ pairs: backend.last.pairs, headers: lower(backend.last.pairs) }, own);
  });

  test("cookies where the route keeps them, but never the gate's", async () => {
    const cookies = "a=1; __Host-tollgate=session; b=2; __Host-tollgate_x=1; __host-TOLLGATE=2";
    assert.equal((await sent("/plain", [["Cookie", cookies]])).headers.cookie, undefined);
    assert.equal((await sent("/cookies", [["Cookie", cookies]])).headers.cookie, "a=1; b=2");
  });

  test("that it came through other proxies too", async () => {
    assert.equal((await sent("/plain", [["Via", "1.1 first"]])).headers.via, "1.1 first, 1.1 tollgate");
  });

  test("the method as it was sent, and no other", async () => {
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
      const seen = await sent("/plain", [["X-HTTP-Method-Override", "DELETE"]], { method });
      assert.equal(seen.method, method);
    }
  });
});

describe("the tenant", () => {
  test("is the key's, in every place, and no client's value survives", async () => {
    const spellings = [
      "company_id=evil", "Company_Id=evil", "company-id=evil", "company.id=evil", "company%5Fid=evil", "%63ompany_id=evil",
      "company%255Fid=evil", "company_id[]=evil", "company_id[0]=evil", "company_id%5B%5D=evil", "company+id=evil", "company%20id=evil",
      "a=1;company_id=evil", "company_id", "company_id=",
    ];
    for (const spelling of spellings) {
      const seen = await sent(`/t/evil/x?${spelling}&keep=1`, [["X-Company-Id", "evil"], ["x_company_id", "evil"], ["X-COMPANY_ID", "evil"]]);
      assert.equal(seen.url, "/none/companies/acme?keep=1&company_id=acme", spelling);
      assertSent(seen, { ...OWN(), "x-company-id": "acme" }, spelling);
    }
  });

  test("of another key is another", async () => {
    const other = await makeKey(gate, { tenant: "umbrella" });
    await gate.request({ path: "/t/acme/x?company_id=acme", headers: { ...other.bearer, "X-Company-Id": "acme" } });
    assert.equal(backend.last.url, "/none/companies/umbrella?company_id=umbrella");
    assert.equal(backend.last.header("x-company-id"), "umbrella");
    assert.equal(backend.last.header("x-tollgate-tenant"), "umbrella");
  });
});

describe("the credential", () => {
  const basic = `Basic ${Buffer.from(`gate:${SECRET}`).toString("base64")}`;

  test("is added, of each type, in place of the client's", async () => {
    const seen = await sent("/header", [["X-Upstream-Token", "forged"], ["x_upstream_token", "forged"]]);
    assertSent(seen, { ...OWN(), "x-upstream-token": gate.secrets.BILLING_TOKEN });
    assertSent(await sent("/bearer"), { ...OWN(), authorization: `Bearer ${gate.secrets.BILLING_TOKEN}` });
    assertSent(await sent("/basic"), { ...OWN(), authorization: basic });
    for (const query of ["", "?api_key=forged", "?API-KEY=forged", "?api%5Fkey=forged&api_key[]=forged"]) {
      const seen = await sent(`/query${query}`);
      assert.equal(seen.url, `/query/x?api_key=${encodeURIComponent(SECRET).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)}`);
      assertSent(seen, OWN());
    }
  });

  test("is in no answer and in no log", async () => {
    backend.answer = (seen, response) => reply(response, 200, "fine", { "X-Harmless": "1" });
    for (const path of ["/header", "/bearer", "/basic", "/query"]) {
      const { answer } = await sent(path);
      const all = JSON.stringify(answer.pairs) + answer.text;
      for (const secret of [SECRET, gate.secrets.BILLING_TOKEN, encodeURIComponent(SECRET)]) assert.ok(!all.includes(secret), path);
      const line = await gate.logged(({ request_id }) => request_id === answer.headers["x-request-id"]);
      assert.equal(line.path, path);
    }
    // What is in the log is searched for every secret when the gate stops.
  });

  test("that is missing or too short refuses the routes that need it, and no others", async () => {
    backend.clear();
    for (const path of ["/lacking", "/short"]) {
      const answer = await gate.request({ path, headers: key.bearer });
      assertProblem(answer, 503, "upstream_credential_unavailable");
      assert.ok(!/MISSING|SHORT|fifteen/.test(answer.text), "its name is the operator's business");
    }
    assert.equal(backend.requests.length, 0);
    assert.equal((await gate.request({ path: "/plain", headers: key.bearer })).status, 200);
    const ready = await gate.request({ host: gate.adminHost, path: "/_tollgate/ready", headers: { Authorization: `Bearer ${gate.secrets.ROOT_TOKEN}` } });
    for (const name of ["MISSING", "SHORT"]) assert.ok(ready.text.includes(name), `ready tells operators of ${name}: ${ready.text}`);
    const stranger = await gate.request({ host: gate.adminHost, path: "/_tollgate/ready" });
    assert.ok(!/MISSING|SHORT/.test(stranger.text), "and nobody else");
  });
});

describe("a trace", () => {
  const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";

  test("is continued, with a span of the gate's own", async () => {
    const seen = await sent("/plain", [["traceparent", `00-${TRACE}-00f067aa0ba902b7-01`], ["tracestate", "a=1,b=2"]]);
    const [version, trace, span, flags] = seen.headers.traceparent.split("-");
    assert.deepEqual([version, trace, flags], ["00", TRACE, "01"]);
    assert.notEqual(span, "00f067aa0ba902b7");
    assert.equal(seen.headers.tracestate, "a=1,b=2");
  });

  test("is started where there is none, or none that can be read", async () => {
    const traces = new Set();
    for (const parent of [undefined, "nonsense", `00-${"0".repeat(32)}-00f067aa0ba902b7-01`, `ff-${TRACE}-00f067aa0ba902b7-01`, `00-${TRACE}-${"0".repeat(16)}-01`]) {
      const seen = await sent("/plain", [...(parent ? [["traceparent", parent], ["tracestate", "a=1"]] : [])]);
      const [, trace] = seen.headers.traceparent.match(/^00-([0-9a-f]{32})-[0-9a-f]{16}-02$/);
      assert.notEqual(trace, TRACE);
      assert.equal(seen.headers.tracestate, undefined, "a state without its trace means nothing");
      traces.add(trace);
    }
    assert.equal(traces.size, 5, "each its own");
  });
});

describe("a backend that says its secret", () => {
  const spellings = (secret) => ({
    plain: secret,
    "within a text": `token ${secret}; kept`,
    base64: Buffer.from(secret).toString("base64"),
    "base64 without padding": Buffer.from(secret).toString("base64").replace(/=+$/, ""),
    base64url: Buffer.from(secret).toString("base64url"),
    hex: Buffer.from(secret).toString("hex"),
    "hex in capitals": Buffer.from(secret).toString("hex").toUpperCase(),
    percent: encodeURIComponent(secret),
    "percent, every byte": [...Buffer.from(secret)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join(""),
    JSON: JSON.stringify({ token: secret }),
  });

  test("in a header, in any spelling, is cut off", async () => {
    for (const [path, secret] of [["/header", () => gate.secrets.BILLING_TOKEN], ["/bearer", () => gate.secrets.BILLING_TOKEN], ["/basic", () => SECRET], ["/query", () => SECRET]]) {
      for (const [spelling, value] of Object.entries(spellings(secret()))) {
        backend.answer = (seen, response) => reply(response, 200, "body", { "X-Debug": value, "X-Fine": "1" });
        const answer = await gate.request({ path, headers: key.bearer });
        const why = `${path}, ${spelling}`;
        assertProblem(answer, 502, "secret_leak_blocked", { why });
        assert.ok(!(JSON.stringify(answer.pairs) + answer.text).includes(value), why);
        assert.equal(answer.headers["x-fine"], undefined, `${why}: nothing of the answer passes`);
      }
    }
  });

  test("whole as it was sent: Basic, Location, Set-Cookie, an error", async () => {
    for (const [path, status, name, value] of [
      ["/basic", 200, "X-Echo", () => backend.last.header("authorization")],
      ["/basic", 401, "WWW-Authenticate", () => `Basic realm="${backend.last.header("authorization").slice(6)}"`],
      ["/query", 302, "Location", () => backend.last.url],
      ["/bearer", 500, "Set-Cookie", () => `t=${backend.last.header("authorization").slice(7)}`],
      ["/header", 404, "X-Echo", () => backend.last.header("x-upstream-token")],
    ]) {
      backend.answer = (seen, response) => reply(response, status, "body", { [name]: value() });
      assertProblem(await gate.request({ path, headers: key.bearer }), 502, "secret_leak_blocked", { why: `${path} ${name}` });
    }
  });

  test("is let pass where the guard is off, and where it is no secret", async () => {
    backend.answer = (seen, response) => reply(response, 200, "body", { "X-Debug": "nothing/secret+of enough=length" });
    assert.equal((await gate.request({ path: "/basic", headers: key.bearer })).status, 200);
    backend.answer = (seen, response) => reply(response, 200, "body", { "X-Debug": Buffer.from(SECRET).toString("hex") });
    assert.equal((await gate.request({ path: "/open", headers: key.bearer })).status, 200);
  });

  test("leaves a refusal with these headers and nothing more", async () => {
    backend.answer = (seen, response) => reply(response, 200, "body", { "X-Debug": SECRET });
    const answer = await gate.request({ path: "/basic", headers: key.bearer });
    assertHeaders(answer, {
      ...REFUSAL, vary: "Origin", "ratelimit-policy": '"default";q=10000;w=3600', ratelimit: /^"default";r=\d+;t=\d+$/,
      "x-ratelimit-limit": "10000", "x-ratelimit-remaining": /^\d+$/, "x-ratelimit-reset": /^\d+$/,
    });
  });
});
