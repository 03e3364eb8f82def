// Budgets that a caller's address has, so that guessing and flooding cost the gate little:
//
//   1. failed credentials: on the road and at management, one budget for both
//   2. over it a key that is known passes still, and everybody else waits as told
//   3. each IPv4 address, and of IPv6 each /64, has its own
//   4. refusals of a good key (its state, where it is used, its scopes) have another, admin keys too
//   5. bad keys that somebody brings to be verified or explained are counted against who brings them
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { assertProblem, tally } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { bearer, forged, makeKey, partsOf } from "./support/keys.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";

const FAILURES = 3;
/** Refusals of one key from one address in a minute. */
const REFUSALS = 300;

let backend;
let gate;
let known;
before(async () => {
  backend = await startBackend();
  gate = await startGate({
    policy: testPolicy({
      backend,
      gate: { failures: { requests: FAILURES, window: "1m" } },
      admin: { client_ip: "x-forwarded-for:1" },
      routes: [{ name: "plain", path: "/plain" }, { name: "scoped", path: "/scoped", scopes: ["things:read"] }, { name: "open", path: "/open", auth: "public" }],
    }),
    name: "budgets",
  });
  known = await makeKey(gate, { limits: [atMost(10_000, "1h")] });
  assert.equal((await from("192.0.2.250", "/plain", known.bearer)).status, 200);
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

const from = (address, path = "/plain", headers = {}) => gate.request({ path, headers: { ...headers, "X-Forwarded-For": address } });
const manage = (address, headers, more = {}) =>
  gate.request({ host: gate.adminHost, path: "/_tollgate/v1/keys", ...more, headers: { ...headers, "X-Forwarded-For": address } });
const bad = bearer("nonsense");

function assertTooMany(answer, why) {
  const document = assertProblem(answer, 429, "too_many_failures", { members: ["retry_after"], why });
  assert.equal(String(document.retry_after), answer.headers["retry-after"], why);
  assert.ok(document.retry_after >= 1 && document.retry_after <= 120, `${why}: ${document.retry_after} s`);
}

/** Spends the whole budget of an address. */
async function spend(address) {
  for (let i = 0; i < FAILURES; i += 1) assertProblem(await from(address, "/plain", bad), 401, "key_invalid");
}

test("failed credentials are counted, whatever is wrong with them", async () => {
  const parts = partsOf(known.secret);
  const wrongs = [
    "nonsense", forged({ ...parts, secret: "0".repeat(32) }), forged({ ...parts, id: "0".repeat(16) }), forged({ ...parts, env: "prod" }), forged({ ...parts, kind: "ak" }),
  ];
  for (const [i, wrong] of wrongs.entries()) {
    const address = `192.0.2.${i + 1}`;
    for (let round = 0; round < FAILURES; round += 1) assert.ok([401, 403].includes((await from(address, "/plain", bearer(wrong))).status));
    assertTooMany(await from(address, "/plain", bearer(wrong)), wrong);
  }
});

test("no credential, and one that cannot be read, cost nothing", async () => {
  for (let i = 0; i < 3 * FAILURES; i += 1) {
    assertProblem(await from("192.0.2.20"), 401, "key_missing");
    assertProblem(await from("192.0.2.20", "/plain", { ...known.bearer, "X-Api-Key": "x" }), 400, "malformed_request");
  }
  assertProblem(await from("192.0.2.20", "/plain", bad), 401, "key_invalid");
});

test("over the budget a key that is known passes, and one that is not waits", async () => {
  const fresh = await makeKey(gate);
  await spend("192.0.2.30");
  assertTooMany(await from("192.0.2.30", "/plain", bad), "another failure");
  assertTooMany(await from("192.0.2.30", "/plain", fresh.bearer), "a good key, of which this isolate knows nothing");
  assertTooMany(await from("192.0.2.30", "/plain", bearer(forged({ ...partsOf(known.secret), secret: "0".repeat(32) }))), "a guess at a known key");
  assert.equal((await from("192.0.2.30", "/plain", known.bearer)).status, 200);
  assert.equal((await from("192.0.2.30", "/open")).status, 200, "what needs no key");
  assert.equal((await from("192.0.2.31", "/plain", fresh.bearer)).status, 200, "another address");
  assert.equal((await from("192.0.2.30", "/plain", fresh.bearer)).status, 200, "now it is known");
});

const JSON_BODY = { "Content-Type": "application/json" };
const verify = (address, caller, key) =>
  manage(address, { ...caller, ...JSON_BODY }, { method: "POST", path: "/_tollgate/v1/keys/verify", body: JSON.stringify({ key }) });
const explain = (address, caller, key) => {
  const request = { method: "GET", url: `http://localhost:${gate.port}/plain`, headers: [["x-api-key", key]] };
  return manage(address, { ...caller, ...JSON_BODY }, { method: "POST", path: "/_tollgate/v1/explain", body: JSON.stringify({ request }) });
};

test("the road and management share one budget", async () => {
  const root = bearer(gate.secrets.ROOT_TOKEN);
  const address = "192.0.2.40";
  assertProblem(await from(address, "/plain", bad), 401, "key_invalid");
  assertProblem(await manage(address, bad), 401, "key_invalid");
  assertProblem(await manage(address, bad), 401, "key_invalid");
  assertTooMany(await from(address, "/plain", bad), "the road");
  assertTooMany(await manage(address, bad), "management");
  assert.equal((await manage(address, root)).status, 200, "root is known by heart");
  assert.equal((await verify(address, root, known.secret)).json.valid, true, "nor is what it does");
  const admin = await makeKey(gate, { kind: "ak", scopes: ["keys:read"] });
  assertTooMany(await manage(address, admin.bearer), "an admin key that would have to be asked for");
});

test("strangers do not shut out an admin key that is known", async () => {
  const admin = await makeKey(gate, { kind: "ak", scopes: ["keys:read"] });
  assert.equal((await manage("192.0.2.41", admin.bearer)).status, 200);
  await spend("192.0.2.41");
  assertTooMany(await manage("192.0.2.41", bearer(forged({ ...partsOf(admin.secret), secret: "0".repeat(32) }))), "a guess at it");
  assert.equal((await manage("192.0.2.41", admin.bearer)).status, 200);
  assert.equal((await gate.api("POST", `keys/${admin.id}/revoke`)).status, 200);
  assertProblem(await manage("192.0.2.41", admin.bearer), 401, "key_revoked", { why: "its object is asked all the same" });
});

test("who verifies the keys of others is not their address", async () => {
  const one = await makeKey(gate, { kind: "ak", scopes: ["keys:read"] });
  const other = await makeKey(gate, { kind: "ak", scopes: ["keys:read"] });
  const wrong = forged({ ...partsOf(known.secret), secret: "0".repeat(32) });
  const address = "192.0.2.42";
  assert.deepEqual((await verify(address, one.bearer, "nonsense")).json, { valid: false, code: "key_invalid" });
  assert.deepEqual((await verify("192.0.2.43", one.bearer, wrong)).json, { valid: false, code: "key_invalid" });
  assert.equal((await explain("192.0.2.44", one.bearer, wrong)).json.code, "key_invalid");
  for (const asked of [verify, explain]) assertTooMany(await asked("192.0.2.45", one.bearer, known.secret), "even of a good key, from anywhere");
  assert.equal((await verify(address, other.bearer, known.secret)).json.valid, true, "another caller");
  for (let i = 0; i < FAILURES; i += 1) assertProblem(await from(address, "/plain", bad), 401, "key_invalid", { why: "the address has all of its own" });
  assertTooMany(await from(address, "/plain", bad));
});

test("refusals of an admin key have a budget of their own", async () => {
  const admin = await makeKey(gate, { kind: "ak", scopes: ["audit:read"], limits: [atMost(1_000, "1h")] });
  const codes = [];
  for (let batch = 0; batch < 8; batch += 1) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => manage("192.0.2.46", admin.bearer)));
    codes.push(...answers.map(({ json }) => json.code));
  }
  const counts = tally(codes);
  assert.deepEqual(counts, { insufficient_scope: REFUSALS, too_many_failures: 400 - REFUSALS });
  assertProblem(await manage("192.0.2.47", admin.bearer), 403, "insufficient_scope", { members: ["required_scopes"] });
});

test("IPv4 counts by address, IPv6 by /64, and what cannot be read together", async () => {
  for (let i = 0; i < FAILURES; i += 1) assertProblem(await from(`2001:db8:0:1::${i}`, "/plain", bad), 401, "key_invalid");
  assertTooMany(await from("2001:db8:0:1:ffff::1", "/plain", bad), "the same /64");
  assertProblem(await from("2001:db8:0:2::1", "/plain", bad), 401, "key_invalid", { why: "the next one" });
  await spend("192.0.2.50");
  assertProblem(await from("192.0.2.51", "/plain", bad), 401, "key_invalid");
  assertTooMany(await from("::ffff:192.0.2.50", "/plain", bad), "the same address in IPv6's clothes");
  for (const address of ["nonsense", "", "999.1.1.1"]) assertProblem(await from(address, "/plain", bad), 401, "key_invalid");
  assertTooMany(await from("unknown", "/plain", bad), "unreadable ones share a budget");
  // Only the hop that is one's own is believed; what the client wrote stands further left.
  assertTooMany(await from("203.0.113.9, 192.0.2.50", "/plain", bad), "a forged entry in front");
});

test("refusals of a good key have a budget of their own, for each address", async () => {
  const key = await makeKey(gate, { limits: [atMost(1_000, "1h")] });
  const codes = [];
  for (let batch = 0; batch < 8; batch += 1) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => from("192.0.2.60", "/scoped", key.bearer)));
    codes.push(...answers.map(({ json }) => json.code));
  }
  const counts = tally(codes);
  // The first refusal may be confirmed with the key's object, which is not counted.
  assert.ok(counts.insufficient_scope >= REFUSALS && counts.insufficient_scope <= REFUSALS + 1, JSON.stringify(counts));
  assert.equal(counts.too_many_failures, 400 - counts.insufficient_scope);
  assert.equal((await from("192.0.2.60", "/plain", key.bearer)).status, 200, "what it may do goes on");
  assertProblem(await from("192.0.2.61", "/scoped", key.bearer), 403, "insufficient_scope", { members: ["required_scopes"] });
});
