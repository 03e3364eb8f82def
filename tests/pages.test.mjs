// Pages that call through the gate (CORS), on the wire:
//
//   1. preflights: granted with exactly these headers, refused without any grant
//   2. which refusals a page can read, and which not
//   3. origins that a key lists, pages of the gate's own origin
//   4. what is no page although it looks like one
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertHeaders, assertProblem, REFUSAL, STAMP } from "./support/expect.mjs";
import { makeKey } from "./support/keys.mjs";
import { APP, OTHER, startRoad } from "./support/road.mjs";

let road, gate, backend, server, page, get;
before(async () => {
  road = await startRoad("pages");
  ({ gate, backend, server, page, get } = road);
});
after(() => road?.stop());

describe("pages", () => {
  const preflight = (path, method, headers, origin = APP) =>
    gate.request({
      path, method: "OPTIONS",
      headers: {
        Origin: origin, "Access-Control-Request-Method": method,
        ...(headers === undefined ? {} : { "Access-Control-Request-Headers": headers }),
      },
    });
  const VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
  const GRANTED = { ...STAMP, "access-control-max-age": "7200", vary: VARY };

  test("a granted preflight has these headers and nothing more", async () => {
    backend.clear();
    for (const [why, answer, more] of [
      ["what a GET with a key asks", await preflight("/v1/invoices/1", "GET", "authorization,x-api-key"), {
        "access-control-allow-origin": APP, "access-control-allow-methods": "GET, HEAD",
        "access-control-allow-headers": "authorization, x-api-key",
      }],
      ["no header", await preflight("/v1/invoices/1", "GET"), {
        "access-control-allow-origin": APP, "access-control-allow-methods": "GET, HEAD",
      }],
      ["a header of the route", await preflight("/v1/invoices", "POST", "content-type"), {
        "access-control-allow-origin": APP, "access-control-allow-methods": "POST",
        "access-control-allow-headers": "content-type",
      }],
      ["a wildcard's page", await preflight("/v1/invoices/1", "HEAD", undefined, "https://a.b.example.org"), {
        "access-control-allow-origin": "https://a.b.example.org", "access-control-allow-methods": "GET, HEAD",
      }],
      ["everybody", await preflight("/v1/open", "GET", undefined, OTHER), {
        "access-control-allow-origin": "*", "access-control-allow-methods": "GET, HEAD",
      }],
    ]) {
      assert.deepEqual([answer.status, answer.text], [204, ""], why);
      assertHeaders(answer, { ...GRANTED, ...more }, why);
    }
    assert.equal(backend.requests.length, 0);
  });

  test("a refused preflight grants nothing", async () => {
    for (const [why, answer, code] of [
      ["origin", await preflight("/v1/invoices/1", "GET", undefined, OTHER), "origin_not_allowed"],
      ["null", await preflight("/v1/invoices/1", "GET", undefined, "null"), "origin_not_allowed"],
      ["a lookalike", await preflight("/v1/invoices/1", "GET", undefined, `${APP}.evil.com`), "origin_not_allowed"],
      ["another case", await preflight("/v1/invoices/1", "GET", undefined, APP.toUpperCase()), "origin_not_allowed"],
      ["another port", await preflight("/v1/invoices/1", "GET", undefined, `${APP}:444`), "origin_not_allowed"],
      ["a route without pages", await preflight("/v1/plain", "GET"), "origin_not_allowed"],
      ["method", await preflight("/v1/invoices/1", "DELETE"), "header_not_allowed"],
      ["header", await preflight("/v1/invoices/1", "GET", "x-evil"), "header_not_allowed"],
      ["one header of two", await preflight("/v1/invoices/1", "GET", "authorization,x-evil"), "header_not_allowed"],
      ["no names at all", await preflight("/v1/invoices/1", "GET", "a b"), "header_not_allowed"],
    ]) {
      assertProblem(answer, 403, code, { why });
      assertHeaders(answer, { ...REFUSAL, vary: "Origin" }, why);
    }
  });

  test("a page can read its own refusals from the fifth step on, and no earlier one", async () => {
    const readable = (answer) => answer.headers["access-control-allow-origin"] === APP;
    for (const [code, request, expected] of [
      ["malformed_request", { path: "/v1//x", headers: { Origin: APP } }, false],
      ["route_not_found", { path: "/v1/nothing", headers: { Origin: APP } }, false],
      ["method_not_allowed", { path: "/v1/invoices/1", method: "PUT", headers: { Origin: APP } }, false],
      ["body_too_large", { path: "/v1/invoices", method: "POST", body: Buffer.alloc(2000), headers: { Origin: APP } }, true],
      ["key_missing", { path: "/v1/invoices/1", headers: { Origin: APP } }, true],
      ["key_invalid", { path: "/v1/invoices/1", headers: { Origin: APP, "X-Api-Key": "x" } }, true],
      ["insufficient_scope", { path: "/v1/invoices", method: "POST", headers: { Origin: APP, ...page.bearer } }, true],
    ]) {
      const answer = await gate.request(request);
      assert.equal(answer.json.code, code);
      assert.equal(readable(answer), expected, code);
    }
    const key = await makeKey(gate, { kind: "pk", origins: [APP] });
    for (let i = 0; i < 2; i += 1) {
      assert.equal((await get("/v1/tight", { ...key.bearer, Origin: APP })).status, 200);
    }
    const limited = await get("/v1/tight", { ...key.bearer, Origin: APP });
    assert.equal(limited.status, 429);
    assert.ok(readable(limited), "its own 429");
  });

  test("a route that takes the origins of its keys grants what the key lists", async () => {
    const shop = "https://shop.example.net";
    const key = await makeKey(gate, { kind: "pk", origins: [shop] });
    const stranger = await makeKey(gate, { kind: "pk", origins: [OTHER] });
    const own = await get("/v1/by-keys", { ...key.bearer, Origin: shop });
    assert.equal(own.status, 200, own.text);
    assert.equal(own.headers["access-control-allow-origin"], shop);
    const foreign = await get("/v1/by-keys", { ...stranger.bearer, Origin: shop });
    assertProblem(foreign, 403, "origin_not_allowed");
    const granted = await preflight("/v1/by-keys", "GET", "authorization", shop);
    assert.equal(granted.status, 204, granted.text);
    assert.equal(granted.headers["access-control-allow-origin"], shop);
    assertProblem(await preflight("/v1/by-keys", "GET", undefined, "https://nobody.example.net"), 403, "origin_not_allowed");
  });

  test("a page of the gate's own origin needs no Origin", async () => {
    const answer = await get("/v1/invoices/1", { ...page.bearer, "Sec-Fetch-Site": "same-origin" });
    assert.equal(answer.status, 200, answer.text);
    for (const site of ["none", "same-site", "cross-site"]) {
      assertProblem(await get("/v1/invoices/1", { ...page.bearer, "Sec-Fetch-Site": site }), 403, "origin_not_allowed", { why: site });
    }
  });

  test("Node's fetch, which sends Sec-Fetch-Mode, is no browser", async () => {
    const answer = await get("/v1/plain", { ...server.bearer, "Sec-Fetch-Mode": "cors" });
    assert.equal(answer.status, 200);
  });
});
