// What a request costs on the platform, counted: reads of KV, calls of objects, rows that these write. The
// table of docs/cost.md is made of it:
//
//   UPDATE_DOCS=1 node --test tests/cost.test.mjs
//
// and held against it: what is counted here is what stands there, within a tenth, or within one in a
// hundred requests where that is more.
//
// Time is set by hand, and every alarm is rung when it is due: what an object does after its requests
// belongs to them. The batches of usage (TENANT) are gathered by the real time; one of them is counted by
// itself.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { at } from "../scripts/paths.mjs";
import { reply, startBackend } from "./support/backend.mjs";
import { SECOND, startClockedGate } from "./support/clock.mjs";
import { forged, makeKey, partsOf } from "./support/keys.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";
import { eventually } from "./support/usage.mjs";

const DOC = at("docs/cost.md");
const [BEGIN, END] = ["<!-- counted: UPDATE_DOCS=1 node --test tests/cost.test.mjs -->", "<!-- end -->"];
const MILLION = 1_000_000;
/** US dollars per million: a request to the Worker, a read of KV, a call of an object, a row that one writes. */
const PRICES = { requests: 0.3, kv: 0.5, calls: 0.15, rows: 1 };

let backend;
let gate;
before(async () => {
  backend = await startBackend({ answer: (seen, response) => reply(response, 200, "ok") });
  gate = await startClockedGate({
    worker: "counting-worker.mjs",
    edges: 1,
    policy: testPolicy({
      backend,
      limits: {
        team: { rate: { requests: 60_000, window: "1m" }, by: "tenant" },
        busy: { rate: { requests: 60_000, window: "1m" }, by: "route", mode: "leased" },
        visitor: { rate: { requests: 6_000, window: "1m" }, by: "address" },
        few: { concurrency: 50 },
      },
      routes: [
        { name: "plain", path: "/plain" },
        { name: "open", path: "/open", auth: "public" },
        { name: "visited", path: "/visited", auth: "public", limits: ["visitor"] },
        { name: "busy", path: "/busy", auth: "public", limits: ["busy"] },
        { name: "team", path: "/team", limits: ["team"] },
        { name: "few", path: "/few", limits: ["few"] },
        { name: "page", path: "/page", auth: "origin", origins: ["https://app.example.com"], limits: ["visitor"] },
      ],
    }),
    name: "cost",
  });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

const send = (path, { key, isolate = gate, headers = {} } = {}) => isolate.request({ path, headers: { ...key?.bearer, ...headers } });
const newKey = (limits, more = {}) => makeKey(gate, { limits, ...more });
const sum = (table, classes = ["KEY", "COUNTER"]) =>
  Object.entries(table).reduce((all, [name, count]) => all + (classes.includes(name.split(".")[0]) ? count : 0), 0);

/** Forgets what was counted so far, after everything that was begun has come to its end. */
async function settle() {
  await gate.advanceTo(gate.now + 100 * SECOND, { ringing: true });
  await gate.ask("counts", "take");
}

/** What was counted since, of each request on the average. */
async function counted(requests, isolate = gate) {
  const objects = await gate.ask("counts", "take");
  const kv = isolate === gate ? objects.kv : (await gate.ask("counts", "take", isolate)).kv;
  return { kv: kv / requests, calls: sum(objects.calls) / requests, rows: sum(objects.rows) / requests };
}

/** Sends so many a second, for so many seconds, `once` for each of them. */
async function load({ perSecond, seconds, once, status = 200 }) {
  const together = Math.min(perSecond, 10);
  for (let sent = 0; sent < perSecond * seconds; sent += together) {
    await gate.advanceTo(gate.now + (together * SECOND) / perSecond, { ringing: sent % perSecond === 0 });
    const answers = await Promise.all(Array.from({ length: together }, once));
    for (const answer of answers) assert.equal(answer.status, status, answer.text);
  }
  return perSecond * seconds;
}

/** A load after one like it, so that what is counted is that of any minute but the first. */
async function steady(shape) {
  await load({ ...shape, seconds: Math.ceil(shape.seconds / 4) });
  await gate.ask("counts", "take");
  return counted(await load(shape));
}

const hour = (requests) => [atMost(requests, "1h")];
const minute = (requests) => [atMost(requests, "1m")];
const CASES = [
  ["a public route without limits", async () => steady({ perSecond: 50, seconds: 4, once: () => send("/open") })],
  ["exact, a key that this isolate does not know yet, used once", async () => {
    const keys = [];
    for (let i = 0; i < 30; i += 1) keys.push(await newKey(minute(60)));
    await settle();
    const [isolate] = gate.edges;
    await gate.ask("counts", "take", isolate);
    for (const key of keys) assert.equal((await send("/plain", { key, isolate })).status, 200);
    await gate.advanceTo(gate.now + 100 * SECOND, { ringing: true });
    return counted(keys.length, isolate);
  }],
  ["exact, 60 a minute, of which one comes each second", async () => {
    const key = await newKey(minute(60));
    return steady({ perSecond: 1, seconds: 60, once: () => send("/plain", { key }) });
  }],
  ["exact, 6 000 a minute, used up", async () => {
    const key = await newKey(minute(6_000));
    return steady({ perSecond: 100, seconds: 12, once: () => send("/plain", { key }) });
  }],
  ["exact, and a limit by tenant (by route and by address: the same)", async () => {
    const key = await newKey(minute(6_000));
    return steady({ perSecond: 100, seconds: 12, once: () => send("/team", { key }) });
  }],
  ["exact, and a limit of what is in flight", async () => {
    const key = await newKey(minute(6_000));
    return steady({ perSecond: 100, seconds: 6, once: () => send("/few", { key }) });
  }],
  ["leased, 6 000 a minute, of which 50 come each second", async () => {
    const key = await newKey(minute(6_000), { mode: "leased" });
    return steady({ perSecond: 50, seconds: 20, once: () => send("/plain", { key }) });
  }],
  ["leased, 60 000 a minute, of which 500 come each second", async () => {
    const key = await newKey(minute(60_000), { mode: "leased" });
    return steady({ perSecond: 500, seconds: 6, once: () => send("/plain", { key }) });
  }],
  ["no key, a limit by address, 6 000 a minute, used up", async () => steady({ perSecond: 100, seconds: 12, once: () => send("/visited") })],
  ["no key, a leased limit by route, 500 each second", async () => steady({ perSecond: 500, seconds: 6, once: () => send("/busy") })],
  ["refused for what it looks like: bad checksum, made-up id", async () => {
    const key = await newKey(minute(60));
    const parts = partsOf(key.secret);
    await settle();
    const wrongs = [`${key.secret.slice(0, -1)}${key.secret.endsWith("0") ? "1" : "0"}`, forged({ ...parts, id: "0".repeat(16) })];
    let turn = 0;
    const once = () => send("/plain", { headers: { "X-Api-Key": wrongs[(turn += 1) % 2] } });
    return steady({ perSecond: 50, seconds: 4, once, status: 401 });
  }],
  ["refused for its origin", async () =>
    steady({ perSecond: 50, seconds: 4, once: () => send("/page", { headers: { Origin: "https://evil.example" } }), status: 403 })],
  ["refused over its limit", async () => {
    const key = await newKey(hour(10));
    for (let i = 0; i < 10; i += 1) assert.equal((await send("/plain", { key })).status, 200);
    await settle();
    return steady({ perSecond: 50, seconds: 4, once: () => send("/plain", { key }), status: 429 });
  }],
];

/** What there is of each in a million requests, in whole hundreds; and its price. */
function rowOf(name, { kv, calls, rows }) {
  const dollars = PRICES.requests + kv * PRICES.kv + calls * PRICES.calls + rows * PRICES.rows;
  return [name, ...[kv, calls, rows].map((each) => Math.round((each * MILLION) / 100) * 100), dollars.toFixed(2)];
}
const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, " ");
const toText = (rows) =>
  [
    "| a million requests | reads of KV | calls of objects | rows written | US$, without CPU |",
    "|---|--:|--:|--:|--:|",
    ...rows.map(([name, ...numbers]) => `| ${name} | ${numbers.slice(0, 3).map(grouped).join(" | ")} | ${numbers[3]} |`),
  ].join("\n");
const toRows = (text) =>
  text
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| a million"))
    .map((line) => line.slice(2, -2).split(" | "))
    .map(([name, ...numbers]) => [name, ...numbers.map((number) => Number(number.replaceAll(" ", "")))]);

test("the table of docs/cost.md is what is counted", async () => {
  const rows = [];
  for (const [name, count] of CASES) {
    await settle();
    rows.push(rowOf(name, await count()));
  }
  const doc = readFileSync(DOC, "utf8");
  const [from, to] = [doc.indexOf(BEGIN) + BEGIN.length, doc.indexOf(END)];
  assert.ok(from >= BEGIN.length && to > from, "the places of the table");
  if (process.env.UPDATE_DOCS) {
    writeFileSync(DOC, `${doc.slice(0, from)}\n${toText(rows)}\n${doc.slice(to)}`);
    return;
  }
  const told = toRows(doc.slice(from, to));
  assert.deepEqual(told.map(([name]) => name), rows.map(([name]) => name));
  for (const [i, [name, ...numbers]] of rows.entries()) {
    for (const [column, number] of numbers.slice(0, 3).entries()) {
      const stands = told[i][column + 1];
      const off = Math.max(stands / 10, MILLION / 100);
      assert.ok(Math.abs(number - stands) <= off, `${name}, ${["KV", "calls", "rows"][column]}: ${number} were counted, ${stands} are told`);
    }
    assert.ok(Math.abs(Number(numbers[3]) - told[i][4]) <= 0.03, `${name}: $${numbers[3]}, $${told[i][4]} are told`);
  }
});

test("a limit of 6 000 a minute, used up for a minute, writes once for a hundred admissions at most", async () => {
  const key = await newKey(minute(6_000));
  await settle();
  const shape = { perSecond: 100, seconds: 60, once: () => send("/plain", { key }) };
  const admitted = await load(shape);
  const { writes } = await gate.ask("counts", "take");
  assert.ok(writes.KEY > 0 && writes.KEY <= admitted / 100, `${writes.KEY} writes for ${admitted}`);
});

test("a batch of usage is one call and a few rows, as docs/cost.md says", async () => {
  const key = await newKey(minute(6_000));
  const [, most] = readFileSync(DOC, "utf8").match(/one batch is 1 call and at most (\d+) rows/);
  /** Rows for each call, of what is brought of some requests. */
  const batch = async () => {
    await settle();
    const answers = await Promise.all(Array.from({ length: 20 }, () => send("/plain", { key })));
    for (const { status } of answers) assert.equal(status, 200);
    let [calls, rows] = [0, 0];
    const look = async () => {
      const since = await gate.ask("counts", "take");
      calls += sum(since.calls, ["TENANT"]);
      rows += sum(since.rows, ["TENANT"]);
      return calls;
    };
    assert.ok((await eventually(look, (some) => some > 0)) > 0);
    return rows / calls;
  };
  // The first of an hour makes the rows of that hour.
  const rows = Math.min(await batch(), await batch(), await batch());
  assert.ok(rows > 0 && rows <= Number(most), `${rows} rows`);
});
