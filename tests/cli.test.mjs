// The command `tollgate`, as a script sees it: exit code, standard output, standard error.
//
//   1. against a gate: keys create, list, show, update, rotate, end-grace, disable, enable, revoke, verify
//   2. what it refuses to do: wrong usage, no gate, no credential, a credential in the clear
//   3. offline: policy check and build, explain, match, key inspect
//
// Exit codes: 0 yes, 1 no, 2 wrong usage or bad input.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { policyFile } from "../scripts/paths.mjs";
import { startBackend } from "./support/backend.mjs";
import { runCli } from "./support/cli.mjs";
import { startGate } from "./support/gate.mjs";
import { base62, bearer, forged, makeKey, partsOf } from "./support/keys.mjs";
import { testPolicy } from "./support/policy.mjs";
import { chance } from "./support/random.mjs";

let backend;
let gate;
let folder;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tollgate-cli-"));
  backend = await startBackend();
  gate = await startGate({
    policy: testPolicy({ backend, routes: [{ name: "plain", path: "/plain" }, { name: "thing", path: "/things/{id}", scopes: ["things:read:{id}"] }] }),
    name: "cli",
  });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const tollgate = (args, options) => runCli(gate, args, options);
const keys = (...args) => tollgate(["keys", ...args, "--json"]);
const file = (name, text) => {
  const path = join(folder, name);
  writeFileSync(path, typeof text === "string" ? text : JSON.stringify(text));
  return path;
};

describe("keys", () => {
  test("a key's whole life, each step felt by the gate", async () => {
    const made = await keys("create", "--tenant", "acme", "--kind", "sk", "--name", "from a terminal", "--scope", "things:read:1", "--tag", "a", "--tag", "b",
      "--limit", "100/1h,1000/month,key", "--limit", "each=10/1s,burst:50,key+address", "--mode", "exact", "--metadata", '{"ticket":7}', "--expires-in", "48h");
    assert.deepEqual([made.code, made.err], [0, ""]);
    const { key, secret } = made.json;
    assert.deepEqual([key.name, key.scopes, key.tags, key.metadata, key.mode], ["from a terminal", ["things:read:1"], ["a", "b"], { ticket: 7 }, "exact"]);
    assert.deepEqual(key.limits, [
      { name: "default", requests: 100, window: "1h", quota: { requests: 1_000, per: "month" }, by: "key" },
      { name: "each", bucket: { requests: 10, window: "1s", burst: 50 }, by: "key+address" },
    ]);
    const status = async (path = "/plain", text = secret) => (await gate.request({ path, headers: bearer(text) })).status;
    assert.deepEqual([await status(), await status("/things/1"), await status("/things/2")], [200, 200, 403]);

    assert.deepEqual((await keys("show", key.id)).json, { key });
    const shown = (await tollgate(["keys", "show", key.id])).out;
    assert.match(shown, /^limits {7}default=100\/1h,1000\/month,key each=10\/1s,burst:50,key\+address$/m, "as it can be said again");
    assert.match(shown, /^mode {9}exact$/m);
    const updated = await keys("update", key.id, "--scope", "things:read:2", "--name", "renamed");
    assert.deepEqual([updated.code, updated.json.key.version, updated.json.key.name], [0, 2, "renamed"]);
    assert.equal(await status("/things/1"), 403);
    const stale = await keys("update", key.id, "--version", "1", "--name", "late");
    assert.deepEqual([stale.code, stale.json.code], [1, "version_conflict"]);

    const rotated = await keys("rotate", key.id, "--grace", "1h");
    assert.equal(rotated.code, 0);
    const next = rotated.json;
    assert.deepEqual([await status("/plain", secret), await status("/plain", next.secret)], [200, 200]);
    assert.equal((await keys("end-grace", key.id)).code, 0);
    assert.deepEqual([await status("/plain", secret), await status("/plain", next.secret)], [401, 200]);

    assert.equal((await keys("disable", next.key.id)).json.key.state, "disabled");
    assert.equal(await status("/plain", next.secret), 401);
    assert.equal((await keys("enable", next.key.id)).json.key.state, "active");
    assert.equal((await keys("revoke", next.key.id)).json.key.state, "revoked");
    assert.equal(await status("/plain", next.secret), 401);
    const again = await keys("rotate", next.key.id);
    assert.deepEqual([again.code, again.json.code], [1, "state_conflict"]);
  });

  test("a list follows its pages to the end", async () => {
    for (let i = 0; i < 5; i += 1) await makeKey(gate, { tenant: "listed", name: `k${i}`, tags: i % 2 ? ["odd one"] : [] });
    const names = async (...args) => (await keys("list", "--tenant", "listed", ...args)).json.keys.map(({ name }) => name);
    assert.deepEqual(await names(), ["k4", "k3", "k2", "k1", "k0"]);
    assert.deepEqual(await names("--limit", "2"), ["k4", "k3"]);
    assert.deepEqual(await names("--tag", "odd one"), ["k3", "k1"]);
    assert.deepEqual(await names("--state", "revoked"), []);
    const shown = await tollgate(["keys", "list", "--tenant", "listed"]);
    assert.equal(shown.code, 0);
    assert.equal(shown.out.trim().split("\n").length, 6, "a heading and five lines");
    for (const name of ["k0", "k4"]) assert.match(shown.out, new RegExp(`\\b${name}$`, "m"));
    assert.match((await tollgate(["keys", "list", "--tenant", "nobody"])).out, /no keys/);
  });

  test("a family is revoked whole", async () => {
    const first = (await keys("create", "--tenant", "acme", "--kind", "sk", "--name", "x")).json;
    const second = (await keys("rotate", first.key.id)).json;
    assert.equal((await keys("revoke", first.key.id, "--family")).code, 0);
    for (const { secret } of [first, second]) assert.equal((await gate.request({ path: "/plain", headers: bearer(secret) })).status, 401);
  });

  test("verify exits as the key is", async () => {
    const key = await makeKey(gate, { scopes: ["things:read:1"] });
    for (const [args, code, told] of [
      [[key.secret], 0, undefined],
      [[key.secret, "--scope", "things:read:1"], 0, undefined],
      [[key.secret, "--scope", "things:read:2"], 1, "insufficient_scope"],
      [[forged({ ...partsOf(key.secret), secret: "0".repeat(32) })], 1, "key_invalid"],
      [[key.secret, "--scope", "nonsense"], 2, "invalid_field"],
    ]) {
      const answer = await keys("verify", ...args);
      assert.deepEqual([answer.code, answer.json.code], [code, told], args.slice(1).join(" "));
    }
    const piped = await tollgate(["keys", "verify", "-", "--json"], { input: `${key.secret}\n` });
    assert.deepEqual([piped.code, piped.json.valid], [0, true]);
  });

  test("people read the secret once, and refusals with each field and the id to report", async () => {
    const made = await tollgate(["keys", "create", "--tenant", "acme", "--kind", "sk", "--name", "shown"]);
    assert.equal(made.code, 0);
    const [secret] = made.out.match(/tg_dev_sk_\w{16}_\w{38}/);
    assert.equal((await gate.request({ path: "/plain", headers: bearer(secret) })).status, 200);
    const shown = await tollgate(["keys", "show", partsOf(secret).id]);
    assert.ok(!shown.out.includes(partsOf(secret).secret));
    const wrong = await tollgate(["keys", "create", "--tenant", "Acme", "--kind", "sp", "--name", "x", "--scope", "a"]);
    assert.deepEqual([wrong.code, wrong.out], [2, ""]);
    for (const field of ["tenant", "kind", "scopes[0]", "invalid_field"]) assert.ok(wrong.err.includes(field), `${field}: ${wrong.err}`);
    assert.match(wrong.err, /[0-9A-Za-z]{19}/);
    const gone = await tollgate(["keys", "show", "0".repeat(16)]);
    assert.equal(gone.code, 1);
    assert.match(gone.err, /404 not_found/);
  });

  test("an admin key in the place of root acts inside its tenant", async () => {
    const foreign = await makeKey(gate, { tenant: "other" });
    const admin = await makeKey(gate, { tenant: "acme", kind: "ak", scopes: ["keys:read", "keys:write"], addresses: ["127.0.0.1"] });
    const as = (args) => tollgate([...args, "--json"], { env: { TOLLGATE_TOKEN: admin.secret } });
    assert.equal((await as(["keys", "create", "--kind", "sk", "--name", "x"])).json.key.tenant, "acme");
    const refused = await as(["keys", "revoke", foreign.id]);
    assert.deepEqual([refused.code, refused.json.code], [1, "not_found"]);
    const piped = await tollgate(["keys", "list", "--limit", "1", "--json", "--token-stdin"], { input: `${admin.secret}\n`, env: { TOLLGATE_TOKEN: "nonsense" } });
    assert.equal(piped.code, 0, piped.err);
  });
});

describe("what makes no sense is told, with 2", () => {
  test("and nothing is sent", async () => {
    backend.clear();
    for (const [why, args, options, told] of [
      ["no command", [], {}, /Usage/],
      ["an unknown command", ["kyes"], {}, /unrecognized|unexpected/],
      ["an unknown option", ["keys", "list", "--colour"], {}, /--colour/],
      ["a missing argument", ["keys", "show"], {}, /<ID>/],
      ["no gate", ["keys", "list"], { env: { TOLLGATE_URL: undefined } }, /TOLLGATE_URL/],
      ["no credential", ["keys", "list"], { env: { TOLLGATE_TOKEN: undefined } }, /TOLLGATE_TOKEN/],
      ["an empty credential", ["keys", "list"], { env: { TOLLGATE_TOKEN: "" } }, /credential/],
      ["a gate in the clear", ["keys", "list", "--gate", "http://gate.example.com"], {}, /https/],
      ["no address", ["keys", "list", "--gate", "nonsense"], {}, /nonsense/],
      ["a gate that is not there", ["keys", "list", "--gate", "http://127.0.0.1:1"], {}, /127\.0\.0\.1:1/],
      ["the API host, where there is no management", ["keys", "list", "--gate", `http://localhost:${gate.port}`], {}, /not_found|admin host/],
      ["metadata that is no JSON", ["keys", "create", "--kind", "sk", "--name", "x", "--metadata", "{"], {}, /metadata/],
      ["a limit that is none", ["keys", "create", "--kind", "sk", "--name", "x", "--limit", "many"], {}, /many/],
    ]) {
      const { code, out, err } = await tollgate(args, options);
      // A host without management refuses like any host that does not have a thing.
      assert.ok(code === 2 || (why.startsWith("the API host") && code === 1), `${why}: ${code} ${err}`);
      assert.match(out + err, told, why);
      assert.ok(!(out + err).includes(gate.secrets.ROOT_TOKEN), why);
      assert.doesNotMatch(err, /panicked|RUST_BACKTRACE/, why);
    }
  });
});

describe("offline", () => {
  const offline = (args, options = {}) => tollgate(args, { ...options, env: { TOLLGATE_URL: undefined, TOLLGATE_TOKEN: undefined } });

  test("policy check: every error at once, each with its place and a suggestion", async () => {
    const good = await offline(["policy", "check", policyFile, "--json"]);
    assert.deepEqual([good.code, good.json.valid, good.json.environments], [0, true, ["dev", "production", "staging"]]);
    const text = readFileSync(policyFile, "utf8");
    const bad = file("bad.toml", text.replace('auth = "public"', 'auth = "pubic"').replace("realm =", "relm =").replace('methods = ["POST"]', 'methods = ["post"]'));
    const told = await offline(["policy", "check", bad, "--json"]);
    assert.deepEqual([told.code, told.json.valid], [1, false]);
    const line = (needle) => 1 + readFileSync(bad, "utf8").split("\n").findIndex((one) => one.includes(needle));
    for (const needle of ["pubic", "relm", '"post"']) {
      assert.ok(told.json.errors.some((error) => error.line === line(needle)), `${needle}: ${told.out}`);
    }
    assert.ok(told.json.errors.some(({ suggestion }) => suggestion?.includes('"public"')), told.out);
    const shown = await offline(["policy", "check", bad]);
    assert.deepEqual([shown.code, shown.out], [1, ""]);
    assert.match(shown.err, new RegExp(`bad\\.toml:${line("pubic")}:\\d+: `));
    assert.equal((await offline(["policy", "check", join(folder, "nowhere.toml")])).code, 2);
    assert.equal((await offline(["policy", "check", file("no.toml", "= = =")])).code, 1);
    assert.equal((await offline(["policy", "check", "-"], { input: text })).code, 0);
  });

  test("policy build: the same module for the same file, and none for a bad one", async () => {
    const [one, two] = [join(folder, "one.json"), join(folder, "two.json")];
    for (const out of [one, two]) assert.equal((await offline(["policy", "build", policyFile, "-o", out])).code, 0);
    assert.equal(readFileSync(one, "utf8"), readFileSync(two, "utf8"));
    assert.equal(typeof JSON.parse(readFileSync(one, "utf8")), "object");
    const before = readFileSync(one, "utf8");
    assert.equal((await offline(["policy", "build", file("worse.toml", "version = 2"), "-o", one])).code, 1);
    assert.equal(readFileSync(one, "utf8"), before, "a bad policy leaves what was there");
    assert.equal((await offline(["policy", "build", policyFile, "-o", join(folder, "no/where.json")])).code, 2);
  });

  test("explain: the road of a request that is written down", async () => {
    const NOW = "1800000000";
    const ask = (request, ...args) =>
      offline(["explain", "--policy", policyFile, "--environment", "production", "--now", NOW, "--json", ...args, file("request.json", request)]);
    const request = { method: "GET", url: "https://api.example.com/v1/status", headers: [], client_ip: "192.0.2.1" };
    const passed = await ask(request);
    assert.deepEqual([passed.code, passed.json.outcome, passed.json.steps.length], [0, "forward", 12]);
    assert.ok(passed.json.upstream.headers.some(([name, value]) => name === "authorization" && value === "Bearer ${secret:BILLING_TOKEN}"));
    assert.equal((await ask(request)).out, passed.out, "the same twice");
    for (const [why, change, code] of [
      ["http", { url: "http://api.example.com/v1/status" }, "https_required"],
      ["no route", { url: "https://api.example.com/nothing" }, "route_not_found"],
      ["no key", { url: "https://api.example.com/v1/invoices/42" }, "key_missing"],
      ["another page", { url: "https://api.example.com/v1/invoices/42", headers: [["origin", "https://evil.example"]] }, "origin_not_allowed"],
    ]) {
      const refused = await ask({ ...request, ...change });
      assert.deepEqual([refused.code, refused.json.code], [1, code], why);
    }
    const piped = await offline(["explain", "--policy", policyFile, "--environment", "production", "--now", NOW, "--json", "-"], { input: JSON.stringify(request) });
    assert.equal(piped.out, passed.out);
    for (const [why, args] of [
      ["no such environment", ["--policy", policyFile, "--environment", "moon", file("r.json", request)]],
      ["no such policy", ["--policy", join(folder, "nowhere.toml"), "--environment", "dev", file("r.json", request)]],
      ["a bad policy", ["--policy", file("bad2.toml", "version = 2"), "--environment", "dev", file("r.json", request)]],
      ["no request", ["--policy", policyFile, "--environment", "dev", file("r.json", "{}")]],
      ["an unknown field", ["--policy", policyFile, "--environment", "dev", file("r.json", { ...request, uri: "x" })]],
    ]) {
      assert.equal((await offline(["explain", ...args])).code, 2, why);
    }
    const shown = await offline(["explain", "--policy", policyFile, "--environment", "production", file("request.json", request)]);
    assert.match(shown.out, /^✓ transport/m);
  });

  test("match: 0 for yes, 1 for no, 2 for a pattern that is none", async () => {
    for (const [args, code] of [
      [["origin", "--allow", "https://*.example.com", "--", "https://a.example.com"], 0],
      [["origin", "--allow", "https://b.example", "https://*.example.com", "--", "https://a.example.com"], 0],
      [["origin", "--allow", "https://*.example.com", "--", "https://example.com"], 1],
      [["origin", "--allow", "https://*.example.com", "--", "null"], 1],
      [["origin", "--allow", "https://*.co.uk", "--", "https://a.co.uk"], 2],
      [["origin", "--allow", "https://a.example/", "--", "https://a.example"], 2],
      [["origin", "--", "https://a.example"], 2],
      [["ip", "--allow", "192.0.2.0/24", "--", "192.0.2.7"], 0],
      [["ip", "--allow", "2001:db8::/32", "--", "2001:DB8::1"], 0],
      [["ip", "--allow", "192.0.2.0/24", "--", "::ffff:192.0.2.7"], 0],
      [["ip", "--allow", "192.0.2.0/24", "--", "192.0.3.7"], 1],
      [["ip", "--allow", "0.0.0.0/0", "--", "nonsense"], 1],
      [["ip", "--allow", "192.0.2.1/24", "--", "192.0.2.7"], 2],
    ]) {
      const answer = await offline(["match", ...args]);
      assert.equal(answer.code, code, `${args.join(" ")}: ${answer.out}${answer.err}`);
      const [what, ...rest] = args;
      const json = await offline(["match", what, "--json", ...rest]);
      assert.equal(json.code, code);
      if (code < 2) assert.equal(json.json.match, code === 0, json.out);
    }
  });

  test("key inspect: whole or not, and never its secret", async () => {
    const random = chance(7);
    const key = forged({ env: "prod", kind: "pk", id: base62(random, 16), secret: base62(random, 32) });
    const whole = await offline(["key", "inspect", key, "--json"]);
    assert.equal(whole.code, 0);
    assert.deepEqual([whole.json.brand, whole.json.environment, whole.json.kind, whole.json.id], ["tg", "prod", "pk", partsOf(key).id]);
    const piped = await offline(["key", "inspect", "-"], { input: `${key}\n` });
    assert.equal(piped.code, 0);
    for (const answer of [whole, piped]) assert.ok(!answer.out.includes(partsOf(key).secret));
    for (const text of ["nonsense", "", key.slice(0, -1), `${key}x`, key.replace("_pk_", "_sk_"), key.replace("prod", "test")]) {
      const answer = await offline(["key", "inspect", "--json", "--", text]);
      assert.equal(answer.code, 1, text);
    }
  });
});
