// `tollgate session`, as a script and as a shell see it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { cli } from "../scripts/paths.mjs";
import { startBackend } from "./support/backend.mjs";
import { MINUTE, startClockedGate } from "./support/clock.mjs";
import { codeAt, enrolled, makePerson, secret, STEP, wrongCode } from "./support/people.mjs";
import { testPolicy } from "./support/policy.mjs";
import { secretsOfKeys, secretsUsed } from "./support/run.mjs";

let gate, backend;
before(async () => {
  backend = await startBackend();
  gate = await startClockedGate({ policy: testPolicy({ backend, routes: [{ name: "plain", path: "/plain" }] }), name: "cli-session" });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

/** Runs the command. `said`: what is written to it once it has printed what the name matches. */
async function tollgate(args, { token, session, input = "", answer } = {}) {
  const env = { HOME: "/nonexistent", TOLLGATE_URL: `http://${gate.adminHost}` };
  if (token) env.TOLLGATE_TOKEN = token;
  if (session) env.TOLLGATE_SESSION = session;
  const child = spawn(cli, args, { env, stdio: ["pipe", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk) => {
    out += chunk;
    const reply = answer?.(out);
    if (reply !== undefined) child.stdin.end(`${reply}\n`);
  });
  child.stderr.on("data", (chunk) => (err += chunk));
  child.stdin.on("error", () => {}); // it need not read it
  if (answer) child.stdin.write(input);
  else child.stdin.end(input);
  const [code] = await once(child, "close");
  const secrets = secretsOfKeys(out);
  gate.known.push(...secrets);
  secretsUsed(secrets);
  assert.equal(secretsOfKeys(err).length, 0, "what is said to people has no secret in it");
  return { code, out, err, lines: out.trim().split("\n") };
}

describe("tollgate session", () => {
  test("trades key and code for a token, as which the other commands write", async () => {
    const person = await enrolled(gate);
    const opened = await tollgate(["session", "open", "--code", codeAt(person.seed, gate.now)], { token: person.secret });
    assert.equal(opened.code, 0, opened.err);
    assert.match(opened.out, /^tg_dev_ss_[0-9A-Za-z]{16}_[0-9A-Za-z]{38}\n$/, "the token alone");
    assert.match(opened.err, new RegExp(`^A session of ${person.id} until .*Z\\.\\nSet TOLLGATE_SESSION to this:\\n$`));
    const session = opened.out.trim();
    const make = ["keys", "create", "--tenant", "acme", "--kind", "sk", "--name", "by a session"];
    const refused = await tollgate(make, { token: person.secret });
    assert.deepEqual([refused.code, /^403 second_factor_required: /.test(refused.err)], [1, true], refused.err);
    const made = await tollgate(make, { token: person.secret, session });
    assert.equal(made.code, 0, made.err);
    const shown = await tollgate(["session", "show"], { session });
    assert.deepEqual(shown.lines.map((line) => line.split(/\s{2,}/)), [
      ["kind", "cli"], ["key", person.id], ["name", "person"], ["tenant", "acme"],
      ["scopes", "keys:read, keys:write, keys:admin"], ["second factor", "yes"],
      ["expires at", new Date(gate.now + 15 * MINUTE).toISOString().replace(".000Z", "Z")],
    ]);
    const closed = await tollgate(["session", "close"], { session });
    assert.deepEqual([closed.code, closed.out], [0, "The session is ended.\n"], closed.err);
    const after = await tollgate(["session", "show"], { session });
    assert.deepEqual([after.code, after.out, /^401 token_expired: /.test(after.err)], [1, "", true], after.err);
  });

  test("takes the code from standard input, prints for a shell and for scripts", async () => {
    const person = await enrolled(gate);
    const input = `${person.secret}\n${codeAt(person.seed, gate.now)}\n`;
    const exported = await tollgate(["session", "open", "--export", "--token-stdin"], { input });
    assert.match(exported.out, /^export TOLLGATE_SESSION='tg_dev_ss_\w+'\n$/, exported.err);
    assert.equal(exported.lines.length, 1);
    const recovery = await tollgate(["session", "open", "--json", "--recovery-code", person.recovery[0]], { token: person.secret });
    const body = JSON.parse(recovery.out);
    assert.deepEqual([body.session.kind, body.session.recovery_codes_left, recovery.err], ["cli", 9, ""]);
    assert.match(body.token, /^tg_dev_ss_/);
    const wrong = await tollgate(["session", "open", "--code", wrongCode(person.seed, gate.now)], { token: person.secret });
    assert.deepEqual([wrong.code, wrong.out, /^401 second_factor_invalid: /.test(wrong.err)], [1, "", true], wrong.err);
    const reader = await makePerson(gate, { scopes: ["keys:read"] });
    const without = await tollgate(["session", "open"], { token: reader.secret });
    assert.equal(without.code, 0, without.err);
    const both = await tollgate(["session", "open", "--code", "1", "--recovery-code", "2"], { token: person.secret });
    assert.equal(both.code, 2);
  });

  test("a session opens none: the key does", async () => {
    const person = await enrolled(gate);
    const { out } = await tollgate(["session", "open", "--code", codeAt(person.seed, gate.now)], { token: person.secret });
    await gate.advance(STEP);
    const again = await tollgate(["session", "open", "--code", codeAt(person.seed, gate.now)], { token: person.secret, session: out.trim() });
    assert.equal(again.code, 0, "TOLLGATE_SESSION is passed over");
    const keyless = await tollgate(["session", "open", "--code", "123456"], { session: out.trim() });
    assert.deepEqual([keyless.code, /Set TOLLGATE_TOKEN/.test(keyless.err)], [2, true], keyless.err);
  });

  test("sets up a second factor", async () => {
    const person = await makePerson(gate);
    const answer = (out) => {
      const seed = out.match(/^([A-Z2-7]{32})$/m)?.[1];
      if (seed === undefined || person.seed !== undefined) return undefined;
      person.seed = seed;
      secret(gate, seed);
      return codeAt(seed, gate.now);
    };
    const done = await tollgate(["session", "enrol"], { token: person.secret, input: `${person.enrolment.code}\n`, answer });
    assert.equal(done.code, 0, done.err);
    const codes = done.out.match(/^[A-Z2-7]{5}-[A-Z2-7]{5}$/gm);
    assert.equal(codes.length, 10);
    secret(gate, ...codes);
    assert.match(done.out, new RegExp(`^otpauth://totp/test:person%20${person.id}\\?secret=${person.seed}&`, "m"));
    assert.doesNotMatch(done.out, /\u2588|\u2580/, "pictures are for terminals");
    await gate.advance(STEP);
    const opened = await tollgate(["session", "open", "--code", codeAt(person.seed, gate.now)], { token: person.secret });
    assert.equal(opened.code, 0, opened.err);
    const again = await tollgate(["session", "enrol", "--enrolment-code", person.enrolment.code], { token: person.secret });
    assert.deepEqual([again.code, again.out, /^401 second_factor_invalid: /.test(again.err)], [1, "", true], again.err);
  });

  test("says each step as JSON to scripts", async () => {
    const person = await makePerson(gate);
    const answer = (out) => {
      if (!out.includes("\n") || person.seed !== undefined) return undefined;
      person.seed = JSON.parse(out.split("\n")[0]).secret;
      secret(gate, person.seed);
      return codeAt(person.seed, gate.now);
    };
    const args = ["session", "enrol", "--json", "--enrolment-code", person.enrolment.code];
    const done = await tollgate(args, { token: person.secret, answer });
    assert.equal(done.code, 0, done.err);
    const [begun, confirmed] = done.lines.map((line) => JSON.parse(line));
    assert.deepEqual(Object.keys(begun).sort(), ["otpauth_uri", "qr_svg", "secret"]);
    assert.equal(confirmed.recovery_codes.length, 10);
    secret(gate, ...confirmed.recovery_codes);
  });
});
