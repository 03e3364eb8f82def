// Builds what is deployed: the Worker's Wasm modules (build/road, build/house) and the policy
// (build/policy.json). `npm run build` does both; wrangler calls it before a deploy.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { at, build, bundler, cli, modules, policyFile, root, tools, wasmOpt } from "./paths.mjs";
import { main, Mend, step } from "./report.mjs";
import { must, run } from "./run.mjs";
import { setUp } from "./setup.mjs";

/**
 * Compressed size in KiB that the Wasm of each module may have. Cloudflare takes 3 MiB and more; but an
 * isolate's first request waits for the road, and growth of the house is to be noticed.
 */
const WASM_LIMIT_KIB = { road: 300, house: 900 };

/** The four steps in their order. */
export async function buildAll() {
  await step("worker (wasm)", buildWorker);
  await step("wasm size, gzip -9", wasmSize);
  await step("command line", buildCli);
  await step("policy", () => buildPolicy(policyFile, join(build, "policy.json")));
}

/** Compiles the Worker's modules, except those that were made from these very sources. */
export async function buildWorker() {
  const built = [];
  for (const name of modules) {
    if (await buildModule(name)) built.push(name);
  }
  return built.length === 0 ? "current" : `${built.join(", ")} built`;
}

/** True if there was something to do. */
async function buildModule(name) {
  const folder = join(build, name);
  const [wasm, glue, stamp] = ["index_bg.wasm", "index.js", "sources.sha256"].map((file) => join(folder, file));
  const sources = digest(["Cargo.toml", "Cargo.lock", ...sourcesOf(name), "core/Cargo.toml", "core/src"]);
  if (existsSync(stamp) && existsSync(wasm) && readFileSync(stamp, "utf8") === sources) return false;
  rmSync(stamp, { force: true });
  const cargo = ["-p", "tollgate", "--locked", "--features", name];
  await must(join(tools, "bin/worker-build"), ["--release", "--out-dir", relative(root, folder), ".", "--", ...cargo], {
    cwd: root,
    // With these worker-build downloads nothing.
    env: {
      WASM_BINDGEN_BIN: join(tools, "bin/wasm-bindgen"),
      WASM_OPT_BIN: wasmOpt(),
      ESBUILD_BIN: bundler(),
      RUST_BACKTRACE: "0",
    },
  });
  await dropNames(wasm);
  writeFileSync(glue, apart(name, readFileSync(glue, "utf8")));
  writeFileSync(stamp, sources);
  return true;
}

/** The files of src/ that a module is made of: all but the rooms of the others. */
function sourcesOf(name) {
  const others = modules.filter((other) => other !== name);
  return readdirSync(at("src")).filter((entry) => !others.includes(entry)).sort().map((entry) => join("src", entry));
}

/**
 * worker-build makes for a Worker of one module. With two of them the state that one leaves in a global
 * has to have a name of its own, and neither may take every error of the isolate for its own panic
 * (driver/wasm.mjs listens for both).
 */
function apart(name, glue) {
  const listener = /addEventListener\("error",(\w+)=>\{\w+\(\1\.error\)\}\);/;
  const state = "globalThis.__worker_init_state=";
  if (!listener.test(glue) || glue.split(state).length !== 2) {
    throw new Error("worker-build's index.js is not what it was: scripts/build.mjs has to be brought up to date");
  }
  return glue.replace(listener, "").replace(state, `globalThis.__tollgate_${name}_state=`);
}

/** worker-build keeps the names of functions, which are an eighth of what would be deployed. A copy with
 * them stays beside it, for profiles. */
async function dropNames(wasm) {
  copyFileSync(wasm, wasm.replace(/\.wasm$/, ".named.wasm"));
  await must(wasmOpt(), [wasm, "--all-features", "--strip-debug", "-o", wasm], { cwd: root });
}

/** Says how large the modules are when compressed; too large is a failure. */
export function wasmSize() {
  const said = modules.map((name) => {
    const limit = WASM_LIMIT_KIB[name];
    const wasm = readFileSync(join(build, name, "index_bg.wasm"));
    const kib = gzipSync(wasm, { level: 9 }).length / 1024;
    if (kib > limit) {
      throw new Mend(
        `The Wasm of the ${name} is too large: ${kib.toFixed(1)} KiB of at most ${limit} KiB.`,
        `see what grew: cargo tree -p tollgate --features ${name} -e normal --target wasm32-unknown-unknown`,
      );
    }
    return `${name} ${kib.toFixed(1)} of at most ${limit} KiB`;
  });
  return said.join(", ");
}

/** Builds the command `tollgate`; cargo itself knows when it is current. */
export async function buildCli() {
  await must("cargo", ["build", "--locked", "-p", "tollgate-cli"], { cwd: root });
}

/** Turns a policy into the module that the Worker is deployed with. A bad one leaves the old. */
export async function buildPolicy(file, out) {
  const next = `${out}.next`;
  const { code, output } = await run(cli, ["policy", "build", file, "-o", next], { cwd: root });
  if (code !== 0) {
    rmSync(next, { force: true });
    throw new Mend(output.trimEnd(), `correct ${file}`);
  }
  renameSync(next, out);
}

function digest(places) {
  const hash = createHash("sha256");
  const take = (path) => {
    if (statSync(at(path)).isDirectory()) {
      for (const name of readdirSync(at(path)).sort()) take(join(path, name));
    } else {
      hash.update(`${path}\0`).update(readFileSync(at(path))).update("\0");
    }
  };
  places.forEach(take);
  return hash.digest("hex");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(async () => {
    await setUp();
    await buildAll();
  });
}
