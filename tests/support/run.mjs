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
  [...text.matchAll(/\b[a-z0-9]+_(?:dev|prod)_(?:pk|sk|rk|ak)_[0-9A-Za-z]{16}_?([0-9A-Za-z]{38})\b/g)].map((m) => m[1]);

/** The secrets noted in the run whose folder is given. */
export function secretsOfRun(run) {
  try {
    return readFileSync(join(run, "secrets"), "utf8").split("\n").filter(Boolean);
  } catch {
    return [];
  }
}
