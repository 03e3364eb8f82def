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
function fault(error) {
  const id = crypto.randomUUID();
  console.error(JSON.stringify({ request_id: id, code: "internal_error", fault: String(error) }));
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
          const { response, came, signal, settle } = await send(command, request, ctx);
          alive();
          command = next(wasm.roadUpstream(walk, JSON.stringify(came), Date.now()));
          if (command.do === "relay") return relay(command, response, ctx, signal, settle);
          settle();
          await response?.body?.cancel();
          break;
        }
        case "gate": {
          const own = walk;
          walk = 0;
          return await settled(wasm.gateAnswer(own, request, env, ctx));
        }
        case "fault":
          return fault("the gate refuses everything: its log says why");
        case "answer":
          console.log(command.log);
          return new Response(command.body || null, command);
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
  const abort = new AbortController();
  let late = false;
  let timer = setTimeout(() => {
    late = true;
    abort.abort();
  }, command.timeout);
  const settle = () => clearTimeout(timer);
  const headers = new Headers(request.headers);
  for (const name of command.remove) headers.delete(name);
  for (const [name, value] of command.set) headers.set(name, value);
  const init = { headers, redirect: "manual", signal: abort.signal };
  const counted = command.cap === null ? null : capped(request.body, command.cap, abort);
  if (counted) {
    init.body = counted.readable;
    ctx.waitUntil(counted.done);
  }
  try {
    const response = await fetch(new Request(command.url, new Request(request, init)));
    settle();
    // No Response can be made of such a status: 101 without having asked, or a number beyond HTTP's.
    if (response.status < 200 || response.status > 599) throw new Error("no status of an answer");
    // The whole answer is bounded as well, so that no open stream outlives a revoked key for long.
    timer = setTimeout(() => abort.abort(), command.max_stream);
    return {
      response,
      came: { answered: { status: response.status, headers: [...response.headers] } },
      signal: abort.signal,
      settle,
    };
  } catch {
    settle();
    abort.abort();
    const came = counted?.over() ? "body_too_large" : late ? "timeout" : "unreachable";
    return { response: null, came, settle };
  }
}

/**
 * Counts a body of undeclared length and breaks it off at the cap.
 *
 * A stream that ends in an error reaches the upstream as a body that is whole: workerd writes the last
 * chunk all the same. So a body that is over the cap, or that the client broke off, is never ended
 * here; the whole exchange with the upstream is.
 */
function capped(body, cap, abort) {
  let size = 0;
  const { readable, writable } = new IdentityTransformStream();
  const pump = async () => {
    const reader = body.getReader({ mode: "byob" });
    const writer = writable.getWriter();
    for (let buffer = new ArrayBuffer(64 * 1024); ; ) {
      const part = await reader.read(new Uint8Array(buffer)).catch(() => null);
      if (part?.done) return writer.close().catch(() => {});
      size += part?.value.byteLength ?? 0;
      if (part === null || size > cap) return abort.abort();
      try {
        await writer.write(part.value);
      } catch {
        // The upstream wants no more of it.
        return reader.cancel().catch(() => {});
      }
      buffer = part.value.buffer;
    }
  };
  return { readable, done: pump(), over: () => size > cap };
}

/** So long an answer ends soon enough by itself. */
const SHORT = 64 * 1024;

/** The body of an answer, within the time that it has. What passes natively outlives every timer. */
function bounded({ body, headers }, ctx, signal, settle) {
  const length = headers.get("content-length");
  if (!body || (length !== null && Number(length) <= SHORT)) {
    settle();
    return body;
  }
  const { readable, writable } = length === null ? new IdentityTransformStream() : new FixedLengthStream(BigInt(length));
  ctx.waitUntil(body.pipeTo(writable, { signal }).catch(() => {}).finally(settle));
  return readable;
}

/** The upstream's answer, its headers edited, its body the stream that it is. */
function relay(command, response, ctx, signal, settle) {
  const answer = new Response(bounded(response, ctx, signal, settle), response);
  const { headers } = answer;
  for (const name of command.remove) headers.delete(name);
  for (const [name, value] of command.set) headers.set(name, value);
  for (const cookie of command.cookies) headers.append("set-cookie", cookie);
  if (command.vary) headers.append("vary", command.vary);
  console.log(command.log);
  return answer;
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
      return fault(error);
    }
  },
};
