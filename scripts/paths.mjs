// Where things are, and the versions that other files of the project already name.
// All that the scripts make is in folders that git ignores.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
export const at = (...parts) => join(root, ...parts);

/** Tools that cargo installs for this project alone. */
export const tools = at(".tools");
/** The tester of the OpenAPI document, in a Python environment of the project's own. */
export const python = join(tools, "schemathesis");
export const schemathesis = () => join(python, "bin", "schemathesis");
/** What worker.mjs and driver/ are deployed with: a folder for each of the modules, and policy.json. */
export const build = at("build");
/** The Wasm modules of the Worker: each is a feature of its package, a folder of src/ and one of build/. */
export const modules = ["road", "house"];
/** Development secrets, state on disk and keys of the demo. */
export const dev = process.env.TOLLGATE_DEV ?? at(".dev");
export const policyFile = process.env.TOLLGATE_POLICY ?? at("tollgate.toml");

const target = process.env.CARGO_TARGET_DIR ?? at("target");
/** The command `tollgate`, built in the dev profile so that it shares its crates with the tests. */
export const cli = join(target, "debug", "tollgate");

export const bundler = () => at("node_modules/@esbuild", `${process.platform}-${process.arch}`, "bin/esbuild");
export const wasmOpt = () => at("node_modules/binaryen/bin/wasm-opt");
export const wrangler = () => at("node_modules/wrangler/bin/wrangler.js");

/** The workerd binary of this platform, and the newest compatibility date that it takes. */
export function workerd() {
  const { default: binary, compatibilityDate } = createRequire(at("package.json"))("workerd");
  return { binary, compatibilityDate };
}

/** The Node that wrangler is run with: its own where an optional package brought one. */
export function nodeForWrangler() {
  const own = ["node", "node-bin"]
    .map((name) => at("node_modules", `${name}-${process.platform}-${process.arch}`, "bin/node"))
    .find((path) => existsSync(path));
  return own ?? process.execPath;
}

/** Version of a crate in Cargo.lock. The command line tools must be of the very same one. */
export function lockedVersion(crate) {
  const lock = readFileSync(at("Cargo.lock"), "utf8");
  const found = lock.match(new RegExp(`name = "${crate}"\\nversion = "([^"]+)"`));
  if (!found) throw new Error(`Cargo.lock names no ${crate}`);
  return found[1];
}

/** The oldest Rust that the workspace takes, as Cargo.toml says. */
export const oldestRust = () =>
  readFileSync(at("Cargo.toml"), "utf8").match(/rust-version = "([^"]+)"/)?.[1] ?? "0";
