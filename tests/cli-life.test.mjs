// A full life of a key, driven by the command line as a script drives it: every step is a run of
// `tollgate`, its answer is read as JSON, and a request through the gate shows what it came to.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { runCli } from "./support/cli.mjs";
import { assertProblem } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { bearer } from "./support/keys.mjs";
import { testPolicy } from "./support/policy.mjs";
import { secretsOfKeys } from "./support/run.mjs";
import { eventually } from "./support/usage.mjs";

let backend, gate, folder;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tollgate-cli-life-"));
  backend = await startBackend();
  gate = await startGate({
    policy: testPolicy({ backend, routes: [{ name: "thing", path: "/things/{id}", scopes: ["things:read:{id}"] }] }),
    name: "cli-life",
  });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** Runs the command and reads its JSON; it has to end with `code`. */
async function tollgate(args, { code = 0, input, token = gate.secrets.ROOT_TOKEN } = {}) {
  const env = { HOME: folder, TOLLGATE_TOKEN: token };
  const ended = await runCli(gate, [...args, "--json"], { input, env });
  assert.equal(ended.code, code, `tollgate ${args.join(" ")}: ${ended.out}${ended.err}`);
  assert.equal(secretsOfKeys(ended.err).length, 0);
  return ended.json;
}

/** What the backend is asked with this key: the answer to a request through the gate. */
const call = (secret, path = "/things/7") => gate.request({ path, headers: bearer(secret) });
const statuses = (...secrets) => Promise.all(secrets.map(async (secret) => (await call(secret)).status));

test("a full life of a key, driven by the command line", async () => {
  // An operator makes an admin key for the tenant; all that follows is done with it.
  const admin = await tollgate(["keys", "create", "--tenant", "acme", "--kind", "ak", "--name", "automation", "--scope", "keys:read",
    "--scope", "keys:write", "--scope", "audit:read", "--scope", "usage:read", "--address", "127.0.0.0/8", "--limit", "1000/1m"]);
  const token = admin.secret;
  const run = (args, options) => tollgate(args, { token, ...options });

  // Created, looked at offline, used.
  const made = await run(["keys", "create", "--kind", "sk", "--name", "billing", "--scope", "things:read:7", "--tag", "eu", "--limit", "1000/1m"]);
  const [first, one] = [made.key.id, made.secret];
  assert.deepEqual([made.key.tenant, made.key.state, made.key.version], ["acme", "active", 1]);
  const inspected = await run(["key", "inspect", "-"], { input: one });
  assert.equal(inspected.id, first);
  const before = backend.requests.length;
  assert.deepEqual(await statuses(one), [200]);
  assert.equal(backend.requests.length, before + 1);
  assert.equal(backend.last.header("x-tollgate-key"), first);
  assertProblem(await call(one, "/things/8"), 403, "insufficient_scope", { members: ["required_scopes"] });
  assert.equal((await run(["keys", "verify", "-", "--scope", "things:read:7"], { input: one })).valid, true);

  // Rotated: both work, the old one says how long.
  const rotated = await run(["keys", "rotate", first, "--grace", "1h"]);
  const [second, two] = [rotated.key.id, rotated.secret];
  assert.deepEqual([rotated.key.family, rotated.previous.id, rotated.previous.deprecated.successor], [first, first, second]);
  assert.deepEqual(await statuses(one, two), [200, 200]);
  assert.ok((await call(one)).headers.sunset, "the old key's end is told");
  assert.equal((await call(two)).headers.sunset, undefined);

  // The old one ends, the new one does not.
  assert.equal((await run(["keys", "end-grace", first])).key.state, "expired");
  assertProblem(await call(one), 401, "key_expired");
  assert.deepEqual(await statuses(two), [200]);
  const again = await run(["keys", "rotate", second, "--grace", "2h"]);
  const [third, three] = [again.key.id, again.secret];
  assert.deepEqual(await statuses(two, three), [200, 200]);

  // All of the lineage is revoked; nothing of it works, and nothing brings it back.
  const revoked = await run(["keys", "revoke", third, "--family"]);
  assert.equal(revoked.key.state, "revoked");
  for (const secret of [two, three]) assertProblem(await call(secret), 401, "key_revoked");
  assert.deepEqual(await statuses(one), [401]);
  assert.equal((await run(["keys", "verify", "-"], { input: three, code: 1 })).code, "key_revoked");
  for (const args of [["enable", third], ["rotate", third]]) {
    assert.equal((await run(["keys", ...args], { code: 1 })).code, "state_conflict");
  }
  const listed = await run(["keys", "list", "--tag", "eu"]);
  assert.deepEqual(listed.keys.map(({ id, state }) => [id, state]).sort(), [first, second, third].map((id) => [id, "revoked"]).sort());

  // What happened is in the audit, by whom and in order, and the chain is whole.
  const told = async (key) => (await run(["audit", "list", "--key", key])).entries.toReversed();
  const types = (entries) => entries.map(({ type }) => type).filter((type) => type.startsWith("key."));
  const life = await eventually(() => told(first), (entries) => types(entries).includes("key.revoked"));
  assert.equal(types(life)[0], "key.created");
  assert.ok(types(life).indexOf("key.rotated") > 0, types(life).join());
  for (const entry of life.filter(({ type }) => ["key.created", "key.rotated", "key.revoked"].includes(type))) {
    assert.equal(entry.actor, admin.key.id, entry.type);
  }
  const file = join(folder, "audit.ndjson");
  await run(["audit", "export", "--out", file]);
  const { public_key } = (await run(["audit", "key"])).key;
  await run(["audit", "verify", file, "--public-key", public_key]);

  // And how often it was used: what passed, and what was refused for what.
  const used = await eventually(
    async () => (await run(["keys", "usage", second])).usage,
    ({ requests }) => requests >= 5,
  );
  assert.deepEqual([used.admitted, used.errors.key_revoked], [4, 1]);
});
