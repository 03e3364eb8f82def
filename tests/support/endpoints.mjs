// Endpoints for tests: made through the management API, and a receiver that verifies what it gets with
// other people's libraries.
import assert from "node:assert/strict";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { reply } from "./backend.mjs";
import { secretsUsed } from "./run.mjs";

/** The headers of an event as an endpoint gets it, and nothing more. */
export const EVENT_HEADERS = [
  "content-length", "content-type", "host", "user-agent", "webhook-id", "webhook-signature", "webhook-timestamp",
];

/** Makes an endpoint: `{ id, secret, endpoint }`. */
export async function makeEndpoint(gate, wish, options) {
  const made = await gate.api("POST", "hooks/endpoints", { tenant: "acme", ...wish }, options);
  assert.equal(made.status, 201, made.text);
  const { endpoint, secret } = made.body;
  known(gate, secret);
  return { id: endpoint.id, endpoint, secret };
}

/** A secret that may stand nowhere from now on. */
export function known(gate, secret) {
  const bare = secret.replace("whsec_", "");
  gate.known.push(bare);
  secretsUsed([bare]);
}

/** The event that a request brought, verified with this secret by `standardwebhooks` and by `svix`, at `now`. */
export function verified(seen, secret, now = Date.now()) {
  // Those of Svix as a provider are not the gate's, and its library would look at them first.
  const own = seen.pairs.map(([name, value]) => [name.toLowerCase(), value]).filter(([name]) => name.startsWith("webhook-"));
  const headers = Object.fromEntries(own);
  const real = Date.now;
  Date.now = () => now;
  try {
    const event = new StandardWebhook(secret).verify(seen.body, headers);
    // It throws, or it says nothing.
    new SvixWebhook(secret).verify(seen.body, headers);
    return event;
  } finally {
    Date.now = real;
  }
}

/** True when this secret verifies it. */
export function verifies(seen, secret, now) {
  try {
    verified(seen, secret, now);
    return true;
  } catch {
    return false;
  }
}

/** A backend answers everything so from now on. */
export const answering = (backend, status, headers = {}, body = "") => {
  backend.answer = (_, response) => reply(response, status, body, headers);
};

/** The deliveries of an endpoint, the newest first. */
export async function deliveriesOf(gate, { id }, query = "tenant=acme", options) {
  const answer = await gate.api("GET", `hooks/endpoints/${id}/deliveries?${query}`, undefined, options);
  assert.equal(answer.status, 200, answer.text);
  return answer.body.deliveries;
}
