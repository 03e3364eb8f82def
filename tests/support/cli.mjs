// The command `tollgate`, as a script runs it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cli } from "../../scripts/paths.mjs";
import { secretsOfKeys, secretsUsed } from "./run.mjs";

/** The gate and its root token, as the command finds them in its environment. */
export const environmentOf = (gate) => ({
  TOLLGATE_URL: `http://${gate.adminHost}`,
  TOLLGATE_TOKEN: gate.secrets.ROOT_TOKEN,
});

/**
 * Runs the command with nothing of this process's environment but `env`. Secrets of keys that it prints are noted,
 * so that they are found wherever else they stand.
 *
 * @param {object} gate
 * @param {string[]} args
 * @param {{input?: string, env?: Record<string, string>}} [options] env: besides the gate and its root token
 * @returns {Promise<{code: number, out: string, err: string, json: any}>}
 */
export async function runCli(gate, args, { input = "", env = {} } = {}) {
  const child = spawn(cli, args, { env: { ...environmentOf(gate), ...env }, stdio: ["pipe", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk) => (out += chunk));
  child.stderr.on("data", (chunk) => (err += chunk));
  child.stdin.on("error", () => {}); // it need not read it
  child.stdin.end(input);
  const [code] = await once(child, "close");
  const secrets = secretsOfKeys(out);
  gate.known.push(...secrets);
  secretsUsed(secrets);
  return {
    code, out, err,
    get json() {
      return JSON.parse(out);
    },
  };
}

/** Runs the command without a gate. */
export const offline = (args, options) => runCli({ adminHost: "unused.localhost", secrets: { ROOT_TOKEN: "unused" }, known: [] }, args, options);
