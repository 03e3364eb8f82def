// 10 000 keys in one tenant, and as many in all the others:
//
//   1. lists, narrowed by anything, are complete and have nothing twice, also while keys come and go
//   2. what a page, a create and a revoke take with ten keys and with 10 000: printed, not judged
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { startGate } from "./support/gate.mjs";
import { act, base62, makeKey } from "./support/keys.mjs";
import { testPolicy } from "./support/policy.mjs";
import { chance } from "./support/random.mjs";
import { wrapped } from "./support/wrap.mjs";

const COUNT = 10_000;
const TENANT = "many";
const DAY = 86_400_000;
const start = Date.now() - 90 * DAY;

let backend, gate;
/** Every key of the tenant, newest first. */
let entries;

/** What a registry is told of a key, by its number. */
function entry(random, tenant, i) {
  const id = base62(random, 16);
  const state = i % 50 === 0 ? "revoked" : i % 31 === 0 ? "disabled" : "active";
  const [kind, created_at] = [["sk", "sk", "rk", "pk", "sk"][i % 5], start + i * 1_000];
  const expires_at = i % 97 === 0 ? start + i * 1_000 + DAY : Date.now() + 365 * DAY;
  const owner = i % 3 === 0 ? null : `owner-${i % 40}`;
  const tags = [...(i % 4 === 0 ? ["web"] : []), ...(i % 1_000 === 7 ? ["rare"] : [])];
  const origins = kind === "pk" ? ["https://app.example.com"] : [];
  const view = {
    id, family: id, kind, environment: "dev", tenant, name: `key ${i}`, owner, tags, state, version: 1, created_at, expires_at,
    metadata: { ticket: i, why: "x".repeat(60) }, scopes: ["invoices:read", "invoices:write"], origins,
  };
  return {
    id, family: id, tenant, kind, owner, tags: JSON.stringify(tags), origins: JSON.stringify(origins), allow_any_origin: false,
    state, created_at, expires_at, version: 1, pepper: 1, view: JSON.stringify(view),
  };
}

const tell = (object, message) =>
  gate.request({ method: "POST", headers: { "x-test-object": `TENANT/${object}` }, body: JSON.stringify(message) });

async function deliver(object, all) {
  for (let at = 0; at < all.length; at += 500) {
    const answer = await tell(object, { deliver: { entries: all.slice(at, at + 500), events: [] } });
    assert.equal(answer.text, "{}");
  }
}

before(async () => {
  backend = await startBackend();
  gate = await startGate({
    policy: testPolicy({ backend, routes: [{ name: "plain", path: "/plain" }] }),
    name: "many-keys", worker: wrapped("held-worker.mjs"),
  });
  const random = chance(7);
  entries = Array.from({ length: COUNT }, (_, i) => entry(random, TENANT, i)).reverse();
  const others = Array.from({ length: COUNT }, (_, i) => entry(random, `other-${i % 100}`, i));
  await deliver(TENANT, [...entries].sort((a, b) => (a.id < b.id ? -1 : 1)));
  await deliver("*", [...others, ...entries]);
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

async function ids(query, options, between = () => {}) {
  const seen = [];
  for (let cursor = ""; cursor !== null; ) {
    const { status, body, text } = await gate.api("GET", `keys?limit=100${query}${cursor && `&cursor=${cursor}`}`, undefined, options);
    assert.equal(status, 200, text);
    seen.push(...body.keys.map(({ id }) => id));
    cursor = body.nextCursor;
    await between(seen.length);
  }
  return seen;
}

const median = (times) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
async function time(act, turns = 30) {
  const times = [];
  for (let i = 0; i < turns; i += 1) {
    const before = performance.now();
    await act(i);
    times.push(performance.now() - before);
  }
  return median(times);
}

const live = ({ state, expires_at }) => state !== "revoked" && expires_at > Date.now();
const LISTS = [
  ["", () => true],
  ["&owner=owner-7", ({ owner }) => owner === "owner-7"],
  ["&tag=web", ({ tags }) => tags.includes('"web"')],
  ["&tag=rare", ({ tags }) => tags.includes('"rare"')],
  ["&tag=none", () => false],
  ["&kind=rk", ({ kind }) => kind === "rk"],
  ["&kind=ak", () => false],
  ["&state=disabled", (key) => key.state === "disabled" && live(key)],
  ["&state=revoked&kind=pk", ({ state, kind }) => state === "revoked" && kind === "pk"],
  ["&state=expired", (key) => key.state !== "revoked" && !live(key)],
  ["&state=active&owner=owner-7&tag=web", (key) => key.state === "active" && live(key) && key.owner === "owner-7" && key.tags.includes('"web"')],
  [`&unused_since=${new Date(start + 5_000 * 1_000).toISOString()}`, ({ created_at }) => created_at < start + 5_000 * 1_000],
  [`&unused_since=${new Date(start + 3_000).toISOString()}`, ({ created_at }) => created_at < start + 3_000],
];

test("every list is complete, in order, and has nothing twice", async () => {
  for (const [query, belongs] of LISTS) {
    const wanted = entries.filter(belongs).map(({ id }) => id);
    assert.deepEqual(await ids(`&tenant=${TENANT}${query}`), wanted, query);
  }
});

test("a list stays right while keys come and go", async () => {
  const random = chance(11);
  let number = COUNT;
  const gone = new Set();
  const seen = await ids(`&tenant=${TENANT}&state=active`, undefined, async (count) => {
    if (count % 1_000 !== 0) return;
    // New ones before the place, and an end to some before and some after it.
    const fresh = Array.from({ length: 3 }, () => entry(random, TENANT, (number += 1)));
    const ended = [100, 5_000, 9_000].map((at) => entries[(at + count) % COUNT]).filter(({ id }) => !gone.has(id));
    ended.forEach(({ id }) => gone.add(id));
    await deliver("*", [...fresh, ...ended.map((key) => ({ ...key, state: "revoked", version: 2 }))]);
  });
  assert.equal(new Set(seen).size, seen.length, "nothing twice");
  const all = new Set(seen);
  const stayed = entries.filter((key) => key.state === "active" && live(key) && !gone.has(key.id));
  for (const { id } of stayed) assert.ok(all.has(id), `${id} was there all the time`);
  // What was told only for this list.
  await deliver("*", entries.filter(({ id }) => gone.has(id)).map((key) => ({ ...key, version: 3 })));
});

test("what it takes", async (t) => {
  const options = { token: (await makeKey(gate, { tenant: TENANT, kind: "ak", scopes: ["keys:read"], limits: [{ requests: 100_000, window: "1h" }] })).secret };
  for (const [query] of LISTS) {
    const own = await time(() => gate.api("GET", `keys?limit=100${query}`, undefined, options));
    const all = await time(() => gate.api("GET", `keys?limit=100&tenant=${TENANT}${query}`));
    const every = await time(() => gate.api("GET", `keys?limit=100${query}`));
    t.diagnostic(`a page of ${query || "all"}: ${own.toFixed(1)} ms in the tenant's registry, ${all.toFixed(1)} ms in that of all, ${every.toFixed(1)} ms of all tenants`);
  }
  await makeKey(gate, { tenant: "ten" });
  const bounded = await gate.api("PATCH", `tenants/${TENANT}`, { version: 1, max_keys: 2 * COUNT });
  assert.equal(bounded.status, 200, bounded.text);
  for (const round of [1, 2]) {
    for (const [tenant, count] of [["ten", 10], [TENANT, COUNT]]) {
      const keys = [];
      const created = await time(async () => keys.push(await makeKey(gate, { tenant })), 40);
      const revoked = await time((i) => act(gate, keys[i], "revoke"), 40);
      t.diagnostic(`round ${round}, ${count} keys: create ${created.toFixed(1)} ms, revoke ${revoked.toFixed(1)} ms`);
    }
  }
});
