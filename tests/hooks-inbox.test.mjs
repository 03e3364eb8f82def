// Webhooks in: verified, answered, stored, delivered once. What the schemes themselves accept is in the core's
// tests and in hooks-senders.test.mjs.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { reply, startBackend } from "./support/backend.mjs";
import { assertHeaders, assertProblem, REFUSAL, STAMP } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { arrived, post, SIGN, until, whsec } from "./support/hooks.mjs";
import { testPolicy } from "./support/policy.mjs";

const SECRET = randomBytes(24).toString("base64url");
const STANDARD = whsec();
const HOOK_SIGNING = whsec();
/** The headers of an answer without a body, and of one with the token of a challenge. */
const EMPTY = { ...STAMP, "content-length": "0", "x-content-type-options": "nosniff", "content-security-policy": "sandbox", "cache-control": "no-store" };
const TEXT = { ...EMPTY, "content-length": /^\d+$/, "content-type": /^text\/plain/ };

let backend;
let gate;
const source = (name, more) => ({
  name, path: `/hooks/${name}`, scheme: "stripe", secrets: ["${secret:SHOP}"], rewrite: "/in", ...more,
});
before(async () => {
  backend = await startBackend();
  gate = await startGate({
    name: "hooks-inbox",
    secrets: { SHOP: SECRET, STANDARD, HOOK_SIGNING, OTHER: null },
    policy: testPolicy({
      backend,
      dev: { source: { stripe: { retry_speed: 1000 }, shadow: { retry_speed: 1000 } } },
      sources: [
        source("stripe", { sign: "${secret:HOOK_SIGNING}", shards: 3, tenant: "acme" }),
        source("github", { scheme: "github", rewrite: undefined }),
        source("lemon", { scheme: "lemon-squeezy" }),
        source("strict", { scheme: "github", dedupe: "strict" }),
        source("standard", { scheme: "standard-webhooks", secrets: ["${secret:STANDARD}"], sign: "${secret:HOOK_SIGNING}" }),
        source("slack", { scheme: "slack" }),
        source("xero", { scheme: "xero" }),
        source("dropbox", { scheme: "dropbox" }),
        source("square", { scheme: "square", url: "https://api.example.com/hooks/square" }),
        source("small", { body_limit: "1KiB" }),
        source("elsewhere", { addresses: ["192.0.2.0/24"] }),
        source("shadow", { shadow: { checks: ["signatures"], until: new Date(Date.now() + 86_400_000).toISOString() }, sign: "${secret:HOOK_SIGNING}" }),
        source("unready", { secrets: ["${secret:OTHER}"] }),
        source("forward", { scheme: "github", delivery: "forward", sign: "${secret:HOOK_SIGNING}", rewrite: "/now" }),
        source("full", { store_limit: "1MiB", keep_delivered: "0s" }),
      ].map((it) => JSON.parse(JSON.stringify(it))),
    }),
  });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});
beforeEach(() => {
  backend.clear();
  backend.answer = undefined;
});

let count = 0;
/** A body with an id of its own. */
const fresh = (more = {}) => JSON.stringify({ id: `evt_${(count += 1)}`, type: "test", ...more });
const send = (name, scheme, body, more = {}) => post(gate, { path: `/hooks/${name}`, scheme, secret: SECRET, body, ...more });
const quiet = () => new Promise((resolve) => setTimeout(resolve, 150));

test("an event is acknowledged, and its backend has it, signed by the gate", async () => {
  const body = fresh();
  const answer = await send("stripe", "stripe", body, {
    query: "?a=1",
    more: { "X-Custom": "kept", Cookie: "a=b", "X-Tollgate-Tenant": "evil", "webhook-signature": "v1,forged", "X-Forwarded-For": "1.2.3.4", "x-upstream-token": "mine" },
  });
  assert.equal(answer.status, 202);
  assertHeaders(answer, EMPTY);
  await arrived(backend, 1);
  const [seen] = backend.requests;
  assert.deepEqual([seen.method, seen.url, seen.body.toString()], ["POST", "/in?a=1", body]);
  for (const [name, value] of Object.entries({
    "x-custom": "kept", "content-type": "application/json", "x-tollgate-webhook": "stripe", "x-upstream-token": gate.secrets.BILLING_TOKEN,
    "x-forwarded-for": "127.0.0.1", "x-request-id": answer.headers["x-request-id"], cookie: undefined, "x-tollgate-tenant": undefined,
    "x-tollgate-webhook-flag": undefined,
  })) assert.equal(seen.header(name), value, name);
  assert.match(seen.header("stripe-signature"), /^t=\d+,v1=/);
  assert.deepEqual(new Webhook(HOOK_SIGNING).verify(seen.body, seen.request.headers), JSON.parse(body));
  assert.throws(() => new Webhook(HOOK_SIGNING).verify(`${body} `, seen.request.headers));
  assert.equal(seen.header("webhook-id").slice(0, -1), answer.headers["x-request-id"]);
  const line = await gate.logged((line) => line.request_id === answer.headers["x-request-id"]);
  assert.deepEqual([line.route, line.webhook, line.tenant, line.status, line.path], ["stripe", "stored", "acme", 202, "/hooks/stripe"]);
});

test("what comes twice is acknowledged twice and delivered once", async () => {
  for (const [why, name, scheme, ids, delivered] of [
    ["the same event, by its signed id", "stripe", "stripe", [[], [], []], 1],
    ["the same delivery", "github", "github", [["a"], ["a"], ["a"]], 1],
    ["an unsigned id makes it another delivery", "github", "github", [["b"], ["c"], ["b"]], 2],
    ["where an unsigned id does not count", "strict", "github", [["a"], ["b"], ["c"]], 1],
    ["the same body, within ten minutes", "lemon", "lemon-squeezy", [[], [], []], 1],
  ]) {
    backend.clear();
    const body = fresh();
    for (const args of ids) assert.equal((await send(name, scheme, body, { args })).status, scheme === "lemon-squeezy" ? 200 : 202, why);
    await arrived(backend, delivered);
    await quiet();
    assert.equal(backend.requests.length, delivered, why);
  }
});

test("events of one moment that are the same are one", async () => {
  const body = fresh();
  const answers = await Promise.all(Array.from({ length: 20 }, () => send("stripe", "stripe", body)));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [202]);
  await arrived(backend, 1);
  await quiet();
  assert.equal(backend.requests.length, 1);
});

test("a known id with another body is delivered, and flagged", async () => {
  const id = `evt_reused_${count}`;
  await send("stripe", "stripe", JSON.stringify({ id, n: 1 }));
  await arrived(backend, 1);
  await send("stripe", "stripe", JSON.stringify({ id, n: 2 }));
  await arrived(backend, 2);
  const flags = backend.requests.map((seen) => seen.header("x-tollgate-webhook-flag"));
  assert.deepEqual(flags, [undefined, "id_reused"]);
  // Both were here, whichever came last.
  for (const n of [1, 2, 1]) assert.equal((await send("stripe", "stripe", JSON.stringify({ id, n }))).status, 202);
  await quiet();
  assert.equal(backend.requests.length, 2);
});

test("what a backend says besides its status is not taken from it", async () => {
  const chunk = Buffer.alloc(64 * 1024);
  let written = 0;
  const closed = new Promise((resolve) => {
    backend.answer = (seen, response) => {
      response.writeHead(200);
      const more = () => {
        while (!response.destroyed && written < 256 * chunk.length && response.write(chunk)) written += chunk.length;
      };
      response.on("drain", more).on("close", resolve);
      more();
    };
  });
  await send("github", "github", fresh());
  await closed;
  assert.ok(written < 128 * chunk.length, `${written} bytes of an endless answer were taken`);
});

test("headers of the gate's own names go on under others", async () => {
  const body = fresh();
  const at = Date.now();
  await post(gate, { path: "/hooks/standard", scheme: "standard-webhooks", secret: STANDARD, body, at, args: ["msg_1"] });
  await arrived(backend, 1);
  const [seen] = backend.requests;
  const sent = SIGN["standard-webhooks"](STANDARD, body, at, "msg_1");
  for (const [name, value] of Object.entries(sent)) assert.equal(seen.header(`x-tollgate-original-${name}`), value, name);
  new Webhook(HOOK_SIGNING).verify(seen.body, seen.request.headers);
  assert.throws(() => new Webhook(STANDARD).verify(seen.body, seen.request.headers));
});

test("what is refused says why in one of few words, and nothing goes on", async () => {
  const old = Date.now() - 301_000;
  const body = fresh();
  const signed = SIGN.stripe(SECRET, body, Date.now());
  const raw = (path, more) => gate.request({ method: "POST", path, body, ...more });
  for (const [why, request, status, code, failed] of [
    ["no signature", () => raw("/hooks/stripe"), 401, "signature_missing", "header"],
    ["not of this form", () => raw("/hooks/stripe", { headers: { "Stripe-Signature": "t=1,v1=zz" } }), 401, "signature_invalid", "encoding"],
    ["another secret", () => post(gate, { path: "/hooks/stripe", scheme: "stripe", secret: "x".repeat(32), body }), 401, "signature_invalid", "signature"],
    ["another body", () => gate.request({ method: "POST", path: "/hooks/stripe", headers: signed, body: `${body} ` }), 401, "signature_invalid", "signature"],
    ["old", () => send("stripe", "stripe", body, { at: old }), 401, "timestamp_out_of_range", "time"],
    ["ahead", () => send("stripe", "stripe", body, { at: Date.now() + 302_000 }), 401, "timestamp_out_of_range", "time"],
    ["old, and not signed", () => post(gate, { path: "/hooks/stripe", scheme: "stripe", secret: "y".repeat(32), body, at: old }), 401, "signature_invalid", "signature"],
    ["too large, as declared", () => send("small", "stripe", fresh({ x: "y".repeat(1024) })), 413, "body_too_large", undefined],
    ["too large, as it turns out", () => raw("/hooks/small", { body: (async function* () { yield Buffer.alloc(600); yield Buffer.alloc(600); })() }), 413, "body_too_large", undefined],
    ["from elsewhere", () => send("elsewhere", "stripe", body), 403, "ip_not_allowed", undefined],
    ["a secret is missing", () => send("unready", "stripe", body), 503, "source_unavailable", undefined],
    ["another method", () => gate.request({ method: "GET", path: "/hooks/stripe" }), 405, "method_not_allowed", undefined],
    ["another path", () => raw("/hooks/stripe/"), 404, "route_not_found", undefined],
    ["another public URL", () => send("square", "square", body, { args: ["https://evil.example.com/hooks/square"] }), 401, "signature_invalid", "signature"],
  ]) {
    const answer = await request();
    assertProblem(answer, status, code, { why });
    const challenge = status === 401 ? { "www-authenticate": /^Bearer realm="test"/ } : {};
    // Over a body that is not all here the platform may close the connection, or not: it depends on what came first.
    const closing = answer.headers.connection === undefined ? {} : { connection: "close" };
    assertHeaders(answer, { ...REFUSAL, ...challenge, ...(status === 405 && { allow: "POST" }), ...closing }, why);
    const line = await gate.logged((line) => line.request_id === answer.headers["x-request-id"]);
    assert.deepEqual([line.code, line.failed], [code, failed], why);
    for (const sign of Object.values(signed)) assert.ok(!answer.text.includes(sign.split("v1=")[1]), why);
  }
  const headers = { Authorization: `Bearer ${gate.secrets.ROOT_TOKEN}` };
  const ready = await gate.request({ host: gate.adminHost, path: "/_tollgate/ready", headers });
  assert.deepEqual([ready.status, ready.json.reasons], [503, ["secret OTHER of source unready is not set"]]);
  await quiet();
  assert.equal(backend.requests.length, 0);
  const right = await send("square", "square", body, { args: ["https://api.example.com/hooks/square"] });
  assert.equal(right.status, 202);
  await arrived(backend, 1);
});

test("a provider that wants no body gets none", async () => {
  const answer = await post(gate, { path: "/hooks/xero", scheme: "xero", secret: "other", body: '{"events":[]}' });
  assert.deepEqual([answer.status, answer.text], [401, ""]);
  const taken = await send("xero", "xero", '{"events":[{"id":1}]}');
  assert.deepEqual([taken.status, taken.text], [200, ""]);
  await arrived(backend, 1);
});

test("challenges are answered by the gate, and strangers get nothing signed", async () => {
  const slack = JSON.stringify({ type: "url_verification", challenge: "abc-123_X" });
  const answer = await send("slack", "slack", slack);
  assert.deepEqual([answer.status, answer.text], [200, "abc-123_X"]);
  assertHeaders(answer, TEXT);
  const echo = await gate.request({ path: "/hooks/dropbox?challenge=tok_1" });
  assert.deepEqual([echo.status, echo.text], [200, "tok_1"]);
  assertHeaders(echo, TEXT);
  for (const [why, request, code] of [
    ["not signed", () => gate.request({ method: "POST", path: "/hooks/slack", body: slack }), "signature_missing"],
    ["no token", () => gate.request({ path: "/hooks/dropbox?challenge=%3Cscript%3E" }), "signature_invalid"],
    ["no challenge", () => gate.request({ path: "/hooks/dropbox" }), "signature_missing"],
    ["a token that is a page", () => send("slack", "slack", JSON.stringify({ type: "url_verification", challenge: "<b>" })), "signature_invalid"],
  ]) assertProblem(await request(), 401, code, { why });
  assertProblem(await gate.request({ method: "PUT", path: "/hooks/dropbox", body: "x" }), 405, "method_not_allowed");
  await quiet();
  assert.equal(backend.requests.length, 0);
});

test("in shadow what would be refused goes on, logged, and not signed by the gate", async () => {
  const body = fresh();
  const answer = await gate.request({ method: "POST", path: "/hooks/shadow", headers: { "webhook-signature": "v1,x", webhook_id: "1" }, body });
  assert.equal(answer.status, 202);
  await arrived(backend, 1);
  const [seen] = backend.requests;
  for (const name of ["webhook-id", "webhook_id", "webhook-timestamp", "webhook-signature"]) assert.equal(seen.header(name), undefined, name);
  assert.equal(seen.header("x-tollgate-webhook-flag"), "unverified");
  const line = await gate.logged((line) => line.request_id === answer.headers["x-request-id"]);
  assert.deepEqual([line.would_refuse, line.failed, line.code], [["signature_missing"], "header", undefined]);
  // A genuine one with the same body is no duplicate of it.
  await send("shadow", "stripe", body);
  await arrived(backend, 2);
  new Webhook(HOOK_SIGNING).verify(backend.last.body, backend.last.request.headers);
});

test("what the backend does not take is tried again on the schedule", async () => {
  let failures = 3;
  backend.answer = (seen, response) => reply(response, (failures -= 1) >= 0 ? 500 : 204);
  await send("stripe", "stripe", fresh());
  await arrived(backend, 4);
  const ids = new Set(backend.requests.map((seen) => seen.header("webhook-id")));
  assert.equal(ids.size, 1);
  const { body } = await gate.api("GET", "hooks/stripe/events?limit=1");
  const shown = await until(async () => {
    const { body: whole } = await gate.api("GET", `hooks/stripe/events/${body.events[0].id}`);
    return whole.event.state === "delivered" && whole.event;
  }, "delivered");
  assert.deepEqual(shown.tries.map(({ status }) => status), [500, 500, 500, 204]);
  assert.deepEqual([shown.attempts, shown.id], [4, [...ids][0]]);
});

test("an answer of 410 ends it, and a replay begins anew", async () => {
  backend.answer = (seen, response) => reply(response, 410);
  const body = fresh();
  const { headers } = await send("stripe", "stripe", body);
  await arrived(backend, 1);
  const dead = await until(async () => {
    const { body: page } = await gate.api("GET", "hooks/stripe/events?state=dead");
    return page.events.find(({ id }) => id.startsWith(headers["x-request-id"]));
  }, "dead");
  assert.deepEqual([dead.attempts, dead.last_attempt.status, dead.next_attempt_at], [1, 410, null]);
  backend.answer = undefined;
  const replayed = await gate.api("POST", `hooks/stripe/events/${dead.id}/replay`);
  assert.deepEqual([replayed.status, replayed.body], [202, { dry_run: false, count: 1 }]);
  await arrived(backend, 2);
  assert.equal(backend.last.body.toString(), body);
  const { body: whole } = await gate.api("GET", `hooks/stripe/events/${dead.id}`);
  assert.equal(Buffer.from(whole.event.body, "base64").toString(), body);
});

test("forward: the backend's own answer, and a duplicate only after its 2xx", async () => {
  const body = fresh();
  backend.answer = (seen, response) => reply(response, 500, "down", { "Content-Type": "text/plain" });
  const first = await send("forward", "github", body, { args: ["d1"] });
  assert.deepEqual([first.status, first.text], [500, "down"]);
  backend.answer = (seen, response) => reply(response, 201, "done", { "Content-Type": "text/plain", "X-Tollgate-Key": "x", "Set-Cookie": "a=b" });
  const second = await send("forward", "github", body, { args: ["d1"] });
  assert.deepEqual([second.status, second.text], [201, "done"]);
  assert.deepEqual([second.headers["x-tollgate-key"], second.headers["set-cookie"]], [undefined, undefined]);
  const third = await send("forward", "github", body, { args: ["d1"] });
  assert.deepEqual([third.status, third.text], [202, ""]);
  assert.equal(backend.requests.length, 2);
  assert.deepEqual([...new Set(backend.requests.map((seen) => seen.header("webhook-id")))].length, 1, "one id for each try");
  for (const seen of backend.requests) new Webhook(HOOK_SIGNING).verify(seen.body, seen.request.headers);
  backend.answer = (seen, response) => reply(response, 200, "", { "X-Echo": gate.secrets.BILLING_TOKEN });
  assertProblem(await send("forward", "github", fresh()), 502, "secret_leak_blocked");
});

test("a full store takes no more, says so, and takes again when there is room", async () => {
  const held = [];
  backend.answer = (seen, response) => held.push(response);
  const answers = [];
  const large = () => fresh({ x: "y".repeat(200 * 1024) });
  for (let i = 0; i < 8; i += 1) answers.push(await send("full", "stripe", large()));
  const refused = answers.filter(({ status }) => status !== 202);
  assert.ok(refused.length >= 4 && refused.length < 8, `${refused.length}`);
  refused.forEach((answer) => assertProblem(answer, 503, "inbox_full"));
  backend.answer = undefined;
  held.forEach((response) => reply(response, 200));
  await until(async () => (await send("full", "stripe", large())).status === 202, "room again");
});
