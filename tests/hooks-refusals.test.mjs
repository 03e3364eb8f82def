// Why a webhook was refused: its sender is told one of three codes, the operator the step.
//
//   1. the list of a source, by API and by command
//   2. `explain` with a body, on the gate and offline
//   3. who may see it
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { offline, runCli } from "./support/cli.mjs";
import { startGate } from "./support/gate.mjs";
import { post, SIGN } from "./support/hooks.mjs";
import { makeKey } from "./support/keys.mjs";
import { testPolicy } from "./support/policy.mjs";

const SECRET = randomBytes(24).toString("base64url");
const BODY = JSON.stringify({ id: "evt_1", type: "ping" });
const MINUTE = 60_000;

let backend, gate;
const source = (name, more) => ({ name, path: `/hooks/${name}`, scheme: "stripe", secrets: ["${secret:SHOP}"], ...more });
before(async () => {
  backend = await startBackend();
  gate = await startGate({
    name: "hooks-refusals",
    secrets: { SHOP: SECRET, OTHER: null },
    policy: testPolicy({
      backend,
      sources: [
        source("shop", { tenant: "acme" }),
        source("bank", { tenant: "globex", delivery: "forward" }),
        source("ours", { shadow: { checks: ["signatures"], until: new Date(Date.now() + 86_400_000).toISOString() } }),
        source("digest", { scheme: "slack" }),
        source("unready", { secrets: ["${secret:OTHER}"] }),
      ],
    }),
  });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

const send = (name, more = {}) => post(gate, { path: `/hooks/${name}`, scheme: "stripe", secret: SECRET, body: BODY, ...more });
/** What the list of a source says. */
const refusals = async (name, query = "", options) => {
  const answer = await gate.api("GET", `hooks/${name}/refusals${query}`, undefined, options);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
};
const now = () => Math.floor(Date.now() / 1000);
/** Ways to fail, the code that the sender is told, the step and what is said of it to the operator. */
const WRONG = [
  ["no signature", { more: { "Stripe-Signature": "" } }, "signature_missing", "header", /^Stripe-Signature is missing$/],
  ["a sign in the time", { more: { "Stripe-Signature": `t=+1,v1=${"0".repeat(64)}` } }, "signature_invalid", "encoding", /^the time /],
  ["another secret", { secret: "other" }, "signature_invalid", "signature", /another secret, another public URL, or a changed body/],
  ["too late", { at: Date.now() - 10 * MINUTE }, "timestamp_out_of_range", "time", /ago, the window is 5m$/],
  ["too early", { at: Date.now() + 10 * MINUTE }, "timestamp_out_of_range", "time", /ahead, the window is 5m$/],
];

test("the operator reads at which step each failed; the sender is told the code alone", async () => {
  assert.deepEqual(await refusals("shop"), { refusals: [], nextCursor: null });
  const sent = [];
  for (const [what, more, code, step, detail] of WRONG) {
    const answer = await send("shop", more);
    assert.deepEqual([answer.status, JSON.parse(answer.text).code], [401, code], what);
    assert.doesNotMatch(answer.text, detail, what);
    sent.unshift({ id: answer.headers["x-request-id"], what, code, step, detail });
  }
  const { refusals: told, nextCursor } = await refusals("shop");
  assert.equal(nextCursor, null);
  assert.equal(told.length, sent.length);
  for (const [at, { id, what, code, step, detail }] of sent.entries()) {
    const { at: when, detail: said, ...rest } = told[at];
    assert.deepEqual(rest, { request_id: id, step, code, shadow: false, others: 0 }, what);
    assert.match(said, detail, what);
    assert.ok(Math.abs(Date.parse(when) - Date.now()) < 5 * MINUTE, when);
  }
  const first = await refusals("shop", "?limit=2");
  const second = await refusals("shop", `?limit=100&cursor=${first.nextCursor}`);
  assert.deepEqual([...first.refusals, ...second.refusals], told, "page by page");
  assert.equal(second.nextCursor, null);
  for (const query of ["?limit=0", "?limit=101", "?cursor=x", "?cursor=-1", "?state=dead"]) {
    assert.equal((await gate.api("GET", `hooks/shop/refusals${query}`)).status, 400, query);
  }

  const listed = await runCli(gate, ["hooks", "refusals", "shop"]);
  assert.equal(listed.code, 0, listed.err);
  for (const { id, step } of sent) assert.match(listed.out, new RegExp(`${step} .*${id}`));
  assert.deepEqual((await runCli(gate, ["hooks", "refusals", "shop", "--json"])).json.refusals, told);
});

test("what shadow lets pass is told as that", async () => {
  assert.equal((await send("ours", { secret: "other" })).status, 202);
  const [refusal] = (await refusals("ours")).refusals;
  assert.deepEqual([refusal.step, refusal.shadow], ["signature", true]);
});

test("a flood costs few store calls, and is counted", async () => {
  const answers = await Promise.all(Array.from({ length: 60 }, () => send("digest", { more: { "X-Slack-Signature": "v0=00" } })));
  assert.ok(answers.every(({ status }) => status === 401));
  const { refusals: told } = await refusals("digest", "?limit=100");
  assert.equal(told.length, 20);
});

test("sources are listed as the policy has them", async () => {
  const { status, body } = await gate.api("GET", "hooks");
  assert.equal(status, 200);
  assert.deepEqual(body.sources.map(({ name }) => name), ["bank", "digest", "ours", "shop", "unready"]);
  assert.deepEqual(body.sources[3], {
    name: "shop", tenant: "acme", path: "/hooks/shop", scheme: "stripe", delivery: "queue", upstream: "main", shadow_until: null,
  });
  const pages = [];
  for (let cursor = ""; cursor !== null;) {
    const page = (await gate.api("GET", `hooks?limit=2${cursor && `&cursor=${cursor}`}`)).body;
    pages.push(page.sources.map(({ name }) => name));
    cursor = page.nextCursor;
  }
  assert.deepEqual(pages, [["bank", "digest"], ["ours", "shop"], ["unready"]]);
  const listed = await runCli(gate, ["hooks", "sources"]);
  assert.match(listed.out, /shop +acme +stripe +\/hooks\/shop +queue +main/);
});

/** A request for `explain`. */
const request = (name, { secret = SECRET, at = Date.now(), body = BODY, more = {} } = {}) => ({
  method: "POST",
  url: gate.url(`/hooks/${name}`),
  headers: Object.entries({ ...SIGN.stripe(secret, body, at), ...more }),
  body,
});
const explain = async (asked, options) => {
  const answer = await gate.api("POST", "explain", { request: asked }, options);
  assert.equal(answer.status, 200, answer.text);
  const { steps, ...rest } = answer.body;
  return { ...rest, signature: steps.find(({ step }) => step === "signature") };
};

test("explain verifies a body with the gate's own secrets, and delivers nothing", async () => {
  backend.clear();
  const before = (await gate.api("GET", "hooks/shop/events")).body.events;
  const good = await explain(request("shop"));
  assert.deepEqual([good.outcome, good.status, good.code, good.signature.result], ["webhook", 202, null, "passed"]);
  assert.match(good.signature.detail, /^by secret 1, id evt_1 \(signed\), signed at /);
  const bytes = Buffer.from(BODY).toString("base64");
  assert.equal((await explain({ ...request("shop"), body: { base64: bytes } })).status, 202);
  for (const [what, more, code, step, detail] of WRONG) {
    const told = await explain(request("shop", more));
    assert.deepEqual([told.outcome, told.status, told.code, told.signature.result], ["refuse", 401, code, "refused"], what);
    assert.ok(told.signature.detail.startsWith(`${step}: `), told.signature.detail);
    assert.match(told.signature.detail.slice(step.length + 2), detail, what);
  }
  const none = await explain({ ...request("shop"), body: undefined });
  assert.deepEqual([none.outcome, none.signature.result], ["webhook", "skipped"]);
  const unready = await explain(request("unready"));
  assert.deepEqual([unready.status, unready.code], [503, "source_unavailable"]);
  for (const body of [{ base64: "?" }, { text: BODY }, 1, {}]) {
    const answer = await gate.api("POST", "explain", { request: { ...request("shop"), body } });
    assert.deepEqual([answer.status, answer.body.code], [400, "invalid_field"], JSON.stringify(body));
  }
  assert.deepEqual((await gate.api("GET", "hooks/shop/events")).body.events, before);
  assert.equal(backend.requests.length, 0);
});

test("explain does the same offline, with the secret at hand", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tollgate-explain-"));
  const policy = join(folder, "tollgate.toml");
  writeFileSync(policy, `version = 1
[gate]
realm = "acme"
hosts = ["api.example.com"]
admin_host = "gate.example.com"
[environment.dev]
upstream.shop = "https://shop.example.com"
[upstream.shop]
[[source]]
name = "shop"
path = "/hooks/shop"
scheme = "stripe"
secrets = ["\${secret:SHOP}"]
upstream = "shop"
`);
  const args = ["explain", "--policy", policy, "--environment", "dev", "--json", "-"];
  const run = async (asked, secrets) => {
    const ran = await offline(args, { input: JSON.stringify({ ...asked, url: "https://api.example.com/hooks/shop" }), env: secrets });
    const { steps, ...rest } = ran.json;
    return { ...rest, exit: ran.code, signature: steps.find(({ step }) => step === "signature") };
  };
  const known = { TOLLGATE_SECRETS: `OTHER=x\nSHOP=${SECRET}` };
  const good = await run(request("shop"), known);
  assert.deepEqual([good.exit, good.status, good.signature.result], [0, 202, "passed"]);
  const old = await run(request("shop", { at: (now() - 400) * 1000 }), known);
  assert.deepEqual([old.exit, old.code, old.signature.result], [1, "timestamp_out_of_range", "refused"]);
  const unknown = await run(request("shop"), {});
  assert.deepEqual([unknown.exit, unknown.signature.result], [0, "skipped"]);
  assert.equal(unknown.signature.detail, "its secret is not known here: --secret SHOP=…");
  const empty = await run(request("shop"), { TOLLGATE_SECRETS: "SHOP=" });
  assert.deepEqual([empty.exit, empty.code], [1, "source_unavailable"]);
});

test("who may see it: the source's tenant, and operators", async () => {
  const scopes = ["hooks:read", "keys:read"];
  const admin = async (wish) => ({ token: (await makeKey(gate, { kind: "ak", scopes, ...wish })).secret });
  const [acme, globex] = [await admin({ tenant: "acme" }), await admin({ tenant: "globex" })];
  const blind = await admin({ tenant: "acme", scopes: ["keys:read"] });
  assert.deepEqual((await gate.api("GET", "hooks", undefined, acme)).body.sources.map(({ name }) => name), ["shop"]);
  assert.deepEqual((await gate.api("GET", "hooks", undefined, globex)).body.sources.map(({ name }) => name), ["bank"]);
  assert.ok((await refusals("shop", "", acme)).refusals.length > 0);
  for (const [name, as, status] of [["shop", globex, 404], ["ours", acme, 404], ["none", acme, 404], ["shop", blind, 403]]) {
    assert.equal((await gate.api("GET", `hooks/${name}/refusals`, undefined, as)).status, status, name);
  }
  assert.equal((await gate.api("GET", "hooks", undefined, blind)).status, 403);
  assert.equal((await explain(request("shop"), acme)).signature.result, "passed");
  const foreign = await explain(request("shop", { secret: "other" }), globex);
  assert.deepEqual([foreign.outcome, foreign.signature.result], ["webhook", "skipped"], "nobody else learns whether it is right");
});
