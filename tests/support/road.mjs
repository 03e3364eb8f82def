// The gate that the tests of the road share: one route of each sort, a secret key and a page's key.
import { reply, startBackend } from "./backend.mjs";
import { startGate } from "./gate.mjs";
import { makeKey } from "./keys.mjs";
import { atMost, testPolicy } from "./policy.mjs";

export const APP = "https://app.example.com";
export const OTHER = "https://other.example.com";
/** What every page may read. */
export const EXPOSED =
  "RateLimit, RateLimit-Policy, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id, " +
  "Retry-After, Idempotency-Replayed, Deprecation, Sunset, Link, WWW-Authenticate";

const ROUTES = [
  { name: "read", path: "/v1/invoices/{id}", methods: ["GET", "HEAD"], scopes: ["invoices:read"],
    rewrite: "/invoices/{id}", origins: [APP, "https://*.example.org"], cors: { expose: ["x-total"] } },
  { name: "write", path: "/v1/invoices", methods: ["POST"], scopes: ["invoices:write"], body_limit: "1KiB",
    origins: [APP], cors: { headers: ["content-type"] } },
  { name: "account", path: "/v1/accounts/{id}", scopes: ["accounts:read:{id}"] },
  { name: "any", path: "/v1/any", any_scopes: ["a:read", "b:read"] },
  { name: "plain", path: "/v1/plain" },
  { name: "by-keys", path: "/v1/by-keys", origins: "keys" },
  { name: "site", path: "/v1/site", auth: "origin", origins: [APP], limits: ["visitor"] },
  { name: "open", path: "/v1/open", auth: "public", origins: ["*"] },
  { name: "tail", path: "/v1/files/{*path}", auth: "public", rewrite: "/files/{*path}" },
  { name: "tight", path: "/v1/tight", limits: ["tight"], origins: [APP] },
  { name: "channel", path: "/v1/channels/{channel}", methods: ["POST"], limits: ["channel"] },
  { name: "old", path: "/v1/old", auth: "public",
    deprecated: { since: "2026-06-01", sunset: "2027-06-01", link: "https://docs.example.com/v2" } },
  { name: "mock", path: "/v1/mock", auth: "public",
    mock: { status: 418, content_type: "text/plain", body: "short and stout" } },
  { name: "own-auth", path: "/v1/own-auth", passthrough: ["authorization"] },
  { name: "shadowed", path: "/v1/shadowed", scopes: ["nobody:has"], limits: ["tight"],
    shadow: { checks: ["scope", "limits", "addresses"], until: tomorrow() } },
];
const LIMITS = {
  visitor: { rate: { requests: 3, window: "1h" }, by: "address" },
  tight: { rate: { requests: 2, window: "1h" } },
  channel: { rate: { requests: 1, window: "1h" }, by: "key+param:channel" },
};
/** Far more than a test sends with one key. */
export const AMPLE = [atMost(1000, "24h")];


/** A day from now: checks may be in shadow for thirty at most. */
function tomorrow() {
  return new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
}

/**
 * Starts it.
 *
 * @returns {Promise<{gate, backend, server, page, base: string, get: Function, stop: Function}>} `server`
 *   and `page`: two keys
 */
export async function startRoad(name) {
  const backend = await startBackend({
    answer: (seen, response) =>
      reply(response, 200, JSON.stringify({ url: seen.url }), { "Content-Type": "application/json", "X-Total": "3" }),
  });
  const gate = await startGate({ policy: testPolicy({ backend, routes: ROUTES, limits: LIMITS }), name });
  const server = await makeKey(gate, { scopes: ["invoices:read", "invoices:write"], limits: AMPLE });
  const page = await makeKey(gate, {
    kind: "pk", scopes: ["invoices:read"], origins: [APP],
    limits: [...AMPLE, { name: "visitor", requests: 500, window: "24h", by: "key+address" }],
  });
  return {
    gate, backend, server, page,
    base: `http://localhost:${gate.port}`,
    get: (path, headers = {}, more = {}) => gate.request({ path, headers, ...more }),
    async stop() {
      await gate.stop();
      await backend.stop();
    },
  };
}

/** What is told of the limit of `server`, which varies. */
export const RATE = {
  "ratelimit-policy": /^"default";q=1000;w=86400$/,
  ratelimit: /^"default";r=\d+;t=\d+$/,
  "x-ratelimit-limit": "1000",
  "x-ratelimit-remaining": /^\d+$/,
  "x-ratelimit-reset": /^\d+$/,
};
/** What the backend says, with what Node's server adds and is let pass. */
export const BACKENDS = { "content-type": "application/json", "content-length": /^\d+$/, date: /GMT$/, "x-total": "3" };
/** The leave to read of the route `read`. */
export const GRANT = {
  "access-control-allow-origin": APP,
  "access-control-expose-headers": `${EXPOSED}, x-total`,
  vary: "Origin",
};
