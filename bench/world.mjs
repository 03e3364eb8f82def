// What a measurement runs in: the backend and the load, each a process of its own, one workerd with the
// sides on it, and keys for them.
import { fork } from "node:child_process";
import { randomBytes, subtle } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { buildPolicy } from "../scripts/build.mjs";
import { at } from "../scripts/paths.mjs";
import { freshSecrets } from "../scripts/secrets.mjs";
import { serve } from "../scripts/workerd.mjs";
import { bundlePeers, configure } from "./config.mjs";
import { KINDS, SIDES } from "./sides.mjs";

const up = new Set();
process.on("exit", () => up.forEach((end) => end()));

/** Processes and files that measurements share; `open` starts a workerd among them. */
export class World {
  secrets = freshSecrets();
  marker = `from-the-backend-${randomBytes(6).toString("hex")}`;

  static async make() {
    const world = new World();
    world.folder = mkdtempSync(join(tmpdir(), "tollgate-bench-"));
    world.log = join(world.folder, "workerd.log");
    world.onExit = () => rmSync(world.folder, { recursive: true, force: true });
    up.add(world.onExit);
    const backend = child("backend.mjs", { BILLING_TOKEN: world.secrets.BILLING_TOKEN, MARKER: world.marker });
    const [{ port }] = await once(backend, "message");
    world.origin = `http://127.0.0.1:${port}`;
    world.load = child("load.mjs", {});
    world.children = [backend, world.load];
    world.pids = world.children.map(({ pid }) => pid);
    await bundlePeers(join(world.folder, "peers.bundled"));
    const policy = readFileSync(at("bench/policy.toml"), "utf8").replace("BACKEND", world.origin);
    writeFileSync(join(world.folder, "tollgate.toml"), policy);
    await buildPolicy(join(world.folder, "tollgate.toml"), join(world.folder, "policy.json"));
    return world;
  }

  /** Starts workerd with these services; the rest as `configure` and `serve` take it. */
  async open(services, { edit, flags } = {}) {
    const secrets = Object.keys(this.secrets);
    const wish = { services, backend: this.origin, secrets, edit };
    const { file, sockets } = configure(this.folder, wish);
    // A file costs workerd what a log costs; a pipe would keep a third process busy for every line.
    const log = openSync(this.log, "a");
    const workerd = await serve(file, this.secrets, sockets, () => {}, { flags, log });
    closeSync(log);
    const end = () => workerd.child.kill("SIGKILL");
    up.add(end);
    workerd.ended.then(() => up.delete(end));
    return workerd;
  }

  /** Sends `count` requests of a case; rejects when one answer was not the expected one. */
  async send(ready, count, connections) {
    const { port, request, status, marker } = ready;
    this.load.send({ port, request, count, connections, status, marker });
    const [answer] = await once(this.load, "message");
    if (answer.wrong !== undefined) throw new Error(`${ready.name}: ${answer.wrong}`);
    return answer;
  }

  /** Forgets the log lines that there are. */
  clearLog() {
    truncateSync(this.log);
  }

  /** The log lines since then. */
  logLines = () => readFileSync(this.log, "utf8").split("\n").filter((text) => text.startsWith('{"time"'));

  close() {
    for (const process_ of this.children) process_.disconnect();
    this.onExit();
    up.delete(this.onExit);
  }
}

function child(name, env) {
  return fork(at("bench", name), { env: { PATH: process.env.PATH, ...env } });
}

/** The services that cases need. */
export function servicesOf(cases) {
  const sockets = cases.map(({ side }) => SIDES[side].socket);
  return [...new Set(sockets.map((socket) => (socket === "http" ? "gate" : socket)))];
}

/**
 * Keys for the cases, and of each case the bytes that go over the line.
 *
 * @returns {Promise<{ready: object[], skipped: {name: string, reason: string}[]}>}
 */
export async function prepare(world, workerd, cases) {
  const holders = new Set(cases.map(({ side }) => SIDES[side].keys));
  const keys = {};
  const refused = {};
  for (const holder of holders) {
    try {
      keys[holder] = await makeKeys(holder, world, workerd);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refused[holder] = error.message;
    }
  }
  const [can, cannot] = [cases.filter((c) => keys[SIDES[c.side].keys]), cases.filter((c) => refused[SIDES[c.side].keys])];
  const skipped = cannot.map(({ name, side }) => ({ name, reason: refused[SIDES[side].keys] }));
  return { ready: can.map((c) => readyCase(world, workerd, c, keys[SIDES[c.side].keys])), skipped };
}

function readyCase(world, workerd, { name, side, kind }, keys) {
  const { socket } = SIDES[side];
  const { status, marker = world.marker, origin } = KINDS[kind];
  const key = { pass: keys.good, bad: damaged(keys.good), origin: keys.good, limit: keys.spent }[kind];
  const port = workerd.ports[socket];
  const headers = { "X-Api-Key": key, ...(origin && { Origin: origin }) };
  return { name, side, kind, port, status, marker, request: bytes(port, "/v1/invoices/42", headers) };
}

/** A request as a server's program sends it: the headers of Node's own fetch, of an SDK, and of tracing. */
export function bytes(port, path, headers = {}) {
  const lines = Object.entries({
    Host: `localhost:${port}`,
    Connection: "keep-alive",
    Accept: "application/json",
    ...headers,
    "X-Client-Version": "invoices-sdk-js/2.4.1",
    Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    Tracestate: "acme=t61rcWkgMzE",
    "Accept-Language": "*",
    "Sec-Fetch-Mode": "cors",
    "User-Agent": "invoices-sync/7.1.0 (+https://acme.example/about) node/24",
    "Accept-Encoding": "gzip, deflate",
  }).map(([name, value]) => `${name}: ${value}`);
  return [`GET ${path} HTTP/1.1`, ...lines, "", ""].join("\r\n");
}

/** The same key with another last character: its checksum is wrong. */
const damaged = (key) => key.slice(0, -1) + (key.endsWith("0") ? "1" : "0");

/** The gate does not make such keys. */
class Refused extends Error {}

const PLENTY = { requests: 1_000_000, window: "1m" };
const ONE = { requests: 1, window: "24h" };

/** A key that may, and one that has used what it had. */
async function makeKeys(holder, world, workerd) {
  if (holder === "hono") return { good: await honoKey(workerd, 1_000_000, 60_000), spent: await honoKey(workerd, 0, 86_400_000) };
  if (workerd.ports.http === undefined) {
    // The floor looks at no key; it gets one as long as the gate's.
    return { good: `tg_dev_sk_${"0".repeat(16)}_${"0".repeat(38)}`, spent: "" };
  }
  const mode = holder === "leased" ? { mode: "leased" } : {};
  const keys = { good: await gateKey(world, workerd, PLENTY, mode), spent: await gateKey(world, workerd, ONE, mode) };
  const first = { name: `${holder}/spending`, side: holder, kind: "pass" };
  await world.send(readyCase(world, workerd, first, { good: keys.spent }), 1, 1);
  return keys;
}

async function gateKey(world, workerd, limit, mode) {
  const wish = { tenant: "acme", kind: "sk", name: "bench", scopes: ["invoices:read"], ...mode };
  const { status, body } = await call(workerd.ports.http, "POST", "/_tollgate/v1/keys", {
    headers: {
      Host: `gate.localhost:${workerd.ports.http}`,
      Authorization: `Bearer ${world.secrets.ROOT_TOKEN}`,
      "Content-Type": "application/json",
    },
    body: JSON.stringify({ ...wish, limits: [{ name: "default", ...limit }] }),
  });
  if (status === 201) return body.secret;
  const told = (body.errors ?? []).map(({ field, pointer, message, detail }) => `${field ?? pointer} ${message ?? detail}`);
  const reason = `the gate makes no such key: ${status} ${body.code} ${told.join(", ") || body.detail}`;
  // Only what a gate cannot do yet is left out; a gate that is not in order is measured by nobody.
  throw mode.mode && body.code === "invalid_field" ? new Refused(reason) : new Error(reason);
}

/** A key of the Hono gate, put into KV as its console would. */
async function honoKey(workerd, requests, windowMs) {
  const key = `tg_dev_sk_${randomBytes(8).toString("hex")}_${randomBytes(19).toString("hex")}`;
  const hash = Buffer.from(await subtle.digest("SHA-256", Buffer.from(key))).toString("hex");
  const limit = { requests, windowMs };
  const record = { id: key.slice(10, 26), tenant: "acme", scopes: ["invoices:read"], expiresAt: Date.now() + 86_400_000, limit };
  const { status } = await call(workerd.ports["kv-memory"], "PUT", `/hono:${hash}`, { body: JSON.stringify(record) });
  if (status !== 200) throw new Error(`KV answered ${status}`);
  return key;
}

/** One call; the whole answer, as JSON where it is. */
export function call(port, method, path, { headers, body } = {}) {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port, method, path, headers, agent: false }, async (response) => {
      let text = "";
      for await (const chunk of response) text += chunk;
      try {
        resolve({ status: response.statusCode, body: JSON.parse(text) });
      } catch {
        resolve({ status: response.statusCode, body: { detail: text.slice(0, 500) } });
      }
    });
    request.once("error", reject);
    request.end(body);
  });
}

/** Waits until `found()` gives something. */
export async function until(found, what, within = 5_000) {
  for (const end = performance.now() + within; performance.now() < end; await sleep(10)) {
    const value = found();
    if (value) return value;
  }
  throw new Error(`${what}: not within ${within} ms`);
}
