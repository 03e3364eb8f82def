// `npm test`: sets up, runs every stage, and says at the end what passed and what failed.
// `npm test -- clippy docs` runs only the stages whose names contain one of these words.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { secretsOfRun } from "../tests/support/run.mjs";
import { buildAll } from "./build.mjs";
import { findLeaks } from "./leaks.mjs";
import { dev, root } from "./paths.mjs";
import { explain, lastLines, main, seconds } from "./report.mjs";
import { run as runProgram, stopRunning } from "./run.mjs";
import { setUp } from "./setup.mjs";
import { stages } from "./stages.mjs";

/** Output of the stages and logs of the gates, kept until the next run. */
const run = join(dev, "tests");
const words = process.argv.slice(2);
const results = [];
const began = performance.now();

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    stopRunning();
    process.exit(1);
  });
}

await main(async () => {
  await setUp({ tests: true });
  rmSync(run, { recursive: true, force: true });
  mkdirSync(join(run, "stages"), { recursive: true });
  mkdirSync(join(run, "logs"));

  const wanted = stages(run).filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
  let built = false;
  if (wanted.some((stage) => stage.needs === "build")) {
    await check("build", async () => {
      await buildAll();
      built = true;
    });
  }
  for (const stage of wanted) {
    if (stage.needs === "build" && !built) note(stage.name, { passed: 0, failed: 1 }, 0, "needs the build");
    else await runStage(stage);
  }
  await check("no secret in any output", noSecrets);
  rmSync(join(run, "secrets"), { force: true });
  summary();
});

async function runStage({ name, commands, env, count, tap, timeout }) {
  const from = performance.now();
  const log = join(run, "stages", `${name.replace(/\W+/g, "-")}.log`);
  let output = "";
  let code = 0;
  for (const [command, args] of commands) {
    const options = { cwd: root, env: { TOLLGATE_TEST_RUN: run, ...env }, log, timeout };
    const ended = await runProgram(command, args, options);
    output += ended.output;
    code ||= ended.code;
  }
  const told = tap && existsSync(tap) ? readFileSync(tap, "utf8") : output;
  let counts = count ? count(told) : { passed: Number(code === 0), failed: Number(code !== 0) };
  // A stage that failed without a failed test did not come so far; one without tests proves nothing.
  const nothing = counts.passed + counts.failed === 0;
  if ((code !== 0 && counts.failed === 0) || nothing) counts = { ...counts, failed: counts.failed + 1 };
  note(name, counts, performance.now() - from, nothing && code === 0 ? "no tests were found" : "");
  if (counts.failed > 0) console.log(`${indent(lastLines(output, 120))}\n  (all of it: ${log})\n`);
}

/** A stage that is a function: it passes when it returns. */
async function check(name, work) {
  const from = performance.now();
  try {
    await work();
    note(name, { passed: 1, failed: 0 }, performance.now() - from);
  } catch (error) {
    explain(error);
    note(name, { passed: 0, failed: 1 }, performance.now() - from);
  }
}

/** The logs of all gates and the output of all stages hold none of the secrets that were used. */
function noSecrets() {
  const leaks = findLeaks([join(run, "logs"), join(run, "stages")], secretsOfRun(run));
  if (leaks.length > 0) throw new Error(`secrets were written down:\n${leaks.join("\n")}`);
}

function note(name, counts, ms, remark = "") {
  results.push({ name, ...counts, ms, remark });
  console.log(`${counts.failed === 0 ? "ok    " : "FAILED"} ${name.padEnd(28)} ${seconds(ms).padStart(8)}  ${remark}`);
}

function summary() {
  console.log(`\n${"stage".padEnd(28)} ${"passed".padStart(7)} ${"failed".padStart(7)} ${"time".padStart(9)}`);
  for (const { name, passed, failed, ms } of results) {
    const numbers = `${String(passed).padStart(7)} ${String(failed).padStart(7)}`;
    console.log(`${name.padEnd(28)} ${numbers} ${seconds(ms).padStart(9)}`);
  }
  const total = (what) => results.reduce((sum, result) => sum + result[what], 0);
  console.log(`\n${seconds(performance.now() - began)} in all; outputs and logs are in ${run}`);
  console.log(`${total("passed")} passed, ${total("failed")} failed`);
  if (total("failed") > 0) process.exitCode = 1;
}

function indent(text) {
  return text.replace(/^/gm, "    ");
}
