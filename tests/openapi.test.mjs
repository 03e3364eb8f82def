// The OpenAPI document as it is served. What it says is tried by schemathesis.test.mjs, and held against
// the table of calls by the tests of the command line's crate.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { at } from "../scripts/paths.mjs";
import { startBackend } from "./support/backend.mjs";
import { assertHeaders, assertProblem } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { OK } from "./support/management.mjs";
import { testPolicy } from "./support/policy.mjs";

const PATH = "/_tollgate/v1/openapi.json";
const TEXT = readFileSync(at("www/openapi.json"), "utf8");

let backend, gate;
before(async () => {
  backend = await startBackend();
  gate = await startGate({ policy: testPolicy({ backend, routes: [{ name: "plain", path: "/plain" }] }), name: "openapi" });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

const get = (options) => gate.request({ host: gate.adminHost, path: PATH, ...options });

test("everybody reads it on the admin host, and nowhere else", async () => {
  const answer = await get();
  assert.equal(answer.status, 200);
  assertHeaders(answer, { ...OK, "content-length": String(Buffer.byteLength(TEXT)) });
  assert.equal(answer.text, TEXT);
  const head = await get({ method: "HEAD" });
  assert.deepEqual([head.status, head.text], [200, ""]);
  assertProblem(await get({ host: undefined }), 404, "not_found");
  assertProblem(await get({ path: `${PATH}/` }), 404, "not_found");
  const post = await get({ method: "POST", body: "{}" });
  assertProblem(post, 405, "method_not_allowed");
  assert.equal(post.headers.allow, "GET, HEAD");
});

test("it names the gate's own paths alone, and no host of anybody's", () => {
  const document = JSON.parse(TEXT);
  assert.equal(document.openapi, "3.1.0");
  for (const path of Object.keys(document.paths)) assert.match(path, /^\/_tollgate\//);
  for (const [host] of TEXT.matchAll(/https?:\/\/[^\/"\s`]+/g)) assert.match(host, /^https:\/\/(\{api_host\}|(\*\.|[a-z]+\.)?example\.com)$/);
});
