// The OpenAPI document, tried on a running gate by a tool that knows nothing but the document: it makes
// requests that fit and requests that do not, in sequences too, and holds every answer against it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { at, schemathesis } from "../scripts/paths.mjs";
import { reply, startBackend } from "./support/backend.mjs";
import { startGate } from "./support/gate.mjs";
import { makeKey } from "./support/keys.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";
import { secretsOfKeys, secretsUsed } from "./support/run.mjs";

const CONFIG = at("scripts/schemathesis/schemathesis.toml");

let backend, gate, folder;
before(async () => {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const key = { key_identifier: "known", key: publicKey.export({ type: "spki", format: "pem" }), is_current: true };
  backend = await startBackend({ answer: (_, response) => reply(response, 200, { public_keys: [key] }) });
  gate = await startGate({
    policy: testPolicy({
      backend,
      gate: { leak_intake: { keys: `${backend.origin}/keys` } },
      routes: [{ name: "plain", path: "/plain" }],
    }),
    name: "schemathesis",
  });
  folder = mkdtempSync(join(tmpdir(), "tollgate-schemathesis-"));
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

test("every answer of the gate is as its OpenAPI document says", { timeout: 900_000 }, async () => {
  const { secret } = await makeKey(gate, { scopes: ["things:*"], limits: [atMost(1_000_000, "24h")] });
  const shown = join(folder, "secrets");
  const report = join(folder, "report.json");
  const { code, output } = await run(
    ["--config-file", CONFIG, "run", at("www/openapi.json"), "--report-json-path", report, "--no-color"],
    {
      TOLLGATE_BASE: `http://127.0.0.1:${gate.port}`,
      TOLLGATE_HOOKS: at("scripts/schemathesis/hooks.py"),
      TOLLGATE_ADMIN_HOST: gate.adminHost,
      TOLLGATE_API_HOST: `localhost:${gate.port}`,
      TOLLGATE_TOKEN: gate.secrets.ROOT_TOKEN,
      // A key in its two halves, for tokens.
      TOLLGATE_CLIENT_ID: secret.slice(0, secret.lastIndexOf("_")),
      TOLLGATE_CLIENT_SECRET: secret.slice(secret.lastIndexOf("_") + 1),
      TOLLGATE_SECRETS_SHOWN: shown,
    },
  );
  const told = existsSync(shown) ? readFileSync(shown, "utf8") : "";
  const secrets = [...secretsOfKeys(told), ...told.split("\n").filter((line) => /^[0-9A-Za-z+/]{43}=$/.test(line))];
  gate.known.push(...secrets);
  secretsUsed(secrets);
  assert.equal(code, 0, output);
  const { complete, operations, phases } = JSON.parse(readFileSync(report, "utf8"));
  const document = JSON.parse(readFileSync(at("www/openapi.json"), "utf8"));
  const described = Object.values(document.paths).flatMap((item) => Object.keys(item).filter((name) => name !== "servers"));
  assert.deepEqual([complete, operations.tested, operations.errored], [true, described.length, 0], output);
  assert.deepEqual(
    Object.entries(phases).map(([name, { status }]) => `${name} ${status}`),
    ["examples success", "coverage success", "fuzzing success", "stateful success"],
  );
  assert.ok(secrets.length > 0, "it made keys");
});

test("every check that the tool has is on", async () => {
  const { output } = await run(["run", "--help"], {});
  const known = output.replaceAll(/\s+/g, " ").match(/--checks .*?possible values: ([a-z_, ]+)\]/)[1].split(", ");
  const on = [...readFileSync(CONFIG, "utf8").matchAll(/^([a-z_]+)\.enabled = true$/gm)].map(([, name]) => name);
  assert.deepEqual(on.sort(), known.filter((name) => name !== "all").sort());
  assert.doesNotMatch(readFileSync(CONFIG, "utf8"), /enabled = false/);
});

/** Runs the tool in a folder of its own, with nothing in its environment but what it needs. */
function run(args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(schemathesis(), args, {
      cwd: folder,
      // Its hooks are read where they stand: nothing compiled is left beside them.
      env: { PATH: process.env.PATH, HOME: folder, LANG: "C.UTF-8", PYTHONDONTWRITEBYTECODE: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const chunks = [];
    child.stdout.on("data", (chunk) => chunks.push(chunk));
    child.stderr.on("data", (chunk) => chunks.push(chunk));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, output: Buffer.concat(chunks).toString() }));
  });
}
