// What one run of the tests leaves: logs of every gate, and the secrets that must not be in them.
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

let chosen;

/** Folder of this run: `npm test` gives all its test files the same one, a file run alone makes its
 * own, which is kept when a test failed. */
function folder() {
  if (chosen === undefined) {
    const given = process.env.TOLLGATE_TEST_RUN;
    chosen = given ?? mkdtempSync(join(tmpdir(), "tollgate-tests-"));
    mkdirSync(join(chosen, "logs"), { recursive: true });
    if (!given) process.on("exit", (code) => code === 0 && rmSync(chosen, { recursive: true, force: true }));
  }
  return chosen;
}

let made = 0;

/** Where the gate shows a secret on purpose, once: these members of the answers to these calls. */
const SHOWN = {
  "POST /_tollgate/v1/keys": ["secret", "code"],
  "POST /_tollgate/v1/keys/*/rotate": ["secret", "code"],
  "POST /_tollgate/v1/keys/*/enrolment": ["code"],
  "POST /_tollgate/v1/hooks/endpoints": ["secret"],
  "POST /_tollgate/v1/hooks/endpoints/*/rotate": ["secret"],
  "POST /_tollgate/v1/session": ["token"],
  "POST /_tollgate/v1/session/enrol": ["secret", "otpauth_uri", "qr_svg"],
  "POST /_tollgate/v1/session/enrol/confirm": ["recovery_codes"],
  "POST /_tollgate/token": ["access_token"],
  // The demo's publishable key, for every browser to see.
  "GET /_tollgate/demo/settings.json": ["key"],
  // A key that never was.
  "GET /_tollgate/key-pattern.json": ["example"],
};

/** Keeps what the gate says of its own for the search through everything that it said. What it shows on
 * purpose is taken out, so that the same anywhere else is found. What a backend says is its own business. */
export function answered(method, path, { status, pairs, text }) {
  const type = pairs.find(([name]) => name.toLowerCase() === "content-type")?.[1] ?? "";
  const own = path.startsWith("/_tollgate/") || type.startsWith("application/problem+json");
  if (!own || text.length > 256 * 1024) return;
  const call = `${method} ${path.split("?")[0].replace(/(?<=\/(?:keys|endpoints)\/)[^/]+(?=\/)/, "*")}`;
  const shown = status < 300 ? (SHOWN[call] ?? []) : [];
  const head = pairs.filter(([name]) => shown.length === 0 || name.toLowerCase() !== "set-cookie");
  const file = join(folder(), "logs", `answers-${process.pid}.txt`);
  // The path is what the test said: some tests put keys into it.
  appendFileSync(file, `${method} ${status} ${JSON.stringify(head)}\n${hidden(text, shown)}\n`);
}

/** A JSON text without the members of these names. */
function hidden(text, names) {
  if (names.length === 0) return text;
  try {
    return JSON.stringify(JSON.parse(text), (name, value) => (names.includes(name) ? "[shown once]" : value));
  } catch {
    return text;
  }
}

/** A fresh file for the output of one gate. */
export function logFile(name) {
  made += 1;
  return join(folder(), "logs", `${name}-${process.pid}-${made}.log`);
}

/** Notes secrets that no output of the run may contain. */
export function secretsUsed(values) {
  for (const value of values) appendFileSync(join(folder(), "secrets"), `${value}\n`, { mode: 0o600 });
}

/** The secret parts of all gate keys in a text: `{brand}_{env}_{kind}_{id}{secret}{check}`. */
export const secretsOfKeys = (text) =>
  [...text.matchAll(/\b[a-z0-9]+_(?:dev|prod)_(?:pk|sk|rk|ak|ss)_[0-9A-Za-z]{16}_?([0-9A-Za-z]{38})\b/g)].map((m) => m[1]);

/** The secrets noted in the run whose folder is given. */
export function secretsOfRun(run) {
  try {
    return readFileSync(join(run, "secrets"), "utf8").split("\n").filter(Boolean);
  } catch {
    return [];
  }
}
