// `npm start`: everything from a fresh clone to a running gate with its demo, and a clean stop.
import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { get } from "node:http";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { buildCli, buildPolicy, buildWorker, wasmSize } from "./build.mjs";
import { DEMO_CALL, makeDemoKey } from "./demo-keys.mjs";
import { at, dev, policyFile } from "./paths.mjs";
import { checkFree, chosenPorts, loopbacks } from "./ports.mjs";
import { explain, Mend, step } from "./report.mjs";
import { ask, stopRunning } from "./run.mjs";
import { keptSecrets } from "./secrets.mjs";
import { setUp } from "./setup.mjs";
import { writeConfig } from "./workerd-config.mjs";
import { serve } from "./workerd.mjs";

/** The backend's address in the demo's policy; another port is put in its place. */
const BACKEND = "127.0.0.1:9090";
const files = {
  config: join(dev, "workerd.capnp"),
  state: join(dev, "state"),
  overlay: join(dev, "www"),
  policy: join(dev, "policy.json"),
  secrets: join(dev, "secrets.env"),
  demo: join(dev, "demo.json"),
  pid: join(dev, "workerd.pid"),
};

let gate;
let backend;
/** A start or restart of workerd that is under way. */
let changing = Promise.resolve();
let stopping;

async function start() {
  const ports = chosenPorts();
  stopLeftOver();
  await checkFree(ports);
  await setUp();
  await step("worker (wasm)", buildWorker);
  await step("wasm size, gzip -9", wasmSize);
  await step("command line", buildCli);
  mkdirSync(files.state, { recursive: true });
  mkdirSync(files.overlay, { recursive: true });
  await step("policy", () => policyOf(ports));

  const secrets = keptSecrets(files.secrets);
  await step("demo backend", () => startBackend(ports.backend, secrets.BILLING_TOKEN));
  writeGateConfig(ports, secrets);
  changing = step("gate on workerd", () => startGate(ports, secrets));
  await changing;
  let demo;
  await step("demo key", async () => {
    demo = await makeDemoKey({ file: files.demo, overlay: files.overlay, ports, rootToken: secrets.ROOT_TOKEN });
    return demo.note;
  });
  const stopWatching = watchPolicy(ports, secrets);
  process.once("exit", stopWatching);

  console.log(`
  The demo page    http://gate.localhost:${ports.gate}/_tollgate/demo/
  From a terminal  curl -i http://localhost:${ports.gate}${DEMO_CALL} \\
                     -H 'Origin: ${demo.pageOrigin}' -H 'X-Api-Key: ${demo.key}'
  Management       http://gate.localhost:${ports.gate}/_tollgate/v1   (ROOT_TOKEN in .dev/secrets.env)

  Edit tollgate.toml and the gate follows within seconds. Ctrl-C stops it.
`);
}

/** A gate that outlived its script (that was killed, say) holds the port and the state: end it. */
function stopLeftOver() {
  const pid = existsSync(files.pid) ? readFileSync(files.pid, "utf8") : undefined;
  if (pid && ask("ps", ["-p", pid, "-o", "args="])?.includes(files.config)) {
    const parent = ask("ps", ["-p", pid, "-o", "ppid="])?.trim();
    if (parent && ask("ps", ["-p", parent, "-o", "args="])?.includes("start.mjs")) {
      throw new Mend(
        `This folder's gate is running already (process ${parent}).`,
        "end that one first, with Ctrl-C",
      );
    }
    console.log(`  An earlier gate (process ${pid}) was left running: stopped.`);
    process.kill(Number(pid), "SIGKILL");
  }
  rmSync(files.pid, { force: true });
}

/** Builds the policy; the demo's backend may have been given another port. */
async function policyOf(ports) {
  let file = policyFile;
  if (BACKEND !== `127.0.0.1:${ports.backend}`) {
    file = join(dev, basename(policyFile));
    writeFileSync(file, readFileSync(policyFile, "utf8").replaceAll(BACKEND, `127.0.0.1:${ports.backend}`));
  }
  await buildPolicy(file, files.policy);
}

async function startBackend(port, token) {
  backend = fork(at("demo/backend.mjs"), {
    detached: true,
    env: { PATH: process.env.PATH, PORT: String(port), BILLING_TOKEN: token },
  });
  const [said] = await Promise.race([once(backend, "message"), once(backend, "exit")]);
  if (said !== "listening") throw new Mend("The demo backend did not start.", "node demo/backend.mjs says why");
  backend.once("exit", () => stop(1, "The demo backend has ended."));
  return `127.0.0.1:${port}`;
}

function writeGateConfig(ports, secrets) {
  const sockets = [ports.gate, ports.other].flatMap((port) =>
    loopbacks().map((host) => ({ name: `${host}:${port}`, address: `${host}:${port}` })),
  );
  writeConfig(files.config, { ...files, sockets, vars: { ENVIRONMENT: "dev" }, secrets: Object.keys(secrets) });
}

async function startGate(ports, secrets) {
  const sockets = 2 * loopbacks().length;
  const show = (chunk) => process.stdout.write(chunk);
  const started = await serve(files.config, secrets, sockets, show, { detached: true });
  gate = started;
  writeFileSync(files.pid, String(started.pid));
  started.ended.then(() => {
    if (gate === started) stop(1, "workerd has ended by itself.");
  });
  for (let tries = 0; tries < 100; tries += 1) {
    if ((await health(ports.gate)) === 200) return `127.0.0.1:${ports.gate}`;
    await sleep(50);
  }
  throw new Mend(
    "The gate runs but does not answer its health check.",
    `curl -i http://gate.localhost:${ports.gate}/_tollgate/health`,
  );
}

function health(port) {
  return new Promise((resolve) => {
    const headers = { Host: `gate.localhost:${port}` };
    const options = { host: "127.0.0.1", port, path: "/_tollgate/health", headers, agent: false };
    get(options, (response) => resolve(response.resume().statusCode)).once("error", () => resolve(undefined));
  });
}

/** Takes a changed policy into use; a bad one is told, and the gate goes on with the old. */
function watchPolicy(ports, secrets) {
  let last = readFileSync(policyFile, "utf8");
  let timer;
  const take = async () => {
    if (!existsSync(policyFile) || stopping) return;
    const text = readFileSync(policyFile, "utf8");
    if (text === last) return;
    last = text;
    const began = performance.now();
    try {
      await policyOf(ports);
      // What it names newly may stand there by now.
      Object.assign(secrets, keptSecrets(files.secrets));
      writeGateConfig(ports, secrets);
      const old = gate;
      gate = undefined;
      await old.stop();
      await startGate(ports, secrets);
      console.log(`  tollgate.toml taken into use after ${Math.round(performance.now() - began)} ms`);
    } catch (error) {
      explain(error);
      if (gate?.running) console.error("  The gate goes on with the policy it has.");
    }
  };
  // The folder is watched, since many editors replace the file; a save may come as several events.
  const watcher = watch(dirname(policyFile), (_, name) => {
    if (name !== basename(policyFile)) return;
    clearTimeout(timer);
    timer = setTimeout(() => (changing = changing.then(take)), 100);
  });
  return () => watcher.close();
}

/** Stops what was started, in order, once. */
async function stop(code, why) {
  if (stopping) return;
  stopping = true;
  if (why) console.error(`\n${why}`);
  stopRunning();
  await changing.catch(() => {});
  await gate?.stop();
  rmSync(files.pid, { force: true });
  if (backend?.exitCode === null && backend.signalCode === null) {
    backend.kill("SIGTERM");
    await once(backend, "exit");
  }
  if (code === 0) console.log("\nStopped.");
  process.exit(code);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => stop(0));
try {
  await start();
} catch (error) {
  if (!stopping) {
    explain(error);
    await stop(1);
  }
}
