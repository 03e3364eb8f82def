// Builds what is deployed: the Worker (build/index.js, build/index_bg.wasm) and the policy
// (build/policy.json). `npm run build` does both; wrangler calls it before a deploy.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { at, build, bundler, cli, policyFile, root, tools, wasmOpt } from "./paths.mjs";
import { main, Mend, step } from "./report.mjs";
import { must, run } from "./run.mjs";
import { setUp } from "./setup.mjs";

/** Compressed size that the Worker's Wasm may have: what it has with management in it, and little more, so
 * that growth is noticed. Cloudflare takes 3 MiB and more. */
const WASM_LIMIT_KIB = 680;

/** The four steps in their order. */
export async function buildAll() {
  await step("worker (wasm)", buildWorker);
  await step("wasm size, gzip -9", wasmSize);
  await step("command line", buildCli);
  await step("policy", () => buildPolicy(policyFile, join(build, "policy.json")));
}

/** Compiles the Worker unless it was made from these very sources. */
export async function buildWorker() {
  const stamp = join(build, "sources.sha256");
  const sources = digest(["Cargo.toml", "Cargo.lock", "src", "core/Cargo.toml", "core/src"]);
  if (
    existsSync(stamp) &&
    existsSync(join(build, "index_bg.wasm")) &&
    readFileSync(stamp, "utf8") === sources
  ) {
    return "current";
  }
  rmSync(stamp, { force: true });
  await must(join(tools, "bin/worker-build"), ["--release", ".", "--", "-p", "tollgate", "--locked"], {
    cwd: root,
    // With these worker-build downloads nothing.
    env: {
      WASM_BINDGEN_BIN: join(tools, "bin/wasm-bindgen"),
      WASM_OPT_BIN: wasmOpt(),
      ESBUILD_BIN: bundler(),
      RUST_BACKTRACE: "0",
    },
  });
  await dropNames(join(build, "index_bg.wasm"));
  writeFileSync(stamp, sources);
  return "built";
}

/** worker-build keeps the names of functions, which are an eighth of what would be deployed. */
async function dropNames(wasm) {
  await must(wasmOpt(), [wasm, "--all-features", "--strip-debug", "-o", wasm], { cwd: root });
}

/** Says how large the Wasm is when compressed; too large is a failure. */
export function wasmSize() {
  const wasm = readFileSync(join(build, "index_bg.wasm"));
  const kib = gzipSync(wasm, { level: 9 }).length / 1024;
  const said = `${kib.toFixed(1)} KiB of at most ${WASM_LIMIT_KIB} KiB`;
  if (kib > WASM_LIMIT_KIB) {
    throw new Mend(
      `The Worker's Wasm is too large: ${said}.`,
      "see what grew: cargo tree -p tollgate -e normal --target wasm32-unknown-unknown",
    );
  }
  return said;
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
