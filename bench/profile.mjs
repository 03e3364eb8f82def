// `--profile CASE`: where the time of one case goes, by the sampling profiler of V8. It sees the isolate
// of the side: its JavaScript and Wasm by function, and what the platform does for it as (program).
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { at } from "../scripts/paths.mjs";
import { freePort, inspect } from "./inspector.mjs";
import { CONNECTIONS } from "./measure.mjs";
import { SIDES } from "./sides.mjs";
import { prepare, servicesOf } from "./world.mjs";

/** Between two samples, in µs. */
const INTERVAL = 100;
const ROWS = 45;

export async function profile(world, cases, { requests, warmUp }) {
  for (const one of cases) await profileOne(world, one, requests * 4, warmUp);
}

async function profileOne(world, one, requests, warmUp) {
  const port = await freePort();
  const [service] = servicesOf([one]);
  const flags = [`--inspector-addr=127.0.0.1:${port}`];
  const workerd = await world.open([service], { flags, edit: takeNamed });
  try {
    const { ready, skipped } = await prepare(world, workerd, [one]);
    if (skipped.length > 0) throw new Error(skipped[0].reason);
    await world.send(ready[0], warmUp, CONNECTIONS);
    const inspector = await inspect(port, service);
    await inspector.ask("Profiler.enable");
    await inspector.ask("Profiler.setSamplingInterval", { interval: INTERVAL });
    await inspector.ask("Profiler.start");
    await world.send(ready[0], requests, CONNECTIONS);
    const { profile } = await inspector.ask("Profiler.stop");
    inspector.close();
    const file = join(at("bench/profiles"), `${one.name.replace("/", "-")}.cpuprofile`);
    mkdirSync(at("bench/profiles"), { recursive: true });
    writeFileSync(file, JSON.stringify(profile));
    console.log(`\n${SIDES[one.side].title}, ${one.kind}: ${requests} requests; open ${file} in a browser's devtools`);
    console.log(table(profile, requests));
  } finally {
    await workerd.stop();
  }
}

/** The build keeps each module with the names of its functions beside the one that is deployed. */
function takeNamed(file) {
  const config = readFileSync(file, "utf8");
  writeFileSync(file, config.replace(/(wasm = embed "[^"]+)\.wasm"/g, '$1.named.wasm"'));
}

/** Functions by their own time, as text. */
function table(profile, requests) {
  const own = new Map();
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  profile.samples.forEach((id, i) => {
    const { functionName, url, lineNumber } = nodes.get(id).callFrame;
    const name = functionName || "(anonymous)";
    const where = url ? ` ${url.split("/").slice(-2).join("/")}:${lineNumber + 1}` : "";
    const label = url.startsWith("wasm:") ? `wasm ${name}` : `${name}${where}`;
    own.set(label, (own.get(label) ?? 0) + profile.timeDeltas[i]);
  });
  const idle = own.get("(idle)") ?? 0;
  own.delete("(idle)");
  const all = [...own.values()].reduce((sum, time) => sum + time, 0);
  const rows = [...own].sort(([, a], [, b]) => b - a);
  const line = (time, label) =>
    `${(time / requests).toFixed(1).padStart(8)} µs ${((100 * time) / all).toFixed(1).padStart(5)} %  ${label}`;
  const wasm = rows.filter(([label]) => label.startsWith("wasm ")).reduce((sum, [, time]) => sum + time, 0);
  return [
    ...rows.slice(0, ROWS).map(([label, time]) => line(time, label)),
    line(wasm, "all functions of Wasm"),
    line(all, "all, without the time idle"),
    line(idle, "idle"),
  ].join("\n");
}
