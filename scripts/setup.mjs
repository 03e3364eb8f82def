// All that a build, a start or a test run needs, put in place once; every step is skipped when
// it has nothing to do, so that a second run takes a second or two.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { at, bundler, lockedVersion, oldestRust, python, root, schemathesis, tools } from "./paths.mjs";
import { Mend, step } from "./report.mjs";
import { ask, must } from "./run.mjs";
import { systemPackages } from "./system.mjs";

const OLDEST_NODE = 20;
const WASM = "wasm32-unknown-unknown";

/** Prepares this machine. With `tests` also what only tests need: Chromium and its driver, and a tester
 * of the OpenAPI document. */
export async function setUp({ tests = false } = {}) {
  checkPlatform();
  await step("rust", rust);
  await step("wasm target", wasmTarget);
  const toolsMissing = TOOLS.some((tool) => !tool.there());
  const needs = ["compiler", ...(toolsMissing ? ["openssl"] : []), ...(tests ? ["browser", "python"] : [])];
  await step("system packages", () => systemPackages(...needs));
  await step("npm packages", () => npmPackages(root, () => existsSync(bundler())));
  if (tests) await step("webhook senders", () => npmPackages(at("tests/senders"), () => true));
  if (tests) await step("schemathesis", pythonPackages);
  for (const tool of TOOLS) await step(tool.crate, () => cargoTool(tool));
  rmSync(TOOLS_TARGET, { recursive: true, force: true });
}

function checkPlatform() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < OLDEST_NODE) {
    throw new Mend(
      `Node ${process.versions.node} is too old.`,
      `install Node ${OLDEST_NODE} or newer: https://nodejs.org`,
    );
  }
  if (process.platform === "win32") {
    throw new Mend("Windows itself is not supported.", "run this inside WSL: wsl --install");
  }
}

function rust() {
  // rustup puts cargo here; a shell that was open before does not know it yet.
  process.env.PATH += delimiter + join(homedir(), ".cargo", "bin");
  const version = ask("rustc", ["--version"])?.match(/\d+\.\d+\.\d+/)?.[0];
  if (version === undefined || ask("cargo", ["--version"]) === undefined) {
    throw new Mend("Rust is missing.", "install it from https://rustup.rs and run this again");
  }
  if (isOlder(version, oldestRust())) {
    throw new Mend(`Rust ${version} is too old, ${oldestRust()} is needed.`, "rustup update stable");
  }
  return version;
}

async function wasmTarget() {
  const libraries = ask("rustc", ["--print", "target-libdir", "--target", WASM]);
  if (libraries && existsSync(libraries)) return "there";
  if (ask("rustup", ["--version"]) === undefined) {
    throw new Mend(`Rust lacks the target ${WASM}, and there is no rustup to add it.`, "install https://rustup.rs");
  }
  await must("rustup", ["target", "add", WASM], { cwd: root });
  return "added";
}

/** `npm install` after the lock file, without writing to it. (`npm ci` fails where a registry
 * lacks one of the packages for other platforms.) */
async function npmPackages(folder, whole) {
  const stamp = join(folder, "node_modules/.tollgate-setup");
  const lock = createHash("sha256").update(readFileSync(join(folder, "package-lock.json"))).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock && whole()) return "there";
  await must("npm", ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: folder });
  writeFileSync(stamp, lock);
  return "installed";
}

/** The packages of a requirements file, each in the version that it names, in an environment that is made
 * anew when the file changes. */
async function pythonPackages() {
  const wanted = at("scripts/schemathesis/requirements.txt");
  const stamp = join(python, ".tollgate-setup");
  const list = createHash("sha256").update(readFileSync(wanted)).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === list && existsSync(schemathesis())) return "there";
  rmSync(python, { recursive: true, force: true });
  mkdirSync(tools, { recursive: true });
  await must("python3", ["-m", "venv", python]);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
  await must(join(python, "bin", "python"), [...pip, "--requirement", wanted]);
  writeFileSync(stamp, list);
  return "installed";
}

/** Where both tools are compiled, since they share many crates; removed afterwards. */
const TOOLS_TARGET = join(tools, "target");

// Versions follow the libraries in Cargo.lock: worker-build is released together with worker, and
// wasm-bindgen's command refuses a module of any other version.
const TOOLS = [
  { crate: "worker-build", program: "worker-build", of: "worker" },
  { crate: "wasm-bindgen-cli", program: "wasm-bindgen", of: "wasm-bindgen" },
].map((tool) => ({
  ...tool,
  get version() {
    return lockedVersion(tool.of);
  },
  there() {
    const list = join(tools, ".crates.toml");
    return (
      existsSync(join(tools, "bin", tool.program)) &&
      existsSync(list) &&
      readFileSync(list, "utf8").includes(`"${tool.crate} ${this.version} `)
    );
  },
}));

async function cargoTool(tool) {
  if (tool.there()) return tool.version;
  mkdirSync(tools, { recursive: true });
  const wanted = `${tool.crate}@${tool.version}`;
  // Compiled for a fast install, not for fast runs: a build calls each of them once.
  await must("cargo", ["install", "--debug", "--locked", "--root", tools, wanted], {
    env: { CARGO_PROFILE_DEV_DEBUG: "false", CARGO_TARGET_DIR: TOOLS_TARGET },
  });
  return `${tool.version} installed`;
}

function isOlder(version, than) {
  const [a, b] = [version, than].map((text) => text.split(".").map(Number));
  const at = [0, 1, 2].find((i) => (a[i] ?? 0) !== (b[i] ?? 0));
  return at !== undefined && (a[at] ?? 0) < (b[at] ?? 0);
}
