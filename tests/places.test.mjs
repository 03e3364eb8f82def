// What the gate serves of its own besides management:
//
//   1. health and ready
//   2. a page about every error code, for people and for programs
//   3. nothing else: other hosts, other methods, other paths, what is not built yet
//   4. one log line for each call
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertHeaders, assertProblem, REFUSAL, STAMP } from "./support/expect.mjs";
import { bearer, makeKey } from "./support/keys.mjs";
import { OK, startManagement } from "./support/management.mjs";

let world, gate, api, admin;
before(async () => {
  world = await startManagement("places");
  ({ gate, api, admin } = world);
});
after(() => world?.stop());

describe("what else is there", () => {
  test("health and ready", async () => {
    for (const host of [gate.adminHost, `localhost:${gate.port}`]) {
      const health = await gate.request({ host, path: "/_tollgate/health" });
      assert.deepEqual([health.status, health.json], [200, { status: "ok" }]);
      assertHeaders(health, OK);
      const ready = await gate.request({ host, path: "/_tollgate/ready" });
      assert.deepEqual([ready.status, ready.json], [200, { ready: true }], "strangers learn whether, and not why");
    }
    await admin();
    const root = await gate.request({ host: gate.adminHost, path: "/_tollgate/ready", headers: bearer(gate.secrets.ROOT_TOKEN) });
    assert.deepEqual(root.json, { ready: true, reasons: [], warnings: ["ROOT_TOKEN is still set: there are admin keys, so remove it"] });
    for (const [why, headers] of [
      ["root", bearer(gate.secrets.ROOT_TOKEN)], ["nonsense", bearer("nonsense")], ["a key for routes", (await makeKey(gate)).bearer],
    ]) {
      const answer = await gate.request({ path: "/_tollgate/ready", headers });
      assert.deepEqual([answer.status, answer.json], [200, { ready: true }], `${why} off the admin host`);
    }
    const tenant = await admin({ tenant: "red" });
    const theirs = await gate.request({ host: gate.adminHost, path: "/_tollgate/ready", headers: tenant.bearer });
    assert.deepEqual(theirs.json, { ready: true }, "a tenant's admin is no operator");
  });

  test("a page for every code, for people and for programs, on every host", async () => {
    const index = await gate.request({ path: "/_tollgate/errors/", headers: { Accept: "application/json" } });
    const { codes } = index.json;
    assert.ok(codes.length > 30, `${codes.length} codes`);
    const list = await gate.request({ path: "/_tollgate/errors/", headers: { Accept: "text/html" } });
    for (const row of codes) {
      const path = `/_tollgate/errors/${row.code}`;
      assert.ok(list.text.includes(`href="${path}"`), `${row.code} is in the index`);
      for (const host of [gate.adminHost, `localhost:${gate.port}`]) {
        const page = await gate.request({ host, path, headers: { Accept: "text/html" } });
        assert.equal(page.status, 200, row.code);
        assertHeaders(page, {
          ...STAMP, "content-type": "text/html; charset=utf-8", "content-length": /^\d+$/, "x-content-type-options": "nosniff",
          "content-security-policy": /^default-src 'none'; .*frame-ancestors 'none'/, "referrer-policy": "no-referrer",
          "cache-control": "public, max-age=60", vary: "Accept",
        }, row.code);
        for (const part of [row.code, String(row.status), "Cause", "Fix", "Retry"]) assert.ok(page.text.includes(part), `${row.code}: ${part}`);
        assert.doesNotMatch(page.text, /<script| style=| on\w+=/, row.code);
      }
      assert.deepEqual((await gate.request({ path, headers: { Accept: "application/json" } })).json, row);
      assert.deepEqual(Object.keys(row).sort(), ["cause", "code", "fix", "retry", "status", "title"]);
    }
    for (const name of ["style.css", "favicon.svg"]) {
      assert.equal((await gate.request({ path: `/_tollgate/${name}` })).status, 200, `${name}, which the pages need`);
    }
    assertProblem(await gate.request({ path: "/_tollgate/errors/nonsense" }), 404, "not_found");
  });

  test("nothing else, and on other hosts nothing of management", async () => {
    const root = bearer(gate.secrets.ROOT_TOKEN);
    const at = (path, more = {}) => gate.request({ host: gate.adminHost, path, headers: root, ...more });
    for (const [why, answer, status, code, allow] of [
      ["management on an API host", await gate.request({ path: "/_tollgate/v1/keys", headers: root }), 404, "not_found"],
      ["the demo on an API host", await gate.request({ path: "/_tollgate/demo/" }), 404, "not_found"],
      ["a route on the admin host", await at("/plain"), 404, "not_found"],
      ["the root of the admin host", await at("/"), 404, "not_found"],
      ["no version", await at("/_tollgate/v2/keys"), 404, "not_found"],
      ["a slash too many", await at("/_tollgate/v1/keys/"), 404, "not_found"],
      ["no such action", await at(`/_tollgate/v1/keys/${"0".repeat(16)}/explode`, { method: "POST" }), 404, "not_found"],
      ["a file that is none", await at("/_tollgate/demo/../../Cargo.toml"), 400, "malformed_request"],
      ["a hidden file", await at("/_tollgate/.dev/secrets.env"), 404, "not_found"],
      ["another method on keys", await at("/_tollgate/v1/keys", { method: "DELETE" }), 405, "method_not_allowed", "GET, HEAD, POST"],
      ["a preflight on keys", await at("/_tollgate/v1/keys", { method: "OPTIONS" }), 405, "method_not_allowed", "GET, HEAD, POST"],
      ["another method on a key", await at(`/_tollgate/v1/keys/${"0".repeat(16)}`, { method: "PUT" }), 405, "method_not_allowed", "GET, HEAD, PATCH"],
      ["another method on verify", await at("/_tollgate/v1/keys/verify"), 405, "method_not_allowed", "POST"],
      ["a write to health", await at("/_tollgate/health", { method: "POST" }), 405, "method_not_allowed", "GET, HEAD"],
      ["a write to a page", await at("/_tollgate/errors/key_missing", { method: "PUT" }), 405, "method_not_allowed", "GET, HEAD"],
      ["webhooks of no source", await at("/_tollgate/v1/hooks/stripe/events"), 404, "not_found"],
    ]) {
      assertProblem(answer, status, code, { why });
      assertHeaders(answer, { ...REFUSAL, ...(allow ? { allow } : {}) }, why);
    }
  });

  test("one log line per call, with who called", async () => {
    const ak = await admin({ tenant: "red" });
    for (const [token, key, tenant] of [[gate.secrets.ROOT_TOKEN, "root", "*"], [ak.secret, ak.id, "red"]]) {
      const answer = await api("GET", "keys?owner=canary-owner-7Qz", undefined, { token });
      const line = await gate.logged(({ request_id }) => request_id === answer.headers["x-request-id"]);
      assert.deepEqual([line.path, line.status, line.key, line.tenant], ["/_tollgate/v1/keys", 200, key, tenant]);
      assert.deepEqual(Object.keys(line).sort(), ["duration_ms", "key", "method", "path", "request_id", "status", "tenant", "time"]);
    }
    assert.ok(!gate.output.includes("canary-owner-7Qz"), "no query");
  });
});
