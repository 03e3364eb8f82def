// What was measured as numbers, as text, and as the files that the docs and the README show.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { at, lockedVersion } from "../scripts/paths.mjs";
import { CONNECTIONS } from "./measure.mjs";
import { picture } from "./picture.mjs";
import { CASES, KINDS, SIDES, START_TARGET, TARGETS } from "./sides.mjs";
import { median, ratio, summary } from "./stats.mjs";

const FOLDER = at("bench/results");
/** Files with a part that is made here, between these two lines. */
const SHOWN = ["README.md", "docs/performance.md"];
const marks = (name) => [`<!-- bench:${name} -->`, "<!-- bench:end -->"];

/** So large a share of the CPUs may others have had for the times to mean something. */
const QUIET = 0.05;

/** All numbers of a run. */
export function results({ cases, skipped, others }, amount, alone) {
  const rounds = (name, field) => cases[name].map((round) => round[field]);
  const measured = CASES.filter(({ name }) => cases[name]).map(({ name, side, kind }) => ({
    name,
    title: SIDES[side].title,
    does: KINDS[kind].title,
    cpu: summary(rounds(name, "cpu")),
    overFloor: cases.floor && ratio(rounds(name, "cpu"), rounds("floor", "cpu")),
    rps: median(rounds(name, "rps")),
    p50: median(rounds(name, "p50")),
    p99: median(rounds(name, "p99")),
  }));
  const targets = TARGETS.filter(({ of, over }) => cases[of] && cases[over]).map(({ of, over, most }) => {
    const { median: value, least, most: highest } = ratio(rounds(of, "cpu"), rounds(over, "cpu"));
    return { of, over, most, value, spread: [least, highest], met: value <= most };
  });
  return { at: new Date().toISOString(), on: platform(), amount, others, measured, skipped, targets, alone, rounds: cases };
}

function platform() {
  return {
    workerd: JSON.parse(readFileSync(at("node_modules/workerd/package.json"), "utf8")).version,
    hono: JSON.parse(readFileSync(at("bench/package.json"), "utf8")).dependencies.hono,
    worker: lockedVersion("worker"),
    node: process.versions.node,
    system: `${process.platform} ${process.arch}, ${cpus().length} CPUs`,
    connections: CONNECTIONS,
  };
}

const whole = (number) => number.toFixed(0);
const two = (number) => number.toFixed(2);
const percent = (share) => `${(100 * share).toFixed(0)} %`;
const times = (number) => `${two(number)} ×`;

function rowsOf({ measured }) {
  return measured.map(({ title, does, cpu, overFloor, rps, p50, p99 }) => [
    title,
    does,
    whole(cpu.median),
    `${whole(cpu.least)}–${whole(cpu.most)}`,
    overFloor ? two(overFloor.median) : "",
    whole(rps),
    two(p50),
    two(p99),
  ]);
}
const HEAD = ["side", "request", "CPU µs", "spread", "× floor", "requests/s", "p50 ms", "p99 ms"];

function targetRows({ targets }) {
  return targets.map(({ of, over, most, value, spread, met }) => [
    `${of} ÷ ${over}`,
    `≤ ${most}`,
    two(value),
    spread.map(two).join("–"),
    met ? "met" : "**missed**",
  ]);
}
const TARGET_HEAD = ["CPU per request", "target", "measured", "spread", ""];

/** Start-up of the module: how much later than the floor a fresh gate answers first. */
function start({ alone }) {
  const ms = alone.gate.ms.median - alone.floor.ms.median;
  return { ms, met: ms < START_TARGET };
}

function aloneRows({ alone }) {
  return Object.values(alone).map(({ title, ms, mib }) => [
    title,
    ms.median.toFixed(1),
    `${ms.least.toFixed(1)}–${ms.most.toFixed(1)}`,
    whole(mib.median),
    `${whole(mib.least)}–${whole(mib.most)}`,
  ]);
}
const ALONE_HEAD = ["side alone", "first answer ms", "spread", "memory MiB", "spread"];

/** The core's own decisions. */
const MICRO_HEAD = ["decision", "median", "95 % sure"];
const microRows = (micro) =>
  micro.map(({ group, name, ns, least, most }) => [`${group}: ${name}`, span(ns), `${span(least)} – ${span(most)}`]);
export const microText = (micro) => columns([MICRO_HEAD, ...microRows(micro)]);

/** Nanoseconds, in a unit that fits. */
function span(ns) {
  if (ns < 1_000) return `${ns.toFixed(0)} ns`;
  return ns < 1_000_000 ? `${(ns / 1_000).toFixed(2)} µs` : `${(ns / 1_000_000).toFixed(2)} ms`;
}

/** For a terminal. */
export function text(all) {
  const plain = (rows) => rows.map((row) => row.map((cell) => cell.replaceAll("**", "")));
  const parts = [columns([HEAD, ...rowsOf(all)])];
  if (all.targets.length > 0) parts.push(columns([TARGET_HEAD, ...plain(targetRows(all))]));
  if (all.alone) {
    const { ms, met } = start(all);
    parts.push(columns([ALONE_HEAD, ...aloneRows(all)]));
    parts.push(`start-up of the module: ${ms.toFixed(1)} ms (target < ${START_TARGET}): ${met ? "met" : "missed"}`);
  }
  if (all.others > QUIET) {
    parts.push(`The machine was not quiet: others used ${percent(all.others)} of its CPUs. Ratios suffer little, times much.`);
  }
  if (all.skipped.length > 0) parts.push(all.skipped.map(({ name, reason }) => `${name} skipped: ${reason}`).join("\n"));
  return parts.join("\n\n");
}

/** Columns of words stand left, numbers right. */
const WORDS = new Set(["side", "request", "CPU per request", "side alone", "decision"]);

function columns([head, ...rows]) {
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i].length)));
  const cell = (text, i) => (WORDS.has(head[i]) ? text.padEnd(widths[i]) : text.padStart(widths[i]));
  return [head, ...rows].map((row) => row.map(cell).join("  ")).join("\n");
}

const markdown = (head, rows) =>
  [head, head.map((title) => (WORDS.has(title) ? "---" : "--:")), ...rows]
    .map((row) => `| ${row.join(" | ")} |`)
    .join("\n");

/** What stands in bench/results/results.md, and in docs/performance.md between its marks. */
function page(all) {
  const { on, amount, skipped } = all;
  const { ms, met } = start(all);
  const versions = `workerd ${on.workerd}, Hono ${on.hono}, Node ${on.node}; ${on.system}`;
  return [
    `${all.at.slice(0, 10)}; ${versions}; ${amount.rounds} rounds of ${amount.requests} requests for each row, ` +
      `${on.connections} at a time, after ${amount.warmUp} to warm up; others used ${percent(all.others)} of the CPUs.`,
    markdown(HEAD, rowsOf(all)),
    ...(skipped.length > 0 ? [skipped.map(({ name, reason }) => `- \`${name}\` was skipped: ${reason}`).join("\n")] : []),
    markdown(TARGET_HEAD, targetRows(all)),
    markdown(ALONE_HEAD, aloneRows(all)),
    `Start-up of the module: **${ms.toFixed(1)} ms** (target: under ${START_TARGET} ms): ${met ? "met" : "**missed**"}.`,
  ].join("\n\n");
}

/** What the README says of it. */
function headline({ measured }) {
  const over = (name) => measured.find((one) => one.name === name)?.overFloor.median;
  const rows = [
    ["a bare Worker that adds the secret and passes on: the floor", over("floor")],
    ["the floor and one call of a Durable Object", over("object")],
    ["**Tollgate, leased**", over("leased")],
    ["**Tollgate, exact**", over("exact")],
    ["a gate of Hono's own middleware, with a counter in an object", over("hono")],
    ["Tollgate refuses a key with a bad checksum", over("exact/bad")],
  ].filter(([, value]) => value !== undefined);
  return markdown(
    ["CPU per request", "× floor"],
    rows.map(([title, value]) => [title, times(value)]),
  );
}

/** Writes the results, the picture, and the parts of the docs that show them. */
export function write(all) {
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, "results.json"), `${JSON.stringify(all, null, 1)}\n`);
  writeFileSync(join(FOLDER, "results.md"), `# What a request costs\n\nMade by \`npm run bench\`.\n\n${page(all)}\n`);
  writeFileSync(join(FOLDER, "cpu.svg"), picture(all));
  for (const file of SHOWN) {
    show(at(file), "results", page(all));
    show(at(file), "headline", headline(all));
    if (all.micro) show(at(file), "micro", markdown(MICRO_HEAD, microRows(all.micro)));
  }
  console.log(`\nwritten: bench/results/, ${SHOWN.join(", ")}`);
}

/** Puts `content` between its marks, where the file has them. */
function show(file, name, content) {
  const old = readFileSync(file, "utf8");
  const [open, close] = marks(name);
  const from = old.indexOf(open);
  if (from < 0) return;
  const to = old.indexOf(close, from);
  writeFileSync(file, `${old.slice(0, from + open.length)}\n${content}\n${old.slice(to)}`);
}
