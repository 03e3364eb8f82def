// What docs/deploy.md says of a machine of one's own is all that it takes: its configuration is served, with
// nothing changed but where things lie.
import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, describe, test } from "node:test";
import { buildPolicy } from "../scripts/build.mjs";
import { at, policyFile } from "../scripts/paths.mjs";
import { freshSecrets } from "../scripts/secrets.mjs";
import { serve } from "../scripts/workerd.mjs";
import { assertProblem } from "./support/expect.mjs";
import { request } from "./support/request.mjs";
import { logFile, secretsUsed } from "./support/run.mjs";

const config = readFileSync(at("docs/deploy.md"), "utf8").match(/```capnp\n(.*?)```/s)[1];

let folder, gate, secrets;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tollgate-deploy-"));
  mkdirSync(join(folder, "state"));
  const policy = join(folder, "policy.json");
  await buildPolicy(policyFile, policy);
  const here = (path) => (path === "build/policy.json" ? policy : at(path));
  const moved = config
    .replace(/embed "([^"]+)"/g, (_, path) => `embed ${JSON.stringify(relative(folder, here(path)))}`)
    .replace('disk = "www"', `disk = ${JSON.stringify(at("www"))}`)
    .replace("/var/lib/tollgate", join(folder, "state"))
    .replace("127.0.0.1:8080", "127.0.0.1:0");
  writeFileSync(join(folder, "gate.capnp"), moved);
  secrets = freshSecrets();
  secretsUsed(Object.values(secrets));
  const log = logFile("deploy");
  gate = await serve(join(folder, "gate.capnp"), secrets, 1, (chunk) => appendFileSync(log, chunk));
  gate.unref();
});
after(async () => {
  await gate?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const ask = (host, path, headers, more = {}) => request({ port: gate.ports.gate, host, path, headers, ...more });
const secure = { "X-Forwarded-Proto": "https" };
const [api, admin] = ["api.example.com", "gate.example.com"];

describe("the configuration in the docs", () => {
  test("serves the road, the house and its objects, behind a proxy that says it was https", async () => {
    assert.equal((await ask(admin, "/_tollgate/health", secure)).status, 200);
    assertProblem(await ask(admin, "/_tollgate/health"), 403, "https_required", { base: `http://${admin}` });
    const unnamed = await ask(api, "/v1/invoices", secure);
    assertProblem(unnamed, 401, "key_missing", { base: `https://${api}` });
    const root = { ...secure, Authorization: `Bearer ${secrets.ROOT_TOKEN}` };
    const ready = await ask(admin, "/_tollgate/ready", root);
    assert.equal(ready.json.ready, true, ready.text);
    const listed = await ask(admin, "/_tollgate/v1/keys", root);
    assert.deepEqual([listed.status, listed.json.keys], [200, []]);
    assert.equal((await ask(admin, "/_tollgate/console/", secure)).status, 200, "the pages");
  });

  test("names every part of the driver", () => {
    const named = [...config.matchAll(/\(name = "(driver\/[^"]+)", esModule = embed "([^"]+)"\)/g)].map(([, name, path]) => [name, path]);
    const parts = readdirSync(at("driver")).sort().map((name) => `driver/${name}`);
    assert.deepEqual(named, parts.map((name) => [name, name]));
  });
});
