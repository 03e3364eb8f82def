// Whatever comes: an answer with the right code, or a closed connection; never a fault of the gate and
// never a hang.
//
//   1. bytes made by hand: broken requests, huge heads, NUL, odd methods, absolute form, repeated headers
//   2. bytes made by chance (TOLLGATE_SEED=… repeats a run)
//   3. ten thousand texts that look like keys
//   4. bodies and queries of management that are none
//   5. a gate that cannot stand (no policy, no environment, no secrets) refuses everything, and its log
//      tells the operator why
//   6. a gate of several environments serves the one it is told, and stops at any other name
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { assertProblem, tally } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { base62, forged, makeKey, partsOf } from "./support/keys.mjs";
import { atMost, testPolicy, toToml } from "./support/policy.mjs";
import { chance, seed } from "./support/random.mjs";
import { exchange } from "./support/wire.mjs";

let backend;
let gate;
let key;
before(async () => {
  backend = await startBackend();
  gate = await startGate({
    policy: testPolicy({
      backend,
      routes: [
        { name: "plain", path: "/plain", methods: ["*"] },
        { name: "thing", path: "/things/{id}", methods: ["*"], scopes: ["things:read:{id}"] },
        { name: "open", path: "/open/{*rest}", methods: ["*"], auth: "public", origins: ["*"] },
      ],
    }),
    name: "bad-input",
  });
  key = await makeKey(gate, { scopes: ["things:read:*"], limits: [atMost(100_000, "1h")] });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

/** The gate is in order: it serves who may pass. */
async function assertServes(why) {
  const answer = await gate.request({ path: "/plain", headers: key.bearer });
  assert.equal(answer.status, 200, `${why}: ${answer.text}`);
}

/** Fails for what must not come of any input: a fault, or a success that nobody paid for. */
function assertRefused(answer, why) {
  assert.notEqual(answer.status, 500, `${why}: ${answer.body}`);
  assert.ok(answer.status === null || answer.status >= 400, `${why}: ${answer.status}`);
}

describe("bytes made by hand", () => {
  const head = (line, ...lines) => `${[line, `Host: localhost:${gate.port}`, ...lines].join("\r\n")}\r\n\r\n`;
  const own = () => `Authorization: Bearer ${key.secret}`;
  /** Each: why, bytes, the statuses that are right; null for a connection closed without an answer. */
  const cases = () => [
    ["nothing", "", [null]],
    ["no HTTP", "hello\r\n\r\n", [400, null]],
    ["a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [400, null]],
    ["no Host", "GET /plain HTTP/1.1\r\n\r\n", [400, 421]],
    ["an empty Host", "GET /plain HTTP/1.1\r\nHost:\r\n\r\n", [400, 421]],
    ["Host twice", `GET /plain HTTP/1.1\r\nHost: localhost:${gate.port}\r\nHost: evil.example\r\n${own()}\r\n\r\n`, [400, 421]],
    ["a Host with a path", "GET /plain HTTP/1.1\r\nHost: localhost/x\r\n\r\n", [400, 401, 421, 404]],
    ["a Host with a user", "GET /plain HTTP/1.1\r\nHost: a@localhost\r\n\r\n", [400, 421]],
    ["a Host of odd bytes", "GET /plain HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n", [400, 421]],
    ["absolute form, another host", `GET http://evil.example/plain HTTP/1.1\r\nHost: localhost:${gate.port}\r\n\r\n`, [400, 401, 404, 421]],
    // No Worker takes CONNECT: workerd itself answers, with a plain 500.
    ["authority form", head("CONNECT localhost:1 HTTP/1.1"), [400, 404, 405, 421, 500, 501, null]],
    ["asterisk form", head("OPTIONS * HTTP/1.1"), [400, 404, 405, 421]],
    ["no slash in front", head("GET plain HTTP/1.1"), [400, 404]],
    ["TRACE", head("TRACE /plain HTTP/1.1", own()), [400, 405, 501]],
    ["an odd method", head("BREW /plain HTTP/1.1", own()), [400, 405, 501]],
    ["a method in small letters", head("get /plain HTTP/1.1", own()), [400, 405, 501]],
    ["a method of odd bytes", head("G\x00T /plain HTTP/1.1"), [400, 501, null]],
    ["another protocol", head("GET /plain HTTP/3.0"), [400, 401, 505, null]],
    ["NUL in the path", head("GET /pl\x00ain HTTP/1.1"), [400, 404]],
    ["NUL in a header", head("GET /plain HTTP/1.1", "X-A: a\x00b"), [400, 401]],
    ["a bare line feed in a header", head("GET /plain HTTP/1.1", "X-A: a\nX-B: b"), [400, 401]],
    ["a header without a colon", head("GET /plain HTTP/1.1", "nonsense"), [400, null]],
    ["a header with an empty name", head("GET /plain HTTP/1.1", ": x"), [400, null, 401]],
    ["a blank before the colon", head("GET /plain HTTP/1.1", "X-A : x"), [400, 401]],
    ["a folded header", head("GET /plain HTTP/1.1", "X-A: a", " b"), [400, 401]],
    ["a header of 1 MiB", head("GET /plain HTTP/1.1", `X-A: ${"a".repeat(1 << 20)}`), [400, 413, 431, null]],
    ["ten thousand headers", head("GET /plain HTTP/1.1", ...Array.from({ length: 10_000 }, (_, i) => `X-${i}: ${i}`)), [400, 401, 431, null]],
    ["a path of 100 KiB", head(`GET /${"a".repeat(100_000)} HTTP/1.1`), [400, 404, 414, 431, null]],
    ["a path of 30 KiB", head(`GET /${"a/".repeat(15_000)}b HTTP/1.1`), [400, 404, 414, 431, null]],
    ["a query of 30 KiB", head(`GET /plain?${"a=%41&".repeat(5_000)} HTTP/1.1`), [401, 414, 431, null]],
    ["percent signs only", head(`GET /${"%".repeat(1_000)} HTTP/1.1`), [400]],
    ["percent-encoded NUL", head("GET /things/%00 HTTP/1.1", own()), [400]],
    ["broken UTF-8", head("GET /things/%c3%28 HTTP/1.1", own()), [400]],
    ["overlong UTF-8 of a slash", head("GET /things/%c0%af HTTP/1.1", own()), [400]],
    ["raw bytes beyond ASCII in the path", head("GET /things/\xc3\xa9 HTTP/1.1", own()), [200, 400, 404]],
    ["raw bytes that are no UTF-8 in the path", head("GET /things/\xff HTTP/1.1", own()), [400, 404, 200]],
    ["a value that is more than one part", head("GET /things/a%3Ab HTTP/1.1", own()), [400]],
    ["dots in many coats", head("GET /open/%252e%252e/x HTTP/1.1"), [400]],
    ["a lone surrogate", head("GET /things/%ed%a0%80 HTTP/1.1", own()), [400]],
    ["an authorization of odd bytes", head("GET /plain HTTP/1.1", "Authorization: Bearer \xff\xfe\xfd"), [400, 401]],
    ["an authorization of 100 KiB", head("GET /plain HTTP/1.1", `Authorization: Bearer ${"a".repeat(100_000)}`), [400, 401, 431, null]],
    ["an empty authorization", head("GET /plain HTTP/1.1", "Authorization:"), [400, 401]],
    ["a scheme alone", head("GET /plain HTTP/1.1", "Authorization: Bearer"), [400, 401]],
    ["Basic of nonsense", head("GET /plain HTTP/1.1", "Authorization: Basic !!!"), [401]],
    ["Basic of odd bytes", head("GET /plain HTTP/1.1", `Authorization: Basic ${Buffer.from([255, 58, 254]).toString("base64")}`), [400, 401]],
    ["an Origin of odd bytes", head("GET /plain HTTP/1.1", own(), "Origin: \xff\xfe"), [400, 403]],
    // No browser sends one; workerd hands over a header without a value as none.
    ["an empty Origin", head("GET /plain HTTP/1.1", own(), "Origin:"), [200, 400, 403]],
    ["an Origin of 10 KiB", head("GET /plain HTTP/1.1", own(), `Origin: https://${"a.".repeat(5_000)}example`), [403, 431]],
    ["a preflight that asks for odd bytes", head("OPTIONS /open/x HTTP/1.1", "Origin: https://a.example", "Access-Control-Request-Method: \xff"), [400, 403]],
    ["a preflight that asks for 10 000 headers", head("OPTIONS /open/x HTTP/1.1", "Origin: https://a.example", "Access-Control-Request-Method: GET", `Access-Control-Request-Headers: ${"a,".repeat(10_000)}`), [400, 403, 431]],
    ["a length that is none", head("POST /plain HTTP/1.1", own(), "Content-Length: many"), [400, null]],
    ["a length below zero", head("POST /plain HTTP/1.1", own(), "Content-Length: -1"), [400, null]],
    ["two lengths", head("POST /plain HTTP/1.1", own(), "Content-Length: 1", "Content-Length: 2") + "ab", [400, null]],
    ["length and chunks", head("POST /plain HTTP/1.1", own(), "Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n", [200, 400, null]],
    ["chunks that are none", head("POST /plain HTTP/1.1", own(), "Transfer-Encoding: chunked") + "zz\r\n", [400, 502, null]],
    ["GET with a body", head("GET /plain HTTP/1.1", own(), "Content-Length: 1") + "a", [200, 400]],
    ["GET with a body of unknown length", head("GET /plain HTTP/1.1", own(), "Transfer-Encoding: chunked") + "1\r\na\r\n0\r\n\r\n", [200, 400]],
    ["a chunk that ends early", head("POST /plain HTTP/1.1", own(), "Transfer-Encoding: chunked") + "ff\r\nabc", [400, 502, null]],
    ["another transfer coding", head("POST /plain HTTP/1.1", own(), "Transfer-Encoding: gzip, chunked") + "0\r\n\r\n", [200, 400, 501, null]],
    ["a body that ends early", head("POST /plain HTTP/1.1", own(), "Content-Length: 100") + "abc", [400, 502, null]],
    ["Expect", head("POST /plain HTTP/1.1", own(), "Expect: 100-continue", "Content-Length: 1") + "a", [200, 400, 417, null]],
    ["Upgrade", head("GET /plain HTTP/1.1", own(), "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), [200, 400, 426, 502, null]],
    ["HTTP/2 without leave", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400, 505, null]],
  ];

  test("get an answer that fits, or a closed connection", async (t) => {
    for (const [why, bytes, right] of cases()) {
      await t.test(why, async () => {
        const answer = await exchange(gate.port, Buffer.from(bytes, "latin1"));
        assert.ok(right.includes(answer.status), `${answer.status}: ${answer.body.slice(0, 300)}`);
        assert.ok(answer.status !== 500 || answer.body === "Internal Server Error", "no fault of the gate");
        if (answer.headers["content-type"] === "application/problem+json") {
          const document = JSON.parse(Buffer.from(answer.body, "latin1").toString());
          assert.equal(document.status, answer.status);
          assert.equal(document.correlationId, answer.headers["x-request-id"]);
        }
      });
    }
    await assertServes("after all that");
  });
});

test("bytes made by chance get a refusal or a closed connection", async () => {
  const random = chance(seed());
  const words = [
    "GET", "POST", "OPTIONS", "DELETE", " ", "  ", "\t", "/", "//", "/plain", "/things/", "/open/", "/_tollgate/", "/_tollgate/v1/keys", "..", "%2e", "%", "%zz",
    "?", "#", "&", "=", "\\", " HTTP/1.1", "\r\n", "\n", "\r", "\0", "Host: localhost", "Host: gate.localhost", "Origin: https://a.example", "Origin: null",
    "Authorization: Bearer ", "Authorization: Basic ", "X-Api-Key: ", "tg_dev_sk_", "tg_prod_pk_", base62(random, 60), "Content-Length: 5", "Transfer-Encoding: chunked",
    "Content-Type: application/json", "Connection: close", "Cookie: a=b", "Sec-Fetch-Site: cross-site", "Access-Control-Request-Method: GET", ":", ",", '"', "{}", "[[",
    "\u00ff", "é".repeat(10), "a".repeat(300),
  ];
  const input = () => {
    if (random.below(4) === 0) return random.bytes(1 + random.below(400));
    const parts = Array.from({ length: 1 + random.below(30) }, () => random.pick(words));
    if (random.below(2)) parts.unshift(`${random.pick(["GET", "POST", "OPTIONS"])} ${random.pick(["/plain", "/things/1", "/open/x"])} HTTP/1.1\r\nHost: localhost:${gate.port}\r\n`);
    return Buffer.from(`${parts.join("")}\r\n\r\n`, random.below(2) ? "utf8" : "latin1");
  };
  for (let batch = 0; batch < 40; batch += 1) {
    const inputs = Array.from({ length: 25 }, input);
    const answers = await Promise.all(inputs.map((bytes) => exchange(gate.port, bytes)));
    answers.forEach((answer, i) => {
      const why = `TOLLGATE_SEED=${random.seed} ${JSON.stringify(inputs[i].toString("latin1"))}`;
      // A public route answers anybody.
      if (answer.status !== 200 && answer.status !== 204) assertRefused(answer, why);
    });
  }
  await assertServes("after all that");
});

test("ten thousand texts that look like keys are refused, each with a code of the road", async () => {
  const random = chance(seed());
  const own = partsOf(key.secret);
  const kinds = ["pk", "sk", "rk"];
  const right = (text) => forged({ ...own, id: base62(random, 16), secret: base62(random, 32), ...text });
  const makers = [
    () => [right({}), ["key_invalid"]],
    () => [right({ id: own.id }), ["key_invalid"]],
    () => [right({ id: own.id.slice(0, 10) + base62(random, 6) }), ["key_invalid"]],
    () => [right({ kind: random.pick(kinds) }), ["key_invalid"]],
    () => [right({ env: "prod", kind: random.pick(kinds) }), ["wrong_environment"]],
    () => [right({ kind: "ak" }), ["wrong_kind"]],
    () => [right({ brand: base62(random, 3).toLowerCase() }), ["key_invalid"]],
    () => [right({ id: base62(random, random.below(30)) }), ["key_invalid"]],
    () => [right({ secret: base62(random, random.below(64)) }), ["key_invalid"]],
    () => {
      const at = random.below(key.secret.length);
      const letter = random.pick([...BASE, "_", "-", " "].filter((c) => c !== key.secret[at]));
      return [key.secret.slice(0, at) + letter + key.secret.slice(at + 1), ["key_invalid", "wrong_environment", "wrong_kind"]];
    },
    () => [key.secret.slice(0, random.below(key.secret.length)), ["key_invalid", "malformed_request"]],
    () => [key.secret + base62(random, 1 + random.below(2_000)), ["key_invalid"]],
    () => [key.secret.repeat(2 + random.below(20)), ["key_invalid"]],
    () => [`_${"_".repeat(random.below(50))}`, ["key_invalid"]],
    () => [Array.from({ length: 1 + random.below(100) }, () => random.pick([..."_-.~+/=:;!*() \t\"'"])).join("").trim() || "x", ["key_invalid", "malformed_request"]],
    () => [random.bytes(60).toString("latin1").replace(/[\0-\x1f\x7f]/g, "é"), ["key_invalid", "malformed_request"]],
  ];
  const BATCH = 250;
  const codes = [];
  for (let done = 0; done < 10_000; done += BATCH) {
    const batch = Array.from({ length: BATCH }, (_, i) => makers[(done + i) % makers.length]());
    const answers = await Promise.all(
      batch.map(([text], i) => {
        const name = i % 2 ? "X-Api-Key" : "Authorization";
        return gate.request({ path: "/plain", headers: { [name]: i % 2 ? text : `Bearer ${text}` }, timeout: 60_000 });
      }),
    );
    answers.forEach((answer, i) => {
      const [text, right] = batch[i];
      const why = `TOLLGATE_SEED=${random.seed} ${JSON.stringify(text)}: ${answer.status} ${answer.text}`;
      const { code } = JSON.parse(answer.text);
      // A Bearer token has an alphabet of its own, and what is outside of it is no credential at all.
      assert.ok(right.includes(code) || (i % 2 === 0 && code === "malformed_request"), why);
      codes.push(code);
    });
  }
  assert.equal(codes.length, 10_000);
  assert.ok(tally(codes).key_invalid > 5_000);
  await assertServes("after all that");
});
const BASE = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

test("bodies and queries that are none are told so", async () => {
  const post = (path, body, headers = {}) => gate.api("POST", path, body, { headers });
  for (const [why, body] of [
    ["no JSON", "nonsense"],
    ["cut off", '{"tenant":"acme"'],
    ["a list", "[]"],
    ["null", "null"],
    ["a text", '"x"'],
    ["deep", "[".repeat(50_000)],
    ["deep inside", `{"metadata":${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}}`],
    ["a lone surrogate", '{"name":"\\ud800"}'],
    ["a huge number", `{"name":${"9".repeat(10_000)}}`],
    ["not UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ["a field twice", '{"tenant":"acme","tenant":"acme2","kind":"sk"}'],
  ]) {
    for (const path of ["keys", "keys/verify", "explain"]) {
      const answer = await gate.request({
        host: gate.adminHost, method: "POST", path: `/_tollgate/v1/${path}`, body,
        headers: { Authorization: `Bearer ${gate.secrets.ROOT_TOKEN}`, "Content-Type": "application/json" },
      });
      assertProblem(answer, 400, "invalid_field", { members: ["errors"], why: `${path}: ${why}` });
    }
  }
  assertProblem(await post("keys", { name: "x".repeat(200_000) }), 413, "body_too_large");
  for (const query of ["limit=0", "limit=1e3", "limit=", "limit=1&limit=2", "cursor=x", "cursor=%ff", "cursor=%00", "nobody=knows", "kind=xx", "%zz=1", "state=", `tag=${"a".repeat(1_000)}`]) {
    assertProblem(await gate.api("GET", `keys?${query}`), 400, "invalid_field", { members: ["errors"], why: query });
  }
  for (const path of ["keys/x", "keys/..%2f", `keys/${"a".repeat(16)}`, `keys/${"a".repeat(1_000)}`, "keys/%00", "nothing", "", "keys/"]) {
    const answer = await gate.api("GET", path);
    assert.ok([400, 404].includes(answer.status), `${path}: ${answer.status}`);
  }
  await assertServes("after all that");
});

describe("a gate that cannot stand", () => {
  const good = () => testPolicy({ backend, routes: [{ name: "open", path: "/open", auth: "public" }] });
  const module = (source) => ({ tollgate_policy: 1, source });
  const PEPPER = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

  for (const [why, options, told] of [
    ["a module that is no object", { module: [] }, /module/],
    ["null for a module", { module: null }, /module/],
    ["a policy that was not built", { module: { version: 1, gate: { realm: "x" } } }, /module/],
    ["a module of another version", { module: { tollgate_policy: 2, source: {} } }, /module.* 2\b/],
    ["a module without a policy", { module: { tollgate_policy: 1 } }, /source/],
    ["an empty policy", { module: module({}) }, /version|gate/],
    ["a policy of another version", { module: module({ version: 2 }) }, /version/],
    ["a policy with an unknown field", { module: module({ version: 1, gate: { realm: "x", surprise: true } }) }, /surprise/],
    ["no ENVIRONMENT", { environment: null }, /ENVIRONMENT/],
    ["an empty ENVIRONMENT", { environment: "" }, /environment/i],
    ["an ENVIRONMENT that the policy does not know", { environment: "production" }, /production/],
    ["an ENVIRONMENT with a typing error", { environment: "Dev" }, /Dev/],
    ["no KEY_PEPPER", { secrets: { KEY_PEPPER: null } }, /KEY_PEPPER/],
    ["a KEY_PEPPER without a version", { secrets: { KEY_PEPPER: PEPPER.slice(2) } }, /KEY_PEPPER/],
    ["a short KEY_PEPPER", { secrets: { KEY_PEPPER: "1:c2hvcnQ=" } }, /KEY_PEPPER/],
    ["no KEY_ID_SECRET", { secrets: { KEY_ID_SECRET: null } }, /KEY_ID_SECRET/],
    ["a short KEY_ID_SECRET", { secrets: { KEY_ID_SECRET: "short" } }, /KEY_ID_SECRET/],
  ]) {
    test(`${why}: everything is refused, and the log says why`, async () => {
      const broken = await startGate({ policy: good(), name: "broken", ...options });
      try {
        const root = { Authorization: `Bearer ${broken.secrets.ROOT_TOKEN}` };
        for (const request of [
          { path: "/open" },
          { path: "/open", method: "OPTIONS", headers: { Origin: "https://a.example", "Access-Control-Request-Method": "GET" } },
          { path: "/nothing", headers: { "X-Api-Key": "x" } },
          { host: broken.adminHost, path: "/_tollgate/v1/keys", headers: root },
          { host: broken.adminHost, path: "/_tollgate/health" },
          { host: "nowhere.example", path: "/" },
        ]) {
          const answer = await broken.request(request);
          assert.equal(answer.status, 500, `${request.path}: ${answer.text}`);
          assert.equal(answer.json.code, "internal_error");
          assert.doesNotMatch(answer.text, /pepper|secret|environment|policy|surprise|version/i, "clients learn nothing of it");
          assert.equal(answer.headers["cache-control"], "no-store");
          assert.equal(answer.headers["strict-transport-security"], "max-age=31536000");
          assert.ok(answer.headers["x-request-id"], "an id to report");
          assert.equal(answer.json.correlationId, answer.headers["x-request-id"]);
        }
        assert.match(broken.output, told);
      } finally {
        // Which also searches the log for every secret.
        await broken.stop();
      }
    });
  }

  test("a missing ROOT_TOKEN is no fault: management has no root then", async () => {
    const rootless = await startGate({ policy: good(), name: "rootless", secrets: { ROOT_TOKEN: null } });
    try {
      assert.equal((await rootless.request({ path: "/open" })).status, 200);
      for (const token of ["", "undefined", "null", "x".repeat(43)]) {
        const answer = await rootless.api("GET", "keys", undefined, { token });
        assert.ok([400, 401].includes(answer.status), `${JSON.stringify(token)}: ${answer.status}`);
      }
    } finally {
      await rootless.stop();
    }
  });

  test("a short ROOT_TOKEN is none", async () => {
    const guessable = await startGate({ policy: good(), name: "guessable", secrets: { ROOT_TOKEN: "short-root-token-1234" } });
    try {
      assertProblem(await guessable.api("GET", "keys"), 401, "key_invalid");
    } finally {
      await guessable.stop();
    }
  });
});

test("a policy of several environments: the one that is named is served, the others share nothing with it", async () => {
  const policy = toToml({
    version: 1,
    gate: { realm: "test" },
    environment: {
      dev: { upstream: { main: backend.origin }, gate: { admin_host: "gate.localhost", platform: "workerd" } },
      staging: {
        upstream: { main: `${backend.origin}/staging` },
        gate: { hosts: ["staging.example"], admin_host: "gate.localhost", platform: "workerd" },
        route: { plain: { mock: { status: 200, body: "\"staging\"" } } },
      },
    },
    upstream: { main: {} },
    route: [
      { name: "plain", path: "/plain", methods: ["GET"], upstream: "main", auth: "key" },
      { name: "where", path: "/where", methods: ["GET"], upstream: "main", auth: "public" },
    ],
  });
  const secrets = {};
  const dev = await startGate({ policy, name: "dev", environment: "dev" });
  Object.assign(secrets, dev.secrets);
  const staging = await startGate({ policy, name: "staging", environment: "staging", secrets });
  try {
    assert.equal((await dev.request({ path: "/where" })).json.url, "/where");
    assert.equal((await staging.request({ path: "/where" })).json.url, "/staging/where");
    const [of, other] = [await makeKey(dev), await makeKey(staging)];
    assert.equal((await dev.request({ path: "/plain", headers: of.bearer })).status, 200);
    assert.equal((await staging.request({ path: "/plain", headers: other.bearer })).text, '"staging"');
    // Both are of the kind `dev`, made under the same secrets, and still strangers to each other.
    assertProblem(await dev.request({ path: "/plain", headers: other.bearer }), 401, "key_invalid");
    assertProblem(await staging.request({ path: "/plain", headers: of.bearer }), 401, "key_invalid");
  } finally {
    await dev.stop();
    await staging.stop();
  }
});
