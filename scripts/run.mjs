// Runs other programs. Their output is kept and shown only when they fail.
import { spawn, spawnSync } from "node:child_process";
import { createWriteStream } from "node:fs";
import { Mend, ToolFailed } from "./report.mjs";

/** How tools say that they reached no registry. */
const UNREACHABLE = new RegExp(
  [
    "could(n't| not) resolve",
    "spurious network error",
    "network is unreachable",
    "EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT",
    "failed to (download|connect|establish a new connection)",
    "temporary failure resolving",
    "could not connect to server",
    "dns error",
  ].join("|"),
  "i",
);

const running = new Set();

/** Ends the programs that `run` started, with those that they started. */
export function stopRunning() {
  running.forEach(end);
}

function end(child) {
  try {
    process.kill(-child.pid, "SIGTERM");
  } catch {
    // It has just ended by itself.
  }
}

/**
 * Runs a program to its end. Resolves with `{ code, output }`, where output is standard output and
 * standard error as they came. `show` copies them to ours, `log` to a file. After `timeout` ms it is
 * ended.
 */
export function run(command, args, { cwd, env, show = false, log, timeout } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { CARGO_TERM_COLOR: "never", ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own, which `stopRunning` can end as a whole.
      detached: true,
    });
    running.add(child);
    const timer = timeout && setTimeout(() => end(child), timeout);
    const file = log ? createWriteStream(log) : undefined;
    const chunks = [];
    const take = (chunk) => {
      chunks.push(chunk);
      file?.write(chunk);
      if (show) process.stdout.write(chunk);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.once("error", (error) => {
      running.delete(child);
      reject(error.code === "ENOENT" ? new Mend(`\`${command}\` is missing.`, "install it and run this again") : error);
    });
    child.once("close", (code, signal) => {
      running.delete(child);
      clearTimeout(timer);
      file?.end();
      resolve({ code: code ?? `signal ${signal}`, output: Buffer.concat(chunks).toString() });
    });
  });
}

/** Runs a program that must succeed; resolves with its output. */
export async function must(command, args, options) {
  const { code, output } = await run(command, args, options);
  if (code === 0) return output;
  const line = [command, ...args].join(" ");
  if (UNREACHABLE.test(output)) {
    throw new Mend(
      `No network: \`${line}\` could not fetch what it needs. ${firstMatch(output)}`,
      "connect to the internet (crates.io, the npm registry, PyPI) and run this again; it is needed once only",
    );
  }
  throw new ToolFailed(`\`${line}\` failed (${code}).`, output);
}

/** Output of a short program, or undefined when it is missing or fails. */
export function ask(command, args) {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

function firstMatch(output) {
  const line = output.split("\n").find((line) => UNREACHABLE.test(line)) ?? "";
  return line.trim().slice(0, 160);
}
