// What `npm test` runs, in order. A stage is one or more commands; how many tests it ran is read
// from what they print, and a stage without tests of its own counts as one.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { at, modules, nodeForWrangler, wrangler } from "./paths.mjs";
import { chromedriver, chromium } from "./system.mjs";

const WASM = ["--target", "wasm32-unknown-unknown"];
const MINUTE = 60_000;
const worker = (module) => ["-p", "tollgate", "--features", module];
const cargo = (...args) => ["cargo", [args[0], "--locked", ...args.slice(1)]];

/**
 * The stages of a run whose files go to `run`.
 *
 * @returns {{name: string, commands: [string, string[]][], env?: object, count?: Function,
 *   needs?: "build", timeout?: number}[]}
 */
export function stages(run) {
  const pages = ["console.test.mjs", "console-webhooks.test.mjs", "demo.test.mjs"];
  const alone = [...pages, "schemathesis.test.mjs"];
  const endToEnd = testFiles("tests").filter((file) => !alone.some((name) => file.endsWith(`/${name}`)));
  return [
    { name: "format", commands: [["cargo", ["fmt", "--all", "--check", "--", "--color", "never"]]] },
    { name: "clippy on the host", commands: [cargo("clippy", "--all-targets", "--", "-D", "warnings")] },
    {
      name: "clippy on wasm",
      commands: [
        ...modules.map((name) => cargo("clippy", ...worker(name), "--all-targets", ...WASM, "--", "-D", "warnings")),
        cargo("clippy", "-p", "tollgate-browser", "--all-targets", ...WASM, "--", "-D", "warnings"),
      ],
    },
    { name: "host tests", commands: [cargo("test", "--no-fail-fast")], count: cargoTests },
    {
      name: "wasm tests in Node",
      commands: [cargo("test", "-p", "tollgate-browser", ...WASM)],
      count: cargoTests,
    },
    {
      name: "wasm tests in Chrome",
      commands: [cargo("test", "-p", "tollgate-browser", ...WASM)],
      env: { WASM_BINDGEN_USE_BROWSER: "1", CHROMEDRIVER: chromedriver() },
      count: cargoTests,
    },
    {
      name: "docs",
      commands: [cargo("doc", "--no-deps"), ...modules.map((name) => cargo("doc", "--no-deps", ...worker(name), ...WASM))],
      env: { RUSTDOCFLAGS: "-D warnings" },
    },
    { name: "end to end on workerd", needs: "build", ...nodeTests(endToEnd, join(run, "end-to-end.tap")) },
    {
      name: "schemathesis",
      needs: "build",
      ...nodeTests([at("tests/schemathesis.test.mjs")], join(run, "schemathesis.tap")),
    },
    {
      name: "pages in Chromium",
      needs: "build",
      ...nodeTests(pages.map((name) => at("tests", name)), join(run, "pages.tap")),
    },
    {
      name: "wrangler takes the config",
      needs: "build",
      commands: ["dev", "staging", "production"].map((environment) => [
        nodeForWrangler(),
        [wrangler(), "deploy", "--dry-run", "--env", environment, "--outdir", join(run, "deploy", environment)],
      ]),
      env: { WRANGLER_SEND_METRICS: "false" },
    },
  ].map((stage) => ({ timeout: 15 * MINUTE, ...stage }));
}

/** Test files of a folder, by name. */
export const testFiles = (folder) =>
  readdirSync(at(folder))
    .filter((name) => name.endsWith(".test.mjs"))
    .sort()
    .map((name) => at(folder, name));

/** A stage that runs files with Node's test runner. */
export function nodeTests(files, tap) {
  const reporters = ["--test-reporter=spec", "--test-reporter-destination=stdout"];
  const counted = ["--test-reporter=tap", `--test-reporter-destination=${tap}`];
  return {
    commands: [[process.execPath, ["--test", ...reporters, ...counted, ...files]]],
    env: { TOLLGATE_CHROME: chromium() },
    tap,
    count: tapTests,
  };
}

/** Sums of `test result: ok. 12 passed; 0 failed; …`, of which cargo prints one for each program. */
function cargoTests(output) {
  const results = [...output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed/gm)];
  return { passed: sum(results, 1), failed: sum(results, 2) };
}

/** Totals at the end of TAP; a cancelled test has failed. */
function tapTests(tap) {
  const total = (what) => sum([...tap.matchAll(new RegExp(`^# ${what} (\\d+)$`, "gm"))].slice(-1), 1);
  return { passed: total("pass"), failed: total("fail") + total("cancelled") };
}

const sum = (matches, group) => matches.reduce((all, match) => all + Number(match[group]), 0);
