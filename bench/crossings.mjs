// `--crossings`: how often a request goes from JavaScript into Wasm and back, by function. The glue of the
// build gets a few lines in front that count every call; the counts are read through the inspector.
import { readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { freePort, inspect } from "./inspector.mjs";
import { prepare, servicesOf } from "./world.mjs";

const WARM_UP = 50;
const REQUESTS = 200;
/** Functions of the platform that are called less often than this per request are left out. */
const LEAST = 0.05;

/** What stands in front of the glue: every function in and out is wrapped by one that counts. */
const COUNTING = (name) => `{
  const counts = (globalThis.__crossings ??= {});
  const counted = (direction, functions) =>
    Object.fromEntries(Object.entries(functions).map(([key, value]) => {
      if (typeof value !== "function") return [key, value];
      const label = "${name} " + direction + " " + key.replace(/_[0-9a-f]{16}$/, "");
      return [key, (...args) => {
        counts[label] = (counts[label] ?? 0) + 1;
        return value(...args);
      }];
    }));
  const Instance = WebAssembly.Instance;
  WebAssembly.Instance = function (module, imports) {
    WebAssembly.Instance = Instance;
    const wrapped = Object.fromEntries(Object.entries(imports).map(([key, inner]) => [key, counted("out", inner)]));
    return { exports: counted("in", new Instance(module, wrapped).exports) };
  };
}
`;

/** Puts copies of the glue that count into the place of the built ones, in a written configuration. */
function counting(file) {
  const folder = dirname(file);
  const config = readFileSync(file, "utf8");
  const glue = /\(name = "build\/(?:(\w+)\/)?index\.js", esModule = embed "([^"]+)"\)/g;
  writeFileSync(
    file,
    config.replace(glue, (text, name = "gate", path) => {
      const copy = join(folder, `counting-${name}.js`);
      writeFileSync(copy, COUNTING(name) + readFileSync(join(folder, path), "utf8"));
      return text.replace(path, basename(copy));
    }),
  );
}

export async function crossings(world, cases) {
  const port = await freePort();
  const own = cases.filter(({ side }) => side === "exact" || side === "leased");
  const flags = [`--inspector-addr=127.0.0.1:${port}`];
  const workerd = await world.open(servicesOf(own), { flags, edit: counting });
  try {
    const { ready, skipped } = await prepare(world, workerd, own);
    const inspector = await inspect(port, "gate");
    const columns = [];
    for (const one of ready) {
      await world.send(one, WARM_UP, 1);
      await inspector.evaluate("for (const key in __crossings) delete __crossings[key]; 0");
      await world.send(one, REQUESTS, 1);
      columns.push({ name: one.name, counts: JSON.parse(await inspector.evaluate("JSON.stringify(__crossings)")) });
    }
    inspector.close();
    console.log(table(columns));
    for (const { name, reason } of skipped) console.log(`${name} skipped: ${reason}`);
  } finally {
    await workerd.stop();
  }
}

function table(columns) {
  const each = (count = 0) => count / REQUESTS;
  const labels = [...new Set(columns.flatMap(({ counts }) => Object.keys(counts)))];
  const most = (label) => Math.max(...columns.map(({ counts }) => each(counts[label])));
  const rows = labels.filter((label) => most(label) >= LEAST).sort((a, b) => most(b) - most(a));
  const sum = (counts, direction) =>
    Object.entries(counts).reduce((all, [label, count]) => all + (label.includes(` ${direction} `) ? each(count) : 0), 0);
  const line = (label, values) =>
    label.padEnd(64) + values.map((value, i) => value.padStart(Math.max(8, columns[i].name.length + 2))).join("");
  const numbers = (of) => columns.map(({ counts }) => of(counts).toFixed(2));
  return [
    line("calls per request", columns.map(({ name }) => name)),
    line("all out of Wasm", numbers((counts) => sum(counts, "out"))),
    line("all into Wasm", numbers((counts) => sum(counts, "in"))),
    "",
    ...rows.map((label) => line(label, numbers((counts) => each(counts[label])))),
  ].join("\n");
}
