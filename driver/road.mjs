// The road: runs the commands that its module gives. It decides nothing: a switch over the kind of a
// command, and no more.

import * as exports from "../build/road/index.js";
import { headOf } from "./head.mjs";
import { answerOfHouse } from "./house.mjs";
import { Lines } from "./lines.mjs";
import { attempt, bring, call } from "./stores.mjs";
import { Exchange } from "./upstream.mjs";
import { WasmModule } from "./wasm.mjs";

const road = new WasmModule("road", exports);
const { wasm } = road;

// What the isolate remembers lies in the road's module; the house asks for it through these.
globalThis.__tollgate_memory = Object.fromEntries(
  ["knownRecord", "learnRecord", "failuresSpent", "spendFailure", "lookupsSpent", "spendLookup", "refusalsSpent", "spendRefusal"].map(
    (name) => [
      name,
      (...args) => {
        road.restart();
        try {
          return wasm[name](...args);
        } catch (error) {
          // What trapped here would end the house as well, which is in the middle of its question.
          road.trapped(error);
          return undefined;
        }
      },
    ],
  ),
);

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

/** Answers a request. @param {Request} request @param {any} env @param {ExecutionContext} ctx */
export async function answer(request, env, ctx) {
  try {
    return await drive(request, env, ctx);
  } catch (error) {
    return fault(request, error);
  }
}

async function drive(request, env, ctx) {
  road.restart();
  faultDocument ||= wasm.faultDocument(CORRELATION);
  const born = road.generation;
  const head = headOf(request);
  let walk = 0;
  let over;
  // What was asked before a panic is not told to the instance after it.
  const alive = () => {
    if (!road.lives(born)) throw new Error("the module was restarted");
  };
  try {
    let command = new Lines(wasm.roadBegin(head, env, Date.now()));
    for (;;) {
      const kind = command.text();
      switch (kind) {
        case "kv": {
          walk = command.number();
          const entry = await attempt(env.KEYS.get(command.text()));
          alive();
          command = new Lines(wasm.roadStep(walk, entry.ok, entry.value, Date.now()));
          break;
        }
        case "object": {
          walk = command.number();
          const [binding, name, held] = [command.text(), command.text(), command.flag()];
          // Its client may go: what has a place in flight is brought to an end all the same.
          if (held) over ??= heldBy(ctx);
          const reply = await call(env, binding, name, command.rest());
          alive();
          command = new Lines(wasm.roadStep(walk, reply.ok, reply.value, Date.now()));
          break;
        }
        case "forward": {
          walk = command.number();
          const exchange = new Exchange(command);
          run(command.optional(), env, ctx, born);
          const came = await exchange.send(command, request, ctx);
          try {
            alive();
            command = new Lines(wasm.roadUpstream(walk, came, Date.now()));
            if (command.text() === "relay") {
              walk = 0;
              leave(command, env, ctx, born);
              return relay(exchange, command, env, ctx, born);
            }
            command.again();
          } finally {
            exchange.abandon();
          }
          break;
        }
        case "gate":
          return await answerOfHouse(head, request, env, ctx);
        case "answer": {
          walk = 0;
          const status = command.number();
          leave(command, env, ctx, born);
          return refused(status, command);
        }
        case "fault":
          run(command.optional(), env, ctx, born);
          return fault(request, "no command: a line of the log says that the gate refuses everything, or too many requests wait");
        default:
          throw new Error(`no such command: ${kind}`);
      }
    }
  } catch (error) {
    road.trapped(error);
    throw error;
  } finally {
    if (walk !== 0 && road.lives(born)) run(wasm.roadDrop(walk, Date.now()), env, ctx, born);
    over?.();
  }
}

/** The upstream's answer. What it holds in flight is released once: when it has ended, or was never begun. */
function relay(exchange, command, env, ctx, born) {
  let release = command.optional();
  const ended = () => {
    run(release, env, ctx, born);
    release = undefined;
  };
  try {
    return exchange.relay(command, ctx, release && ended);
  } catch (error) {
    ended();
    throw error;
  }
}

/** Headers that many answers of the gate's own have in common, by their text. */
const common = new Map();
/** So many are kept: each route has a few, and each origin that is told. */
const COMMON = 500;

/** An answer of the gate's own. */
function refused(status, command) {
  const text = command.text();
  let headers = common.get(text);
  if (headers === undefined) {
    headers = new Headers(JSON.parse(text));
    if (common.size >= COMMON) common.clear();
    common.set(text, headers);
  }
  const own = [];
  command.pairs((name, value) => own.push(name, value));
  const answer = new Response(command.rest() || null, { status, headers });
  for (let at = 0; at < own.length; at += 2) answer.headers.append(own[at], own[at + 1]);
  return answer;
}

/** Keeps a request running without its client, until what this gives is called. */
function heldBy(ctx) {
  const { promise, resolve } = Promise.withResolvers();
  ctx.waitUntil(promise);
  return resolve;
}

/**
 * Sends messages that no request waits for, given as JSON: each once, whatever comes of it. Their replies
 * have numbers of the instance `born`.
 */
function run(errands, env, ctx, born) {
  if (!errands) return;
  for (const { binding, name, message, reply: number } of JSON.parse(errands)) {
    const sent = async () => {
      const reply = await call(env, binding, name, message);
      if (number === undefined || !road.lives(born)) return;
      try {
        wasm.roadErrand(number, reply.value, Date.now());
      } catch (error) {
        road.trapped(error);
        throw error;
      }
    };
    ctx.waitUntil(attempt(sent()));
  }
}

/**
 * What is left of a request once it is answered: its log line, its data point, what was counted, and what
 * objects are to be told.
 */
function leave(command, env, ctx, born) {
  console.log(command.text());
  const point = command.optional();
  const flush = command.maybe();
  run(command.optional(), env, ctx, born);
  if (point !== undefined) {
    try {
      env.ANALYTICS.writeDataPoint(JSON.parse(point));
    } catch (error) {
      console.error(JSON.stringify({ fault: String(error) }));
    }
  }
  if (flush !== undefined) bring(road, env, ctx, flush);
}
