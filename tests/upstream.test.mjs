// Upstreams that fail, and what of an answer passes:
//
//   1. late, down, no HTTP, broken before or within the answer, endless
//   2. redirects are not followed and lead nowhere else; cookies line by line; what is the gate's to say
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { reply, startBackend } from "./support/backend.mjs";
import { assertProblem } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { GUARD, within } from "./support/guard.mjs";
import { makeKey } from "./support/keys.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";

let backend;
let gate;
let key;
let nobody; // a port where nobody listens
before(async () => {
  backend = await startBackend();
  nobody = await freePort();
  gate = await startGate({
    policy: testPolicy({
      backend,
      upstreams: {
        hasty: { at: backend.origin, timeout: "300ms", max_stream: "1s" },
        gone: { at: `http://127.0.0.1:${nobody}` },
      },
      routes: [
        { name: "plain", path: "/plain", methods: ["*"] },
        { name: "public", path: "/public", auth: "public" },
        { name: "hasty", path: "/hasty", methods: ["*"], upstream: "hasty", origins: ["https://app.example.com"] },
        { name: "gone", path: "/gone", methods: ["*"], upstream: "gone" },
      ],
    }),
    name: "upstream",
  });
  key = await makeKey(gate, { limits: [atMost(10_000, "1h")] });
});
afterEach(() => {
  backend.answer = undefined;
  backend.early = false;
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

const call = (path, more = {}) => gate.request({ path, ...more, headers: { ...key.bearer, ...more.headers } });
const open = (path, more = {}) => gate.open({ path, timeout: 60_000, ...more, headers: { ...key.bearer, ...more.headers } });

describe("an upstream that fails", () => {
  const APP = "https://app.example.com";
  test("late: 504, and it is let go", async () => {
    const closed = [];
    backend.answer = (seen, response) => new Promise((resolve) => response.once("close", () => (closed.push(1), resolve())));
    const answer = await call("/hasty");
    assertProblem(answer, 504, "upstream_timeout");
    for (let waited = 0; closed.length === 0 && waited < GUARD; waited += 10) await sleep(10);
    assert.equal(closed.length, 1, "the gate hung up on it");
    const line = await gate.logged(({ code }) => code === "upstream_timeout");
    assert.equal(line.status, 504);
  });

  test("down: 502", async () => {
    assertProblem(await call("/gone"), 502, "upstream_unreachable");
    assertProblem(await call("/gone", { method: "POST", body: "x" }), 502, "upstream_unreachable");
  });

  test("broken before its answer: 502", async () => {
    backend.answer = (seen, response) => response.destroy();
    assertProblem(await call("/plain"), 502, "upstream_unreachable");
    assertProblem(await call("/plain", { method: "POST", body: "x" }), 502, "upstream_unreachable");
  });

  test("an answer that is no HTTP: 502", async () => {
    const nonsense = createServer((socket) => socket.once("data", () => socket.end("nonsense\r\n\r\n"))).listen(nobody, "127.0.0.1");
    await once(nonsense, "listening");
    try {
      assertProblem(await call("/gone"), 502, "upstream_unreachable");
    } finally {
      nonsense.close();
      await once(nonsense, "close");
    }
  });

  test("a status that no HTTP answer has: 502, and it is counted and logged like any other", async () => {
    for (const status of [600, 999]) {
      backend.answer = (seen, response) => reply(response, status, "odd");
      const answer = await call("/plain");
      assertProblem(answer, 502, "upstream_unreachable", { why: String(status) });
      assert.ok(answer.headers.ratelimit, "its limit is told");
      const line = await gate.logged(({ request_id }) => request_id === answer.headers["x-request-id"]);
      assert.deepEqual([line.route, line.key, line.status], ["plain", key.id, 502]);
    }
  });

  test("a switch of protocols that nobody asked for: 502", async () => {
    const switching = createServer((socket) =>
      socket.once("data", () => socket.end("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")),
    ).listen(nobody, "127.0.0.1");
    await once(switching, "listening");
    try {
      assertProblem(await call("/gone"), 502, "upstream_unreachable");
    } finally {
      switching.close();
      await once(switching, "close");
    }
  });

  test("broken within its answer: the caller sees that it is not whole", async () => {
    for (const headers of [{ "Content-Length": 1000 }, {}]) {
      backend.answer = async (seen, response) => {
        response.writeHead(200, headers);
        await new Promise((resolve) => response.write("part", resolve));
        response.destroy();
      };
      const answer = await open("/plain");
      assert.equal(answer.statusCode, 200);
      await assert.rejects(async () => {
        for await (const chunk of answer) assert.equal(chunk.toString(), "part");
      }, /aborted|ECONNRESET|hang up/);
    }
    backend.answer = undefined;
    assert.equal((await call("/plain")).status, 200, "the gate goes on");
  });

  test("endless: ended at max_stream", async () => {
    let closed;
    const ended = new Promise((resolve) => (closed = resolve));
    backend.answer = async (seen, response) => {
      response.once("close", closed);
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      while (!response.destroyed) {
        response.write("data: again\n\n");
        await sleep(20);
      }
    };
    const answer = await open("/hasty", { timeout: GUARD });
    let chunks = 0;
    const guard = setTimeout(() => answer.destroy(new Error("it never ended")), GUARD);
    try {
      for await (const _ of answer) chunks += 1;
    } catch (error) {
      assert.doesNotMatch(error.message, /never ended/);
    }
    clearTimeout(guard);
    assert.ok(chunks > 0, "it was read until then");
    await within(ended, "the upstream was not let go");
  });

  test("slow to end, but within max_stream: whole", async () => {
    backend.answer = async (seen, response) => {
      response.writeHead(200);
      response.write("a");
      // Longer than the timeout, which is for the first byte only.
      await sleep(500);
      response.end("b");
    };
    assert.equal((await call("/hasty")).text, "ab");
  });

  test("answered before the body was sent: the body's end starts no clock again", async () => {
    backend.early = true;
    backend.answer = (seen, response) => {
      response.writeHead(200);
      response.write("a");
      // Longer than the timeout after the body's end, and within max_stream.
      seen.request.resume().once("end", () => setTimeout(() => response.end("b"), 500));
    };
    let begun;
    const answered = new Promise((resolve) => (begun = resolve));
    async function* rest() {
      yield Buffer.from("1");
      await answered;
      yield Buffer.from("2");
    }
    const answer = await open("/hasty", { method: "POST", body: rest() });
    let text = "";
    for await (const chunk of answer) {
      text += chunk;
      begun();
    }
    assert.equal(text, "ab");
  });

  test("a body that takes longer than the timeout: the clock starts when it is sent", async () => {
    async function* slowly() {
      yield Buffer.from("1");
      await sleep(500);
      yield Buffer.from("2");
    }
    const answer = await open("/hasty", { method: "POST", body: slowly() });
    assert.equal(answer.statusCode ?? answer.status, 200);
    answer.resume();
  });

  test("a page can read that the upstream failed", async () => {
    const page = await makeKey(gate, { kind: "pk", origins: [APP] });
    backend.answer = (seen, response) => response.destroy();
    const answer = await gate.request({ path: "/hasty", headers: { ...page.bearer, Origin: APP } });
    assertProblem(answer, 502, "upstream_unreachable");
    assert.equal(answer.headers["access-control-allow-origin"], APP);
  });

  test("a request that was admitted is counted, whatever became of it", async () => {
    const counted = await makeKey(gate, { limits: [atMost(2, "1h")] });
    const statuses = [];
    for (let i = 0; i < 3; i += 1) statuses.push((await gate.request({ path: "/gone", headers: counted.bearer })).status);
    assert.deepEqual(statuses, [502, 502, 429]);
  });
});

describe("what of an answer passes", () => {
  test("every status that there is, as it was", async () => {
    for (const status of [200, 201, 202, 203, 204, 205, 206, 226, 300, 304, 400, 401, 404, 409, 418, 422, 429, 451, 500, 502, 503, 504, 599]) {
      backend.answer = (seen, response) => response.writeHead(status).end();
      assert.equal((await call("/plain")).status, status);
    }
  });

  test("a 401 and a 429 of the backend's own are not the gate's", async () => {
    for (const status of [401, 429]) {
      backend.answer = (seen, response) => reply(response, status, "theirs", { "Content-Type": "text/plain", "Retry-After": "7", "WWW-Authenticate": "Bearer realm=theirs" });
      const answer = await call("/plain");
      assert.deepEqual([answer.status, answer.text, answer.headers["retry-after"]], [status, "theirs", "7"]);
    }
  });

  test("redirects are handed on, not followed, and never lead elsewhere", async () => {
    const own = `http://localhost:${gate.port}`;
    for (const [location, stays] of [
      ["/next", true],
      ["next?a=b", true],
      [`${own}/next`, true],
      [`${backend.origin}/next`, false],
      ["https://evil.example/", false],
      ["//evil.example/", false],
      ["\\\\evil.example", false],
      [`${own}.evil.example/`, false],
      ["javascript:alert(1)", false],
    ]) {
      for (const status of [301, 302, 303, 307, 308]) {
        backend.clear();
        backend.answer = (seen, response) => reply(response, status, "moved", { Location: location });
        const answer = await call("/plain");
        assert.deepEqual([answer.status, answer.headers.location], [status, stays ? location : undefined], location);
        assert.equal(backend.requests.length, 1, "it was not followed");
      }
    }
  });

  test("every Set-Cookie line on its own, but none of the gate's names", async () => {
    backend.answer = (seen, response) => {
      response.setHeader("Set-Cookie", ["a=1; Path=/", "__Host-tollgate=evil; Path=/; Secure", "b=2; Expires=Wed, 09 Jun 2027 10:18:14 GMT", "__host-TOLLGATE_x=evil"]);
      reply(response, 200, "x");
    };
    assert.deepEqual((await call("/plain")).headers["set-cookie"], ["a=1; Path=/", "b=2; Expires=Wed, 09 Jun 2027 10:18:14 GMT"]);
    backend.answer = (seen, response) => {
      response.setHeader("Set-Cookie", ["a=1", "b=2", "c=3"]);
      reply(response, 200, "x");
    };
    assert.deepEqual((await call("/plain")).headers["set-cookie"], ["a=1", "b=2", "c=3"]);
  });

  test("not what is the gate's to say", async () => {
    backend.answer = (seen, response) =>
      reply(response, 200, "x", {
        "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "true", "Access-Control-Expose-Headers": "*",
        RateLimit: '"theirs";r=1', "RateLimit-Policy": '"theirs";q=1', "RateLimit-Limit": "1", "X-RateLimit-Limit": "1",
        "X_RateLimit_Remaining": "1", "X-Tollgate-Tenant": "theirs", "Service-Worker-Allowed": "/", "Clear-Site-Data": '"*"',
        "X-Request-Id": "theirs", "Strict-Transport-Security": "max-age=0", "Cache-Control": "public, max-age=600",
        "Proxy-Authenticate": "Basic", "X-Hop": "theirs", Connection: "close, X-Hop", "X-Fine": "theirs",
        ETag: '"e"', Vary: "Accept-Language",
      });
    const answer = await call("/plain");
    assert.equal(answer.status, 200);
    const theirs = answer.pairs.filter(([, value]) => value === "theirs" || value === "*" || value.includes("theirs")).map(([name]) => name.toLowerCase());
    assert.deepEqual(theirs, ["x-fine"]);
    for (const gone of ["ratelimit-limit", "x_ratelimit_remaining", "service-worker-allowed", "clear-site-data", "proxy-authenticate", "x-tollgate-tenant"]) {
      assert.equal(answer.headers[gone], undefined, gone);
    }
    assert.equal(answer.headers["cache-control"], "no-store", "an answer that depends on a key is nobody else's");
    assert.equal(answer.headers["strict-transport-security"], "max-age=31536000");
    assert.equal(answer.headers.etag, '"e"');
    assert.deepEqual(answer.headers.vary.split(/, */).sort(), ["Accept-Language", "Origin"]);
    assert.equal((await gate.request({ path: "/public" })).headers["cache-control"], "public, max-age=600");
  });
});

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
