// Keys for tests: made through the management API as anybody makes them, and forged as a stranger
// would forge them.
import assert from "node:assert/strict";

/**
 * Makes a key.
 *
 * @returns {Promise<{id: string, secret: string, key: object, bearer: {Authorization: string}}>}
 *   `secret` is the whole key as its holder keeps it.
 */
export async function makeKey(gate, wish = {}, options = {}) {
  const body = { tenant: "acme", kind: "sk", name: "test", ...wish };
  const made = await gate.api("POST", "keys", body, options);
  assert.equal(made.status, 201, made.text);
  return holder(made.body);
}

/** What the answer to a create or a rotate gives its caller. */
export const holder = ({ key, secret }) => ({ id: key.id, secret, key, bearer: bearer(secret) });

export const bearer = (secret) => ({ Authorization: `Bearer ${secret}` });

/** `POST keys/{id}/{action}`, which has to succeed; the body of its answer. */
export async function act(gate, key, action, body, options = {}) {
  const done = await gate.api("POST", `keys/${key.id}/${action}`, body, options);
  assert.equal(done.status, action === "rotate" ? 201 : 200, `${action}: ${done.text}`);
  return done.body;
}

/** `PATCH keys/{id}` on the version that is there now; the key after it. */
export async function change(gate, key, fields) {
  const { version } = (await gate.api("GET", `keys/${key.id}`)).body.key;
  const done = await gate.api("PATCH", `keys/${key.id}`, { version, ...fields });
  assert.equal(done.status, 200, done.text);
  return done.body.key;
}

const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** CRC-32 as in gzip. (Node has one only since 20.15.) */
function crc32(text) {
  let crc = ~0;
  for (const byte of Buffer.from(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** The six characters at the end of a key, made of all before them. */
export function checkOf(body) {
  let value = crc32(body);
  let digits = "";
  for (let i = 0; i < 6; i += 1) {
    digits = BASE62[value % 62] + digits;
    value = Math.floor(value / 62);
  }
  return digits;
}

/** A text of the right form and with the right check, whatever its parts are. */
export function forged({ brand = "tg", env = "dev", kind = "sk", id, secret }) {
  const body = `${brand}_${env}_${kind}_${id}_${secret}`;
  return body + checkOf(body);
}

/** The parts of a key. */
export function partsOf(text) {
  const [brand, env, kind, id, rest] = text.split("_");
  return { brand, env, kind, id, secret: rest.slice(0, 32) };
}

/** Characters as ids and secrets are made of. */
export const base62 = (random, length) => Array.from({ length }, () => BASE62[random.below(62)]).join("");
