// The platform that the gate runs on outside Cloudflare: KV, objects and files as it expects them.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import test, { after, before } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { at, workerd } from "../scripts/paths.mjs";
import { serve } from "../scripts/workerd.mjs";
import { startBackend } from "./support/backend.mjs";
import { startGate } from "./support/gate.mjs";
import { request } from "./support/request.mjs";

let platform;
before(async () => {
  platform = await startGate({ module: {}, name: "platform", worker: at("tests/support/platform-worker.mjs") });
});
after(() => platform.stop());

const kv = async (...call) =>
  (await platform.request({ method: "POST", path: "/kv", body: JSON.stringify(call) })).json;
const object = async (binding) => Number((await platform.request({ path: `/object?binding=${binding}` })).text);

test("KV gives back what was put, whatever the key is made of", async () => {
  for (const key of ["plain", "with/slash", "with space", "ünïcode", "100%", "a?b#c&d=e", "key:1"]) {
    assert.equal(await kv("get", key), null, key);
    await kv("put", key, `value of ${key}`, { metadata: { of: key } });
    assert.equal(await kv("get", key), `value of ${key}`);
    assert.deepEqual((await kv("getWithMetadata", key)).metadata, { of: key });
    await kv("put", key, "other");
    assert.deepEqual(await kv("getWithMetadata", key), { value: "other", metadata: null, cacheStatus: null }, key);
    await kv("delete", key);
    assert.equal(await kv("get", key), null, key);
  }
});

test("KV lists by prefix, page by page, in order, with expiry", async () => {
  const end = Math.floor(Date.now() / 1000) + 3600;
  for (const name of ["list:b", "list:ä%", "list:a", "liszt"]) await kv("put", name, "x", { expiration: end });
  const names = [];
  let page = { list_complete: false };
  while (!page.list_complete) {
    page = await kv("list", { prefix: "list:", limit: 1, cursor: page.cursor });
    assert.equal(page.keys.length, 1);
    assert.equal(page.keys[0].expiration, end);
    names.push(page.keys[0].name);
  }
  assert.deepEqual(names, ["list:a", "list:b", "list:ä%"]);
});

test("events reach this machine while it is developed on, and in production they do not", async () => {
  const backend = await startBackend();
  const production = await startGate({ module: {}, environment: "production", name: "platform-production", worker: at("tests/support/platform-worker.mjs") });
  try {
    const sent = async (gate, to) => (await gate.request({ path: `/hooks?to=${encodeURIComponent(to)}` })).json.status;
    assert.equal(await sent(platform, `${backend.origin}/dev`), 200);
    for (const host of ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"]) {
      assert.equal(await sent(production, `http://${host}:${backend.port}/production`), null, host);
    }
    assert.deepEqual(backend.requests.map(({ url }) => url), ["/dev"]);
  } finally {
    await production.stop();
    await backend.stop();
  }
});

test("state outlives a stop and a kill", async () => {
  await kv("put", "kept", "still here");
  for (const binding of ["KEY", "TENANT", "ENDPOINT", "COUNTER", "INBOX"]) assert.equal(await object(binding), 1, binding);
  await platform.restart();
  for (const binding of ["KEY", "TENANT", "ENDPOINT", "COUNTER", "INBOX"]) assert.equal(await object(binding), 2, binding);
  await platform.kill();
  await platform.start();
  assert.equal(await object("KEY"), 3);
  assert.equal(await kv("get", "kept"), "still here");
});

test("only files with a known type are served, and nothing outside the folder", async () => {
  writeFileSync(join(platform.folder, "overlay/new.html"), "<p>new");
  const page = await platform.request({ path: "/www/new.html" });
  assert.deepEqual([page.status, page.headers["content-type"], page.text], [200, "text/html; charset=utf-8", "<p>new"]);
  const refused = ["", "nothing.html", "demo", "..%2fCargo.toml", "%2e%2e/package.json", ".hidden.js"];
  for (const path of refused) {
    assert.equal((await platform.request({ path: `/www/${path}` })).status, 404, path);
  }
});

test("variables and secrets are bound, and secrets are not in the configuration", async () => {
  const { environment, secret } = (await platform.request({ path: "/" })).json;
  assert.equal(environment, "dev");
  assert.equal(secret, platform.secrets.BILLING_TOKEN.length);
});

test("an expired pair of KV is gone", async () => {
  // KV's own interface takes no expiry nearer than a minute, so this asks the service behind it.
  const folder = mkdtempSync(join(tmpdir(), "tollgate-kv-"));
  const source = relative(folder, at("scripts/local/kv.mjs"));
  writeFileSync(
    join(folder, "kv.capnp"),
    `using Workerd = import "/workerd/workerd.capnp";
     const config :Workerd.Config = (
       services = [(name = "kv", worker = (
         modules = [(name = "kv.mjs", esModule = embed ${JSON.stringify(source)})],
         compatibilityDate = "${workerd().compatibilityDate}",
         bindings = [(name = "STORE", durableObjectNamespace = "KvStore")],
         durableObjectNamespaces = [(className = "KvStore", uniqueKey = "kv", enableSql = true)],
         durableObjectStorage = (localDisk = "state"),
       )), (name = "state", disk = (path = ${JSON.stringify(folder)}, writable = true))],
       sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "kv")],
     );`,
  );
  const server = await serve(join(folder, "kv.capnp"), {}, 1, () => {});
  try {
    const port = server.ports.http;
    const status = async (path) => (await request({ port, path })).status;
    for (const [key, query] of [["soon", "expiration_ttl=1"], ["later", "expiration_ttl=60"], ["never", ""]]) {
      assert.equal((await request({ port, method: "PUT", path: `/${key}?${query}`, body: "x" })).status, 200);
      assert.equal(await status(`/${key}?urlencoded=true`), 200);
    }
    await sleep(2_100);
    assert.equal(await status("/soon?urlencoded=true"), 404);
    assert.equal(await status("/later?urlencoded=true"), 200);
    const names = (await request({ port, path: "/" })).json.keys.map((key) => key.name);
    assert.deepEqual(names, ["later", "never"]);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
