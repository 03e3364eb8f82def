// People: a second factor, and the sessions that it opens. Time is set by hand.
//
//   1. enrolling: a one-time code from whoever made the key, a picture, recovery codes
//   2. codes: one step either way, each once, a growing pause, whoever guesses at once
//   3. sessions: what a cookie is, from where it is believed, when it ends
//   4. what is written down
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { DAY, HOUR, MINUTE, SECOND, startClockedGate } from "./support/clock.mjs";
import { assertHeaders, assertProblem, tally } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { act, bearer, change, checkOf, holder } from "./support/keys.mjs";
import { OK } from "./support/management.mjs";
import {
  asPage, codeAt, cookieOf, enrol, enrolled, make, makePerson, open, secret, signIn, STEP, wrongCode,
} from "./support/people.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";
import { usageOf } from "./support/usage.mjs";

const RATE = {
  "ratelimit-policy": /^"default";q=100000;w=3600$/, ratelimit: /^"default";r=\d+;t=\d+$/,
  "x-ratelimit-limit": "100000", "x-ratelimit-remaining": /^\d+$/, "x-ratelimit-reset": /^\d+$/,
};

let gate, backend;
before(async () => {
  backend = await startBackend();
  gate = await startClockedGate({ policy: testPolicy({ backend, routes: [{ name: "plain", path: "/plain" }] }), name: "sessions" });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

const api = (...args) => gate.api(...args);

describe("enrolling", () => {
  test("an admin key that writes comes with a code to enrol with, and others come without", async () => {
    const person = await makePerson(gate);
    assert.equal(person.key.mfa, true);
    assert.match(person.enrolment.code, /^([A-Z2-7]{4}-){3}[A-Z2-7]{4}$/);
    assert.equal(person.enrolment.expires_at, new Date(gate.now + 7 * DAY).toISOString().replace(".000Z", "Z"));
    for (const wish of [{ scopes: ["keys:read"] }, { addresses: ["127.0.0.1"] }, { kind: "sk", scopes: ["a:write"] }]) {
      const made = await makePerson(gate, wish);
      assert.equal(made.enrolment, undefined, JSON.stringify(wish));
    }
    assertProblem(await make(gate, person.token), 403, "second_factor_required");
    assert.equal((await api("GET", "keys", undefined, person.token)).status, 200, "reading takes no second factor");
  });

  test("a picture and a text for the app, then ten recovery codes", async () => {
    const person = await makePerson(gate, { name: "Anna & Bo" });
    const begun = await api("POST", "session/enrol", { enrolment_code: person.enrolment.code.toLowerCase() }, person.token);
    assert.equal(begun.status, 200, begun.text);
    assert.deepEqual(Object.keys(begun.body).sort(), ["otpauth_uri", "qr_svg", "secret"]);
    person.seed = begun.body.secret;
    secret(gate, person.seed);
    assert.match(person.seed, /^[A-Z2-7]{32}$/);
    const uri = new URL(begun.body.otpauth_uri);
    assert.equal(decodeURIComponent(uri.href.split("?")[0]), `otpauth://totp/test:Anna & Bo ${person.id}`);
    assert.deepEqual(Object.fromEntries(uri.searchParams), {
      secret: person.seed, issuer: "test", algorithm: "SHA1", digits: "6", period: "30",
    });
    assert.match(begun.body.qr_svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="0 0 \d+ \d+" role="img"/);
    assert.match(begun.body.qr_svg, /<title>The second factor of Anna &amp; Bo for an authenticator app<\/title>/);
    assert.match(begun.body.qr_svg, /fill="currentColor"/);
    assertProblem(await open(gate, person), 403, "second_factor_required", { why: "it is not proved yet" });
    const wrong = await api("POST", "session/enrol/confirm", { code: wrongCode(person.seed, gate.now) }, person.token);
    assertProblem(wrong, 401, "second_factor_invalid");
    const code = codeAt(person.seed, gate.now);
    const confirmed = await api("POST", "session/enrol/confirm", { code }, person.token);
    assert.equal(confirmed.status, 200, confirmed.text);
    secret(gate, ...confirmed.body.recovery_codes);
    assert.deepEqual(Object.keys(confirmed.body), ["recovery_codes"]);
    assert.equal(new Set(confirmed.body.recovery_codes).size, 10);
    for (const one of confirmed.body.recovery_codes) assert.match(one, /^[A-Z2-7]{5}-[A-Z2-7]{5}$/);
    assertProblem(await open(gate, person, { code }), 401, "second_factor_invalid", { why: "that code was used" });
    assertProblem(await api("POST", "session/enrol/confirm", { code }, person.token), 409, "state_conflict");
    const again = await api("POST", "session/enrol", { enrolment_code: person.enrolment.code }, person.token);
    assertProblem(again, 401, "second_factor_invalid", { why: "and so was the enrolment code" });
  });

  test("the code and the key belong together, and the code ends", async () => {
    const [person, other] = [await makePerson(gate), await makePerson(gate)];
    for (const [why, code] of [
      ["another key's", other.enrolment.code],
      ["nobody's", "AAAA-AAAA-AAAA-AAAA"],
      ["none at all", "nonsense"],
    ]) {
      const refused = await api("POST", "session/enrol", { enrolment_code: code }, person.token);
      assertProblem(refused, 401, "second_factor_invalid", { why });
    }
    const seedless = await api("POST", "session/enrol/confirm", { code: "123456" }, person.token);
    assertProblem(seedless, 409, "state_conflict");
    await gate.advance(7 * DAY);
    const late = await api("POST", "session/enrol", { enrolment_code: other.enrolment.code }, other.token);
    assertProblem(late, 401, "second_factor_invalid");
  });

  test("whoever may make the key may have it enrol again: what was enrolled is forgotten, sessions end", async () => {
    const person = await enrolled(gate);
    const cookie = await signIn(gate, person);
    const renewed = await api("POST", `keys/${person.id}/enrolment`);
    assert.equal(renewed.status, 200, renewed.text);
    assert.deepEqual(Object.keys(renewed.body), ["enrolment"]);
    assert.deepEqual(Object.keys(renewed.body.enrolment), ["code", "expires_at"]);
    secret(gate, renewed.body.enrolment.code);
    assertProblem(await api("GET", "session", undefined, asPage(gate, cookie)), 401, "token_expired");
    await gate.advance(STEP);
    assertProblem(await open(gate, person), 403, "second_factor_required");
    const recovery = { code: undefined, recovery_code: person.recovery[0] };
    assertProblem(await open(gate, person, recovery), 403, "second_factor_required");
    const old = person.seed;
    await enrol(gate, person, renewed.body.enrolment.code);
    assert.notEqual(person.seed, old);
    await signIn(gate, person);
  });

  test("whoever may not make each key that has the second factor, may not reset it by another", async () => {
    const wide = ["keys:read", "keys:write", "keys:admin"];
    const operator = await enrolled(gate, { scopes: ["keys:read", "keys:admin"] });
    const ask = async (id, by) => {
      const asked = await api("POST", `keys/${id}/enrolment`, undefined, by);
      if (asked.status === 200) secret(gate, asked.body.enrolment.code);
      return asked;
    };
    for (const weaker of ["old", "new"]) {
      const person = await enrolled(gate, { scopes: wide });
      const next = await act(gate, person, "rotate", { grace: "1h" });
      const fresh = { ...person, ...holder(next), token: { token: next.secret } };
      const [weak, strong] = weaker === "old" ? [person, fresh] : [fresh, person];
      await change(gate, weak, { scopes: ["keys:read"] });
      await change(gate, weak, { mfa: true });
      const page = asPage(gate, await signIn(gate, operator));
      const refused = assertProblem(await ask(weak.id, page), 403, "not_grantable", { why: weaker });
      assert.match(refused.detail, new RegExp(`^The key ${strong.id} has the same second factor\\. .*keys:write`));
      await signIn(gate, fresh);
      // Nor while the stronger one is off: it may come on again.
      await act(gate, strong, "disable");
      assertProblem(await ask(weak.id, page), 403, "not_grantable", { why: `${weaker}, disabled` });
      // Root may, and once the stronger one is gone for good so may the other.
      assert.equal((await ask(weak.id, {})).status, 200);
      await act(gate, strong, "revoke");
      assert.equal((await ask(weak.id, page)).status, 200, weaker);
    }
  });

  test("nobody else may, and of no other key", async () => {
    const person = await enrolled(gate);
    const operator = await enrolled(gate, { scopes: ["keys:read", "keys:admin"], addresses: [] });
    const stranger = await enrolled(gate, { tenant: "other" });
    const writer = await enrolled(gate, { scopes: ["keys:read", "keys:write"] });
    const plain = await makePerson(gate, { kind: "sk", scopes: [] });
    const bound = await makePerson(gate, { addresses: ["127.0.0.1"] });
    for (const [why, by, key, status, code] of [
      ["without a second factor", person.token, operator, 403, "second_factor_required"],
      ["without the scope", asPage(gate, await signIn(gate, writer)), person, 403, "insufficient_scope"],
      ["another tenant's", asPage(gate, await signIn(gate, stranger)), person, 404, "not_found"],
      ["itself", asPage(gate, await signIn(gate, person)), person, 403, "not_grantable"],
      ["a stronger one", asPage(gate, await signIn(gate, operator)), person, 403, "not_grantable"],
      ["a key that is no admin key", {}, plain, 409, "state_conflict"],
      ["a key without a second factor", {}, bound, 409, "state_conflict"],
      ["nobody's", {}, { id: "0".repeat(16) }, 404, "not_found"],
    ]) {
      const answer = await api("POST", `keys/${key.id}/enrolment`, undefined, by);
      const members = code === "insufficient_scope" ? ["required_scopes"] : [];
      assertProblem(answer, status, code, { why, members });
    }
    const done = await api("POST", `keys/${writer.id}/enrolment`, undefined, asPage(gate, await signIn(gate, person)));
    assert.equal(done.status, 200, done.text);
    secret(gate, done.body.enrolment.code);
    const said = await api("POST", `keys/${writer.id}/enrolment`, { code: "mine" });
    assertProblem(said, 400, "invalid_field", { members: ["errors"] });
    await act(gate, person, "revoke");
    assertProblem(await api("POST", `keys/${person.id}/enrolment`), 409, "state_conflict");
  });
});

describe("codes", () => {
  test("one step either way, and no more", async () => {
    for (const [steps, good] of [[-2, false], [-1, true], [0, true], [1, true], [2, false]]) {
      const person = await enrolled(gate);
      await gate.advance(10 * STEP);
      const code = codeAt(person.seed, gate.now + steps * STEP);
      const answer = await open(gate, person, { code });
      if (good) assert.equal(answer.status, 200, `${steps}: ${answer.text}`);
      else assertProblem(answer, 401, "second_factor_invalid", { why: String(steps) });
    }
  });

  test("each once, and none from before it", async () => {
    const person = await enrolled(gate);
    await gate.advance(10 * STEP);
    const at = (steps) => ({ code: codeAt(person.seed, gate.now + steps * STEP) });
    assert.equal((await open(gate, person, at(0))).status, 200);
    for (const steps of [0, -1]) assertProblem(await open(gate, person, at(steps)), 401, "second_factor_invalid");
    assert.equal((await open(gate, person, at(1))).status, 200);
    await gate.advance(STEP);
    assertProblem(await open(gate, person), 401, "second_factor_invalid", { why: "it was used a step ago" });
    await gate.advance(STEP);
    assert.equal((await open(gate, person)).status, 200);
  });

  test("of fifty at once with the same right code one gets in", async () => {
    const person = await enrolled(gate);
    const code = codeAt(person.seed, gate.now);
    const answers = await Promise.all(Array.from({ length: 50 }, () => open(gate, person, { code })));
    const statuses = tally(answers.map(({ status }) => status));
    assert.equal(statuses[200], 1, JSON.stringify(statuses));
  });

  test("of fifty guesses at once five are looked at", async () => {
    const person = await enrolled(gate);
    const code = wrongCode(person.seed, gate.now);
    const guesses = await Promise.all(Array.from({ length: 50 }, () => open(gate, person, { code })));
    assert.deepEqual(tally(guesses.map(({ body }) => body.code)), { second_factor_invalid: 5, too_many_failures: 45 });
    const paused = assertProblem(await open(gate, person), 429, "too_many_failures", { members: ["retry_after"] });
    assert.equal(paused.retry_after, 30, "not even the right code");
    const recovery = { code: undefined, recovery_code: person.recovery[0] };
    assertProblem(await open(gate, person, recovery), 429, "too_many_failures", { members: ["retry_after"] });
  });

  test("the pause doubles up to an hour; a right code ends it", async () => {
    const person = await enrolled(gate);
    const guess = () => open(gate, person, { code: wrongCode(person.seed, gate.now) });
    for (let i = 0; i < 4; i += 1) assertProblem(await guess(), 401, "second_factor_invalid");
    for (const pause of [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]) {
      assertProblem(await guess(), 401, "second_factor_invalid", { why: String(pause) });
      await gate.advance(SECOND);
      const answer = await open(gate, person);
      const refused = assertProblem(answer, 429, "too_many_failures", { members: ["retry_after"], why: String(pause) });
      assert.equal(refused.retry_after, pause - 1);
      assert.equal(answer.headers["retry-after"], String(pause - 1));
      await gate.advance((pause - 1) * SECOND);
    }
    await gate.restart();
    assert.equal((await open(gate, person)).status, 200);
    for (let i = 0; i < 5; i += 1) assertProblem(await guess(), 401, "second_factor_invalid");
    assertProblem(await guess(), 429, "too_many_failures", { members: ["retry_after"] });
  });

  test("guesses at enrolling pause as well, and each key by itself", async () => {
    const [person, other] = [await makePerson(gate), await enrolled(gate)];
    const guess = () => api("POST", "session/enrol", { enrolment_code: "AAAA-AAAA-AAAA-AAAA" }, person.token);
    for (let i = 0; i < 5; i += 1) assertProblem(await guess(), 401, "second_factor_invalid");
    assertProblem(await guess(), 429, "too_many_failures", { members: ["retry_after"] });
    const right = await api("POST", "session/enrol", { enrolment_code: person.enrolment.code }, person.token);
    assertProblem(right, 429, "too_many_failures", { members: ["retry_after"] });
    await signIn(gate, other);
  });

  test("a recovery code gets in once", async () => {
    const person = await enrolled(gate);
    const recover = (code) => open(gate, person, { code: undefined, recovery_code: code });
    const first = await recover(person.recovery[3].toLowerCase().replace("-", " "));
    assert.equal(first.status, 200, first.text);
    assert.equal(first.body.session.recovery_codes_left, 9);
    assert.equal(first.body.session.second_factor, true);
    assertProblem(await recover(person.recovery[3]), 401, "second_factor_invalid");
    const atOnce = await Promise.all(Array.from({ length: 4 }, () => recover(person.recovery[4])));
    assert.deepEqual(tally(atOnce.map(({ status }) => status)), { 200: 1, 401: 3 });
    const other = await enrolled(gate);
    assertProblem(await recover(other.recovery[0]), 401, "second_factor_invalid");
  });

  test("what is no such request is told with every field", async () => {
    const person = await enrolled(gate);
    for (const [path, body, fields] of [
      ["session", {}, ["kind"]],
      ["session", { kind: "root" }, ["kind"]],
      ["session", { kind: "cli", code: 123456 }, ["code"]],
      ["session", { kind: "cli", code: "1", recovery_code: "2" }, ["recovery_code"]],
      ["session", { kind: "cli", password: "x" }, ["password"]],
      ["session/enrol", {}, ["enrolment_code"]],
      ["session/enrol/confirm", {}, ["code"]],
    ]) {
      const document = assertProblem(await api("POST", path, body, person.token), 400, "invalid_field", { members: ["errors"] });
      assert.deepEqual(document.errors.map(({ field }) => field), fields);
    }
    assertProblem(await open(gate, person, { code: undefined }), 403, "second_factor_required");
  });
});

describe("a session in a browser", () => {
  test("is a cookie with every flag, and a body without the token", async () => {
    const person = await enrolled(gate);
    const opened = await open(gate, person, {}, asPage(gate, "a=b").headers);
    const [cookie, ...more] = opened.headers["set-cookie"];
    assert.deepEqual(more, []);
    assertHeaders({ ...opened, headers: { ...opened.headers, "set-cookie": cookie } }, {
      ...OK, ...RATE,
      "set-cookie": /^__Host-tollgate=tg_dev_ss_[0-9A-Za-z]{16}_[0-9A-Za-z]{38}; Path=\/; Max-Age=43200; Secure; HttpOnly; SameSite=Strict$/,
    });
    const expires = new Date(gate.now + 12 * HOUR).toISOString().replace(".000Z", "Z");
    assert.deepEqual(opened.body, {
      session: {
        kind: "console", key: person.id, name: "person", tenant: "acme", scopes: person.key.scopes,
        expires_at: expires, second_factor: true,
      },
    });
    const page = asPage(gate, cookieOf(opened));
    const shown = await api("GET", "session", undefined, page);
    assert.deepEqual([shown.status, shown.body], [200, opened.body]);
    assertHeaders(shown, { ...OK, ...RATE });
    assert.equal((await make(gate, page)).status, 201, "it writes");
    const closed = await api("DELETE", "session", undefined, page);
    assert.equal(closed.status, 204);
    assert.equal(closed.headers["set-cookie"][0], "__Host-tollgate=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict");
    const after = await api("GET", "session", undefined, page);
    assertProblem(after, 401, "token_expired");
    assert.match(after.headers["set-cookie"][0], /^__Host-tollgate=; .*Max-Age=0/);
  });

  test("is believed from the admin host's own pages alone", async () => {
    const person = await enrolled(gate);
    const cookie = await signIn(gate, person);
    const own = new URL(gate.admin()).origin;
    const before = (await api("GET", "keys?limit=1")).body.keys[0].id;
    for (const [why, method, path, headers, status] of [
      ["a page that reads", "GET", "keys", { "Sec-Fetch-Site": "same-origin" }, 200],
      ["an address that is typed", "GET", "keys", { "Sec-Fetch-Site": "none" }, 200],
      ["an old browser that reads", "GET", "keys", {}, 200],
      ["a sister host that reads", "GET", "keys", { "Sec-Fetch-Site": "same-site" }, 403],
      ["a stranger that reads", "GET", "keys", { Origin: "https://evil.example" }, 403],
      ["no origin", "POST", "keys", {}, 403],
      ["no origin, the same site", "POST", "keys", { "Sec-Fetch-Site": "same-origin" }, 403],
      ["another port", "POST", "keys", { Origin: `http://gate.localhost:${gate.port + 1}` }, 403],
      ["the API's host", "POST", "keys", { Origin: `http://localhost:${gate.port}` }, 403],
      ["another scheme", "POST", "keys", { Origin: own.replace("http:", "https:") }, 403],
      ["a sandbox", "POST", "keys", { Origin: "null" }, 403],
      ["a stranger", "POST", "keys", { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" }, 403],
      ["its own, which does not agree", "POST", "keys", { Origin: own, "Sec-Fetch-Site": "cross-site" }, 403],
      ["a stranger that verifies", "POST", "keys/verify", { Origin: "https://evil.example" }, 403],
      ["a stranger that signs out", "DELETE", "session", { Origin: "https://evil.example" }, 403],
      ["no origin that signs out", "DELETE", "session", {}, 403],
    ]) {
      const body = method === "POST" ? { tenant: "acme", kind: "sk", name: "forged" } : undefined;
      const answer = await api(method, path, body, { token: null, headers: { Cookie: cookie, ...headers } });
      if (status === 200) assert.equal(answer.status, 200, `${why}: ${answer.text}`);
      else assertProblem(answer, 403, "origin_not_allowed", { why });
      assert.equal(answer.headers["access-control-allow-origin"], undefined, why);
    }
    assert.equal((await api("GET", "keys?limit=1")).body.keys[0].id, before, "nothing was made");
    assert.equal((await make(gate, asPage(gate, cookie))).status, 201);
  });

  test("is not what a request says that carries another credential", async () => {
    const [person, other] = [await enrolled(gate), await makePerson(gate, { tenant: "other" })];
    const cookie = await signIn(gate, person);
    const both = await api("GET", "session", undefined, { ...other.token, headers: { Cookie: cookie, Origin: "https://evil.example" } });
    assert.deepEqual([both.status, both.body.session.tenant, both.body.session.kind], [200, "other", "key"]);
    const second = await make(gate, { ...person.token, headers: asPage(gate, cookie).headers });
    assertProblem(second, 403, "second_factor_required");
    const twice = await api("GET", "keys", undefined, asPage(gate, `${cookie}; ${cookie}`));
    assertProblem(twice, 400, "malformed_request");
    const token = cookie.split("=")[1];
    assertProblem(await api("GET", "keys", undefined, { token }), 401, "key_invalid", { why: "a cookie is no bearer token" });
    const elsewhere = await gate.request({ path: "/plain", headers: { Cookie: cookie } });
    assertProblem(elsewhere, 401, "key_missing", { why: "and opens no route" });
    assertProblem(await gate.request({ path: "/plain", headers: bearer(token) }), 401, "key_invalid");
    assertProblem(await gate.request({ path: `/plain?s=${token}`, headers: {} }), 400, "credential_in_url");
  });

  test("is not opened from anybody else's page", async () => {
    const person = await enrolled(gate);
    for (const headers of [{ Origin: "https://evil.example" }, { "Sec-Fetch-Site": "cross-site" }, { Origin: "null" }]) {
      assertProblem(await open(gate, person, {}, headers), 403, "origin_not_allowed", { why: JSON.stringify(headers) });
    }
    for (const headers of [asPage(gate, "a=b").headers, { "Sec-Fetch-Site": "none" }]) {
      assertProblem(await open(gate, person, { kind: "cli" }, headers), 403, "secret_key_in_browser");
    }
    assert.equal((await open(gate, person)).status, 200, "none of these cost the code");
  });

  test("is opened with the admin key itself, and by nobody else", async () => {
    const person = await enrolled(gate);
    const cookie = await signIn(gate, person);
    const plain = await makePerson(gate, { kind: "sk", scopes: [] });
    for (const [why, by, status, code] of [
      ["root", {}, 403, "wrong_kind"],
      ["a session", asPage(gate, cookie), 403, "wrong_kind"],
      ["a key for routes", plain.token, 403, "wrong_kind"],
      ["nobody", { token: null }, 401, "key_missing"],
    ]) {
      for (const [path, body] of [["session", { kind: "console" }], ["session/enrol", { enrolment_code: "x" }], ["session/enrol/confirm", { code: "1" }]]) {
        assertProblem(await api("POST", path, body, by), status, code, { why: `${why}: ${path}` });
      }
    }
    const root = await api("GET", "session");
    assert.deepEqual(root.body.session, {
      kind: "root", key: null, name: "root", tenant: "*", scopes: [], expires_at: null, second_factor: false,
    });
    assertProblem(await api("DELETE", "session"), 404, "not_found");
    assertProblem(await api("DELETE", "session", undefined, person.token), 404, "not_found");
  });

  test("of a key without a second factor is as weak as the key", async () => {
    const reader = await makePerson(gate, { scopes: ["keys:read"] });
    const opened = await api("POST", "session", { kind: "console" }, reader.token);
    assert.equal(opened.status, 200, opened.text);
    secret(gate, cookieOf(opened).split("_").at(-1));
    assert.equal(opened.body.session.second_factor, false);
    const page = asPage(gate, cookieOf(opened));
    assertProblem(await make(gate, page), 403, "insufficient_scope", { members: ["required_scopes"] });
    await change(gate, reader, { scopes: ["keys:read", "keys:write"], mfa: true });
    assertProblem(await make(gate, page), 403, "second_factor_required");
    assert.equal((await api("GET", "keys", undefined, page)).status, 200);
  });
});

describe("a session of the command line", () => {
  test("is a token for fifteen minutes, and not for browsers", async () => {
    const person = await enrolled(gate);
    const opened = await open(gate, person, { kind: "cli" });
    assertHeaders(opened, { ...OK, ...RATE });
    assert.deepEqual(Object.keys(opened.body).sort(), ["session", "token"]);
    assert.equal(opened.body.session.expires_at, new Date(gate.now + 15 * MINUTE).toISOString().replace(".000Z", "Z"));
    const { token } = opened.body;
    assert.match(token, /^tg_dev_ss_/);
    assert.equal((await make(gate, { token })).status, 201);
    assertProblem(await make(gate, { token, headers: { Origin: new URL(gate.admin()).origin } }), 403, "secret_key_in_browser");
    assertProblem(await make(gate, { token, headers: { "Sec-Fetch-Site": "same-origin" } }), 403, "secret_key_in_browser");
    const cookie = await api("GET", "keys", undefined, asPage(gate, `__Host-tollgate=${token}`));
    assertProblem(cookie, 401, "key_invalid", { why: "a bearer token is no cookie" });
    await gate.advance(15 * MINUTE - 1);
    assert.equal((await make(gate, { token })).status, 201);
    await gate.advance(1);
    const over = await make(gate, { token });
    assertProblem(over, 401, "token_expired");
    assert.equal(over.headers["set-cookie"], undefined);
    const again = await open(gate, person, { kind: "cli" });
    assert.equal((await api("DELETE", "session", undefined, { token: again.body.token })).status, 204);
    assertProblem(await make(gate, { token: again.body.token }), 401, "token_expired");
  });
});

describe("a session ends", () => {
  test("after twelve hours", async () => {
    const page = asPage(gate, await signIn(gate, await enrolled(gate)));
    await gate.advance(12 * HOUR - 1);
    assert.equal((await make(gate, page)).status, 201);
    await gate.advance(1);
    assertProblem(await make(gate, page), 401, "token_expired");
  });

  test("with its key, at once and for good", async () => {
    for (const [how, code] of [["revoke", "key_revoked"], ["disable", "key_disabled"]]) {
      const person = await enrolled(gate);
      const page = asPage(gate, await signIn(gate, person));
      const { token } = (await (await gate.advance(STEP), open(gate, person, { kind: "cli" }))).body;
      assert.equal((await make(gate, page)).status, 201);
      await act(gate, person, how);
      for (const by of [page, { token }]) assertProblem(await make(gate, by), 401, code);
      if (how === "revoke") continue;
      await act(gate, person, "enable");
      for (const by of [page, { token }]) assertProblem(await make(gate, by), 401, "token_expired");
      assert.equal((await api("GET", "keys", undefined, person.token)).status, 200);
    }
  });

  test("with its key's life, and with the grace of a rotated one", async () => {
    const short = await enrolled(gate, { expires_in: "2h" });
    const page = asPage(gate, await signIn(gate, short));
    const rotated = await enrolled(gate);
    const old = asPage(gate, await signIn(gate, rotated));
    const next = await act(gate, rotated, "rotate", { grace: "1h" });
    const successor = { ...rotated, ...holder(next), token: { token: next.secret } };
    assert.equal(next.enrolment, undefined, "the app stays the same");
    assert.equal((await make(gate, old)).status, 201, "in the grace period it goes on");
    const fresh = asPage(gate, await signIn(gate, successor));
    await gate.advance(HOUR);
    assertProblem(await make(gate, old), 401, "key_expired");
    assert.equal((await make(gate, fresh)).status, 201);
    await gate.advance(HOUR);
    assertProblem(await make(gate, page), 401, "key_expired");
  });

  test("and does not begin with a key that was rotated", async () => {
    const person = await enrolled(gate);
    const next = await act(gate, person, "rotate", { grace: "1h" });
    const successor = { ...person, ...holder(next), token: { token: next.secret } };
    for (const [path, body] of [
      ["session", { kind: "console", code: "000000" }],
      ["session", { kind: "cli", code: "000000" }],
      ["session/enrol", { enrolment_code: "AAAA-AAAA-AAAA-AAAA" }],
      ["session/enrol/confirm", { code: "000000" }],
    ]) {
      for (let i = 0; i < 3; i += 1) {
        const refused = assertProblem(await api("POST", path, body, person.token), 409, "state_conflict", { why: path });
        assert.ok(refused.detail.includes(successor.id), refused.detail);
      }
    }
    assert.equal((await api("GET", "keys", undefined, person.token)).status, 200, "the rest of its grace goes on");
    assert.equal((await open(gate, successor)).status, 200, "and none of it pauses whoever has the new one");
  });

  test("for good, also when the end of its key is moved out again", async () => {
    const person = await enrolled(gate);
    const page = asPage(gate, await signIn(gate, person));
    const ends = (ms) => ({ expires_at: new Date(gate.now + ms).toISOString() });
    await change(gate, person, ends(HOUR));
    await gate.advance(HOUR);
    assertProblem(await make(gate, page), 401, "key_expired");
    await change(gate, person, ends(DAY));
    assert.equal((await api("GET", "keys", undefined, person.token)).status, 200);
    assertProblem(await make(gate, page), 401, "token_expired");
  });

  test("and whoever keeps showing it is refused unread before long, and nobody else", async () => {
    const reader = await makePerson(gate, { scopes: ["keys:read"] });
    const cli = async () => (await api("POST", "session", { kind: "cli" }, reader.token)).body.token;
    const [over, live] = [await cli(), await cli()];
    assert.equal((await api("DELETE", "session", undefined, { token: over })).status, 204);
    const codes = [];
    const show = (token) => api("GET", "session", undefined, { token });
    for (let batch = 0; batch < 7; batch += 1) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => show(over)));
      codes.push(...answers.map(({ body }) => body.code));
    }
    assert.deepEqual(tally(codes), { token_expired: 300, too_many_failures: 50 });
    assert.equal((await show(live)).status, 200);
    await act(gate, reader, "disable");
    assertProblem(await show(live), 429, "too_many_failures", { members: ["retry_after"] });
    await gate.advance(2 * MINUTE);
    assertProblem(await show(live), 401, "key_disabled");
  });

  test("when what its key may do is narrowed, as far as that goes", async () => {
    const person = await enrolled(gate);
    const page = asPage(gate, await signIn(gate, person));
    await change(gate, person, { scopes: ["keys:read"] });
    assertProblem(await make(gate, page), 403, "insufficient_scope", { members: ["required_scopes"] });
    await change(gate, person, { addresses: ["192.0.2.1"] });
    assertProblem(await api("GET", "keys", undefined, page), 403, "ip_not_allowed");
  });

  test("and it is charged like its key", async () => {
    const person = await enrolled(gate, { limits: [atMost(6, "1h")] });
    const page = asPage(gate, await signIn(gate, person));
    // Enrolling, confirming and signing in were three.
    for (let i = 0; i < 3; i += 1) assert.equal((await api("GET", "keys", undefined, page)).status, 200);
    for (const by of [page, person.token]) {
      assertProblem(await api("GET", "keys", undefined, by), 429, "rate_limited", { members: ["retry_after", "violated-policies"] });
    }
  });

  test("and is not kept out by what strangers at its address fail in", async () => {
    const failures = { requests: 3, window: "1h" };
    const strict = await startClockedGate({ policy: testPolicy({ backend, gate: { failures }, routes: [{ name: "plain", path: "/plain" }] }), name: "strangers" });
    try {
      const person = await enrolled(strict);
      const page = asPage(strict, await signIn(strict, person));
      assert.equal((await make(strict, page)).status, 201);
      for (let i = 0; i < 3; i += 1) assertProblem(await strict.api("GET", "session", undefined, { token: "nonsense" }), 401, "key_invalid");
      const [head, body] = page.headers.Cookie.split(/(?<=_ss_.{16}_)/);
      const forged = `${head}${"0".repeat(32)}`;
      const guess = { ...page, headers: { ...page.headers, Cookie: `${forged}${checkOf(forged.split("=")[1])}` } };
      assert.equal(body.length, 38);
      assertProblem(await make(strict, guess), 429, "too_many_failures", { members: ["retry_after"] });
      assert.equal((await make(strict, page)).status, 201);
    } finally {
      await strict.stop();
    }
  });

  test("the oldest, when one key has more than twenty", async () => {
    const reader = await makePerson(gate, { scopes: ["keys:read"] });
    const tokens = [];
    for (let i = 0; i < 21; i += 1) {
      await gate.advance(SECOND);
      tokens.push((await api("POST", "session", { kind: "cli" }, reader.token)).body.token);
    }
    const statuses = [];
    for (const token of tokens) statuses.push((await api("GET", "session", undefined, { token })).status);
    assert.deepEqual(statuses, [401, ...Array(20).fill(200)]);
  });
});

describe("what is written down", () => {
  test("who came in, who did not, and who went", async () => {
    const person = await enrolled(gate, { tenant: "written" });
    await open(gate, person, { code: wrongCode(person.seed, gate.now) });
    const page = asPage(gate, await signIn(gate, person));
    await make(gate, page);
    await api("DELETE", "session", undefined, page);
    const { entries } = (await api("GET", "audit?tenant=written&limit=100")).body;
    const told = entries.reverse().filter(({ type }) => /^(session|second_factor)\./.test(type));
    assert.deepEqual(told.map(({ type, actor, key, code, detail }) => [type, actor === person.id, key === person.id, code, detail]), [
      ["second_factor.enrolled", true, true, undefined, undefined],
      ["session.failed", true, true, "second_factor_invalid", { with: "code" }],
      ["session.opened", true, true, undefined, { kind: "console", with: "code" }],
      ["session.closed", true, true, undefined, { kind: "console" }],
    ]);
    const wrong = await api("POST", "session", { kind: "console", code: "000000" }, { token: `${person.secret.slice(0, -1)}~` });
    assertProblem(wrong, 401, "key_invalid");
    const renewed = await api("POST", `keys/${person.id}/enrolment`);
    secret(gate, renewed.body.enrolment.code);
    const last = (await api("GET", `audit?tenant=written&limit=1&type=second_factor.reset`)).body.entries[0];
    assert.deepEqual([last.actor, last.key, last.tenant], ["root", person.id, "written"]);
    const all = (await api("GET", "audit?tenant=written&type=session.failed")).body.entries;
    assert.equal(all.length, 1, "a wrong key says nothing about its holder");
  });

  test("what a session does is usage of its key", async () => {
    const person = await enrolled(gate, { tenant: "used" });
    const page = asPage(gate, await signIn(gate, person));
    const before = (await usageOf(gate, person, 3)).admitted;
    for (let i = 0; i < 4; i += 1) assert.equal((await api("GET", "session", undefined, page)).status, 200);
    await change(gate, person, { scopes: ["audit:read"] });
    assertProblem(await api("GET", "keys", undefined, page), 403, "insufficient_scope", { members: ["required_scopes"] });
    const { admitted, refused, errors } = await usageOf(gate, person, before + 5);
    assert.deepEqual([admitted, refused, errors], [before + 4, 1, { insufficient_scope: 1 }]);
  });

  test("a session is logged by the name of its key", async () => {
    const person = await enrolled(gate);
    const page = asPage(gate, await signIn(gate, person));
    const id = (await api("GET", "keys", undefined, page)).headers["x-request-id"];
    const line = await gate.logged(({ request_id: logged }) => logged === id);
    assert.deepEqual([line.key, line.tenant, line.status], [person.id, "acme", 200]);
  });
});

describe("STORE_KEY", () => {
  const policy = () => testPolicy({ backend, routes: [{ name: "plain", path: "/plain" }] });
  const SEED = { STORE_KEY: `1:${Buffer.alloc(32, 7).toString("base64")}` };

  test("without it nobody signs in with a second factor, and ready says why", async () => {
    const bare = await startGate({ policy: policy(), secrets: { STORE_KEY: null }, name: "storeless" });
    try {
      const ready = await bare.api("GET", "../ready");
      const own = await bare.request({ host: bare.adminHost, path: "/_tollgate/ready", headers: bearer(bare.secrets.ROOT_TOKEN) });
      assert.equal(ready.status, 400, "a dot segment is none of the gate's paths");
      assert.deepEqual([own.status, own.json.reasons], [503, ["the secret STORE_KEY is not set"]]);
      const stranger = await bare.request({ host: bare.adminHost, path: "/_tollgate/ready" });
      assert.deepEqual(stranger.json, { ready: false });
      const person = await makePerson(bare);
      const begun = await bare.api("POST", "session/enrol", { enrolment_code: person.enrolment.code }, person.token);
      assertProblem(begun, 503, "admission_unavailable");
      const reader = await makePerson(bare, { scopes: ["keys:read"] });
      assert.equal((await bare.api("POST", "session", { kind: "cli" }, reader.token)).status, 200);
    } finally {
      await bare.stop();
    }
  });

  test("a new version in front leaves what is under the old one readable", async () => {
    const other = await startClockedGate({ policy: policy(), secrets: SEED, name: "store-keys" });
    try {
      const person = await enrolled(other);
      const fresh = `2:${Buffer.alloc(32, 9).toString("base64")}`;
      other.secrets.STORE_KEY = `${fresh},${SEED.STORE_KEY}`;
      await other.restart();
      await signIn(other, person);
      other.secrets.STORE_KEY = fresh;
      await other.restart();
      await other.advance(STEP);
      assertProblem(await open(other, person), 503, "admission_unavailable");
    } finally {
      await other.stop();
    }
  });
});
