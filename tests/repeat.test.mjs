// `Idempotency-Key` on management writes.
//
//   1. a write that is sent twice is done once, and answered the same; what a value is bound to
//   2. many at once
//   3. over time: ten minutes for secrets, a day for the rest, a restart in between
//   4. a write of which nobody knows whether it was done
//
// Nothing of what is kept can be read on disk: stopping the gate looks for every secret that it showed.
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startBackend } from "./support/backend.mjs";
import { HOUR, MINUTE, SECOND, startClockedGate } from "./support/clock.mjs";
import { assertHeaders, assertProblem } from "./support/expect.mjs";
import { act, bearer, makeKey } from "./support/keys.mjs";
import { OK, WHOLE } from "./support/management.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";
import { eventually } from "./support/usage.mjs";

let backend, gate;
before(async () => {
  backend = await startBackend();
  gate = await startClockedGate({
    policy: testPolicy({ backend, routes: [{ name: "plain", path: "/plain" }] }),
    name: "repeat",
    worker: "lost-worker.mjs",
  });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

let named = 0;
/** A tenant of a test's own. */
const tenant = () => `t${(named += 1)}`;
const wish = (of, more = {}) => ({ tenant: of, kind: "sk", name: "test", ...more });
/** A write under an `Idempotency-Key`, by root unless `token` is another credential. */
const once = (key, method, path, body, { token, headers = {} } = {}) =>
  gate.api(method, path, body, { ...(token ? { token } : {}), headers: { "Idempotency-Key": key, ...headers } });
const create = (key, of, more, options) => once(key, "POST", "keys", wish(of, more), options);
const keysOf = async (of) => (await gate.api("GET", `keys?tenant=${of}&limit=100`)).body.keys;
const admin = (of, more = {}) =>
  makeKey(gate, { tenant: of, kind: "ak", name: "admin", scopes: WHOLE, addresses: ["127.0.0.0/8"], limits: [atMost(100_000, "1h")], ...more });

/** Fails unless the second answer is the first one again. */
function assertAgain(first, again, more = {}) {
  assert.equal(again.status, first.status, again.text);
  assert.deepEqual(again.body, first.body);
  assert.notEqual(again.headers["x-request-id"], first.headers["x-request-id"]);
  assert.equal(first.headers["idempotency-replayed"], undefined);
  assertHeaders(again, { ...OK, "idempotency-replayed": "true", ...more });
}

describe("a write that is sent twice", () => {
  test("makes one key, and shows it again", async () => {
    const of = tenant();
    const first = await create("order-1", of);
    assert.equal(first.status, 201, first.text);
    const again = await create("order-1", of);
    assertAgain(first, again, { location: `/_tollgate/v1/keys/${first.body.key.id}` });
    assertAgain(first, await create('"order-1"', of), { location: first.headers.location });
    assert.deepEqual((await keysOf(of)).map(({ id }) => id), [first.body.key.id]);
    assert.equal((await gate.request({ path: "/plain", headers: bearer(again.body.secret) })).status, 200);
    const other = await create("order-2", of);
    assert.notEqual(other.body.key.id, first.body.key.id);
    assert.equal((await keysOf(of)).length, 2);
  });

  test("makes another request something else", async () => {
    const of = tenant();
    const first = await create("same", of);
    const { id } = first.body.key;
    for (const [why, method, path, body] of [
      ["another body", "POST", "keys", wish(of, { name: "other" })],
      ["the same body in other letters", "POST", "keys", `${JSON.stringify(wish(of))} `],
      ["another path", "POST", `keys/${id}/rotate`, wish(of)],
      ["another method", "PATCH", `keys/${id}`, wish(of)],
      ["a query", "POST", "keys?a=b", wish(of)],
    ]) {
      assertProblem(await once("same", method, path, body), 422, "idempotency_mismatch", { why });
    }
    assert.deepEqual((await keysOf(of)).map(({ id, version, name }) => [id, version, name]), [[id, 1, "test"]]);
  });

  test("by somebody else is somebody else's", async () => {
    const of = tenant();
    const [one, two] = [await admin(of), await admin(of)];
    const made = await Promise.all([one.secret, two.secret, undefined].map((token) => create("shared", of, {}, { token })));
    assert.deepEqual(made.map(({ status }) => status), [201, 201, 201]);
    assert.equal(new Set(made.map(({ body }) => body.key.id)).size, 3);
    const limits = Object.fromEntries(
      ["ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"].map((name) => [name, /./]),
    );
    const again = await create("shared", of, {}, { token: one.secret });
    assertAgain(made[0], again, { location: made[0].headers.location, ...limits });
    assert.notEqual(again.headers.ratelimit, made[0].headers.ratelimit, "what is left is told anew");
    // The next of its family is the same actor, and holds another credential.
    const next = await act(gate, one, "rotate");
    assertProblem(await create("shared", of, {}, { token: next.secret }), 409, "idempotency_result_not_kept");
    assert.equal((await keysOf(of)).filter(({ kind }) => kind === "sk").length, 3);
  });

  test("is answered the same whatever the call", async () => {
    const key = await makeKey(gate, { tenant: tenant() });
    for (const [path, body] of [
      ["disable", undefined],
      ["enable", {}],
      ["rotate", { grace: "1h" }],
      ["end-grace", undefined],
    ]) {
      const first = await once(path, "POST", `keys/${key.id}/${path}`, body);
      assert.ok(first.status < 300, first.text);
      const more = first.status === 201 ? { location: first.headers.location } : {};
      assertAgain(first, await once(path, "POST", `keys/${key.id}/${path}`, body), more);
    }
    const fresh = await makeKey(gate, { tenant: tenant() });
    const renamed = await once("rename", "PATCH", `keys/${fresh.id}`, { version: 1, name: "renamed" });
    assert.equal(renamed.body.key.version, 2);
    assertAgain(renamed, await once("rename", "PATCH", `keys/${fresh.id}`, { version: 1, name: "renamed" }));
    assert.equal((await gate.api("GET", `keys/${fresh.id}`)).body.key.version, 2);
    const revoked = await once("revoke", "POST", `keys/${fresh.id}/revoke`, { family: true });
    assertAgain(revoked, await once("revoke", "POST", `keys/${fresh.id}/revoke`, { family: true }));
  });

  test("is refused the same, and what was refused before it began is not kept", async () => {
    const key = await makeKey(gate, { tenant: tenant() });
    for (const [status, code, path, body] of [
      [409, "version_conflict", `keys/${key.id}`, { version: 7, name: "late" }],
      [400, "invalid_field", `keys/${key.id}`, { version: 1, nme: "typo" }],
      [404, "not_found", "keys/abcdefghij012345", { version: 1 }],
    ]) {
      const [first, again] = [await once(code, "PATCH", path, body), await once(code, "PATCH", path, body)];
      const members = Object.keys(first.body).filter((name) => ["version", "errors"].includes(name));
      for (const answer of [first, again]) assertProblem(answer, status, code, { members });
      assert.deepEqual({ ...again.body, correlationId: "" }, { ...first.body, correlationId: "" });
      assert.equal(again.headers["idempotency-replayed"], "true");
    }
    const of = tenant();
    const reader = await admin(of, { scopes: ["keys:read"] });
    const denied = await create("later", of, {}, { token: reader.secret });
    assertProblem(denied, 403, "insufficient_scope", { members: ["required_scopes"] });
    const { version } = (await gate.api("GET", `keys/${reader.id}`)).body.key;
    assert.equal((await gate.api("PATCH", `keys/${reader.id}`, { version, scopes: WHOLE })).status, 200);
    assert.equal((await create("later", of, {}, { token: reader.secret })).status, 201);
  });

  test("has one name, which is 1 to 255 visible characters", async () => {
    const of = tenant();
    for (const key of ["", '""', "a b", '"a', 'a"b', "ä", "x".repeat(256), "a, b", '"a";b=c']) {
      assertProblem(await create(key, of), 400, "malformed_request", { why: key });
    }
    const twice = await gate.request({
      host: gate.adminHost,
      method: "POST",
      path: "/_tollgate/v1/keys",
      headers: [["Authorization", `Bearer ${gate.secrets.ROOT_TOKEN}`], ["Content-Type", "application/json"], ["Idempotency-Key", "a"], ["Idempotency-Key", "b"]],
      body: JSON.stringify(wish(of)),
    });
    assertProblem(twice, 400, "malformed_request");
    assert.deepEqual(await keysOf(of), []);
    for (const key of ["x".repeat(255), '"a,b"', "~!;"]) assert.equal((await create(key, of)).status, 201, key);
    // It means nothing to a call that changes nothing.
    const read = await once("a b", "GET", "keys?limit=1");
    assert.equal(read.status, 200);
  });
});

test("of many at once one is done", async () => {
  const of = tenant();
  const answers = await Promise.all(Array.from({ length: 20 }, () => create("rush", of)));
  const made = answers.filter(({ status }) => status === 201);
  assert.ok(made.length >= 1);
  assert.equal(new Set(made.map(({ body }) => body.secret)).size, 1);
  assert.equal(made.filter(({ headers }) => headers["idempotency-replayed"] === undefined).length, 1);
  for (const answer of answers.filter(({ status }) => status !== 201)) {
    assertProblem(answer, 409, "idempotency_in_progress", { members: ["retry_after"] });
    assert.equal(answer.headers["retry-after"], "1");
  }
  assert.equal((await keysOf(of)).length, 1);
  assert.equal((await create("rush", of)).body.secret, made[0].body.secret);
});

test("a secret is shown again for ten minutes, everything else for a day", async () => {
  const of = tenant();
  const made = await create("old", of);
  const { id } = made.body.key;
  const renamed = await once("name", "PATCH", `keys/${id}`, { version: 1, name: "renamed" });
  await gate.restart();
  await gate.advance(10 * MINUTE - 1);
  assert.deepEqual((await create("old", of)).body, made.body, "also after a restart");
  await gate.advance(1);
  assertProblem(await create("old", of), 409, "idempotency_result_not_kept");
  await gate.ring();
  assertProblem(await create("old", of), 409, "idempotency_result_not_kept");
  assertProblem(await create("old", of, { name: "other" }), 422, "idempotency_mismatch");
  await gate.advance(23 * HOUR);
  assert.deepEqual((await once("name", "PATCH", `keys/${id}`, { version: 1, name: "renamed" })).body, renamed.body);
  assert.equal((await keysOf(of)).length, 1);
  await gate.advance(HOUR);
  await gate.ring();
  const anew = await create("old", of);
  assert.equal(anew.status, 201);
  assert.equal((await keysOf(of)).length, 2);
});

describe("a write of which nobody knows whether it was done", () => {
  const lose = (count) => gate.request({ headers: { "x-test-lose": String(count) } });

  test("is not done again", async () => {
    const of = tenant();
    await lose(1);
    assertProblem(await create("lost", of), 503, "admission_unavailable");
    const running = await create("lost", of);
    assertProblem(running, 409, "idempotency_in_progress", { members: ["retry_after"] });
    await gate.advance(60 * SECOND - 1);
    assertProblem(await create("lost", of), 409, "idempotency_in_progress", { members: ["retry_after"] });
    await gate.advance(1);
    assertProblem(await create("lost", of), 409, "idempotency_outcome_unknown");
    assertProblem(await create("lost", of, { name: "other" }), 422, "idempotency_mismatch");
    await gate.restart();
    await gate.ring();
    assertProblem(await create("lost", of), 409, "idempotency_outcome_unknown");
    assert.ok((await keysOf(of)).length <= 1);
    assert.equal((await create("found", of)).status, 201);
  });

  test("is not done again either when it is about who holds the key", async () => {
    const key = await admin(tenant(), { mfa: true });
    const invite = () => once("invite", "POST", `keys/${key.id}/enrolment`);
    await lose(1);
    assertProblem(await invite(), 503, "admission_unavailable");
    await gate.advance(60 * SECOND);
    assertProblem(await invite(), 409, "idempotency_outcome_unknown");
  });

  test("is brought to its end though the client has gone", async (t) => {
    const held = await startClockedGate({ policy: testPolicy({ backend, routes: [] }), name: "repeat-gone", worker: "held-worker.mjs" });
    t.after(() => held.stop());
    const control = async (name, value) => (await held.request({ headers: { [`x-test-${name}`]: value } })).text;
    await control("hold", "left-alone");
    const body = JSON.stringify(wish("gone", { name: "left-alone" }));
    const headers = {
      Host: held.adminHost, Authorization: `Bearer ${held.secrets.ROOT_TOKEN}`, "Content-Type": "application/json",
      "Content-Length": body.length, "Idempotency-Key": "gone",
    };
    const client = httpRequest({ port: held.port, method: "POST", path: "/_tollgate/v1/keys", headers });
    client.on("error", () => {});
    client.end(body);
    while ((await control("held", "?")) === "0") await sleep(5);
    client.socket.resetAndDestroy();
    await sleep(100);
    await control("hold", "none");
    const again = () => held.api("POST", "keys", body, { headers: { "Idempotency-Key": "gone" } });
    const answer = await eventually(again, ({ status }) => status !== 409, 5_000);
    assert.equal(answer.status, 201, answer.text);
    assert.equal(answer.headers["idempotency-replayed"], "true");
  });
});
