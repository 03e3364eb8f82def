// The audit: what happened, who did it, and that no copy of it can be changed unnoticed.
//
//   1. what is written down: every event of a key's life once, refused calls, and nothing else
//   2. reading it: filters, pages that stay right while entries come, tenants apart
//   3. exports: verified by the command line, and refused by it when anything in them was changed
//   4. crashes: no gap and nothing twice after the gate was killed in the middle of writing
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { runCli } from "./support/cli.mjs";
import { assertProblem } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { act, bearer, change, makeKey, partsOf } from "./support/keys.mjs";
import { by, startManagement } from "./support/management.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";
import { chance, seed } from "./support/random.mjs";
import { wrapped } from "./support/wrap.mjs";

const READER = ["keys:read", "keys:write", "keys:admin", "audit:read"];

let world, gate, api, admin, folder;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tollgate-audit-"));
  world = await startManagement("audit", { worker: wrapped("ungathered-worker.mjs") });
  ({ gate, api, admin } = world);
});
after(async () => {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** One page of the audit, which has to be there. */
async function page(query = "", options = {}) {
  const answer = await api("GET", `audit${query && `?${query}`}`, undefined, options);
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(Object.keys(answer.body), ["entries", "nextCursor"]);
  return answer.body;
}
/** Every entry that a query finds, oldest first. */
async function entries(query = "", options = {}) {
  const found = [];
  for (let cursor = ""; cursor !== null; ) {
    const { entries, nextCursor } = await page(`limit=100&${query}${cursor && `&cursor=${cursor}`}`, options);
    found.push(...entries);
    cursor = nextCursor;
  }
  return found.reverse();
}
const typesOf = async (query, options) => (await entries(query, options)).map(({ type }) => type);
/** The text of an export, which is no JSON as a whole. */
async function exported(query = "", { token = gate.secrets.ROOT_TOKEN, on = gate } = {}) {
  const answer = await on.request({ host: on.adminHost, path: `/_tollgate/v1/audit?format=ndjson${query}`, headers: bearer(token) });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers["content-type"], "application/x-ndjson");
  return answer.text;
}
const linesOf = (text) => text.split("\n").slice(0, -1).map((line) => JSON.parse(line));

/** Runs `tollgate audit`. */
const tollgate = (args, { on = gate, ...options } = {}) => runCli(on, ["audit", ...args], options);
const verified = async (text, ...args) => tollgate(["verify", "-", "--json", ...args], { input: text });

describe("what is written down", () => {
  test("every event of a key's life stands there once, with who did it, in the tenant's chain and in the one over all", async () => {
    const operator = await admin({ tenant: "*" });
    const key = await makeKey(gate, { tenant: "life" });
    await change(gate, key, { name: "renamed", tags: ["a"] });
    await act(gate, key, "disable", undefined, by(operator));
    await act(gate, key, "disable", undefined, by(operator)); // it is so already
    await act(gate, key, "enable", undefined, by(operator));
    const { key: next } = await act(gate, key, "rotate", { grace: "1h" }, by(operator));
    await act(gate, key, "end-grace", undefined, by(operator));
    const revoked = await api("POST", `keys/${next.id}/revoke`, undefined, by(operator));

    const told = [
      ["key.created", "root", key.id], ["key.updated", "root", key.id], ["key.disabled", operator.id, key.id],
      ["key.enabled", operator.id, key.id], ["key.rotated", operator.id, key.id], ["key.created", operator.id, next.id],
      ["key.grace_ended", operator.id, key.id], ["key.revoked", operator.id, next.id],
    ];
    const chain = await entries("tenant=life");
    assert.deepEqual(chain.map(({ type, actor, key }) => [type, actor, key]), told);
    const all = (await entries()).filter(({ tenant }) => tenant === "life");
    assert.deepEqual(all.map(({ type, actor, key }) => [type, actor, key]), told);
    assert.deepEqual(chain.map(({ seq, chain }) => [seq, chain]), told.map((_, at) => [at + 1, "life"]));
    assert.ok(all.every(({ chain }) => chain === "*"));
    assert.deepEqual(chain[1].fields.sort(), ["name", "tags"]);
    const last = chain.at(-1);
    assert.deepEqual([last.request_id, last.address], [revoked.headers["x-request-id"], "127.0.0.1"]);
    for (const [at, entry] of chain.entries()) {
      assert.match(entry.hash, /^[0-9a-f]{64}$/);
      assert.equal(entry.prev, at === 0 ? "0".repeat(64) : chain[at - 1].hash);
      assert.match(entry.at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/);
    }
  });

  test("a refused call is written down before it is answered, whatever it was refused for", async () => {
    const own = await admin({ tenant: "refused", scopes: READER });
    const reader = await admin({ tenant: "refused", scopes: ["keys:read"], addresses: [] });
    const foreign = await makeKey(gate, { tenant: "other" });
    const mine = await makeKey(gate, { tenant: "refused" });
    await act(gate, mine, "revoke");
    const before = (await entries("tenant=refused")).length;

    const refused = [];
    const refuse = async (status, code, caller, entry, ...call) => {
      const answer = await api(...call, by(caller));
      assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text);
      refused.push({ type: "management.refused", tenant: "refused", actor: caller.id, code, address: "127.0.0.1", request_id: answer.headers["x-request-id"], ...entry });
    };
    await refuse(404, "not_found", own, { call: "GET keys/{id}", key: foreign.id }, "GET", `keys/${foreign.id}`, undefined);
    await refuse(404, "not_found", own, { call: "POST keys/{id}/revoke", key: foreign.id }, "POST", `keys/${foreign.id}/revoke`, undefined);
    await refuse(409, "state_conflict", own, { call: "POST keys/{id}/rotate", key: mine.id }, "POST", `keys/${mine.id}/rotate`, undefined);
    await refuse(403, "not_grantable", own, { call: "POST keys/{id}/disable", key: own.id }, "POST", `keys/${own.id}/disable`, undefined);
    await refuse(403, "insufficient_scope", reader, { call: "POST keys", key: reader.id }, "POST", "keys", { kind: "sk", name: "x" });
    await refuse(403, "insufficient_scope", reader, { call: "GET audit", key: reader.id }, "GET", "audit", undefined);
    await refuse(400, "invalid_field", own, { call: "POST keys", key: own.id }, "POST", "keys", { kind: "sk", nme: "x" });
    await refuse(400, "invalid_field", own, { call: "POST keys", key: own.id }, "POST", "keys", "{");
    await refuse(413, "body_too_large", own, { call: "POST keys", key: own.id }, "POST", "keys", JSON.stringify({ name: "x".repeat(70_000) }));
    await refuse(404, "not_found", own, { call: "GET audit", key: own.id }, "GET", "audit?tenant=other", undefined);

    const found = (await entries("tenant=refused")).slice(before);
    assert.deepEqual(found.map(({ seq, prev, chain, at, recorded_at, hash, ...rest }) => rest), refused);
    for (const { at, recorded_at } of found) assert.ok(recorded_at >= at, "the lag is shown");
    const over = (await entries("type=management.refused")).filter(({ tenant }) => tenant === "refused");
    assert.deepEqual(over.map(({ request_id }) => request_id), refused.map(({ request_id }) => request_id));
    assert.deepEqual(await typesOf("tenant=other"), ["key.created"], "the other tenant learns nothing of it");
  });

  test("an operator's refused call is in the chain over all alone", async () => {
    const answer = await api("GET", "keys/abcdefghij012345");
    assertProblem(answer, 404, "not_found");
    const [last] = (await page("limit=1")).entries;
    const { call, code, actor, tenant, key, request_id } = last;
    assert.deepEqual({ call, code, actor, tenant, key, request_id }, {
      call: "GET keys/{id}", code: "not_found", actor: "root", tenant: "*", key: "abcdefghij012345", request_id: answer.headers["x-request-id"],
    });
  });

  test("what is no act is not written down: reading, verifying, strangers, what is nowhere", async () => {
    const key = await makeKey(gate, { tenant: "quiet" });
    const reader = await admin({ tenant: "quiet", scopes: READER });
    const length = async () => (await page("limit=1")).entries[0].seq;
    const before = await length();
    for (const [status, ...call] of [
      [200, "GET", "keys"], [200, "GET", `keys/${key.id}`], [200, "GET", "audit"], [200, "GET", "audit/key"],
      [200, "POST", "keys/verify", { key: key.secret }], [404, "GET", "nothing"], [405, "DELETE", "keys"],
    ]) {
      assert.equal((await api(...call, by(reader))).status, status, call.join(" "));
    }
    await exported("", { token: reader.secret });
    assertProblem(await api("GET", "keys", undefined, { token: null }), 401, "key_missing");
    assertProblem(await api("GET", "keys", undefined, { token: "nonsense" }), 401, "key_invalid");
    assertProblem(await api("GET", "keys", undefined, by(key)), 403, "wrong_kind");
    assert.equal((await gate.request({ path: "/plain", headers: bearer(key.secret) })).status, 200);
    assert.equal(await length(), before);
  });

  test("a key that is no good any more is refused, and that is written down", async () => {
    const gone = await admin({ tenant: "gone", scopes: READER });
    await act(gate, gone, "revoke");
    assertProblem(await api("GET", "keys", undefined, by(gone)), 401, "key_revoked");
    const chain = await entries("tenant=gone");
    assert.deepEqual(chain.map(({ type, actor, code }) => [type, actor, code]), [
      ["key.created", "root", undefined], ["key.revoked", "root", undefined], ["management.refused", gone.id, "key_revoked"],
    ]);
  });

  test("a flood of calls over the limit is one entry and a count", async () => {
    const hasty = await admin({ tenant: "hasty", scopes: READER, limits: [atMost(2, "1h")] });
    for (let i = 0; i < 2; i += 1) assert.equal((await api("GET", "keys", undefined, by(hasty))).status, 200);
    for (let i = 0; i < 5; i += 1) assert.equal((await api("GET", "keys", undefined, by(hasty))).body.code, "rate_limited");
    const chain = await entries("tenant=hasty");
    assert.deepEqual(chain.map(({ type, code }) => [type, code]), [["key.created", undefined], ["management.refused", "rate_limited"]]);
  });
});

describe("reading it", () => {
  test("each filter finds what it says, and all together", async () => {
    const one = await admin({ tenant: "filters", scopes: READER });
    const [a, b] = [await makeKey(gate, { tenant: "filters" }, by(one)), await makeKey(gate, { tenant: "filters" }, by(one))].map(({ id }) => id);
    await act(gate, { id: a }, "disable", undefined, by(one));
    await act(gate, { id: b }, "revoke");
    assertProblem(await api("GET", "keys/abcdefghij012345", undefined, by(one)), 404, "not_found");
    const all = await entries("tenant=filters");
    assert.equal(all.length, 6);
    const seqs = async (query, options) => (await entries(query, options)).map(({ seq }) => seq);
    assert.deepEqual(await seqs("", by(one)), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(await seqs(`key=${a}`, by(one)), [2, 4]);
    assert.deepEqual(await seqs("actor=root", by(one)), [1, 5]);
    assert.deepEqual(await seqs(`actor=${one.id}`, by(one)), [2, 3, 4, 6]);
    assert.deepEqual(await seqs("type=key.created", by(one)), [1, 2, 3]);
    assert.deepEqual(await seqs(`type=key.created&actor=${one.id}&key=${b}`, by(one)), [3]);
    assert.deepEqual(await seqs("type=key.crea", by(one)), []);
    const at = (entry) => encodeURIComponent(entry.at);
    const since = all.filter((entry) => Date.parse(entry.at) >= Date.parse(all[3].at)).map(({ seq }) => seq);
    assert.deepEqual(await seqs(`from=${at(all[3])}`, by(one)), since);
    const until = all.filter((entry) => Date.parse(entry.at) < Date.parse(all[3].at)).map(({ seq }) => seq);
    assert.deepEqual(await seqs(`to=${at(all[3])}`, by(one)), until);
    assert.deepEqual(await seqs("to=2020-01-01", by(one)), []);
  });

  test("pages stay right while entries come", async () => {
    const tenant = "pages";
    for (let i = 0; i < 7; i += 1) await makeKey(gate, { tenant });
    const seen = [];
    for (let cursor = ""; cursor !== null; ) {
      const { entries, nextCursor } = await page(`tenant=${tenant}&limit=3${cursor && `&cursor=${cursor}`}`);
      assert.ok(entries.length <= 3);
      seen.push(...entries.map(({ seq }) => seq));
      await makeKey(gate, { tenant });
      cursor = nextCursor;
    }
    assert.deepEqual(seen, [7, 6, 5, 4, 3, 2, 1]);
    assert.equal((await page(`tenant=${tenant}&limit=10`)).nextCursor, null, "ten fit on one page");
  });

  test("what makes no sense is told by its field", async () => {
    for (const [query, fields] of [
      ["limit=101", ["limit"]],
      ["after=1", ["after"]],
      ["format=csv", ["format"]],
      ["tenant=Acme&from=now&key=x", ["from", "key", "tenant"]],
      ["format=ndjson&key=abcdefghij012345&limit=10001", ["key", "limit"]],
      ["format=ndjson&after=99999999", ["after"]],
      ["colour=red", ["colour"]],
    ]) {
      const answer = await api("GET", `audit?${query}`);
      assertProblem(answer, 400, "invalid_field", { members: ["errors"], why: query });
      assert.deepEqual(answer.body.errors.map(({ field }) => field).sort(), fields, query);
    }
  });

  test("a tenant has its own chain and no other", async () => {
    const [ours, theirs] = [await admin({ tenant: "ours", scopes: READER }), await admin({ tenant: "theirs", scopes: READER })];
    await makeKey(gate, { tenant: "ours" }, by(ours));
    await makeKey(gate, { tenant: "theirs" }, by(theirs));
    for (const [key, tenant, other] of [[ours, "ours", "theirs"], [theirs, "theirs", "ours"]]) {
      const found = await entries("", by(key));
      assert.deepEqual(found.map((entry) => [entry.tenant, entry.chain]), [[tenant, tenant], [tenant, tenant]]);
      assert.deepEqual((await entries(`tenant=${tenant}`, by(key))), found);
      for (const query of [`tenant=${other}`, "tenant=*", `format=ndjson&tenant=${other}`, "format=ndjson&tenant=*"]) {
        assertProblem(await api("GET", `audit?${query}`, undefined, by(key)), 404, "not_found");
      }
      const lines = linesOf(await exported("", { token: key.secret }));
      assert.equal(lines.at(-1).head.chain, tenant);
      assert.ok(lines.slice(0, -1).every((line) => line.tenant === tenant));
    }
    assert.deepEqual(await entries("tenant=nobody"), []);
  });
});

describe("exports", () => {
  test("the command line gets a whole chain and finds it whole, signed by the gate", async () => {
    const file = join(folder, "all.ndjson");
    const got = await tollgate(["export", "-o", file, "--json"]);
    assert.deepEqual([got.code, got.err], [0, ""]);
    const text = readFileSync(file, "utf8");
    const lines = linesOf(text);
    const { head, algorithm, public_key } = lines.pop();
    assert.deepEqual(lines.map(({ seq }) => seq), lines.map((_, at) => at + 1));
    assert.deepEqual([head.chain, head.after, head.seq, head.count, head.last, head.hash], ["*", 0, lines.length, lines.length, lines.length, lines.at(-1).hash]);
    assert.equal(algorithm, "Ed25519");
    assert.deepEqual((await api("GET", "audit/key")).body, { key: { algorithm: "Ed25519", public_key } });
    assert.equal((await tollgate(["key"])).out, `${public_key}\n`);

    const whole = await tollgate(["verify", file, "--public-key", public_key, "--json"]);
    assert.equal(whole.code, 0, whole.out);
    assert.deepEqual(whole.json, {
      valid: true, chain: "*", after: 0, seq: lines.length, hash: head.hash, count: lines.length, at: head.at, public_keys: [public_key], trusted: true,
    });
    // In small pages, while entries come, it is one export all the same.
    const paged = tollgate(["export", "--page", "3"]);
    for (let i = 0; i < 5; i += 1) await makeKey(gate);
    const { code, out } = await paged;
    assert.equal(code, 0);
    assert.ok(linesOf(out).filter(({ head }) => head).length > 10);
    const { json } = await tollgate(["verify", "-", "--public-key", public_key, "--json"], { input: out });
    assert.deepEqual([json.valid, json.after, json.count >= lines.length], [true, 0, true]);

    const alone = await tollgate(["verify", file]);
    assert.equal(alone.code, 0);
    assert.match(alone.out, /^whole: \d+ entries of the chain \*/);
    assert.match(alone.out, /only checked against the key in the file/);
    for (const secret of gate.known) assert.ok(!text.includes(secret), "a secret is in the audit");
    assert.ok(!text.includes(partsOf((await makeKey(gate)).secret).secret));
  });

  test("parts of a chain are whole, one after the other and from the middle on", async () => {
    const parts = [await exported("&tenant=life&limit=3"), await exported("&tenant=life&after=3&limit=3"), await exported("&tenant=life&after=6&limit=3")];
    const [first, second, third] = parts;
    assert.deepEqual(parts.map((part) => linesOf(part).length), [4, 4, 3]);
    const all = (await verified(parts.join(""))).json;
    assert.deepEqual([all.valid, all.after, all.seq, all.count, all.trusted], [true, 0, 8, 8, false]);
    const later = (await verified(second + third)).json;
    assert.deepEqual([later.valid, later.after, later.count], [true, 3, 5]);
    assert.match((await tollgate(["verify", "-"], { input: second + third })).out, /It begins after entry 3\./);
    const nothing = (await verified(await exported("&tenant=life&after=8"))).json;
    assert.deepEqual([nothing.valid, nothing.after, nothing.count], [true, 8, 0]);
    for (const [text, reason, line] of [
      [first, "incomplete", 4], [first + second, "incomplete", 8], [first + third, "missing", 5], [second + first, "out_of_order", 5],
      [third + third, "out_of_order", 4], [first.split("\n").slice(0, 3).join("\n") + "\n", "cut_off", 3], ["", "empty", 0],
    ]) {
      const broken = await verified(text);
      assert.deepEqual([broken.code, broken.json.valid, broken.json.reason, broken.json.line], [1, false, reason, line]);
    }
  });

  test("whatever is changed in an export is found", async () => {
    const random = chance(seed());
    const text = await exported("&tenant=refused");
    const whole = Buffer.from(text);
    const { public_key } = linesOf(text).at(-1);
    assert.equal((await verified(text)).code, 0);
    const broken = async (bytes, ...args) => {
      const answer = await tollgate(["verify", "-", "--json", ...args], { input: bytes });
      assert.equal(answer.code, 1, answer.out + answer.err);
      return answer.json.reason;
    };
    // The core's tests flip every bit there is; here some, through the command as it is.
    for (let i = 0; i < 40; i += 1) {
      const bytes = Buffer.from(whole);
      bytes[random.below(bytes.length)] ^= 1 << random.below(8);
      await broken(bytes);
    }
    for (let i = 0; i < 10; i += 1) await broken(whole.subarray(0, random.below(whole.length)));
    const lines = text.split("\n");
    const without = lines.filter((_, at) => at !== 2).join("\n");
    assert.equal(await broken(without), "missing");
    const [a, b] = [lines[1], lines[2]];
    assert.equal(await broken(lines.map((line) => (line === a ? b : line === b ? a : line)).join("\n")), "missing");
    assert.equal(await broken(text.replace("not_found", "not_fount")), "changed");
    assert.equal(await broken(text.replace('"count":', '"count":1')), "bad_signature");
    const other = linesOf(await foreignExport()).at(-1).public_key;
    assert.notEqual(other, public_key);
    assert.equal(await broken(whole, "--public-key", other), "other_key");
    assert.equal((await verified(text, "--public-key", other, "--public-key", public_key)).code, 0);
  });

  /** An export of another gate, which has a STORE_KEY of its own. */
  async function foreignExport() {
    const backend = await startBackend();
    const foreign = await startGate({ policy: testPolicy({ backend, routes: [{ name: "plain", path: "/plain" }] }), name: "audit-foreign" });
    const text = await exported("", { on: foreign, token: foreign.secrets.ROOT_TOKEN });
    await foreign.stop();
    await backend.stop();
    return text;
  }

  test("what cannot be read is neither whole nor changed", async () => {
    for (const args of [["verify", join(folder, "nothing")], ["verify", folder], ["verify", "-", "--public-key", "short"], ["verify"]]) {
      assert.equal((await tollgate(args)).code, 2, args.join(" "));
    }
  });

  test("an export that is refused leaves the file that was there", async () => {
    const file = join(folder, "kept.ndjson");
    writeFileSync(file, "kept");
    const reader = await admin({ tenant: "exporter", scopes: ["keys:read"], addresses: [] });
    const refused = await tollgate(["export", "-o", file], { env: { TOLLGATE_TOKEN: reader.secret } });
    assert.deepEqual([refused.code, refused.out], [1, ""]);
    assert.match(refused.err, /^403 insufficient_scope/);
    const beyond = await tollgate(["export", "-o", file, "--tenant", "life", "--after", "99999"]);
    assert.equal(beyond.code, 2);
    assert.equal(readFileSync(file, "utf8"), "kept");
  });

  test("a list for people and for scripts", async () => {
    const shown = await tollgate(["list", "--tenant", "life", "--type", "key.created"]);
    assert.equal(shown.code, 0);
    assert.match(shown.out, /^SEQ +AT +TYPE +ACTOR +TENANT +KEY/);
    assert.equal(shown.out.trim().split("\n").length, 3);
    const list = await tollgate(["list", "--tenant", "life", "--limit", "2", "--json"]);
    assert.deepEqual(list.json.entries.map(({ seq, hash }) => [seq, hash.length]), [[8, 64], [7, 64]]);
    assert.match((await tollgate(["list", "--tenant", "nobody"])).out, /^no entries$/m);
  });

  test("without STORE_KEY the audit is kept and read, and nothing is signed", async () => {
    const backend = await startBackend();
    const bare = await startGate({ policy: testPolicy({ backend, routes: [{ name: "plain", path: "/plain" }] }), name: "audit-bare", secrets: { STORE_KEY: null } });
    try {
      await makeKey(bare);
      assert.equal((await bare.api("GET", "audit")).body.entries.length, 1);
      for (const path of ["audit?format=ndjson", "audit/key"]) assertProblem(await bare.api("GET", path), 503, "admission_unavailable");
    } finally {
      await bare.stop();
      await backend.stop();
    }
  });
});

describe("crashes", () => {
  test("killed in the middle of writing, again and again: no gap, nothing twice, nothing lost that was answered", async () => {
    const random = chance(seed());
    const tenant = "crash";
    const answered = [];
    for (let round = 0; round < 4; round += 1) {
      let killed = false;
      const writers = Array.from({ length: 6 }, async () => {
        while (!killed) {
          const made = await api("POST", "keys", { tenant, kind: "sk", name: "x" }).catch(() => null);
          if (made?.status === 201) answered.push(made.body.key.id);
        }
      });
      const enough = answered.length + 5 + random.below(15);
      while (answered.length < enough) await new Promise((resolve) => setImmediate(resolve));
      killed = true;
      await gate.kill();
      await Promise.all(writers);
      await gate.start();
    }
    // What was written and not answered may be delivered later: each key's next event brings the rest of its own.
    for (const id of answered) await act(gate, { id }, "disable");
    for (const query of [`&tenant=${tenant}`, ""]) {
      const text = await exported(query);
      const whole = await verified(text);
      assert.deepEqual([whole.code, whole.json.after], [0, 0], whole.out);
      const lines = linesOf(text).slice(0, -1).filter((line) => line.tenant === tenant);
      const count = (id, type) => lines.filter((line) => line.key === id && line.type === type).length;
      for (const id of answered) assert.deepEqual([count(id, "key.created"), count(id, "key.disabled")], [1, 1]);
      const each = new Set(lines.map(({ key, type }) => `${key} ${type}`));
      assert.equal(each.size, lines.length, "nothing is there twice");
    }
  });
});
