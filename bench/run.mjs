// `npm run bench`: what a request costs through the gate, beside what one would use instead.
//
//   npm run bench                                     everything; writes bench/results/ and the tables in docs/
//   npm run bench -- --only exact,floor --rounds 5    some cases; writes nothing
//   npm run bench -- --quick                          fewer and shorter rounds; writes nothing
//   npm run bench -- --micro                          the core's own decisions, by criterion
//   npm run bench -- --crossings [--only …]           calls between JavaScript and Wasm per request
//   npm run bench -- --profile exact                  where the time of one case goes
//
//   --requests N and --warm-up N of each case and round; --no-build takes build/ as it is
import { existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { buildCli, buildWorker } from "../scripts/build.mjs";
import { at } from "../scripts/paths.mjs";
import { main, Mend, step } from "../scripts/report.mjs";
import { must, stopRunning } from "../scripts/run.mjs";
import { setUp } from "../scripts/setup.mjs";
import { checkAccounting } from "./cpu.mjs";
import { chosen } from "./sides.mjs";

const FULL = { rounds: 7, requests: 1_500, warmUp: 10_000 };
const QUICK = { rounds: 3, requests: 800, warmUp: 1_500 };

const { values: said } = parseArgs({
  options: {
    only: { type: "string" },
    rounds: { type: "string" },
    requests: { type: "string" },
    "warm-up": { type: "string" },
    quick: { type: "boolean", default: false },
    micro: { type: "boolean", default: false },
    crossings: { type: "boolean", default: false },
    profile: { type: "string" },
    "no-build": { type: "boolean", default: false },
  },
});

// What was started ends with this, and its files go.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.once(signal, () => {
    stopRunning();
    process.exit(1);
  });
}

await main(async () => {
  if (said.micro) return console.log((await import("./report.mjs")).microText(await (await import("./micro.mjs")).micro()));
  checkAccounting();
  const cases = chosen(said.profile ?? said.only);
  if (!said["no-build"]) {
    await setUp();
    await step("worker (wasm)", buildWorker);
    await step("command line", buildCli);
  }
  await step("the bench's packages", packages);
  const { World } = await import("./world.mjs");
  const world = await World.make();
  try {
    await work(world, cases);
  } finally {
    world.close();
  }
});

async function work(world, cases) {
  const amount = said.quick ? { ...QUICK } : { ...FULL };
  for (const [name, field] of [["rounds", "rounds"], ["requests", "requests"], ["warm-up", "warmUp"]]) {
    if (said[name] !== undefined) amount[field] = positive(name, said[name]);
  }
  if (said.crossings) return (await import("./crossings.mjs")).crossings(world, cases);
  if (said.profile) return (await import("./profile.mjs")).profile(world, cases, amount);
  const { measure } = await import("./measure.mjs");
  const report = await import("./report.mjs");
  const measured = await measure(world, cases, amount, progress);
  progress("");
  const whole = !said.quick && said.only === undefined;
  const alone = whole ? await (await import("./startup.mjs")).startUp(world, progress) : undefined;
  const results = report.results(measured, amount, alone);
  console.log(report.text(results));
  if (!whole) return;
  await step("microbenchmarks", async () => (results.micro = await (await import("./micro.mjs")).micro()) && "done");
  console.log(`\n${report.microText(results.micro)}`);
  report.write(results);
}

/** A line that the next one takes the place of, in a terminal. */
function progress(text) {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${text}`);
}

function positive(name, text) {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new Mend(`--${name} ${text} is no number of ${name}.`, `--${name} 5`);
}

/** What package.json here names, in those versions: installed by the bench, not by `npm test`. */
async function packages() {
  const { dependencies } = JSON.parse(readFileSync(at("bench/package.json"), "utf8"));
  const there = ([name, version]) => {
    const file = at("bench/node_modules", name, "package.json");
    return existsSync(file) && JSON.parse(readFileSync(file, "utf8")).version === version;
  };
  if (Object.entries(dependencies).every(there)) return "there";
  await must("npm", ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: at("bench") });
  return "installed";
}
