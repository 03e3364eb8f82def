// Webhooks as their providers send them, and waiting for what becomes of them.
import { createHmac, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const hmac = (key, ...parts) => {
  const mac = createHmac("sha256", key);
  for (const part of parts) mac.update(part);
  return mac;
};

/** A secret of Standard Webhooks. */
export const whsec = () => `whsec_${randomBytes(32).toString("base64")}`;

/** The headers that a provider sends with a body: by scheme, its secret and the time in ms. */
export const SIGN = {
  stripe: (secret, body, at) => {
    const t = Math.floor(at / 1000);
    return { "Stripe-Signature": `t=${t},v1=${hmac(secret, `${t}.`, body).digest("hex")}` };
  },
  github: (secret, body, at, id = randomBytes(8).toString("hex")) => ({
    "X-Hub-Signature-256": `sha256=${hmac(secret, body).digest("hex")}`,
    "X-GitHub-Delivery": id,
  }),
  "lemon-squeezy": (secret, body) => ({ "X-Signature": hmac(secret, body).digest("hex") }),
  slack: (secret, body, at) => {
    const t = Math.floor(at / 1000);
    return { "X-Slack-Request-Timestamp": String(t), "X-Slack-Signature": `v0=${hmac(secret, `v0:${t}:`, body).digest("hex")}` };
  },
  xero: (secret, body) => ({ "x-xero-signature": hmac(secret, body).digest("base64") }),
  square: (secret, body, at, url) => ({ "x-square-hmacsha256-signature": hmac(secret, url, body).digest("base64") }),
  dropbox: (secret, body) => ({ "X-Dropbox-Signature": hmac(secret, body).digest("hex") }),
  "standard-webhooks": (secret, body, at, id = `msg_${randomBytes(8).toString("hex")}`) => {
    const t = String(Math.floor(at / 1000));
    const key = Buffer.from(secret.slice("whsec_".length), "base64");
    return { "webhook-id": id, "webhook-timestamp": t, "webhook-signature": `v1,${hmac(key, `${id}.${t}.`, body).digest("base64")}` };
  },
};

/** One webhook of a source to a gate. `more`: further headers; `args`: what the scheme takes besides. */
export const post = (gate, { path, scheme, secret, body, at = gate.now ?? Date.now(), args = [], more = {}, query = "" }) =>
  gate.request({
    method: "POST",
    path: path + query,
    headers: { "Content-Type": "application/json", ...SIGN[scheme](secret, body, at, ...args), ...more },
    body,
  });

/** Waits until `test` gives something, and gives that. */
export async function until(test, what, within = 10_000) {
  for (const end = performance.now() + within; performance.now() < end; await sleep(5)) {
    const found = await test();
    if (found) return found;
  }
  throw new Error(`${what}: not within ${within} ms`);
}

/** Waits until a backend has seen `count` requests. */
export const arrived = (backend, count, within) =>
  until(() => backend.requests.filter(({ whole }) => whole).length >= count, `${count} requests at the backend`, within);
