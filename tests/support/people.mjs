// People for tests: an admin key with a second factor, its codes, and its sessions.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { atMost } from "./policy.mjs";
import { secretsOfKeys, secretsUsed } from "./run.mjs";

/** How long a code is shown, in ms. */
export const STEP = 30_000;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** The bytes of a base32 text. */
function bytesOf(base32) {
  const bits = [...base32].map((letter) => BASE32.indexOf(letter).toString(2).padStart(5, "0")).join("");
  return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
}

/** The code that an app shows at `ms` (RFC 6238). */
export function codeAt(seed, ms) {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(ms / STEP)));
  const mac = createHmac("sha1", bytesOf(seed)).update(counter).digest();
  const at = mac[19] & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** A code that none of the steps around `ms` has. */
export function wrongCode(seed, ms) {
  const near = [-2, -1, 0, 1, 2].map((step) => codeAt(seed, ms + step * STEP));
  return ["000000", "111111", "222222", "333333", "444444", "555555"].find((code) => !near.includes(code));
}

/** Notes what must be found nowhere that the gate writes: codes as they are shown and as they are kept. */
export function secret(gate, ...texts) {
  const all = texts.flatMap((text) => [text, text.replaceAll("-", "")]);
  gate.known.push(...all);
  secretsUsed(all);
}

/** An admin key with every right over keys, and the code to enrol with. */
export async function makePerson(gate, wish = {}) {
  const limits = [atMost(100_000, "1h")];
  const wanted = { kind: "ak", tenant: "acme", name: "person", scopes: ["keys:read", "keys:write", "keys:admin"], limits };
  const made = await gate.api("POST", "keys", { ...wanted, ...wish });
  assert.equal(made.status, 201, made.text);
  const { key, enrolment } = made.body;
  if (enrolment) secret(gate, enrolment.code);
  return { id: key.id, key, secret: made.body.secret, enrolment, token: { token: made.body.secret } };
}

/** Enrols a person's app at the time of the gate; their seed and recovery codes. */
export async function enrol(gate, person, code = person.enrolment.code) {
  const begun = await gate.api("POST", "session/enrol", { enrolment_code: code }, person.token);
  assert.equal(begun.status, 200, begun.text);
  person.seed = begun.body.secret;
  secret(gate, person.seed);
  const confirmed = await gate.api("POST", "session/enrol/confirm", { code: codeAt(person.seed, timeOf(gate)) }, person.token);
  assert.equal(confirmed.status, 200, confirmed.text);
  person.recovery = confirmed.body.recovery_codes;
  secret(gate, ...person.recovery);
  return person;
}

/** A person who has enrolled; on a clocked gate the next code is then shown. */
export async function enrolled(gate, wish = {}) {
  const person = await enrol(gate, await makePerson(gate, wish));
  await gate.advance?.(STEP);
  return person;
}

export const timeOf = (gate) => gate.now ?? Date.now();

/** `POST session` with the key and, unless it is told otherwise, the code of this moment. */
export async function open(gate, person, body = {}, headers = {}) {
  const wish = { kind: "console", code: codeAt(person.seed, timeOf(gate)), ...body };
  const opened = await gate.api("POST", "session", wish, { ...person.token, headers });
  secret(gate, ...secretsOfKeys(String(opened.headers["set-cookie"])));
  return opened;
}

/** Signs in with a fresh code; what a browser then sends along. */
export async function signIn(gate, person) {
  await gate.advance?.(STEP);
  const opened = await open(gate, person);
  assert.equal(opened.status, 200, opened.text);
  return cookieOf(opened);
}

/** The pair that a browser keeps of an answer. */
export const cookieOf = (answer) => answer.headers["set-cookie"][0].split(";")[0];

/** How the console's own page calls: with the cookie, and saying where it comes from. */
export const asPage = (gate, cookie, headers = {}) => ({
  token: null,
  headers: { Cookie: cookie, Origin: new URL(gate.admin()).origin, "Sec-Fetch-Site": "same-origin", ...headers },
});

/** A key that a call from there may make. */
export const make = (gate, by) => gate.api("POST", "keys", { tenant: "acme", kind: "sk", name: "made" }, by);

