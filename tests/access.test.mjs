// Cloudflare Access in place of a code, never in place of the key: tokens signed here, by a team of the
// test's own.
import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { reply, startBackend } from "./support/backend.mjs";
import { HOUR, MINUTE, SECOND, startClockedGate } from "./support/clock.mjs";
import { assertProblem } from "./support/expect.mjs";
import { asPage, cookieOf, make, makePerson, secret } from "./support/people.mjs";
import { testPolicy } from "./support/policy.mjs";

const AUDIENCE = "a1".repeat(32);
const base64url = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const pair = () => generateKeyPairSync("rsa", { modulusLength: 2048 });
const [current, previous, stranger] = [pair(), pair(), pair()];
const shown = (kid, { publicKey }) => ({ kid, alg: "RS256", use: "sig", ...publicKey.export({ format: "jwk" }) });

let gate, backend, team, keys, person;
before(async () => {
  backend = await startBackend();
  keys = [shown("current", current), shown("previous", previous)];
  team = await startBackend({ answer: (seen, response) => reply(response, 200, { keys }, { "Content-Type": "application/json" }) });
  gate = await startClockedGate({ policy: policy(), name: "access" });
  person = await makePerson(gate);
});
after(async () => {
  await gate?.stop();
  await team?.stop();
  await backend?.stop();
});

const policy = (access = { team: team.origin, audience: AUDIENCE }, more = {}) =>
  testPolicy({ backend, gate: more, admin: access && { access }, routes: [{ name: "plain", path: "/plain" }] });

const seconds = () => Math.floor(gate.now / 1_000);
const claims = (more = {}) => ({
  iss: team.origin, aud: [AUDIENCE], email: "anna@example.com", sub: "7335", iat: seconds(), nbf: seconds(), exp: seconds() + 600, ...more,
});
const unsigned = (head, body) => `${base64url(head)}.${base64url(body)}`;

function token({ head = { alg: "RS256", kid: "current", typ: "JWT" }, body = claims(), key = current.privateKey } = {}) {
  const text = unsigned(head, body);
  return `${text}.${sign("sha256", Buffer.from(text), key).toString("base64url")}`;
}

async function open(assertion, body = {}, by = person.token) {
  const headers = { ...(assertion !== undefined && { "Cf-Access-Jwt-Assertion": assertion }) };
  const opened = await gate.api("POST", "session", { kind: "console", ...body }, { ...by, headers });
  if (opened.status === 200) secret(gate, cookieOf(opened).split("_").at(-1));
  return opened;
}

describe("a token of the team", () => {
  test("stands for the code: nothing needs to be enrolled", async () => {
    const opened = await open(token());
    assert.equal(opened.status, 200, opened.text);
    assert.equal(opened.body.session.second_factor, true);
    assert.equal((await make(gate, asPage(gate, cookieOf(opened)))).status, 201);
    const entry = (await gate.api("GET", "audit?type=session.opened&limit=1")).body.entries[0];
    assert.deepEqual(entry.detail, { kind: "console", with: "access", person: "anna@example.com" });
    assert.deepEqual(team.requests.map(({ method, url }) => [method, url]), [["GET", "/cdn-cgi/access/certs"]]);
    const older = { head: { alg: "RS256", kid: "previous" }, key: previous.privateKey };
    for (const good of [older, { body: claims({ aud: AUDIENCE }) }, { body: claims({ nbf: seconds() + 60 }) }, { body: claims({ email: "" }) }]) {
      assert.equal((await open(token(good))).status, 200, JSON.stringify(good.body ?? good.head));
    }
    assert.equal(team.requests.length, 1, "its keys are kept");
  });

  test("opens a session that ends with it at the latest", async () => {
    for (const [exp, left] of [[seconds() + 90, 90], [seconds() + 86_400, 12 * 3_600]]) {
      const opened = await open(token({ body: claims({ exp }) }));
      const end = new Date((seconds() + left) * 1_000).toISOString().replace(".000Z", "Z");
      assert.equal(opened.body.session.expires_at, end);
    }
    const page = asPage(gate, cookieOf(await open(token({ body: claims({ exp: seconds() + 90 }) }))));
    await gate.advance(90 * SECOND);
    assertProblem(await make(gate, page), 401, "token_expired");
  });

  test("is about somebody, of whose name only so much is written down", async () => {
    assert.equal((await open(token({ body: claims({ email: "x".repeat(3_000) }) }))).status, 200);
    const entry = (await gate.api("GET", "audit?type=session.opened&limit=1")).body.entries[0];
    assert.equal(entry.detail.person, "x".repeat(254));
  });

  test("never stands for the key", async () => {
    for (const [by, status, code] of [[{ token: null }, 401, "key_missing"], [{ token: `${person.secret.slice(0, -1)}~` }, 401, "key_invalid"], [{}, 403, "wrong_kind"]]) {
      assertProblem(await open(token(), {}, by), status, code);
    }
    const headers = { "Cf-Access-Jwt-Assertion": token() };
    assertProblem(await make(gate, { ...person.token, headers }), 403, "second_factor_required", { why: "and opens only sessions" });
  });

  test("is refused when anything of it is not as it should be", async () => {
    const good = token();
    const [head, body, signature] = good.split(".");
    const flipped = Buffer.from(signature, "base64url");
    flipped[0] ^= 1;
    const hs256 = unsigned({ alg: "HS256", kid: "current" }, claims());
    const publicText = current.publicKey.export({ format: "pem", type: "spki" });
    for (const [why, bad] of [
      ["nothing", ""],
      ["nonsense", "nonsense"],
      ["no signature", `${head}.${body}.`],
      ["a flipped bit", `${head}.${body}.${flipped.toString("base64url")}`],
      ["another body", `${head}.${base64url(claims({ email: "eve@example.com" }))}.${signature}`],
      ["another head", `${base64url({ alg: "RS256", kid: "current" })}.${body}.${signature}`],
      ["alg none", `${unsigned({ alg: "none", kid: "current" }, claims())}.`],
      ["alg none with a signature", token({ head: { alg: "none", kid: "current" } })],
      ["HS256 under the public key", `${hs256}.${createHmac("sha256", publicText).update(hs256).digest("base64url")}`],
      ["RS512", token({ head: { alg: "RS512", kid: "current" } })],
      ["another team's key", token({ key: stranger.privateKey })],
      ["another key of the team", token({ head: { alg: "RS256", kid: "previous" } })],
      ["a key that brings itself", token({ head: { alg: "RS256", kid: "x", jwk: stranger.publicKey.export({ format: "jwk" }) }, key: stranger.privateKey })],
      ["an unknown key", token({ head: { alg: "RS256", kid: "unknown" } })],
      ["no key's name", token({ head: { alg: "RS256" } })],
      ["another audience", token({ body: claims({ aud: ["b2".repeat(32)] }) })],
      ["no audience", token({ body: claims({ aud: undefined }) })],
      ["another issuer", token({ body: claims({ iss: "https://evil.cloudflareaccess.com" }) })],
      ["past its end", token({ body: claims({ exp: seconds() }) })],
      ["a machine's", token({ body: claims({ email: undefined, sub: "", common_name: "robot.access" }) })],
      ["nobody's", token({ body: claims({ email: undefined, sub: undefined }) })],
      ["about a blank", token({ body: claims({ email: " ", sub: "" }) })],
      ["not yet", token({ body: claims({ nbf: seconds() + 61 }) })],
      ["from the future", token({ body: claims({ iat: seconds() + 61 }) })],
      ["without an end", token({ body: claims({ exp: undefined }) })],
    ]) {
      assertProblem(await open(bad), 401, "second_factor_invalid", { why });
    }
    assert.equal((await open(good)).status, 200, "and none of it pauses the key");
  });

  test("has its team asked once a minute at most, and again when there is a new key", async () => {
    await gate.advance(MINUTE);
    const before = team.requests.length;
    const unknown = () => open(token({ head: { alg: "RS256", kid: "next" }, key: stranger.privateKey }));
    for (let i = 0; i < 5; i += 1) assertProblem(await unknown(), 401, "second_factor_invalid");
    assert.equal(team.requests.length, before + 1);
    keys = [shown("next", stranger), shown("current", current)];
    assertProblem(await unknown(), 401, "second_factor_invalid", { why: "within the minute" });
    await gate.advance(MINUTE);
    assert.equal((await unknown()).status, 200);
    assertProblem(await open(token({ head: { alg: "RS256", kid: "previous" }, key: previous.privateKey })), 401, "second_factor_invalid");
    assert.equal(team.requests.length, before + 2);
  });

  test("is checked with the keys of this day while the team cannot be reached", async () => {
    const answer = team.answer;
    try {
      for (const nothing of [[500, ""], [200, "nonsense"], [200, { keys: [] }]]) {
        team.answer = (seen, response) => reply(response, ...nothing);
        await gate.advance(2 * HOUR);
        assert.equal((await open(token())).status, 200, JSON.stringify(nothing));
        await gate.advance(MINUTE);
        const unknown = token({ head: { alg: "RS256", kid: "another" }, key: previous.privateKey });
        assertProblem(await open(unknown), 503, "admission_unavailable", { why: "nobody knows whether it is the team's" });
      }
      await gate.advance(18 * HOUR);
      assertProblem(await open(token()), 503, "admission_unavailable", { why: "too old" });
    } finally {
      team.answer = answer;
    }
    await gate.advance(MINUTE);
    assert.equal((await open(token())).status, 200);
  });

  test("that is bad costs its address a failure, and then nothing more is written down", async () => {
    const strict = await startClockedGate({ policy: policy(undefined, { failures: { requests: 3, window: "1h" } }), name: "access-failures" });
    try {
      const holder = await makePerson(strict);
      const wish = (assertion) => ({ ...holder.token, headers: { "Cf-Access-Jwt-Assertion": assertion } });
      const tried = [];
      for (let i = 0; i < 6; i += 1) tried.push((await strict.api("POST", "session", { kind: "console" }, wish("nonsense"))).status);
      assert.deepEqual(tried, [401, 401, 401, 429, 429, 429]);
      const failed = (await strict.api("GET", `audit?key=${holder.id}&type=session.failed`)).body.entries;
      assert.equal(failed.length, 3);
      assert.equal((await strict.api("GET", "keys", undefined, holder.token)).status, 200, "the key is known, and goes on");
    } finally {
      await strict.stop();
    }
  });

  test("is nothing while the team cannot be reached, and a code goes before it", async () => {
    const [answer, asked] = [team.answer, team.requests.length];
    team.answer = (seen, response) => reply(response, 500, "");
    try {
      await gate.restart();
      assertProblem(await open(token()), 503, "admission_unavailable");
      assertProblem(await open(token()), 503, "admission_unavailable");
      assert.equal(team.requests.length, asked + 1, "asked once");
      assertProblem(await open(token(), { code: "123456" }), 403, "second_factor_required", { why: "nothing is enrolled" });
    } finally {
      team.answer = answer;
    }
    await gate.advance(MINUTE);
    assert.equal((await open(token())).status, 200);
  });

  test("is nothing where the policy names no team", async () => {
    await gate.restart({ policy: policy(null) });
    assertProblem(await open(token()), 403, "second_factor_required");
  });
});
