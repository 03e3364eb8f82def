// How many webhooks a second the gate takes, stores and delivers, with sender and backend on the same machine.
//
//   node bench/hooks.mjs [events a second = 500] [seconds = 30] [bytes = 1024]
//
// The gate is the built one, on workerd with state on disk; sender and backend are a process of their own each.
// Sustained means: at the end nothing is left over but what was sent in the last second.
import { fork } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent, createServer, request } from "node:http";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const PATH = "/hooks/shop";

if (process.argv[2] === "backend") await backend();
else await measure(...[500, 30, 1024].map((usual, at) => Number(process.argv[2 + at] ?? usual)));

/** Takes everything, and tells its parent how much, ten times a second. */
async function backend() {
  const seen = new Set();
  let all = 0;
  const server = createServer((incoming, outgoing) => {
    const chunks = [];
    incoming.on("data", (chunk) => chunks.push(chunk));
    incoming.on("end", () => {
      all += 1;
      seen.add(JSON.parse(Buffer.concat(chunks)).id);
      outgoing.writeHead(204).end();
    });
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
  setInterval(() => process.send({ seen: seen.size, all }), 100);
}

/** Seconds that a process was on a CPU, on Linux. */
function cpuOf(pid) {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ").slice(11, 13);
  return (Number(user) + Number(system)) / 100;
}

async function measure(rate, seconds, bytes) {
  const { startGate } = await import("../tests/support/gate.mjs");
  const { testPolicy } = await import("../tests/support/policy.mjs");
  const child = fork(fileURLToPath(import.meta.url), ["backend"]);
  const [{ port }] = await once(child, "message");
  const arrived = { seen: 0, all: 0 };
  child.on("message", (told) => Object.assign(arrived, told));
  const secret = randomBytes(24).toString("base64url");
  const signing = `whsec_${randomBytes(32).toString("base64")}`;
  const gate = await startGate({
    name: "bench-hooks",
    secrets: { SHOP: secret, HOOK_SIGNING: signing },
    policy: testPolicy({
      backend: { origin: `http://127.0.0.1:${port}` },
      sources: [{ name: "shop", path: PATH, scheme: "stripe", secrets: ["${secret:SHOP}"], sign: "${secret:HOOK_SIGNING}", keep_delivered: "0s", delivery_concurrency: 64 }],
    }),
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const waits = [];
  const statuses = {};
  const send = (id) => {
    const head = JSON.stringify({ id: `evt_${id}`, padding: "" });
    const body = JSON.stringify({ id: `evt_${id}`, padding: "x".repeat(Math.max(0, bytes - head.length)) });
    const t = Math.floor(Date.now() / 1000);
    const v1 = createHmac("sha256", secret).update(`${t}.${body}`).digest("hex");
    const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body), "Stripe-Signature": `t=${t},v1=${v1}` };
    const began = performance.now();
    return new Promise((resolve) => {
      const sent = request({ host: "127.0.0.1", port: gate.port, method: "POST", path: PATH, headers, agent }, (answer) => {
        answer.resume();
        answer.on("end", () => {
          waits.push(performance.now() - began);
          statuses[answer.statusCode] = (statuses[answer.statusCode] ?? 0) + 1;
          resolve();
        });
      });
      sent.on("error", (error) => {
        statuses[error.code] = (statuses[error.code] ?? 0) + 1;
        resolve();
      });
      sent.end(body);
    });
  };
  try {
    // The first requests make instances of the modules.
    for (let id = 0; id < 20; id += 1) await send(`warm${id}`);
    waits.length = 0;
    const cpu = process.cpuUsage();
    const before = cpuOf(gate.process.child.pid);
    const began = performance.now();
    const total = rate * seconds;
    const pending = [];
    const backlog = [];
    for (let sent = 0; sent < total; ) {
      const due = Math.min(total, Math.floor(((performance.now() - began) / 1000) * rate));
      for (; sent < due; sent += 1) pending.push(send(sent));
      if (backlog.length < Math.floor((performance.now() - began) / 1000)) backlog.push(waits.length + 20 - arrived.seen);
      await sleep(2);
    }
    await Promise.all(pending);
    const answered = performance.now();
    const left = total + 20 - arrived.seen;
    while (arrived.seen < total + 20 && performance.now() - answered < 120_000) await sleep(20);
    const over = performance.now();
    const perEvent = ((cpuOf(gate.process.child.pid) - before) / total) * 1000;
    waits.sort((a, b) => a - b);
    const at = (share) => waits[Math.min(waits.length - 1, Math.floor(waits.length * share))].toFixed(1);
    const { user, system } = process.cpuUsage(cpu);
    console.log(`${total} events of ${bytes} bytes, ${rate} a second for ${seconds} s`);
    console.log(`answers: ${JSON.stringify(statuses)}; acknowledged in p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms, at most ${at(1)} ms`);
    console.log(`the last answer after ${((answered - began) / 1000).toFixed(1)} s: ${(total / ((answered - began) / 1000)).toFixed(0)} a second`);
    console.log(`acknowledged and not yet delivered, each second: ${backlog.join(" ")}; at the last answer ${left}`);
    console.log(`all delivered ${((over - answered) / 1000).toFixed(1)} s after it; ${arrived.all - arrived.seen} came twice`);
    console.log(`workerd took ${perEvent.toFixed(2)} ms of CPU for each event, taken, stored and delivered; the sender ${((user + system) / 1e6).toFixed(1)} s in all`);
    if (arrived.seen < total + 20) throw new Error(`${total + 20 - arrived.seen} were not delivered`);
  } finally {
    agent.destroy();
    await gate.stop();
    child.kill();
  }
}
