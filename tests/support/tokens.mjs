// Tokens for tests, from the token endpoint as anybody fetches them.
import assert from "node:assert/strict";
import { bearer } from "./keys.mjs";
import { secretsUsed } from "./run.mjs";

export const TOKEN = "/_tollgate/token";
export const FORM = "application/x-www-form-urlencoded";

/** The two halves of a key that OAuth calls client id and client secret. */
export function halves(secret) {
  const at = secret.lastIndexOf("_");
  return { client_id: secret.slice(0, at), client_secret: secret.slice(at + 1) };
}

/** HTTP Basic, each half encoded as in a form (RFC 6749 section 2.3.1). */
export function basic(secret) {
  const { client_id: id, client_secret: password } = halves(secret);
  const encode = (text) => encodeURIComponent(text).replaceAll("_", "%5F");
  return { Authorization: `Basic ${Buffer.from(`${encode(id)}:${encode(password)}`).toString("base64")}` };
}

/** One request to the token endpoint with these form fields, by Basic where a key is given. */
export async function askToken(gate, { key, fields = {}, headers = {}, body, method = "POST", host } = {}) {
  const form = new URLSearchParams({ grant_type: "client_credentials", ...fields });
  const answer = await gate.request({
    ...(host === undefined ? {} : { host }),
    method,
    path: TOKEN,
    headers: { "Content-Type": FORM, ...(key ? basic(key.secret) : {}), ...headers },
    body: body ?? form.toString(),
  });
  const token = answer.status === 200 ? answer.json.access_token : "";
  // What of it nobody can guess: claims and MAC.
  noted(gate, token);
  return answer;
}

/** A token of this key; `scope` as OAuth writes it. */
export async function trade(gate, key, scope) {
  const answer = await askToken(gate, { key, fields: scope === undefined ? {} : { scope } });
  assert.equal(answer.status, 200, answer.text);
  return { ...answer.json, text: answer.json.access_token, bearer: bearer(answer.json.access_token) };
}

/** No log and no file of the run may hold this token. */
export function noted(gate, token) {
  const secret = token.slice(token.lastIndexOf("_") + 1);
  if (secret === "") return;
  gate.known.push(secret);
  secretsUsed([secret]);
}
