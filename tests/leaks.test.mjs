// Keys that leaked: reports as GitHub's secret scanning sends them, and what scanners are told.
//
//   1. who is believed: a signature by a key that the scanner publishes, over these very bytes
//   2. what becomes of a finding: only a whole secret of this gate is switched off
//   3. what keys look like: published, documented, and true
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { reply, startBackend } from "./support/backend.mjs";
import { HOUR, MINUTE, SECOND, startClockedGate } from "./support/clock.mjs";
import { assertHeaders, assertProblem, STAMP } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { act, checkOf, forged, makeKey, partsOf } from "./support/keys.mjs";
import { enrolled, open } from "./support/people.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";
import { AMPLE } from "./support/road.mjs";
import { trade } from "./support/tokens.mjs";
import { eventually } from "./support/usage.mjs";

const LEAKS = "/_tollgate/leaks";
const PLACE = "https://github.com/octocat/hello/blob/1/config.txt";
const HERE = { addresses: ["127.0.0.0/8"] };

let gate, backend, scanner;
before(async () => {
  backend = await startBackend();
  scanner = await startScanner();
  gate = await startClockedGate({ policy: policy({ leak_intake: { keys: scanner.address } }), name: "leaks" });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
  await scanner?.stop();
});

const policy = (more) => testPolicy({ backend, gate: more, routes: [{ name: "plain", path: "/v1/plain" }] });

/** Somebody who scans for keys and publishes the keys that the reports are signed with. */
async function startScanner() {
  const keys = new Map();
  const server = await startBackend({
    answer: (seen, response) => {
      const listed = [...keys].map(([key_identifier, { pem }]) => ({ key_identifier, key: pem, is_current: false }));
      if (scanner.down) return reply(response, 500);
      reply(response, 200, JSON.stringify({ public_keys: listed }), { "Content-Type": "application/json" });
    },
  });
  const scanner = {
    address: `${server.origin}/meta/public_keys/secret_scanning`,
    down: false,
    server,
    keys,
    /** A new key pair; it is published unless `published` says otherwise. */
    make(identifier, { namedCurve = "P-256", published = true } = {}) {
      const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve });
      const pem = publicKey.export({ type: "spki", format: "pem" });
      if (published) keys.set(identifier, { pem });
      return { identifier, privateKey };
    },
    stop: () => server.stop(),
  };
  scanner.key = scanner.make("current");
  return scanner;
}

const signature = (body, { privateKey }) => sign("sha256", Buffer.from(body), privateKey).toString("base64");

/** Sends a report, signed unless `headers` say otherwise. */
function report(findings, { by = scanner.key, headers, host, to = gate, body = JSON.stringify(findings) } = {}) {
  const signed = { "Github-Public-Key-Identifier": by.identifier, "Github-Public-Key-Signature": signature(body, by) };
  return to.request({
    ...(host === undefined ? {} : { host }),
    method: "POST", path: LEAKS, headers: { "Content-Type": "application/json", ...(headers ?? signed) }, body,
  });
}

/** A report `[]` of which the last byte is sent when `end` is called. */
function begun(to, by) {
  let end;
  const rest = new Promise((resolve) => (end = resolve));
  const body = (async function* () {
    yield "[";
    await rest;
    yield "]";
  })();
  const headers = {
    "Content-Type": "application/json",
    "Github-Public-Key-Identifier": by.identifier, "Github-Public-Key-Signature": signature("[]", by),
  };
  return { end, answer: to.request({ method: "POST", path: LEAKS, headers, body }) };
}

const finding = (token, more = {}) => ({ token, type: "tollgate_key", url: PLACE, source: "commit", ...more });
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const verdict = (token, label) => ({ token_hash: sha256(token), token_type: "tollgate_key", label });
const stateOf = async (key) => (await gate.api("GET", `keys/${key.id}`)).body.key.state;
const audited = async (query) => (await gate.api("GET", `audit?${query}`)).body.entries;

describe("who is believed", () => {
  test("nobody, where the policy names nobody", async () => {
    const own = await startGate({ policy: policy({}), name: "leaks-off" });
    try {
      assertProblem(await report([], { to: own }), 404, "not_found");
      assert.equal((await own.request({ path: "/_tollgate/key-pattern.json" })).json.report_to, null);
    } finally {
      await own.stop();
    }
  });

  test("who signs these very bytes with a published key, on every host of the gate", async () => {
    for (const host of [undefined, gate.adminHost]) {
      const answer = await report([], { host });
      assertHeaders(answer, {
        ...STAMP, "content-type": "application/json", "content-length": /^\d+$/, "x-content-type-options": "nosniff", "cache-control": "no-store",
      });
      assert.deepEqual(answer.json, []);
    }
    // The form of the JSON is the sender's.
    assert.equal((await report([], { body: "[ ]\n" })).status, 200);
  });

  test("nobody else", async () => {
    const stranger = scanner.make("stranger", { published: false });
    const key = await makeKey(gate, { limits: AMPLE });
    const body = JSON.stringify([finding(key.secret)]);
    const good = signature(body, scanner.key);
    const flipped = (at) => {
      const bytes = Buffer.from(good, "base64");
      bytes[at] ^= 1;
      return bytes.toString("base64");
    };
    const by = (identifier, signed) => ({ "Github-Public-Key-Identifier": identifier, "Github-Public-Key-Signature": signed });
    for (const [why, headers, code] of [
      ["nothing", {}, "signature_missing"],
      ["no signature", { "Github-Public-Key-Identifier": "current" }, "signature_missing"],
      ["no identifier", { "Github-Public-Key-Signature": good }, "signature_missing"],
      ["a bit of r", by("current", flipped(10)), "signature_invalid"],
      ["a bit of s", by("current", flipped(60)), "signature_invalid"],
      ["a bit of its form", by("current", flipped(0)), "signature_invalid"],
      ["cut short", by("current", good.slice(0, -4)), "signature_invalid"],
      ["longer", by("current", `${good.replaceAll("=", "")}AAAA`), "signature_invalid"],
      ["no base64", by("current", "!"), "signature_invalid"],
      ["of another body", by("current", signature(`${body} `, scanner.key)), "signature_invalid"],
      ["an unknown key", by("stranger", signature(body, stranger)), "signature_invalid"],
      ["another's key", by("current", signature(body, stranger)), "signature_invalid"],
    ]) {
      const answer = await report(undefined, { body, headers });
      assertProblem(answer, 401, code, { why });
      assert.ok(!answer.text.includes(key.secret.slice(30, 60)), why);
    }
    const altered = body.replace("commit", "Commit");
    assertProblem(await report(undefined, { body: altered, headers: by("current", good) }), 401, "signature_invalid");
    assert.equal(await stateOf(key), "active");
    assert.equal((await report(undefined, { body, headers: by("current", good) })).status, 200);
    assert.equal(await stateOf(key), "disabled");
  });

  test("nobody whose key is on another curve", async () => {
    const other = scanner.make("p384", { namedCurve: "P-384" });
    await gate.advance(MINUTE);
    assertProblem(await report([], { by: other }), 401, "signature_invalid");
    scanner.keys.delete("p384");
  });

  test("a new key from when it is published, and an old one while it is", async () => {
    await gate.advance(HOUR);
    assert.equal((await report([])).status, 200);
    const next = scanner.make("next");
    scanner.server.clear();
    // It was fetched this very minute.
    assertProblem(await report([], { by: next }), 401, "signature_invalid");
    assert.equal(scanner.server.requests.length, 0);
    await gate.advance(MINUTE);
    assert.equal((await report([], { by: next })).status, 200);
    assert.equal((await report([])).status, 200);
    assert.equal(scanner.server.requests.length, 1);
    assert.ok(scanner.server.last.header("user-agent"), "GitHub answers nobody without one");
    for (let i = 0; i < 5; i += 1) await report([], { by: scanner.make(`stranger-${i}`, { published: false }) });
    assert.equal(scanner.server.requests.length, 1, "strangers have nothing fetched within the minute");
    scanner.keys.delete("next");
    await gate.advance(HOUR);
    assertProblem(await report([], { by: next }), 401, "signature_invalid");
  });

  test("an address that only brings failures has nothing fetched for it and nothing looked at", async () => {
    const strict = await startGate({
      policy: testPolicy({
        backend, gate: { leak_intake: { keys: scanner.address }, failures: { requests: 3, window: "1h" } },
        admin: { client_ip: "x-forwarded-for:1" }, routes: [{ name: "plain", path: "/v1/plain" }],
      }),
      name: "leaks-failures",
    });
    const from = (address, signed) => ({ headers: { ...signed, "X-Forwarded-For": address }, to: strict });
    const headers = (by) => ({ "Github-Public-Key-Identifier": by.identifier, "Github-Public-Key-Signature": signature("[]", by) });
    try {
      const stranger = scanner.make("stranger", { published: false });
      const statuses = [];
      for (let i = 0; i < 5; i += 1) statuses.push((await report([], from("192.0.2.1", headers(stranger)))).status);
      assert.deepEqual(statuses, [401, 401, 401, 429, 429]);
      assert.equal((await report([], from("192.0.2.2", headers(scanner.key)))).status, 200);
      const asked = scanner.server.requests.length;
      assert.equal((await report([], from("192.0.2.1", headers(scanner.key)))).status, 429, "identifiers are no secret");
      // Whoever names the scanner's key and has no signature of it spends as much.
      const guess = { ...headers(stranger), "Github-Public-Key-Identifier": "current" };
      const guesses = [];
      for (let i = 0; i < 5; i += 1) guesses.push((await report([], from("192.0.2.3", guess))).status);
      assert.deepEqual(guesses, [401, 401, 401, 429, 429]);
      assert.equal(scanner.server.requests.length, asked);
    } finally {
      await strict.stop();
    }
  });

  test("whoever cannot be the scanner before anything of the body was read", async () => {
    const stranger = scanner.make("stranger", { published: false });
    const sent = begun(gate, stranger);
    assert.equal((await sent.answer).status, 401, "though the body never came");
    sent.end();
  });

  test("eight at a time whose signature nobody has checked yet", async () => {
    const own = await startGate({ policy: policy({ leak_intake: { keys: scanner.address } }), name: "leaks-many" });
    try {
      assert.equal((await report([], { to: own })).status, 200);
      const held = [];
      for (let i = 0; i < 8; i += 1) held.push(begun(own, scanner.key));
      const refused = await eventually(() => report([], { to: own }), ({ status }) => status === 503);
      assertProblem(refused, 503, "admission_unavailable", { members: ["retry_after"] });
      assert.equal(refused.headers["retry-after"], String(refused.json.retry_after));
      held[0].end();
      assert.equal((await held[0].answer).status, 200);
      assert.equal((await report([], { to: own })).status, 200, "there is room again");
      for (const one of held.slice(1)) one.end();
      for (const one of held) assert.equal((await one.answer).status, 200);
    } finally {
      await own.stop();
    }
  });

  test("nobody, while the keys cannot be had; and then their owner again", async () => {
    const own = await startClockedGate({ policy: policy({ leak_intake: { keys: scanner.address } }), name: "leaks-down" });
    try {
      scanner.down = true;
      assertProblem(await report([], { to: own }), 503, "admission_unavailable");
      scanner.down = false;
      await own.advance(2 * SECOND);
      assert.equal((await report([], { to: own })).status, 200);
      scanner.down = true;
      await own.advance(23 * HOUR);
      assert.equal((await report([], { to: own })).status, 200, "a list of this day is better than none");
      await own.advance(HOUR);
      assertProblem(await report([], { to: own }), 503, "admission_unavailable");
    } finally {
      scanner.down = false;
      await own.stop();
    }
  });
});

describe("what becomes of a finding", () => {
  test("secret keys go off, page keys and what is no key stay", async () => {
    const sk = await makeKey(gate, { scopes: ["a:b"], limits: AMPLE });
    const rk = await makeKey(gate, { kind: "rk", scopes: ["a:b:1"], limits: AMPLE });
    const ak = await makeKey(gate, { kind: "ak", scopes: ["keys:read"], limits: AMPLE, ...HERE });
    const pk = await makeKey(gate, { kind: "pk", origins: ["https://app.example.com"], limits: AMPLE });
    const safe = await makeKey(gate, { limits: AMPLE });
    const revoked = await makeKey(gate, { limits: AMPLE });
    await act(gate, revoked, "revoke");
    const token = await trade(gate, safe);
    const parts = partsOf(safe.secret);
    const lookalikes = [
      safe.secret.slice(0, -1),
      safe.secret.replace(/.$/, (last) => (last === "0" ? "1" : "0")),
      forged({ ...parts, secret: "0".repeat(32) }),
      forged({ ...parts, id: "EXAMPLEexample00" }),
      forged({ ...parts, env: "prod" }),
      forged({ ...parts, brand: "xx" }),
      forged({ ...parts, kind: "rk" }),
      token.text.slice(0, -6).replace(/.$/, (last) => (last === "0" ? "1" : "0")),
      "ghp_0000000000000000000000000000000000",
      "",
    ].map((text, at) => (at === 7 ? text + checkOf(text) : text));
    const real = [sk, rk, ak, revoked].map((key) => key.secret).concat(token.text);
    const answer = await report([...real, pk.secret, ...lookalikes].map((text) => finding(text)));
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json, [
      ...real.map((text) => verdict(text, "true_positive")),
      ...[pk.secret, ...lookalikes].map((text) => verdict(text, "false_positive")),
    ]);
    for (const secret of [...real, pk.secret]) assert.ok(!answer.text.includes(secret.slice(30, 60)));
    const states = [];
    for (const key of [sk, rk, ak, revoked, pk, safe]) states.push(await stateOf(key));
    assert.deepEqual(states, ["disabled", "disabled", "disabled", "revoked", "active", "active"]);
    assertProblem(await gate.request({ path: "/v1/plain", headers: sk.bearer }), 401, "key_disabled");
    assertProblem(await gate.api("GET", "keys", undefined, { token: ak.secret }), 401, "key_disabled");
    assert.equal((await gate.request({ path: "/v1/plain", headers: token.bearer })).status, 200, "it ends by itself");
  });

  test("is in the audit once, with where, and without what", async () => {
    const key = await makeKey(gate, { scopes: ["a:b"], limits: AMPLE });
    const url = `https://somebody:word@host.example/a/${key.secret}?token=word#L1`;
    const findings = [finding(key.secret, { url }), finding(key.secret, { url, source: "gist" }), finding(key.secret)];
    for (let i = 0; i < 2; i += 1) {
      const answer = await report(findings);
      assert.deepEqual(answer.json.map(({ label }) => label), Array(3).fill("true_positive"));
    }
    for (const chain of [`key=${key.id}&type=secret.leaked`, `tenant=acme&key=${key.id}&type=secret.leaked`]) {
      const entries = await audited(chain);
      assert.deepEqual(entries.map(({ actor, tenant, key }) => [actor, tenant, key]), Array(2).fill(["leak-intake", "acme", key.id]), chain);
      assert.deepEqual(entries.map(({ detail }) => detail), [
        { kind: "sk", type: "tollgate_key", source: "commit", url: PLACE },
        { kind: "sk", type: "tollgate_key", source: "commit", url: "https://host.example/a/[key]" },
      ]);
    }
    const disabled = await audited(`key=${key.id}&type=key.disabled`);
    assert.deepEqual(disabled.map(({ actor }) => actor), ["leak-intake"], "once, by the same");
    assert.equal((await act(gate, key, "enable")).key.state, "active");
  });

  test("a session ends, and its key stays", async () => {
    const person = await enrolled(gate);
    const { token } = (await open(gate, person, { kind: "cli" })).body;
    assert.equal((await gate.api("GET", "session", undefined, { token })).status, 200);
    const other = token.replace(/.{7}$/, (last) => (last[0] === "0" ? "1" : "0")).slice(0, token.length - 6);
    const answer = await report([finding(token), finding(other + checkOf(other))]);
    assert.deepEqual(answer.json.map(({ label }) => label), ["true_positive", "false_positive"]);
    assert.equal((await gate.api("GET", "session", undefined, { token })).status, 401);
    assert.equal(await stateOf(person), "active");
    const [leaked] = await audited(`key=${person.id}&type=secret.leaked`);
    assert.deepEqual([leaked.detail.kind, leaked.actor], ["ss", "leak-intake"]);
    const closed = await audited(`key=${person.id}&type=session.closed`);
    assert.deepEqual(closed.map(({ actor }) => actor), ["leak-intake"]);
  });

  test("a key in grace goes off alone, and its successor stays", async () => {
    const key = await makeKey(gate, { limits: AMPLE });
    const { key: next, secret } = await act(gate, key, "rotate");
    assert.equal((await report([finding(key.secret)])).json[0].label, "true_positive");
    assert.deepEqual([await stateOf(key), await stateOf(next)], ["disabled", "active"]);
    assert.equal((await gate.request({ path: "/v1/plain", headers: { "X-Api-Key": secret } })).status, 200);
  });

  test("a report is a list of a size that can be worked on", async () => {
    const many = (count) => Array.from({ length: count }, (_, at) => finding(`nothing-${at}`));
    const most = await report(many(1000));
    assert.equal(most.json.length, 1000);
    assert.ok(most.json.every(({ label }) => label === "false_positive"));
    assertProblem(await report(many(1001)), 400, "invalid_field");
    assertProblem(await report({ token: "x" }), 400, "invalid_field");
    assertProblem(await report(undefined, { body: "no json" }), 400, "invalid_field");
    const large = JSON.stringify([finding("x".repeat(1024 * 1024))]);
    assertProblem(await report(undefined, { body: large }), 413, "body_too_large");
    const wrong = await gate.request({ path: LEAKS });
    assertProblem(wrong, 405, "method_not_allowed");
    assert.equal(wrong.headers.allow, "POST");
    const bare = await report([{ token: "t", type: null, url: null }]);
    assert.deepEqual(bare.json, [{ token_hash: sha256("t"), token_type: "", label: "false_positive" }]);
  });
});

describe("what keys look like", () => {
  test("is published on every host, and true", async () => {
    const keys = {
      pk: await makeKey(gate, { kind: "pk", origins: ["https://app.example.com"], limits: [atMost(9, "1h")] }),
      sk: await makeKey(gate, { limits: AMPLE }),
      rk: await makeKey(gate, { kind: "rk", scopes: ["a:b:1"] }),
      ak: await makeKey(gate, { kind: "ak", scopes: ["keys:read"] }),
    };
    const texts = Object.fromEntries(Object.entries(keys).map(([kind, key]) => [kind, key.secret]));
    texts.tk = (await trade(gate, keys.sk)).text;
    for (const host of [undefined, gate.adminHost]) {
      const answer = await gate.request({ ...(host ? { host } : {}), path: "/_tollgate/key-pattern.json" });
      assertHeaders(answer, {
        ...STAMP, "content-type": "application/json", "content-length": /^\d+$/, "x-content-type-options": "nosniff",
        "cache-control": "public, max-age=3600",
      });
      const told = answer.json;
      assert.deepEqual([told.brand, told.environment, told.environments, told.report_to], ["tg", "dev", ["dev", "prod"], LEAKS]);
      assert.deepEqual(told.kinds.map(({ kind, secret }) => [kind, secret]), [
        ["pk", false], ["sk", true], ["rk", true], ["ak", true], ["tk", true], ["ss", true],
      ]);
      for (const [kind, text] of Object.entries(texts)) {
        const found = told.kinds.filter(({ pattern }) => new RegExp(`^${pattern}$`).test(text));
        assert.deepEqual(found.map((found) => found.kind), [kind]);
        assert.equal(checkOf(text.slice(0, -6)), text.slice(-6), kind);
      }
      const { example } = told;
      assert.match(example, new RegExp(`^${told.kinds[1].pattern}$`));
      assert.equal(checkOf(example.slice(0, -6)), example.slice(-6));
      assertProblem(await gate.request({ path: "/v1/plain", headers: { "X-Api-Key": example } }), 401, "key_invalid");
    }
    assert.equal((await gate.request({ method: "POST", path: "/_tollgate/key-pattern.json" })).status, 405);
  });

  test("is what the docs say, and their code works", async () => {
    const docs = readFileSync(new URL("../docs/leaks.md", import.meta.url), "utf8");
    const told = (await gate.request({ path: "/_tollgate/key-pattern.json" })).json;
    for (const { kind, title, secret, pattern } of told.kinds) {
      const row = `| \`${kind}\` | ${title} | ${secret ? "yes" : "no"} | \`${pattern.replaceAll("|", "\\|")}\` |`;
      assert.ok(docs.includes(row), row);
    }
    const code = (language) => docs.match(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``))[1];
    const { secret } = await makeKey(gate);
    const texts = [told.example, secret, secret.slice(0, -1), secret.replace("_sk_", "_rk_"), `${secret}0`, "short"];
    const expected = [true, true, false, false, false, false];
    const isWhole = new Function(`${code("js")}; return isWhole;`)();
    assert.deepEqual(texts.map(isWhole), expected);
    const program = `${code("python")}\nimport json, sys\nprint(json.dumps([is_whole(key) for key in json.load(sys.stdin)]))\n`;
    const run = promisify(execFile)("python3", ["-c", program]);
    run.child.stdin.on("error", () => {}).end(JSON.stringify(texts));
    const python = await run.catch((error) => error);
    if (python.code === "ENOENT") return;
    assert.deepEqual(JSON.parse(python.stdout), expected);
  });
});
