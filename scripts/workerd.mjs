// One workerd process: started, ready when it listens, stopped by its own process id.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { workerd } from "./paths.mjs";
import { Mend } from "./report.mjs";

/** How long a process that was asked to stop may finish what it is doing, in ms. */
const STOP_WITHIN = 1_000;

/**
 * Starts `workerd serve` with a configuration and resolves once all its sockets listen.
 *
 * @param {string} config
 * @param {Record<string, string>} secrets environment of the process, besides PATH
 * @param {number} sockets how many sockets the configuration has
 * @param {(chunk: Buffer) => void} onOutput what it prints, log lines of the gate included
 * @param {{detached?: boolean, flags?: string[], log?: number}} [options] detached: in a group of its own,
 *   so that Ctrl-C reaches the script alone, which then stops workerd in order; flags: more of `workerd
 *   serve`; log: a file that takes what it prints on standard output, in the place of `onOutput`
 * @returns {Promise<Workerd>}
 */
export async function serve(config, secrets, sockets, onOutput, { detached = false, flags = [], log } = {}) {
  const { binary } = workerd();
  const args = ["serve", "--control-fd=3", ...flags, config];
  const child = spawn(binary, args, {
    detached,
    env: { PATH: process.env.PATH, ...secrets },
    stdio: ["ignore", log ?? "pipe", "pipe", "pipe"],
  });
  const process_ = new Workerd(child);
  let said = "";
  const take = (chunk) => {
    if (said.length < 10_000) said += chunk;
    onOutput(chunk);
  };
  child.stdout?.on("data", take);
  child.stderr.on("data", take);

  const died = process_.ended.then(() => {
    throw new Mend(`workerd stopped at once: ${said.trim()}`, "see its message");
  });
  await Promise.race([listening(child.stdio[3], sockets, process_.ports), died]);
  died.catch(() => {});
  return process_;
}

/** A running workerd. */
export class Workerd {
  /** Port of each socket by its name. */
  ports = {};
  constructor(child) {
    this.child = child;
    this.pid = child.pid;
    this.ended = once(child, "exit").then(([code, signal]) => ({ code, signal }));
  }

  get running() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Lets this process end although workerd still runs. */
  unref() {
    this.child.unref();
    for (const stream of this.child.stdio) stream?.unref();
  }

  /** Asks it to finish, and ends it when it does not in time. */
  async stop() {
    if (!this.running) return;
    this.child.ref();
    this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), STOP_WITHIN);
    await this.ended;
    clearTimeout(timer);
  }

  /** Ends it in the middle of whatever it is doing, as a power cut would. */
  async kill() {
    this.child.ref();
    if (this.running) this.child.kill("SIGKILL");
    await this.ended;
  }
}

/** workerd writes one JSON line for each socket that it listens on. */
async function listening(control, sockets, ports) {
  let rest = "";
  for await (const chunk of control) {
    rest += chunk;
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines.filter(Boolean)) {
      const { event, socket, port } = JSON.parse(line);
      if (event === "listen") ports[socket] = port;
    }
    if (Object.keys(ports).length >= sockets) return;
  }
}
