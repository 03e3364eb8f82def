// `npm start` as an operator meets it, with everything of its own kept in a folder of the test.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { afterEach, beforeEach } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { at, policyFile } from "../scripts/paths.mjs";
import { post } from "./support/hooks.mjs";
import { request } from "./support/request.mjs";
import { secretsUsed } from "./support/run.mjs";

/** A second start takes less than this, in ms. */
const SECOND_START = 20_000;

let folder;
let ports;
const started = new Set();

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tollgate-start-"));
  copyFileSync(policyFile, join(folder, "tollgate.toml"));
  ports = await freePorts();
});
afterEach(async () => {
  for (const run of started) await run.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("starts, answers, keeps its keys, takes policy edits, and leaves nothing behind", async () => {
  const first = start();
  await first.says(/Ctrl-C stops it/);
  for (const path of [".dev/secrets.env", ".dev/demo.json"]) {
    assert.equal(statSync(join(folder, path)).mode & 0o777, 0o600, path);
  }
  const secrets = [...readFileSync(join(folder, ".dev/secrets.env"), "utf8").matchAll(/^\w+=(.+)$/gm)].map((m) => m[1]);
  secretsUsed(secrets);
  const key = first.output.match(/X-Api-Key: (\w+)/)[1];
  assert.equal((await health()).status, 200);
  assert.deepEqual(await first.stop(), { code: 0, signal: null });
  assert.match(first.output, /Stopped\./);
  await assert.rejects(health(), /ECONNREFUSED/);

  const second = start();
  await second.says(/Ctrl-C stops it/);
  assert.ok(second.ms < SECOND_START, `${second.ms} ms`);
  assert.equal(second.output.match(/X-Api-Key: (\w+)/)[1], key, "the demo's key is made once");

  const policy = join(folder, "tollgate.toml");
  const good = readFileSync(policy, "utf8");
  writeFileSync(policy, `${good}\nno_such_field = true\n`);
  await second.says(/goes on with the policy it has/);
  assert.equal((await health()).status, 200);
  writeFileSync(policy, `${good}\n# edited\n`);
  await second.says(/taken into use/);
  assert.equal((await health()).status, 200);

  // The README's source of webhooks, whose secrets are written down while the gate runs.
  const [, source] = readFileSync(at("README.md"), "utf8").match(/cat >> tollgate\.toml <<'END'\n([^]*?)\nEND\n/);
  const made = { SHOP_SECRET: randomBytes(24).toString("hex"), HOOK_SIGNING: `whsec_${randomBytes(32).toString("base64")}` };
  secretsUsed(Object.values(made));
  secrets.push(...Object.values(made));
  appendFileSync(join(folder, ".dev/secrets.env"), Object.entries(made).map(([name, value]) => `${name}=${value}\n`).join(""));
  const edits = second.output.match(/taken into use/g).length;
  appendFileSync(policy, `${source}\n`);
  await second.says(new RegExp(`(taken into use[^]*){${edits + 1}}`));
  const gate = { request: (options) => request({ port: ports.TOLLGATE_PORT, ...options }) };
  const hook = { path: "/hooks/shop", scheme: "stripe", body: '{"id":"evt_1"}' };
  assert.equal((await post(gate, { ...hook, secret: made.SHOP_SECRET })).status, 202);
  assert.equal((await post(gate, { ...hook, secret: "another" })).status, 401);
  for (const secret of secrets) assert.ok(!(first.output + second.output).includes(secret));
});

test("a taken port is said in one line with the mend", async () => {
  for (const [name, port] of Object.entries(ports)) {
    const other = createServer().listen(port, "127.0.0.1");
    await once(other, "listening");
    const run = start();
    assert.deepEqual(await run.ended, { code: 1, signal: null });
    assert.match(run.output, new RegExp(`Port ${port} is taken`));
    assert.match(run.output, new RegExp(`${name}=\\d+ npm start`));
    assert.doesNotMatch(run.output, /^\s+at /m, "no stack");
    other.close();
    await once(other, "close");
  }
});

test("missing Rust is said in one line with the mend", async () => {
  const run = start({ PATH: "/nowhere", HOME: folder });
  assert.deepEqual(await run.ended, { code: 1, signal: null });
  assert.match(run.output, /Rust is missing\.\n.*rustup\.rs/);
  assert.doesNotMatch(run.output, /^\s+at /m, "no stack");
});

function start(env = {}) {
  const began = performance.now();
  const child = spawn(process.execPath, [at("scripts/start.mjs")], {
    env: {
      ...process.env,
      ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])),
      TOLLGATE_DEV: join(folder, ".dev"),
      TOLLGATE_POLICY: join(folder, "tollgate.toml"),
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const run = {
    output: "",
    ended: once(child, "close").then(([code, signal]) => ({ code, signal })),
    async says(pattern) {
      for (let waited = 0; waited < 60_000 && !pattern.test(run.output); waited += 20) {
        if (child.exitCode !== null) throw new Error(`it ended:\n${run.output}`);
        await sleep(20);
      }
      assert.match(run.output, pattern);
      run.ms = performance.now() - began;
    },
    async stop() {
      started.delete(run);
      if (child.exitCode === null) child.kill("SIGINT");
      return run.ended;
    },
  };
  started.add(run);
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (run.output += chunk));
  return run;
}

const health = () =>
  request({ port: ports.TOLLGATE_PORT, host: `gate.localhost:${ports.TOLLGATE_PORT}`, path: "/_tollgate/health" });

async function freePorts() {
  const servers = ["TOLLGATE_PORT", "TOLLGATE_OTHER_PORT", "TOLLGATE_BACKEND_PORT"].map((name) => [
    name,
    createServer().listen(0, "127.0.0.1"),
  ]);
  for (const [, server] of servers) if (!server.listening) await once(server, "listening");
  const found = Object.fromEntries(servers.map(([name, server]) => [name, server.address().port]));
  for (const [, server] of servers) {
    server.close();
    await once(server, "close");
  }
  return found;
}
