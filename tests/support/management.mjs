// The gate that the tests of the management API share.
import { startBackend } from "./backend.mjs";
import { STAMP } from "./expect.mjs";
import { startGate } from "./gate.mjs";
import { makeKey } from "./keys.mjs";
import { atMost, testPolicy } from "./policy.mjs";

/** Every right over keys. */
export const WHOLE = ["keys:read", "keys:write", "keys:admin"];
/** An address list that lets the tests in, without which an admin key that writes needs a second factor. */
const HERE = { addresses: ["127.0.0.0/8"] };
/** The headers of an answer of the gate's own, as JSON. */
export const OK = {
  ...STAMP, "content-type": "application/json", "content-length": /^\d+$/, "x-content-type-options": "nosniff", "cache-control": "no-store",
};

/** Starts it, with more options of startGate. `admin` makes an admin key with every right, unless the wish says otherwise. */
export async function startManagement(name, options = {}) {
  const backend = await startBackend();
  const gate = await startGate({
    policy: testPolicy({
      backend,
      gate: { max_key_lifetime: "730d" },
      routes: [
        { name: "plain", path: "/plain" },
        { name: "thing", path: "/things/{id}", methods: ["GET", "POST"], scopes: ["things:read:{id}"], origins: ["https://app.example.com"] },
      ],
    }),
    name,
    ...options,
  });
  return {
    backend, gate,
    api: (...args) => gate.api(...args),
    create: (wish, options) => gate.api("POST", "keys", { tenant: "acme", kind: "sk", name: "test", ...wish }, options),
    admin: (wish = {}) => makeKey(gate, { kind: "ak", scopes: WHOLE, limits: [atMost(100_000, "1h")], ...HERE, ...wish }),
    async stop() {
      await gate.stop();
      await backend.stop();
    },
  };
}

/** The caller of a call. */
export const by = (key) => ({ token: key.secret });
