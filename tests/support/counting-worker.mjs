// The gate on a clock that is set by hand (clock-worker.mjs), which counts what a request costs on the
// platform, and holds back or loses what a test says.
//
//   x-test-counts: take    what there was since the last time, as JSON:
//                            kv       reads of KV by this isolate
//                            calls    calls of objects, by class and message: { "KEY.admit": 2 }
//                            writes   statements of the objects that wrote something, by class
//                            rows     rows that these wrote, by class, and alarms that were set: each of
//                                     them is billed as one
//   x-test-deaf: TEXT      no object answers a call that has this text in it; none: all do again. It
//                          hears it all the same
//   x-test-hold: TEXT      calls that have this text in them wait before the object hears of them, until
//                          the next time this is said; none: none do
//   x-test-held: any       how many have come to that
//
// Calls and rows are those of objects of this isolate: of all edges, where there are several.
import gate, * as classes from "./clock-worker.mjs";

const fresh = () => ({ kv: 0, calls: {}, writes: {}, rows: {} });
let counts = fresh();
const add = (table, name, count) => (table[name] = (table[name] ?? 0) + count);

let deaf = "";
const held = { text: "", calls: 0 };
const named = (text) => (text === "none" ? "" : text);

/** What a message asks: `{"admit":{…}}`, or a word alone. */
function kindOf(message) {
  const read = JSON.parse(message);
  return typeof read === "string" ? read : Object.keys(read)[0];
}

const counted = (Inner, binding) =>
  class extends Inner {
    constructor(ctx, env) {
      const { storage } = ctx;
      const { sql } = storage;
      const exec = sql.exec.bind(sql);
      sql.exec = (...args) => {
        const cursor = exec(...args);
        // A statement that writes has done so when it returns.
        if (cursor.rowsWritten > 0) {
          add(counts.writes, binding, 1);
          add(counts.rows, binding, cursor.rowsWritten);
        }
        return cursor;
      };
      const setAlarm = storage.setAlarm.bind(storage);
      storage.setAlarm = (...args) => {
        add(counts.rows, binding, 1);
        return setAlarm(...args);
      };
      super(ctx, env);
    }
    async call(message, bytes) {
      if (held.text !== "" && message.includes(held.text)) {
        held.calls += 1;
        for (const { text } = held; held.text === text; ) await scheduler.wait(5);
      }
      add(counts.calls, `${binding}.${kindOf(message)}`, 1);
      const reply = await super.call(message, bytes);
      if (deaf !== "" && message.includes(deaf)) throw new Error("no answer, on purpose");
      return reply;
    }
  };

export const KeyObject = counted(classes.KeyObject, "KEY");
export const TenantObject = counted(classes.TenantObject, "TENANT");
export const EndpointObject = counted(classes.EndpointObject, "ENDPOINT");
export const CounterObject = counted(classes.CounterObject, "COUNTER");
export const InboxObject = counted(classes.InboxObject, "INBOX");

const reading = (kv) =>
  new Proxy(kv, {
    get(target, name) {
      if (name === "get" || name === "getWithMetadata") counts.kv += 1;
      return typeof target[name] === "function" ? target[name].bind(target) : target[name];
    },
  });

function control(request) {
  const said = (name) => request.headers.get(`x-test-${name}`);
  if (said("counts") !== null) {
    const before = counts;
    counts = fresh();
    return before;
  }
  if (said("deaf") !== null) return (deaf = named(said("deaf")));
  if (said("hold") !== null) {
    Object.assign(held, { text: named(said("hold")), calls: 0 });
    return held.text;
  }
  return said("held") !== null ? held.calls : undefined;
}

export default {
  async fetch(request, env, ctx) {
    const answer = control(request);
    if (answer !== undefined) return Response.json(answer);
    return gate.fetch(request, { ...env, KEYS: reading(env.KEYS) }, ctx);
  },
};
