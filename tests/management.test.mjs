// The management API: keys and their life.
//
//   1. making keys: defaults, every field, every mistake at once
//   2. reading and changing: versions, conflicts, what cannot be changed, the states of a key's life
//   3. lists: pages that stay right while keys come and go, filters
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { assertHeaders, assertProblem } from "./support/expect.mjs";
import { act, bearer, makeKey, partsOf } from "./support/keys.mjs";
import { by, OK, startManagement } from "./support/management.mjs";

let world, gate, api, create;
before(async () => {
  world = await startManagement("management");
  ({ gate, api, create } = world);
});
after(() => world?.stop());

const fieldsOf = (answer) => answer.body.errors.map(({ field }) => field);

describe("making a key", () => {
  test("the least there is to say gets the defaults", async () => {
    const before = Date.now();
    const answer = await create({ name: "billing" });
    assert.equal(answer.status, 201, answer.text);
    const { key, secret } = answer.body;
    assertHeaders(answer, { ...OK, location: `/_tollgate/v1/keys/${key.id}` });
    assert.match(secret, /^tg_dev_sk_[0-9A-Za-z]{16}_[0-9A-Za-z]{38}$/);
    assert.equal(partsOf(secret).id, key.id);
    const { id, created_at, expires_at, ...rest } = key;
    assert.deepEqual(rest, {
      family: id, kind: "sk", tenant: "acme", environment: "dev", name: "billing", owner: null, tags: [], metadata: {}, state: "active",
      version: 1, origins: [], allow_any_origin: false, addresses: [], scopes: [], limits: [], mode: "exact", mfa: false,
    });
    const year = 365 * 86_400_000;
    assert.ok(Math.abs(Date.parse(created_at) - before) < 60_000);
    assert.equal(Date.parse(expires_at) - Date.parse(created_at), year);
    assert.equal((await gate.request({ path: "/plain", headers: bearer(secret) })).status, 200);
  });

  test("every field is kept and shown, and the secret never again", async () => {
    const wish = {
      kind: "pk", name: "shop – Überblick", owner: "ana", tags: ["web", "eu"], metadata: { ticket: 7, deep: { a: [1, null] } },
      scopes: ["things:read:*"], origins: ["https://app.example.com", "https://*.example.org", "http://localhost:*"],
      addresses: ["127.0.0.1", "2001:db8::/32"],
      limits: [
        { name: "default", requests: 10, window: "1m", by: "key" },
        { name: "each", bucket: { requests: 5, window: "10s", burst: 20 }, by: "key+address" },
        { name: "fast", requests: 50, window: "1m", by: "key", mode: "leased" },
        { name: "whole", requests: 9, window: "1m", quota: { requests: 200, per: "day" }, concurrency: 3, by: "key+param:id" },
      ],
      mode: "leased", expires_in: "48h",
    };
    const made = await makeKey(gate, wish);
    const { expires_in, ...kept } = wish;
    for (const [name, value] of Object.entries({ ...kept, addresses: ["127.0.0.1/32", "2001:db8::/32"] })) {
      assert.deepEqual(made.key[name], value, name);
    }
    assert.equal(Date.parse(made.key.expires_at) - Date.parse(made.key.created_at), 48 * 3_600_000);
    const shown = await api("GET", `keys/${made.id}`);
    assert.deepEqual(shown.body, { key: made.key });
    const listed = await api("GET", "keys?owner=ana");
    assert.deepEqual(listed.body.keys, [{ ...made.key, last_used_at: null }]);
    for (const answer of [shown, listed]) {
      assert.ok(!answer.text.includes(partsOf(made.secret).secret));
      assert.doesNotMatch(answer.text, /digest|mac|pepper/);
    }
  });

  test("every mistake is told at once, by its field, and nothing is made", async () => {
    const before = await count();
    const answer = await api("POST", "keys", {
      kind: "sp", tenat: "acme", name: "", tags: ["a", "a", 3], origins: ["app.example.com"], limits: [{ requests: 0, window: "1w" }],
      expires_in: "1d", expires_at: "2030-01-01", mfa: "yes", surprise: 1,
    });
    assertProblem(answer, 400, "invalid_field", { members: ["errors"] });
    assert.deepEqual(fieldsOf(answer).sort(), ["expires_at", "kind", "limits[0].window", "mfa", "name", "origins[0]", "surprise", "tags[1]", "tags[2]", "tenant", "tenat"]);
    assert.match(answer.body.errors.find(({ field }) => field === "tenat").message, /did you mean `tenant`/);
    assert.equal(await count(), before);
  });

  test("what a kind may not be is refused", async () => {
    for (const [why, wish, field] of [
      ["a page's key without origins", { kind: "pk" }, "origins"],
      ["any origin without leave", { kind: "pk", origins: ["*"] }, "origins"],
      ["any origin with a write", { kind: "pk", origins: ["*"], allow_any_origin: true, scopes: ["a:write"] }, "allow_any_origin"],
      ["a whole top-level domain", { kind: "pk", origins: ["https://*.com"] }, "origins[0]"],
      ["null as an origin", { kind: "pk", origins: ["null"] }, "origins[0]"],
      ["plain http on the net", { kind: "pk", origins: ["http://app.example.com"] }, "origins[0]"],
      ["origins of a server's key", { kind: "sk", origins: ["https://a.example"] }, "origins"],
      ["a restricted key of everything", { kind: "rk", scopes: ["a:b:*"] }, "scopes[0]"],
      ["a restricted key of nothing", { kind: "rk" }, "scopes"],
      ["an admin key of a route's scope", { kind: "ak", scopes: ["things:read"] }, "scopes[0]"],
      ["a writing admin key that is bound to nothing", { kind: "ak", scopes: ["keys:write"], mfa: false }, "mfa"],
      ["a key of all tenants for routes", { tenant: "*" }, "tenant"],
      ["a tenant in capitals", { tenant: "Acme" }, "tenant"],
      ["host bits in a network", { addresses: ["192.0.2.1/24"] }, "addresses[0]"],
      ["a limit by tenant, which is for the policy to say", { limits: [{ requests: 1, window: "1m", by: "tenant" }] }, "limits[0].by"],
      ["a rate and a bucket", { limits: [{ requests: 1, window: "1m", bucket: { requests: 1, window: "1m", burst: 1 } }] }, "limits[0].bucket"],
      ["a quota of a week", { limits: [{ quota: { requests: 1, per: "week" } }] }, "limits[0].quota.per"],
      ["places given ahead", { limits: [{ concurrency: 1, mode: "leased" }] }, "limits[0].mode"],
      ["an admin key that does not ask", { kind: "ak", scopes: ["keys:read"], mode: "leased" }, "mode"],
      ["more metadata than fits", { metadata: { a: "x".repeat(1_100) } }, "metadata"],
      ["longer than the policy lets keys live", { expires_in: "731d" }, "expires_in"],
      ["in the past", { expires_at: "2020-01-01T00:00:00Z" }, "expires_at"],
    ]) {
      const answer = await create(wish);
      assertProblem(answer, 400, "invalid_field", { members: ["errors"], why });
      assert.deepEqual(fieldsOf(answer), [field], why);
    }
  });

  test("only JSON is read, and not too much of it", async () => {
    const raw = (body, headers) => api("POST", "keys", body, { headers });
    assertProblem(await raw("tenant=acme", { "Content-Type": "application/x-www-form-urlencoded" }), 400, "malformed_request");
    assertProblem(await raw(JSON.stringify({ metadata: { a: "x".repeat(70_000) } })), 413, "body_too_large");
    assert.equal((await raw(JSON.stringify({ tenant: "acme", kind: "sk", name: "x" }), { "Content-Type": "application/json; charset=utf-8" })).status, 201);
  });
});

async function count(query = "") {
  let keys = 0;
  for await (const _ of pages(100, query)) keys += 1;
  return keys;
}

/** Every key of a list, page by page; `between` is awaited between two pages. */
async function* pages(limit, query = "", between = () => {}) {
  for (let cursor = ""; cursor !== null; ) {
    const { status, body, text } = await api("GET", `keys?limit=${limit}${query}${cursor && `&cursor=${cursor}`}`);
    assert.equal(status, 200, text);
    assert.deepEqual(Object.keys(body).sort(), ["keys", "nextCursor"]);
    assert.ok(body.keys.length <= limit);
    yield* body.keys;
    cursor = body.nextCursor;
    await between();
  }
}

describe("changing a key", () => {
  test("takes the version that was seen, and counts it up", async () => {
    const key = await makeKey(gate, { scopes: ["things:read:1"], tags: ["a"] });
    const patch = (fields) => api("PATCH", `keys/${key.id}`, fields);
    const first = await patch({ version: 1, name: "renamed", tags: [] });
    assert.equal(first.status, 200, first.text);
    assert.deepEqual(first.body.key, { ...key.key, name: "renamed", tags: [], version: 2 });
    const stale = await patch({ version: 1, name: "again" });
    assertProblem(stale, 409, "version_conflict", { members: ["version"] });
    assert.equal(stale.body.version, 2);
    assert.deepEqual((await patch({ version: 2, name: "renamed" })).body.key.version, 2, "nothing changed, so nothing is counted");
    const emptied = await patch({ version: 2, scopes: null, owner: "bo" });
    assert.deepEqual([emptied.body.key.scopes, emptied.body.key.owner, emptied.body.key.version], [[], "bo", 3]);
    for (const [fields, wrong] of [
      [{ name: "x" }, ["version"]],
      [{ version: 3, kind: "pk", tenant: "b", id: "x", state: "active" }, ["id", "kind", "state", "tenant"]],
      [{ version: 3, digest: "x", nme: "y" }, ["digest", "nme"]],
      [{ version: 3, name: null }, ["name"]],
      [{ version: 3, origins: ["https://a.example"] }, ["origins"]],
    ]) {
      const answer = await patch(fields);
      assertProblem(answer, 400, "invalid_field", { members: ["errors"], why: JSON.stringify(fields) });
      assert.deepEqual(fieldsOf(answer).sort(), wrong);
    }
    assert.equal((await api("GET", `keys/${key.id}`)).body.key.version, 3, "none of them changed anything");
  });

  test("of two at once one wins", async () => {
    const key = await makeKey(gate);
    const both = await Promise.all(["one", "two", "three"].map((name) => api("PATCH", `keys/${key.id}`, { version: 1, name })));
    assert.deepEqual(both.map(({ status }) => status).sort(), [200, 409, 409]);
    const { name, version } = (await api("GET", `keys/${key.id}`)).body.key;
    assert.deepEqual([name, version], [both.find(({ status }) => status === 200).body.key.name, 2]);
  });

  test("is felt at once by a request on the same machine", async () => {
    const key = await makeKey(gate, { scopes: ["things:read:1"] });
    const call = () => gate.request({ path: "/things/2", headers: key.bearer });
    assertProblem(await call(), 403, "insufficient_scope", { members: ["required_scopes"] });
    assertProblem(await call(), 403, "insufficient_scope", { members: ["required_scopes"] });
    const widened = await api("PATCH", `keys/${key.id}`, { version: 1, scopes: ["things:read:*"] });
    assert.equal(widened.status, 200, widened.text);
    assert.equal((await call()).status, 200);
    await act(gate, key, "disable");
    for (let i = 0; i < 2; i += 1) assertProblem(await call(), 401, "key_disabled");
    await act(gate, key, "enable");
    assert.equal((await call()).status, 200);
  });

  test("an origin list without `*` ends the leave for any origin", async () => {
    const key = await makeKey(gate, { kind: "pk", origins: ["*"], allow_any_origin: true });
    for (const origins of [[], null]) {
      const answer = await api("PATCH", `keys/${key.id}`, { version: 1, origins });
      assertProblem(answer, 400, "invalid_field", { members: ["errors"], why: JSON.stringify(origins) });
      assert.deepEqual(fieldsOf(answer), ["origins"]);
    }
    const listed = await api("PATCH", `keys/${key.id}`, { version: 1, origins: ["https://a.example"] });
    assert.deepEqual([listed.body.key.origins, listed.body.key.allow_any_origin], [["https://a.example"], false]);
  });

  test("a key in the wrong field is not told again", async () => {
    const { secret } = await makeKey(gate);
    const part = partsOf(secret).secret;
    const request = { method: "GET", url: `http://localhost:${gate.port}/plain` };
    for (const [why, path, body] of [
      ["a field's name", "keys", { [secret]: 1 }],
      ["a scope", "keys", { scopes: [secret] }],
      ["an origin", "keys", { origins: [secret] }],
      ["an end", "keys", { expires_in: secret }],
      ["a header that is none", "explain", { request: { ...request, headers: [secret] } }],
      ["a header with three parts", "explain", { request: { ...request, headers: [["authorization", "Bearer", secret]] } }],
      ["a request's field", "explain", { request: { ...request, [secret]: 1 } }],
      ["a request as a text", "explain", { request: `Authorization: Bearer ${secret}` }],
      ["more headers than there can be", "explain", { request: { ...request, headers: Array(201).fill(["x-api-key", secret]) } }],
    ]) {
      const answer = await api("POST", path, body);
      assertProblem(answer, 400, "invalid_field", { members: ["errors"], why });
      assert.ok(!answer.text.includes(part), why);
      for (const { field, message } of answer.body.errors) assert.ok(field.length <= 200 && message.length <= 200, why);
    }
  });

  test("a rotation that meets another change is judged again", async () => {
    const key = await makeKey(gate);
    const [patched, rotated] = await Promise.all([
      api("PATCH", `keys/${key.id}`, { version: 1, name: "patched" }),
      api("POST", `keys/${key.id}/rotate`),
    ]);
    assert.equal(rotated.status, 201, rotated.text);
    assert.ok([200, 409].includes(patched.status), patched.text);
    if (patched.status === 409) assert.equal(patched.body.code, "version_conflict");
    const both = await Promise.all([1, 2].map(() => api("POST", `keys/${rotated.body.key.id}/rotate`)));
    assert.deepEqual(both.map(({ status }) => status).sort(), [201, 409]);
    const { body } = both.find(({ status }) => status === 409);
    assert.ok(["state_conflict", "version_conflict"].includes(body.code), body.code);
  });

  test("a rotation that must fail leaves nothing behind", async () => {
    const [off, gone, first] = [await makeKey(gate), await makeKey(gate), await makeKey(gate)];
    await act(gate, off, "disable");
    await act(gate, gone, "revoke");
    await act(gate, first, "rotate");
    const objects = () => readdirSync(gate.state, { recursive: true }).filter((name) => String(name).endsWith(".sqlite")).length;
    const before = objects();
    assert.ok(before > 3, `${before} objects`);
    for (const key of [off, gone, first]) assertProblem(await api("POST", `keys/${key.id}/rotate`), 409, "state_conflict");
    assert.equal(objects(), before);
    await act(gate, await makeKey(gate), "rotate");
    assert.equal(objects(), before + 2, "a key and its successor");
  });

  test("walks the states of a key's life, and no others", async () => {
    const key = await makeKey(gate);
    const state = async () => (await api("GET", `keys/${key.id}`)).body.key.state;
    for (const [action, status, now] of [
      ["enable", 200, "active"], ["disable", 200, "disabled"], ["disable", 200, "disabled"], ["rotate", 409, "disabled"],
      ["end-grace", 409, "disabled"], ["enable", 200, "active"], ["revoke", 200, "revoked"], ["revoke", 200, "revoked"],
      ["enable", 409, "revoked"], ["disable", 409, "revoked"], ["rotate", 409, "revoked"], ["end-grace", 409, "revoked"],
    ]) {
      const answer = await api("POST", `keys/${key.id}/${action}`);
      assert.equal(answer.status, status, `${action}: ${answer.text}`);
      if (status === 409) assertProblem(answer, 409, "state_conflict");
      else assert.equal(answer.body.key.state, now);
      assert.equal(await state(), now, action);
    }
    const { version } = (await api("GET", `keys/${key.id}`)).body.key;
    assertProblem(await api("PATCH", `keys/${key.id}`, { version, name: "x" }), 409, "state_conflict");
  });

  test("rotates once; the successor is rotated next", async () => {
    const first = await makeKey(gate, { name: "line", scopes: ["things:read:1"], metadata: { a: 1 }, expires_in: "24h" });
    const rotated = await api("POST", `keys/${first.id}/rotate`, { grace: "1h" });
    assert.equal(rotated.status, 201, rotated.text);
    const { key, secret, previous } = rotated.body;
    assert.equal(rotated.headers.location, `/_tollgate/v1/keys/${key.id}`);
    for (const name of ["name", "scopes", "metadata", "tenant", "kind", "family"]) assert.deepEqual(key[name], first.key[name], name);
    assert.equal(Date.parse(key.expires_at) - Date.parse(key.created_at), 86_400_000, "the old lifetime, counted from now");
    assert.equal(previous.deprecated.successor, key.id);
    assert.equal(Date.parse(previous.expires_at) - Date.parse(previous.deprecated.since), 3_600_000);
    assertProblem(await api("POST", `keys/${first.id}/rotate`), 409, "state_conflict");
    const later = await api("PATCH", `keys/${first.id}`, { version: previous.version, expires_in: "48h" });
    assert.ok([400, 409].includes(later.status), "its end can only be brought forward");
    assert.equal((await api("POST", `keys/${key.id}/rotate`, { grace: "soon" })).status, 400);
    assert.equal((await gate.request({ path: "/things/1", headers: bearer(secret) })).status, 200);
    const short = await makeKey(gate, { expires_in: "1h" });
    const capped = (await api("POST", `keys/${short.id}/rotate`)).body.previous;
    assert.equal(capped.expires_at, short.key.expires_at, "never past the old end");
  });

  test("what is not there is not found", async () => {
    for (const id of ["0".repeat(16), "short", `${"0".repeat(17)}`, "..", "keys"]) {
      for (const [method, path] of [["GET", ""], ["PATCH", ""], ["POST", "/revoke"]]) {
        const answer = await api(method, `keys/${id}${path}`, method === "PATCH" ? { version: 1 } : undefined);
        assert.ok(answer.status === 404 || (id === ".." && answer.status === 400), `${method} ${id}${path}: ${answer.status}`);
      }
    }
  });
});

describe("lists", () => {
  test("page by page each key once, newest first", async () => {
    for (let i = 0; i < 7; i += 1) await makeKey(gate, { tenant: "pages", name: `k${i}` });
    for (const limit of [1, 3, 7, 100]) {
      const names = [];
      for await (const key of pages(limit, "&tenant=pages")) names.push(key.name);
      assert.deepEqual(names, ["k6", "k5", "k4", "k3", "k2", "k1", "k0"], `limit ${limit}`);
    }
  });

  test("stay right while keys come and go", async () => {
    const made = [];
    for (let i = 0; i < 9; i += 1) made.push(await makeKey(gate, { tenant: "moving", name: `k${i}` }));
    let turn = 0;
    const seen = [];
    const between = async () => {
      turn += 1;
      await makeKey(gate, { tenant: "moving", name: `new${turn}` });
      // One that was shown, and one that is to come.
      await act(gate, made[9 - turn], "revoke");
      if (turn < 4) await act(gate, made[turn], "disable");
    };
    for await (const key of pages(2, "&tenant=moving", between)) seen.push(key.name);
    assert.deepEqual(seen, ["k8", "k7", "k6", "k5", "k4", "k3", "k2", "k1", "k0"], "each that was there, once, and none that came");
  });

  test("filter by tenant, owner, tag, kind and state", async () => {
    const tenant = "filters";
    const [plain, tagged, page, off, gone] = [
      await makeKey(gate, { tenant, name: "plain" }),
      await makeKey(gate, { tenant, name: "tagged", owner: "ana b", tags: ["web", "e&u"] }),
      await makeKey(gate, { tenant, name: "page", kind: "pk", origins: ["https://a.example"], owner: "ana b" }),
      await makeKey(gate, { tenant, name: "off" }),
      await makeKey(gate, { tenant, name: "gone" }),
    ];
    await act(gate, off, "disable");
    await act(gate, gone, "revoke");
    const expired = await makeKey(gate, { tenant, name: "expired", expires_in: "1s" });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    for (const [query, names] of [
      ["", ["expired", "gone", "off", "page", "tagged", "plain"]],
      ["&owner=ana%20b", ["page", "tagged"]],
      ["&owner=ana+b", ["page", "tagged"]],
      ["&tag=e%26u", ["tagged"]],
      ["&tag=we", []],
      ["&kind=pk", ["page"]],
      ["&state=active", ["page", "tagged", "plain"]],
      ["&state=disabled", ["off"]],
      ["&state=revoked", ["gone"]],
      ["&state=expired", ["expired"]],
      ["&state=active&kind=sk&owner=ana+b", ["tagged"]],
    ]) {
      const found = [];
      for await (const key of pages(2, `&tenant=${tenant}${query}`)) found.push(key.name);
      assert.deepEqual(found, names, query);
    }
    assert.ok(plain && page && expired);
    assertProblem(await api("GET", "keys?unused_since=yesterday"), 400, "invalid_field", { members: ["errors"] });
  });
});
