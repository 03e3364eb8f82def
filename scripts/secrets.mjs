// Secrets of this machine's development gate, made once. A deployed gate never sees them: its own
// are set with `wrangler secret put`.
import { randomBytes } from "node:crypto";
import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const random = (encoding) => randomBytes(32).toString(encoding);

/** Each secret of a gate with the demo's policy, and how a fresh one is made. */
const MAKE = {
  // Version and value of the key under which the secrets of API keys are hashed.
  KEY_PEPPER: () => `1:${random("base64")}`,
  // Makes the part of a key's id that proves that the gate made it.
  KEY_ID_SECRET: () => random("base64"),
  // Version and value of the key that secrets are kept under where they must be read again.
  STORE_KEY: () => `1:${random("base64")}`,
  // The first credential of the management API.
  ROOT_TOKEN: () => random("base64url"),
  // What the demo backend wants to see, and the gate alone knows.
  BILLING_TOKEN: () => random("base64url"),
};

/** Fresh secrets, for one test. */
export const freshSecrets = () => Object.fromEntries(Object.entries(MAKE).map(([name, make]) => [name, make()]));

/** Secrets in `file`, lines of NAME=value that nobody else can read; what is missing is made. */
export function keptSecrets(file) {
  mkdirSync(dirname(file), { recursive: true });
  if (!existsSync(file)) {
    writeFileSync(file, "# Secrets of the development gate. Add what your policy names: NAME=value\n", { mode: 0o600 });
  }
  chmodSync(file, 0o600);
  const secrets = Object.fromEntries(
    readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => /^\w+=/.test(line))
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1).trim()]),
  );
  for (const [name, make] of Object.entries(MAKE)) {
    if (secrets[name] !== undefined) continue;
    secrets[name] = make();
    appendFileSync(file, `${name}=${secrets[name]}\n`);
  }
  return secrets;
}
