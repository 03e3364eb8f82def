// The gate on a clock that a test sets by hand; tests/support/clock.mjs is how tests reach it.
//
//   - `Date.now()` and `new Date()` of the whole isolate, objects and Wasm included, stand still at the
//     time that was set; before that they are the real ones. (KV of scripts/local is another isolate,
//     and keeps no times.)
//   - no alarm goes off by itself. `setAlarm` stores it as the platform does, in the same transaction,
//     but a century later, so that a time far from the real one neither fires at once nor is lost;
//     the test rings it.
//
// Requests with one of these headers are answered here, as JSON:
//
//   x-test-clock: MS             the time from now on; the answer is the time before. Without a number
//                                nothing is set
//   x-test-alarm: BINDING/NAME   rings the alarm of an object, set or not; when it was set for, or null
//   x-test-alarm-at: BINDING/NAME   when it is set for, or null
//   x-test-alarms: ring          rings all that are due, and those that come to be due by that; how many
//   x-test-alarms: list          every alarm that is set, of objects that this process has loaded
//
// One with x-test-country: DE goes on as if it came from there.
import gate, * as classes from "../../worker.mjs";

const CENTURY = 100 * 365 * 86_400_000;
const RealDate = Date;
let frozen = null;
const now = () => frozen ?? RealDate.now();

globalThis.Date = class Date extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(now());
    else super(...args);
  }
  static now() {
    return now();
  }
};

/** Objects that were made here, by binding and id. */
const loaded = new Map();

const clocked = (Inner, binding) =>
  class extends Inner {
    constructor(ctx, env) {
      const { storage } = ctx;
      const real = { set: storage.setAlarm.bind(storage), get: storage.getAlarm.bind(storage) };
      storage.setAlarm = (at, options) => real.set(new RealDate(Number(at) + CENTURY), options);
      storage.getAlarm = async (options) => {
        const at = await real.get(options);
        return at === null ? null : at - CENTURY;
      };
      super(ctx, env);
      this.id = ctx.id.toString();
      loaded.set(`${binding}/${this.id}`, { binding, id: this.id });
    }
    alarmAt() {
      return this.ctx.storage.getAlarm();
    }
    async ring() {
      const at = await this.alarmAt();
      // As the platform does: the handler may set the next one.
      await this.ctx.storage.deleteAlarm();
      await this.alarm();
      return at;
    }
  };

export const KeyObject = clocked(classes.KeyObject, "KEY");
export const TenantObject = clocked(classes.TenantObject, "TENANT");
export const EndpointObject = clocked(classes.EndpointObject, "ENDPOINT");
export const CounterObject = clocked(classes.CounterObject, "COUNTER");
export const InboxObject = clocked(classes.InboxObject, "INBOX");

/** Every alarm that is set, the earliest first. */
async function alarms(env) {
  const all = [];
  for (const { binding, id } of loaded.values()) {
    const at = await env[binding].get(env[binding].idFromString(id)).alarmAt();
    if (at !== null) all.push({ binding, id, at });
  }
  return all.sort((a, b) => a.at - b.at);
}

/** More than this in one call is an alarm that sets itself without end. */
const ENOUGH = 10_000;

async function ringDue(env) {
  for (let rung = 0; rung < ENOUGH; ) {
    const due = (await alarms(env)).filter(({ at }) => at <= now());
    if (due.length === 0) return rung;
    for (const { binding, id } of due) {
      await env[binding].get(env[binding].idFromString(id)).ring();
      rung += 1;
    }
  }
  throw new Error("an alarm sets itself again and again for a time that has come");
}

function object(env, place) {
  const [binding, ...name] = place.split("/");
  return env[binding].get(env[binding].idFromName(name.join("/")));
}

async function control(request, env) {
  const said = (name) => request.headers.get(`x-test-${name}`);
  if (said("clock") !== null) {
    const before = now();
    if (/^\d+$/.test(said("clock"))) frozen = Number(said("clock"));
    return before;
  }
  if (said("alarm") !== null) return object(env, said("alarm")).ring();
  if (said("alarm-at") !== null) return object(env, said("alarm-at")).alarmAt();
  if (said("alarms") === null) return undefined;
  return said("alarms") === "list" ? alarms(env) : ringDue(env);
}

/** The request as Cloudflare would hand it on, which knows where it came from. */
function placed(request) {
  const country = request.headers.get("x-test-country");
  if (country === null) return request;
  const there = new Request(request, { cf: { ...request.cf, country } });
  there.headers.delete("x-test-country");
  return there;
}

export default {
  async fetch(request, env, ctx) {
    const answer = await control(request, env);
    return answer === undefined ? gate.fetch(placed(request), env, ctx) : Response.json(answer);
  },
};
