// Bodies and answers on their way through:
//
//   1. 200 MiB down, up with a declared length, and up without one: in constant memory
//   2. the cap: declared over it, and grown over it on the way
//   3. answers in pieces: events one by one, both directions at once, every byte as it was
//   4. a client that goes away is felt by the upstream, and what it sent by halves is not taken for whole
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { startBackend } from "./support/backend.mjs";
import { assertProblem } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { within } from "./support/guard.mjs";
import { makeKey } from "./support/keys.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";

const MIB = 1024 * 1024;
const BIG = 200 * MIB;
/**
 * How much workerd's memory may grow while 200 MiB pass. A gate that kept the body would grow by all of
 * it. One that passes it on holds what its two sockets and the stream between them buffer (well under
 * 1 MiB each) and, where it counts the bytes, chunks that the garbage collector has not come to yet:
 * V8 collects them after some 64 MiB at the latest. So what tells the two apart lies between 64 and 200.
 */
const GROWTH = 64 * MIB;

let backend;
let gate;
let key;
before(async () => {
  backend = await startBackend();
  gate = await startGate({
    policy: testPolicy({
      backend,
      main: { timeout: "30s", max_stream: "2m" },
      routes: [
        { name: "big", path: "/big", methods: ["*"], body_limit: "1GiB" },
        { name: "capped", path: "/capped", methods: ["POST"], body_limit: "100KiB" },
        { name: "plain", path: "/plain" },
      ],
    }),
    name: "streaming",
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

describe("200 MiB pass in constant memory", () => {
  const chunk = Buffer.alloc(64 * 1024, "x");
  function* body(bytes) {
    for (let sent = 0; sent < bytes; sent += chunk.length) yield chunk;
  }

  /** Resident memory of workerd, in bytes. */
  const resident = () =>
    Number(readFileSync(`/proc/${gate.process.pid}/status`, "utf8").match(/^VmRSS:\s+(\d+) kB$/m)[1]) * 1024;

  /** How much it grew at most while `work` ran, over what it was after the same with a tenth. */
  async function growth(work) {
    await work(BIG / 10);
    const before = resident();
    let most = before;
    const timer = setInterval(() => (most = Math.max(most, resident())), 10);
    try {
      await work(BIG);
    } finally {
      clearInterval(timer);
    }
    return Math.max(most, resident()) - before;
  }

  const linux = { skip: process.platform === "linux" ? false : "reads /proc" };

  test("down", linux, async () => {
    const grown = await growth(async (bytes) => {
      backend.answer = async (seen, response) => {
        response.writeHead(200, { "Content-Length": bytes });
        for (const part of body(bytes)) if (!response.write(part)) await once(response, "drain");
        response.end();
      };
      let got = 0;
      for await (const part of await open("/big")) got += part.length;
      assert.equal(got, bytes);
    });
    assert.ok(grown < GROWTH, `grew by ${(grown / MIB).toFixed(1)} MiB`);
  });

  for (const [how, headers] of [
    ["up, its length declared", (bytes) => ({ "Content-Length": String(bytes) })],
    ["up, its length unknown", () => ({})],
  ]) {
    test(how, linux, async () => {
      const grown = await growth(async (bytes) => {
        const answer = await call("/big", { method: "POST", headers: headers(bytes), body: body(bytes), timeout: 120_000 });
        assert.equal(answer.status, 200, answer.text);
        assert.equal(answer.json.bytes, bytes);
      });
      assert.ok(grown < GROWTH, `grew by ${(grown / MIB).toFixed(1)} MiB`);
    });
  }
});

describe("the cap of a route", () => {
  const CAP = 100 * 1024;

  test("a declared length over it is refused before the backend hears of it", async () => {
    backend.clear();
    for (const length of [CAP + 1, 10 * MIB, "99999999999999999999"]) {
      // Only the head is sent: who says that much is not even listened to.
      const answer = await gate.raw(
        `POST /capped HTTP/1.1\r\nHost: localhost:${gate.port}\r\nConnection: close\r\n` +
          `Authorization: Bearer ${key.secret}\r\nContent-Length: ${length}\r\n\r\n`,
      );
      assert.match(answer, /^HTTP\/1\.1 (413|400) /, String(length));
      if (length !== "99999999999999999999") assert.match(answer, /"code":"body_too_large"/);
    }
    assert.equal(backend.requests.length, 0);
    const exact = await call("/capped", { method: "POST", body: Buffer.alloc(CAP) });
    assert.deepEqual([exact.status, exact.json.bytes], [200, CAP], "as much as it allows");
  });

  test("an undeclared body is cut when it grows over it, however much would follow", async () => {
    backend.clear();
    async function* endless() {
      for (let i = 0; i < 2_000; i += 1) yield Buffer.alloc(16 * 1024);
    }
    // Who is cut off while sending may not come to read the answer; then there is none.
    const answer = await call("/capped", { method: "POST", body: endless() }).catch((error) => error);
    if (answer instanceof Error) assert.match(`${answer.code} ${answer.message}`, /ECONNRESET|EPIPE|hang up/);
    else assertProblem(answer, 413, "body_too_large");
    for (const seen of backend.requests) assert.ok(seen.bytes <= CAP && !seen.whole, `${seen.bytes} bytes reached the backend`);
  });

  test("and whoever reads on learns why", async () => {
    backend.clear();
    const size = CAP + 1;
    const chunk = `${(16 * 1024).toString(16)}\r\n${"x".repeat(16 * 1024)}\r\n`;
    const chunks = chunk.repeat(Math.ceil(size / (16 * 1024)));
    const answer = await gate.raw(
      `POST /capped HTTP/1.1\r\nHost: localhost:${gate.port}\r\nConnection: close\r\n` +
        `Authorization: Bearer ${key.secret}\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`,
    );
    assert.match(answer, /^HTTP\/1\.1 413 /);
    assert.match(answer, /"code":"body_too_large"/);
    for (const seen of backend.requests) {
      assert.ok(seen.bytes <= CAP, `${seen.bytes} bytes reached the backend`);
      assert.equal(seen.whole, false, "and it was not told that they were all");
    }
    const line = await gate.logged(({ code }) => code === "body_too_large");
    assert.equal(line.status, 413);
  });

  test("an undeclared body within it passes whole", async () => {
    async function* parts() {
      for (let i = 0; i < 10; i += 1) yield Buffer.alloc(10 * 1024, String(i));
    }
    const answer = await call("/capped", { method: "POST", body: parts() });
    assert.deepEqual([answer.status, answer.json.bytes], [200, CAP]);
    assert.equal(backend.last.body.subarray(-1).toString(), "9");
  });
});

describe("answers that come in pieces", () => {
  test("server-sent events arrive one by one", async () => {
    // Each event is sent only when the one before it was read on the other side of the gate.
    let next;
    backend.answer = async (seen, response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      for (let event = 0; event < 5; event += 1) {
        const read = new Promise((resolve) => (next = resolve));
        response.write(`data: ${event}\n\n`);
        await read;
      }
      response.end();
    };
    const answer = await open("/plain");
    assert.equal(answer.headers["content-type"], "text/event-stream");
    const events = [];
    for await (const chunk of answer) {
      events.push(chunk.toString());
      next();
    }
    assert.deepEqual(events, [0, 1, 2, 3, 4].map((event) => `data: ${event}\n\n`));
  });

  for (const [how, headers] of [["declared", { "Content-Length": "15" }], ["unknown", {}]]) {
    test(`an answer that begins before the request has ended: both go on, the length being ${how}`, async () => {
      // Each part is sent only when the one before it came back.
      backend.early = true;
      backend.answer = (seen, response) => {
        response.writeHead(200);
        seen.request.on("data", (chunk) => response.write(chunk));
        seen.request.once("end", () => response.end());
      };
      let next;
      async function* parts() {
        for (const part of ["part0", "part1", "part2"]) {
          const back = new Promise((resolve) => (next = resolve));
          yield Buffer.from(part);
          await back;
        }
      }
      const answer = await open("/big", { method: "POST", body: parts(), headers });
      let text = "";
      for await (const chunk of answer) {
        text += chunk;
        next();
      }
      assert.equal(text, "part0part1part2");
    });
  }

  test("bodies pass byte by byte, compressed ones too, and empty ones stay empty", async () => {
    const packed = gzipSync("packed");
    // Larger than what passes natively, and larger packed than a short answer is.
    const large = gzipSync(randomBytes(200_000));
    for (const [why, status, body, headers, method = "GET"] of [
      ["compressed", 200, packed, { "Content-Encoding": "gzip", "Content-Type": "text/plain" }],
      ["compressed and large", 200, large, { "Content-Encoding": "gzip", ETag: '"x"' }],
      ["labelled as compressed and not so", 200, Buffer.from("plain"), { "Content-Encoding": "gzip" }],
      ["every byte there is", 200, Buffer.from(Array.from({ length: 256 }, (_, i) => i)), { "Content-Type": "application/octet-stream" }],
      ["a part", 206, Buffer.from("bc"), { "Content-Range": "bytes 1-2/4" }],
      ["none", 204, Buffer.alloc(0), {}],
      ["not modified", 304, Buffer.alloc(0), { ETag: '"x"' }],
      ["an error of the backend's own", 500, Buffer.from("theirs"), {}],
      ["HEAD", 200, Buffer.alloc(0), { "X-Length": "7" }, "HEAD"],
    ]) {
      backend.answer = (seen, response) => {
        response.writeHead(status, status === 204 || status === 304 || method === "HEAD" ? headers : { ...headers, "Content-Length": body.length });
        response.end(body);
      };
      const answer = await call("/plain", { method, headers: { "Accept-Encoding": "gzip", Range: "bytes=1-2" } });
      assert.equal(answer.status, status, why);
      assert.deepEqual(answer.body, body, why);
      for (const [name, value] of Object.entries(headers)) assert.equal(answer.headers[name.toLowerCase()], value, why);
      assert.equal(backend.last.header("accept-encoding"), "gzip", why);
    }
  });
});

describe("a client that goes away", () => {
  test("before the answer: the upstream is let go", async () => {
    let closed;
    const ended = new Promise((resolve) => (closed = resolve));
    let arrived;
    const began = new Promise((resolve) => (arrived = resolve));
    backend.answer = (seen, response) => {
      response.once("close", closed);
      arrived();
      return ended;
    };
    const socket = connect(gate.port, "127.0.0.1");
    socket.write(`GET /big HTTP/1.1\r\nHost: localhost:${gate.port}\r\nAuthorization: Bearer ${key.secret}\r\n\r\n`);
    await began;
    // A connection that is only closed on the client's side tells bare workerd nothing until it writes.
    socket.resetAndDestroy();
    await within(ended, "the upstream was not let go");
  });

  test("within the answer: the upstream is let go", async () => {
    let closed;
    const ended = new Promise((resolve) => (closed = resolve));
    backend.answer = async (seen, response) => {
      response.once("close", closed);
      response.writeHead(200);
      while (!response.destroyed) {
        response.write("more\n");
        await sleep(10);
      }
    };
    const answer = await open("/big");
    await once(answer, "data");
    answer.destroy();
    await within(ended, "the upstream was not let go");
  });

  test("within its body: the upstream sees that the body is not whole", async () => {
    const leave = new AbortController();
    let seen;
    let arrived;
    const began = new Promise((resolve) => (arrived = resolve));
    let closed;
    const ended = new Promise((resolve) => (closed = resolve));
    backend.early = true;
    backend.answer = (request) => {
      seen = request;
      request.request.once("close", closed);
      request.request.once("data", arrived);
    };
    async function* slow() {
      yield Buffer.from("first");
      await began;
      leave.abort();
    }
    await assert.rejects(call("/big", { method: "POST", body: slow(), signal: leave.signal }), /abort/i);
    await within(ended, "the upstream was not let go");
    assert.equal(seen.request.complete, false);
  });
});
