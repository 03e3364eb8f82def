// The deployed entry: it hands the policy to the Wasm side, runs the commands that the road gives,
// and wraps the objects. It decides nothing: a switch over the kind of a command, and no more.

import { DurableObject } from "cloudflare:workers";
import policy from "./build/policy.json";
import entry, {
  CounterObject as Counter,
  KeyObject as Key,
  Restart,
  TenantObject as Tenant,
} from "./build/index.js";

// Read by the Wasm side on first use, and again by the fresh instance after a panic.
globalThis.__tollgate_policy = JSON.stringify(policy);

// worker-build hangs every exported function on its own default export, where any Worker bound to
// this one could call it. So that export is used here and not passed on.
const wasm = entry.prototype;

// The panic hook sets `criticalError`; from then on nothing that waits inside Wasm will go on.
const state = globalThis.__worker_init_state;
let critical = state.criticalError;
/** Those who wait inside Wasm, each with a promise of its own request: workerd lets no other one settle. */
const waiting = new Set();
Object.defineProperty(state, "criticalError", {
  get: () => critical,
  set(value) {
    critical = value;
    if (!value) return;
    for (const stop of waiting) stop(PANIC);
    waiting.clear();
  },
});
const PANIC = Symbol("panic");
let generation = 0;

/** After a panic: a fresh instance of the module, before anything else is asked of it. */
function restart() {
  if (!critical) return;
  generation += 1;
  new Restart();
}

let faultDocument = "";
const CORRELATION = "00000000-0000-0000-0000-000000000000";

/** The answer to a fault of the gate itself: nothing of it is told. */
function fault(request, error) {
  const id = crypto.randomUUID();
  // The path is left out: only the core knows what in it must not be written down.
  const line = { time: new Date().toISOString(), request_id: id, method: request.method, status: 500 };
  console.error(JSON.stringify({ ...line, code: "internal_error", fault: String(error) }));
  return new Response(faultDocument.replace(CORRELATION, id), {
    status: 500,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-request-id": id,
      "strict-transport-security": "max-age=31536000",
    },
  });
}

/** @param {Request} request @param {any} env @param {ExecutionContext} ctx */
async function drive(request, env, ctx) {
  restart();
  faultDocument ||= wasm.faultDocument(CORRELATION);
  const born = generation;
  let walk = 0;
  const next = (text) => {
    const command = JSON.parse(text);
    walk = command.walk ?? 0;
    return command;
  };
  // What was asked before a panic is not told to the instance after it.
  const alive = () => {
    if (born !== generation || critical) throw new Error("the module was restarted");
  };
  try {
    let command = next(wasm.roadBegin(request, env, Date.now()));
    for (;;) {
      switch (command.do) {
        case "kv": {
          const entry = await attempt(env.KEYS.get(command.name));
          alive();
          command = next(wasm.roadStep(walk, request, entry.ok, entry.value, Date.now()));
          break;
        }
        case "object": {
          const space = env[command.binding];
          const stub = space.get(space.idFromName(command.name));
          const reply = await attempt(stub.call(command.message));
          alive();
          command = next(wasm.roadStep(walk, request, reply.ok, reply.value, Date.now()));
          break;
        }
        case "forward": {
          const sent = await send(command, request, ctx);
          try {
            alive();
            command = next(wasm.roadUpstream(walk, JSON.stringify(sent.came), Date.now()));
            if (command.do === "relay") return relay(command, sent, env, ctx);
          } catch (error) {
            sent.exchange.break();
            throw error;
          }
          sent.exchange.break();
          break;
        }
        case "gate": {
          const own = walk;
          walk = 0;
          const answering = settled(wasm.gateAnswer(own, request, env, ctx));
          // What was begun is brought to its end, though the client may be gone.
          ctx.waitUntil(answering.catch(() => {}));
          const answer = await answering;
          if (!critical) bring(env, ctx, wasm.usageDue());
          return answer;
        }
        case "fault":
          return fault(request, "the gate refuses everything: its log says why");
        case "answer":
          leave(command, env, ctx);
          return new Response(command.body || null, command);
        default:
          throw new Error(`no such command: ${command.do}`);
      }
    }
  } finally {
    if (walk !== 0 && born === generation && !critical) wasm.roadDrop(walk);
  }
}

/** What a store said, or that it could not be reached. */
async function attempt(promise) {
  try {
    return { ok: true, value: (await promise) ?? undefined };
  } catch (error) {
    console.error(JSON.stringify({ fault: String(error) }));
    return { ok: false, value: undefined };
  }
}

/** Sends the request natively, its body as the stream that it is. */
async function send(command, request, ctx) {
  const exchange = new Exchange(command);
  try {
    const headers = new Headers(request.headers);
    for (const name of command.remove) headers.delete(name);
    for (const [name, value] of command.set) headers.set(name, value);
    // An answer is for one key: no cache on the way may keep it for another. Its bytes pass as they
    // came, compressed or not.
    const how = { cache: "no-store", encodeResponseBody: "manual" };
    const init = { headers, redirect: "manual", signal: exchange.signal, ...how };
    const body = outgoing(request, command.cap, exchange);
    if (body) {
      init.body = body.readable;
      ctx.waitUntil(body.done);
    } else {
      exchange.sent();
    }
    const response = await fetch(new Request(command.url, new Request(request, init)), how);
    // No Response can be made of such a status: 101 without having asked, or a number beyond HTTP's.
    if (response.status < 200 || response.status > 599) throw new Error("no status of an answer");
    exchange.answered();
    return { exchange, response, came: { answered: { status: response.status, headers: [...response.headers] } } };
  } catch {
    exchange.break();
    return { exchange, response: null, came: exchange.fault };
  }
}

/** One request to an upstream and its answer: what it may take, and why it was broken off. */
class Exchange {
  fault = "unreachable";
  #abort = new AbortController();
  #timer;
  #limits;
  #waits = true;

  constructor(limits) {
    this.#limits = limits;
    // Until its body is sent the upstream cannot be held to answer: only the body is bounded.
    this.#within(limits.max_stream);
  }
  get signal() {
    return this.#abort.signal;
  }
  /** The request is sent whole: the first byte of the answer is waited for, unless it is here. */
  sent() {
    if (this.#waits) this.#within(this.#limits.timeout);
  }
  /** The answer has begun: it is bounded too, so that no open stream outlives a revoked key for long. */
  answered() {
    this.#waits = false;
    this.#within(this.#limits.max_stream);
  }
  /** Nothing is waited for any more. */
  settle() {
    this.#waits = false;
    clearTimeout(this.#timer);
  }
  break(fault = this.fault) {
    this.settle();
    this.fault = fault;
    this.#abort.abort();
  }
  #within(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.break("timeout"), ms);
  }
}

/** So long a body is sent, or ends, soon enough by itself to pass natively. */
const SHORT = 64 * 1024;

/** The declared length of a body, or null. */
function declared(headers) {
  const length = headers.get("content-length");
  return length !== null && /^\d+$/.test(length) ? Number(length) : null;
}

/**
 * The body that goes out, where it has to be watched: how long it is, or when it is all sent. Null for
 * none and for a short one, which goes as it is.
 *
 * A stream that ends in an error reaches the upstream as a body that is whole: workerd writes the last
 * chunk all the same. So a body that is over the cap, or that the client broke off, is never ended
 * here; the whole exchange with the upstream is.
 */
function outgoing(request, cap, exchange) {
  const length = declared(request.headers);
  if (!request.body || (cap === null && (length === null || length <= SHORT))) return null;
  const { readable, writable } = length === null ? new IdentityTransformStream() : new FixedLengthStream(length);
  const pump = async () => {
    const reader = request.body.getReader({ mode: "byob" });
    const writer = writable.getWriter();
    let size = 0;
    for (let buffer = new ArrayBuffer(64 * 1024); ; ) {
      const part = await reader.read(new Uint8Array(buffer)).catch(() => null);
      if (part?.done) {
        exchange.sent();
        return writer.close().catch(() => {});
      }
      if (part === null) return exchange.break();
      size += part.value.byteLength;
      if (cap !== null && size > cap) return exchange.break("body_too_large");
      try {
        await writer.write(part.value);
      } catch {
        // The upstream wants no more of it.
        return reader.cancel().catch(() => {});
      }
      buffer = part.value.buffer;
    }
  };
  return { readable, done: pump() };
}

/** The body of an answer, within the time that it has. What passes natively outlives every timer. */
function bounded({ body, headers }, ctx, exchange) {
  const length = declared(headers);
  if (!body || (length !== null && length <= SHORT)) {
    exchange.settle();
    return body;
  }
  const { readable, writable } = length === null ? new IdentityTransformStream() : new FixedLengthStream(length);
  const piped = body.pipeTo(writable, { signal: exchange.signal });
  ctx.waitUntil(piped.catch(() => {}).finally(() => exchange.settle()));
  return readable;
}

/** The upstream's answer, its headers edited, its body the stream that it is. */
function relay(command, { exchange, response }, env, ctx) {
  const { status, statusText, headers } = response;
  const body = bounded(response, ctx, exchange);
  const answer = new Response(body, { status, statusText, headers, encodeBody: "manual" });
  for (const name of command.remove) answer.headers.delete(name);
  for (const [name, value] of command.set) answer.headers.set(name, value);
  for (const [name, value] of command.append) answer.headers.append(name, value);
  leave(command, env, ctx);
  return answer;
}

/** What is left of a request once it is answered: its log line, its data point, and what was counted. */
function leave({ log, point, flush }, env, ctx) {
  console.log(log);
  if (point) {
    try {
      env.ANALYTICS.writeDataPoint(point);
    } catch (error) {
      console.error(JSON.stringify({ fault: String(error) }));
    }
  }
  bring(env, ctx, flush);
}

/** After `wait` ms what was counted goes to the tenants' objects; undefined: somebody else sees to it. */
function bring(env, ctx, wait) {
  if (wait === undefined) return;
  const born = generation;
  const brought = async () => {
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    // A panic took it.
    if (born !== generation || critical) return;
    const batches = JSON.parse(wasm.usageTake());
    await Promise.all(batches.map(([name, message]) => attempt(env.TENANT.get(env.TENANT.idFromName(name)).call(message))));
  };
  ctx.waitUntil(attempt(brought()));
}

/** An object of the Wasm module, reached by one method. */
const wrapped = (Inner) =>
  class extends DurableObject {
    constructor(ctx, env) {
      super(ctx, env);
      restart();
      this.inner = new Inner(ctx, env);
    }
    call(message) {
      restart();
      return this.inner.call(message);
    }
    async flush() {
      restart();
      return settled(this.inner.flush());
    }
    async alarm() {
      restart();
      await settled(this.inner.alarm());
    }
  };

/** What a Rust future gives, or an error as soon as a panic leaves it hanging. */
async function settled(promise) {
  const { promise: panic, resolve } = Promise.withResolvers();
  waiting.add(resolve);
  if (critical) resolve(PANIC);
  try {
    const value = await Promise.race([promise, panic]);
    if (value === PANIC) throw new Error("the module was restarted");
    return value;
  } finally {
    waiting.delete(resolve);
  }
}

export class KeyObject extends wrapped(Key) {}
export class TenantObject extends wrapped(Tenant) {}
export class CounterObject extends wrapped(Counter) {}

export default {
  async fetch(request, env, ctx) {
    try {
      return await drive(request, env, ctx);
    } catch (error) {
      return fault(request, error);
    }
  },
};
