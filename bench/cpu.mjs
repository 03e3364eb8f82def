// What the kernel knows of a process: its time on a CPU and its memory. Linux only.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { Mend } from "../scripts/report.mjs";

/** Fails where the kernel does not keep such accounts. */
export function checkAccounting() {
  if (existsSync("/proc/self/schedstat")) return;
  throw new Mend(
    "The bench reads CPU time from /proc/PID/task/*/schedstat, which is not here.",
    "run it on Linux; in a container /proc has to be the kernel's own",
  );
}

/** Time on a CPU of each thread so far, in nanoseconds. */
function threads(pid) {
  const times = new Map();
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      times.set(task, Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]));
    } catch {
      // It has just ended.
    }
  }
  return times;
}

/** Runs `work`; microseconds that the process was on a CPU meanwhile, all its threads. When a thread ended,
 * and its time with it, once more. */
export async function cpuOf(pid, work) {
  for (;;) {
    const before = threads(pid);
    const result = await work();
    const after = threads(pid);
    if ([...before.keys()].some((task) => !after.has(task))) continue;
    let spent = 0;
    for (const [task, time] of after) spent += time - (before.get(task) ?? 0);
    return { micros: spent / 1_000, result };
  }
}

/** Resident memory of the process, in MiB. */
export function memoryOf(pid) {
  const [, kib] = readFileSync(`/proc/${pid}/status`, "utf8").match(/^VmRSS:\s+(\d+) kB/m);
  return Number(kib) / 1_024;
}

/** `cpu  user nice system idle iowait irq softirq …`, of all CPUs together. */
const cpuLine = () => readFileSync("/proc/stat", "utf8").split("\n")[0].split(/ +/).slice(1);

/** Ticks of the kernel's clock that all CPUs were busy and idle, and that these processes were on one. */
function ticks(pids) {
  const [user, nice, system, idle, wait, irq, soft] = cpuLine().map(Number);
  const own = pids.map((pid) => readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" "));
  return {
    busy: user + nice + system + irq + soft,
    idle: idle + wait,
    own: own.reduce((sum, fields) => sum + Number(fields[11]) + Number(fields[12]), 0),
  };
}

/** Watches what others do on this machine; the result tells which share of its CPUs they had meanwhile. */
export function watchOthers(pids) {
  const before = ticks(pids);
  return () => {
    const after = ticks(pids);
    const busy = after.busy - before.busy;
    const others = Math.max(0, busy - (after.own - before.own));
    return others / (busy + after.idle - before.idle);
  };
}
