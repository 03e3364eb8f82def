// A gate of one test's own: workerd with the built Worker, fresh state, a policy and secrets.
//
//   const gate = await startGate({ policy: `version = 1 …` });
//   const { body } = await gate.api("POST", "keys", { … });
//   const answer = await gate.request({ path: "/v1/invoices/1", headers: { "X-Api-Key": body.secret } });
//   await gate.stop();
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { buildPolicy } from "../../scripts/build.mjs";
import { findLeaks } from "../../scripts/leaks.mjs";
import { policyFile } from "../../scripts/paths.mjs";
import { freshSecrets } from "../../scripts/secrets.mjs";
import { writeConfig } from "../../scripts/workerd-config.mjs";
import { serve } from "../../scripts/workerd.mjs";
import { open, raw, request } from "./request.mjs";
import { logFile, secretsOfKeys, secretsUsed } from "./run.mjs";

/** Gates that are up: a test file that ends without stopping them leaves nothing behind. */
const up = new Set();
process.on("exit", () => up.forEach((gate) => gate.process.child.kill("SIGKILL")));

/** The demo's policy, with its backend at another place. */
export const demoPolicy = (backend) =>
  readFileSync(policyFile, "utf8").replaceAll("127.0.0.1:9090", `127.0.0.1:${backend.port}`);

/**
 * Starts a gate.
 *
 * @param {object} options
 * @param {string} options.policy text of its tollgate.toml; it must be good
 * @param {string} [options.environment] value of ENVIRONMENT; null leaves it out
 * @param {Record<string, string | null>} [options.secrets] besides the usual ones; null leaves one out
 * @param {object | string} [options.module] a policy module to deploy as it is, instead of `policy`
 * @param {string} [options.name] of its log
 * @param {string} [options.worker] path of another Worker to run on the same platform
 * @param {number} [options.edges] further isolates of the same Worker, which share its objects: `gate.edges`
 * @returns {Promise<Gate>}
 */
export async function startGate(options) {
  const gate = new Gate(options);
  try {
    await gate.start();
  } catch (error) {
    rmSync(gate.folder, { recursive: true, force: true });
    throw error;
  }
  return gate;
}

class Gate {
  constructor({ policy, environment = "dev", secrets = {}, module, name = "gate", worker, edges = 0 }) {
    this.folder = mkdtempSync(join(tmpdir(), "tollgate-gate-"));
    this.state = join(this.folder, "state");
    this.log = logFile(name);
    this.environment = environment;
    this.secrets = Object.fromEntries(
      Object.entries({ ...freshSecrets(), ...secrets }).filter(([, value]) => value !== null),
    );
    this.known = Object.values(this.secrets).flatMap((value) => [value, value.replace(/^\d+:/, "")]);
    secretsUsed(this.known);
    this.port = 0;
    this.policy = policy;
    this.module = module;
    this.worker = worker;
    /** Its further isolates, each with the port that it listens on. */
    this.edges = Array.from({ length: edges }, (_, i) => new Edge(this, `edge${i + 1}`));
    writeFileSync(this.log, "");
    mkdirSync(this.state);
    mkdirSync(join(this.folder, "overlay"));
  }

  /** Starts it, or starts it again on the state and port it had. */
  async start() {
    const at = (name) => join(this.folder, name);
    if (this.module === undefined) {
      writeFileSync(at("tollgate.toml"), this.policy);
      await buildPolicy(at("tollgate.toml"), at("policy.json"));
    } else {
      writeFileSync(at("policy.json"), typeof this.module === "string" ? this.module : JSON.stringify(this.module));
    }
    writeConfig(at("workerd.capnp"), {
      sockets: [
        { name: "http", address: `127.0.0.1:${this.port}` },
        ...this.edges.map(({ name, port }) => ({ name, address: `127.0.0.1:${port}`, service: name })),
      ],
      edges: this.edges.length,
      state: this.state,
      overlay: at("overlay"),
      policy: at("policy.json"),
      vars: this.environment === null ? {} : { ENVIRONMENT: this.environment },
      secrets: Object.keys(this.secrets),
      worker: this.worker,
    });
    const sockets = 1 + this.edges.length;
    this.process = await serve(at("workerd.capnp"), this.secrets, sockets, (chunk) => appendFileSync(this.log, chunk));
    // A test that fails before it stops its gate must not hang.
    this.process.unref();
    this.port = this.process.ports.http;
    for (const edge of this.edges) edge.port = this.process.ports[edge.name];
    this.agent = new Agent({ keepAlive: true, maxSockets: Infinity });
    up.add(this);
  }

  /** Address on the API's host, for a browser. */
  url = (path = "/") => `http://localhost:${this.port}${path}`;
  /** Address on the admin host, for a browser. */
  admin = (path = "/") => `http://gate.localhost:${this.port}${path}`;
  get adminHost() {
    return `gate.localhost:${this.port}`;
  }

  /** One request to the API's host unless `host` says otherwise; the whole answer. */
  request = (options) => request({ port: this.port, agent: this.agent, ...options });
  /** The same; resolves with the head, the body still to be read. */
  open = (options) => open({ port: this.port, agent: this.agent, ...options });
  /** Bytes as they are, on a connection of their own. */
  raw = (bytes, options) => raw(this.port, bytes, options);

  /** One management call, by root unless `token` is another credential. */
  async api(method, path, body, { token = this.secrets.ROOT_TOKEN, headers = {} } = {}) {
    const answer = await this.request({
      host: this.adminHost,
      method,
      path: `/_tollgate/v1/${path}`,
      headers: {
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
    });
    const secrets = secretsOfKeys(answer.text);
    this.known.push(...secrets);
    secretsUsed(secrets);
    return { ...answer, body: parsed(answer.text) };
  }

  /** What it has printed so far; log lines of requests are the JSON ones among it. */
  get output() {
    return readFileSync(this.log, "utf8");
  }
  get logLines() {
    return this.output.split("\n").map(parsed).filter((line) => line !== null && typeof line === "object");
  }

  /** The first log line that `test` takes, waited for: workerd prints a little after it answers. */
  async logged(test, { within = 2_000 } = {}) {
    for (const end = performance.now() + within; performance.now() < end; await sleep(10)) {
      const line = this.logLines.find(test);
      if (line) return line;
    }
    throw new Error(`no such log line within ${within} ms; the log says:\n${this.output}`);
  }

  /** Stops it in the middle of everything, without a word to it. State stays. */
  async kill() {
    this.agent.destroy();
    await this.process.kill();
    up.delete(this);
  }

  /** Stops it in order and starts it again, with another policy when one is given. State stays. */
  async restart({ policy = this.policy } = {}) {
    this.policy = policy;
    this.agent.destroy();
    await this.process.stop();
    await this.start();
  }

  /** Ends it for good, sees that no secret is in its log or on its disk, and removes its state. */
  async stop() {
    this.agent.destroy();
    await this.process.stop();
    up.delete(this);
    const leaks = findLeaks([this.log, this.state], this.known);
    rmSync(this.folder, { recursive: true, force: true });
    if (leaks.length > 0) throw new Error(`secrets were written down:\n${leaks.join("\n")}`);
  }
}

/** One more isolate of a gate. */
class Edge {
  port = 0;
  constructor(gate, name) {
    this.gate = gate;
    this.name = name;
  }
  request = (options) => request({ port: this.port, agent: this.gate.agent, ...options });
  open = (options) => open({ port: this.port, agent: this.gate.agent, ...options });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
