// Places among the requests in flight always come back:
//
//   1. however an exchange ends: whole, empty, by the upstream's death, by the client's, before it began
//   2. in a crowd never more are in flight than the limit says, and afterwards all places are free
//   3. on a clock that is set by hand: a place outlives everything but its time, and a gate that was killed
//      has the places of those who died with it, until that time
//
// A place that did not come back would be free only after its upstream's timeout and max_stream: an hour.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { reply, startBackend } from "./support/backend.mjs";
import { assertProblem, tally } from "./support/expect.mjs";
import { within } from "./support/guard.mjs";
import { makeHolder } from "./support/hold.mjs";
import { MINUTE, SECOND, startClockedGate } from "./support/clock.mjs";
import { act, makeKey } from "./support/keys.mjs";
import { assertLimited, told } from "./support/limits.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";
import { chance, seed } from "./support/random.mjs";
import { eventually } from "./support/usage.mjs";

const AMPLE = [atMost(100_000, "24h")];
const TIMEOUT = MINUTE;
const MAX_STREAM = 59 * MINUTE;
/** An isolate asks again so long after a refusal, if nothing came free there. */
const DENIED = SECOND;
const LARGE = 256 * 1024;

let backend;
let gate;
let holder;
before(async () => {
  holder = makeHolder();
  backend = await startBackend({ answer: holder.answer });
  // A port that nobody listens on.
  const nobody = await startBackend();
  await nobody.stop();
  const routes = {
    one: { limits: ["one"], methods: ["*"], body_limit: "1MiB" },
    tenant: { limits: ["tenant"] },
    five: { limits: ["five"] },
    hasty: { limits: ["one"], upstream: "hasty", methods: ["*"] },
    gone: { limits: ["one"], upstream: "gone" },
    capped: { limits: ["one"], methods: ["POST"], body_limit: "100KiB" },
    strict: { limits: ["one", "strict"] },
  };
  gate = await startClockedGate({
    worker: "counting-worker.mjs",
    policy: testPolicy({
      backend,
      main: { timeout: "1m", max_stream: "59m" },
      upstreams: { hasty: { at: backend.origin, timeout: "300ms", max_stream: "1s" }, gone: { at: nobody.origin, timeout: "1m", max_stream: "59m" } },
      limits: {
        one: { concurrency: 1 },
        five: { concurrency: 5 },
        tenant: { concurrency: 1, by: "tenant" },
        strict: { rate: { requests: 1, window: "24h" }, by: "key" },
      },
      routes: [
        ...Object.entries(routes).map(([name, route]) => ({ name, path: `/${name}/{channel}`, ...route })),
        { name: "canned", path: "/canned/{channel}", limits: ["one"], mock: { status: 200, content_type: "text/plain", body: "canned" } },
      ],
    }),
    name: "limit-concurrency",
  });
});
afterEach(() => {
  backend.answer = holder.answer;
  backend.early = false;
  holder.free();
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});

const newKey = (more = {}) => makeKey(gate, { limits: AMPLE, ...more });
const send = (key, path = "/one/x", more = {}) => gate.request({ path, ...more, headers: { ...key.bearer, ...more.headers } });

/** Waits until the key may have a place again. */
async function assertFree(key, path = "/one/free", why = "") {
  const last = await eventually(() => send(key, path), ({ status }) => status !== 429, 5_000);
  assert.equal(last.status, 200, `${why}: ${last.text}`);
  assert.equal(told(last, path.split("/")[1]).left, 0);
}

/** Sends a request's head as it is, and the beginning of its body; the socket. */
function socketTo(key, path, { method = "GET", headers = [], body = "" } = {}) {
  const socket = connect({ host: "127.0.0.1", port: gate.port, allowHalfOpen: true });
  socket.on("error", () => {});
  const head = [`${method} ${path} HTTP/1.1`, `Host: localhost:${gate.port}`, `Authorization: Bearer ${key.secret}`, ...headers];
  socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
  return socket;
}

/** A backend's answer that tells a test when a request arrived and when its exchange was over. */
function watched(answer) {
  const seen = {};
  seen.arrived = new Promise((resolve) => (seen.arrive = resolve));
  seen.ended = new Promise((resolve) => (seen.end = resolve));
  backend.answer = async (request, response) => {
    response.once("close", seen.end);
    seen.arrive();
    await answer?.(request, response);
  };
  return seen;
}

describe("a place comes back", () => {
  const chunked = async (response, parts) => {
    response.writeHead(200);
    for (const part of parts) response.write(part);
    response.end();
  };
  for (const [how, path, answer, status, more = {}] of [
    ["after a short answer", "/one/x", (seen, response) => reply(response, 200, "ok"), 200],
    ["after a long one", "/one/x", (seen, response) => reply(response, 200, Buffer.alloc(LARGE)), 200],
    ["after one in pieces", "/one/x", (seen, response) => chunked(response, ["a", "b"]), 200],
    ["after one without a body", "/one/x", (seen, response) => void response.writeHead(204).end(), 204],
    ["after one that is not modified", "/one/x", (seen, response) => void response.writeHead(304).end(), 304],
    ["after HEAD", "/one/x", (seen, response) => void response.writeHead(200, { "Content-Length": 7 }).end(), 200, { method: "HEAD" }],
    ["after an error of the upstream's", "/one/x", (seen, response) => reply(response, 500, "theirs"), 500],
    ["after a body and its answer", "/one/x", undefined, 200, { method: "POST", body: Buffer.alloc(LARGE) }],
    ["after a canned answer", "/canned/x", undefined, 200],
    ["when nobody listens", "/gone/x", undefined, 502],
    ["when the upstream says no status of an answer", "/one/x", (seen, response) => void response.writeHead(700).end(), 502],
    ["when the upstream breaks the connection", "/one/x", (seen, response) => void response.destroy(), 502],
    ["when the upstream does not answer in time", "/hasty/x", () => {}, 504],
    ["when the upstream's answer holds the secret", "/one/x", (seen, response) => reply(response, 200, "", { "X-Echo": gate.secrets.BILLING_TOKEN }), 502],
    ["when the body grows over the cap", "/capped/x", undefined, 413, { method: "POST", body: [Buffer.alloc(101 * 1024)] }],
  ]) {
    test(how, async () => {
      const key = await newKey();
      if (answer) backend.answer = answer;
      const sent = await send(key, path, more).catch((error) => error);
      // Who is cut off while sending may not come to read why.
      if (!(sent instanceof Error && status === 413)) assert.equal(sent.status, status, sent.text ?? String(sent));
      backend.answer = holder.answer;
      await assertFree(key, "/one/free", how);
    });
  }

  test("when the upstream dies within its answer", async () => {
    for (const [how, begin] of [
      ["after the head", (response) => response.flushHeaders()],
      ["after a part", (response) => response.write("part")],
      ["of a declared length", (response) => response.writeHead(200, { "Content-Length": 1000 }).write("part")],
    ]) {
      const key = await newKey();
      backend.answer = async (seen, response) => {
        begin(response);
        await sleep(20);
        response.socket.resetAndDestroy();
      };
      await assert.rejects(send(key), /aborted|ECONNRESET|hang up/, how);
      backend.answer = holder.answer;
      await assertFree(key, "/one/free", how);
    }
  });

  test("when an answer takes longer than max_stream", async () => {
    const key = await newKey();
    const { ended } = watched(async (seen, response) => {
      response.writeHead(200);
      while (!response.destroyed) {
        response.write("more\n");
        await sleep(20);
      }
    });
    await assert.rejects(send(key, "/hasty/x"), /aborted|ECONNRESET|hang up/);
    await within(ended, "the upstream was not let go");
    backend.answer = holder.answer;
    await assertFree(key);
  });

  test("when a body takes longer than max_stream", async () => {
    const key = await newKey();
    const socket = socketTo(key, "/hasty/x", { method: "POST", headers: ["Transfer-Encoding: chunked"], body: "1\r\na\r\n" });
    const [chunk] = await once(socket, "data");
    assert.match(chunk.toString(), /^HTTP\/1\.1 504 /);
    socket.destroy();
    await assertFree(key);
  });

  test("when body and answer together take longer than max_stream, each of them less", async () => {
    const key = await newKey();
    let begun;
    const began = new Promise((resolve) => (begun = resolve));
    const { ended } = watched(async (seen, response) => {
      for await (const part of seen.request) begun(part);
      // And never ends.
      response.writeHead(200).write("first");
    });
    backend.early = true;
    async function* slowly() {
      yield Buffer.from("1");
      await began;
      await gate.advance(MAX_STREAM - 10);
      yield Buffer.from("2");
    }
    // Ten milliseconds are left for the answer: what the body took is not given once more.
    await assert.rejects(send(key, "/one/x", { method: "POST", body: slowly() }), /aborted|ECONNRESET|hang up/);
    await within(ended, "the upstream was not let go");
    backend.early = false;
    backend.answer = holder.answer;
    await assertFree(key);
  });

  const gone = [
    ["resets", (socket) => socket.resetAndDestroy()],
    ["closes", (socket) => socket.destroy()],
  ];
  for (const [how, leave] of gone) {
    test(`when the client ${how} the connection within the answer`, async () => {
      const key = await newKey();
      const { ended } = watched(async (seen, response) => {
        response.writeHead(200);
        while (!response.destroyed) {
          response.write("more\n");
          await sleep(5);
        }
      });
      const socket = socketTo(key, "/one/x");
      await once(socket, "data");
      leave(socket);
      await within(ended, "the upstream was not let go");
      backend.answer = holder.answer;
      await assertFree(key);
    });

    test(`when the client ${how} the connection within its body`, async () => {
      const key = await newKey();
      backend.early = true;
      const { arrived, ended } = watched((seen) => void seen.request.resume());
      const socket = socketTo(key, "/one/x", { method: "POST", headers: ["Transfer-Encoding: chunked"], body: "1\r\na\r\n" });
      await arrived;
      leave(socket);
      await within(ended, "the upstream was not let go");
      backend.early = false;
      backend.answer = holder.answer;
      await assertFree(key);
    });
  }

  // A connection that is only closed on the client's side tells bare workerd nothing until it writes.
  test("when the client resets the connection before the answer", async () => {
    const key = await newKey();
    const { arrived, ended } = watched();
    const socket = socketTo(key, "/one/x");
    await arrived;
    socket.resetAndDestroy();
    await within(ended, "the upstream was not let go");
    backend.answer = holder.answer;
    await assertFree(key);
  });

  test("when the client resets the connection while the upstream is silent within its answer", async () => {
    const key = await newKey();
    const { ended } = watched((seen, response) => void response.writeHead(200).write("first"));
    const socket = socketTo(key, "/one/x");
    await once(socket, "data");
    socket.resetAndDestroy();
    await within(ended, "the upstream was not let go");
    backend.answer = holder.answer;
    await assertFree(key);
  });

  test("when the client goes while its object is asked, and the upstream never hears of it", async () => {
    const key = await newKey();
    assert.equal((await send(key)).status, 200);
    await assertFree(key);
    backend.clear();
    await gate.ask("hold", '{"admit"');
    const socket = socketTo(key, "/one/left");
    await eventually(() => gate.ask("held", "any"), (calls) => calls === 1);
    socket.resetAndDestroy();
    // Time for the gate to notice: nothing but its own event loop is waited for.
    for (let i = 0; i < 20; i += 1) await gate.ask("held", "any");
    await gate.ask("hold", "none");
    await assertFree(key);
    assert.deepEqual(backend.requests.filter(({ url }) => url.includes("left")), []);
  });

  test("when the key's own limits refuse after another object gave a place", async () => {
    const tenant = "lonely";
    const [spent, other] = [await newKey({ tenant, limits: [atMost(1, "24h")] }), await newKey({ tenant })];
    await assertFree(spent, "/tenant/x");
    const refused = await eventually(() => send(spent, "/tenant/x"), ({ json }) => json?.code === "rate_limited");
    assertLimited(refused, "rate_limited", ["default"]);
    await assertFree(other, "/tenant/x");
  });

  test("when another limit of the same call refuses", async () => {
    const key = await newKey();
    await assertFree(key, "/one/x");
    assert.equal((await eventually(() => send(key, "/strict/x"), ({ status }) => status === 200)).status, 200);
    await assertFree(key, "/one/x");
    const refused = await eventually(() => send(key, "/strict/x"), ({ json }) => json?.code === "rate_limited");
    assertLimited(refused, "rate_limited", ["strict"]);
    await assertFree(key, "/one/x");
  });
});

describe("in a crowd", () => {
  test("never more are in flight than the limit says", async () => {
    const key = await newKey();
    let live = 0;
    let most = 0;
    let filled;
    // The first ones stay until every place is taken, however slowly the others come.
    const full = new Promise((resolve) => (filled = resolve));
    backend.answer = async (seen, response) => {
      live += 1;
      most = Math.max(most, live);
      if (live >= 5) filled();
      await Promise.race([full, sleep(5_000)]);
      await sleep(2);
      response.writeHead(200);
      response.write("a");
      await sleep(2);
      live -= 1;
      response.end("b");
    };
    const client = async () => {
      const statuses = [];
      for (let i = 0; i < 20; i += 1) statuses.push((await send(key, "/five/x")).status);
      return statuses;
    };
    const statuses = (await Promise.all(Array.from({ length: 20 }, client))).flat();
    assert.equal(most, 5, JSON.stringify(tally(statuses)));
    assert.deepEqual(Object.keys(tally(statuses)), ["200", "429"]);
  });

  test("that comes and goes as it likes: afterwards all places are free", async () => {
    const random = chance(seed());
    const key = await newKey();
    backend.answer = async (seen, response) => {
      await sleep(random.below(6));
      if (random.below(4) === 0) return response.socket.resetAndDestroy();
      response.writeHead(200);
      response.write("a".repeat(random.below(3) === 0 ? 100_000 : 10));
      await sleep(random.below(6));
      response.end("b");
    };
    const client = async () => {
      for (let i = 0; i < 15; i += 1) {
        const socket = socketTo(key, "/five/x");
        const closed = once(socket, "close");
        socket.resume();
        const end = random.below(3);
        await Promise.race([sleep(random.below(25)), closed]);
        if (end === 0) socket.resetAndDestroy();
        else socket.destroy();
      }
    };
    await Promise.all(Array.from({ length: 16 }, client));
    backend.answer = holder.answer;
    const left = async () => {
      const answer = await send(key, "/five/x");
      return answer.status === 200 ? told(answer, "five").left : -1;
    };
    assert.equal(await eventually(left, (free) => free === 4, 10_000), 4, `seed ${random.seed}`);
  });
});

describe("on a clock that is set by hand", () => {
  const caller = (key, route = "one") => ({ key, route });

  test("a place lasts as long as its exchange may, and the object's sleep does not free it", async () => {
    const key = await newKey();
    const from = gate.now;
    assert.equal((await holder.hold(gate, caller(key))).status, 200);
    for (const later of [SECOND, 7 * SECOND, TIMEOUT, MAX_STREAM, TIMEOUT + MAX_STREAM - 1]) {
      await gate.advanceTo(from + later, { ringing: true });
      assertLimited(await send(key), "concurrency_exceeded", ["one"], `after ${later} ms`);
    }
    // What is in flight for longer cannot be: the gate would have broken it off.
    await gate.advanceTo(from + TIMEOUT + MAX_STREAM + DENIED, { ringing: true });
    assert.equal((await send(key)).status, 200);
  });

  test("a gate that was killed has its places until their time, and then all of them", async () => {
    for (const settled of [false, true]) {
      const key = await newKey();
      const from = gate.now;
      for (let i = 0; i < 3; i += 1) assert.equal((await holder.hold(gate, caller(key, "five"))).status, 200);
      if (settled) await gate.advanceTo(from + 10 * SECOND, { ringing: true });
      await gate.kill();
      await gate.start();
      const before = holder.live.size;
      const more = [];
      while (more.length < 6 && more.at(-1)?.status !== 429) more.push(await holder.hold(gate, caller(key, "five")));
      const fresh = more.filter(({ status }) => status === 200).length;
      assert.ok(fresh <= 2 && fresh >= 1, `${fresh} more beside 3 that may be in flight, of which a crash may lose one; ${before} live`);
      await gate.advance(TIMEOUT + MAX_STREAM + DENIED);
      holder.free();
      const left = await eventually(
        async () => {
          const answer = await send(key, "/five/x");
          return answer.status === 200 ? told(answer, "five").left : -1;
        },
        (free) => free === 4,
        5_000,
      );
      assert.equal(left, 4, settled ? "after it had settled" : "in the middle");
    }
  });

  test("whether it has a place that the object's answer was lost for, nobody knows: it has it for its time", async () => {
    const key = await newKey();
    await assertFree(key);
    await gate.ask("deaf", '{"admit"');
    assertProblem(await eventually(() => send(key), ({ status }) => status !== 429), 503, "admission_unavailable");
    await gate.ask("deaf", "none");
    await gate.advance(TIMEOUT + MAX_STREAM - 1);
    assertLimited(await send(key), "concurrency_exceeded", ["one"]);
    await gate.advance(1 + DENIED);
    await assertFree(key);
  });

  test("a revoked key's request keeps its place until it ends", async () => {
    const key = await newKey();
    const held = await holder.hold(gate, caller(key));
    await act(gate, key, "disable");
    assertProblem(await send(key), 401, "key_disabled");
    await act(gate, key, "enable");
    assertLimited(await send(key), "concurrency_exceeded", ["one"]);
    holder.free();
    await held.ended;
    await assertFree(key);
  });
});
