// The gate on a clock that is set by hand (clock-worker.mjs), and the objects in the hands of a test:
//
//   x-test-deliver: off | on     while it is off a key's object tells nobody of its changes before its
//                                alarm is rung
//   x-test-deaf: ID              the object of this key answers no call, from now on; none: all do again
//   x-test-hold: TEXT            a key's object does not go on with a call that has this text in it, until
//                                the next time this is said
//   x-test-held: any             how many calls have come to that
//   x-test-late: ID              the next change of this key is not made and not answered until
//                                x-test-late: now; it is then made, and nobody hears of it
//   x-test-untold: TEXT          the object over all tenants answers no call that has this text in it, from
//                                now on; none: all again
//   x-test-object: BINDING/NAME  one call of an object, with the body as its message
//
// The registry of the tenant `older` has the tables of the first version, and a key in them.
import gate, { CounterObject, EndpointObject, InboxObject, KeyObject as Key, TenantObject as Tenant } from "./clock-worker.mjs";

export { CounterObject, EndpointObject, InboxObject };

const FIRST_VERSION = `
  CREATE TABLE entry (
    id TEXT PRIMARY KEY, family TEXT NOT NULL, tenant TEXT NOT NULL, kind TEXT NOT NULL, owner TEXT, tags TEXT NOT NULL,
    origins TEXT NOT NULL, any_origin INTEGER NOT NULL, state TEXT NOT NULL, created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL, version INTEGER NOT NULL, pepper INTEGER NOT NULL, view TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX entry_order ON entry (created_at DESC, id DESC);
  CREATE INDEX entry_tenant ON entry (tenant, created_at DESC, id DESC);
  CREATE INDEX entry_kind ON entry (kind, state, expires_at);`;

export class TenantObject extends Tenant {
  constructor(ctx, env) {
    const { sql } = ctx.storage;
    const older = env.TENANT.idFromName("older").toString() === ctx.id.toString();
    if (older && sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'entry'").toArray().length === 0) {
      sql.exec(FIRST_VERSION);
      const [id, made, ends] = ["0lderolderolder0", 1_700_000_000_000, 4_000_000_000_000];
      const view = {
        id, family: id, kind: "sk", environment: "dev", tenant: "older", name: "old", tags: ["web"], state: "active", version: 3,
        created_at: made, expires_at: ends,
      };
      const row = [id, id, "older", "sk", "ana", '["web"]', "[]", 0, "active", made, ends, 3, 1, JSON.stringify(view)];
      sql.exec(`INSERT INTO entry VALUES (${row.map(() => "?").join(", ")})`, ...row);
    }
    super(ctx, env);
    this.overAll = env.TENANT.idFromName("*").toString() === ctx.id.toString();
  }
  call(message) {
    if (this.overAll && untold !== "" && message.includes(untold)) throw new Error("no answer, on purpose");
    return super.call(message);
  }
}

let delivering = true;
let deaf = "";
let untold = "";
const held = { text: "", calls: 0 };
const late = { id: "", object: null, message: "" };
const named = (text) => (text === "none" ? "" : text);

export class KeyObject extends Key {
  async flush() {
    return delivering ? super.flush() : false;
  }
  async call(message) {
    if (deaf !== "" && message.includes(deaf)) throw new Error("no answer, on purpose");
    if (held.text !== "" && message.includes(held.text)) {
      held.calls += 1;
      for (const { text } = held; held.text === text; ) await scheduler.wait(5);
    }
    if (late.id !== "" && message.includes('"change"') && message.includes(late.id)) {
      Object.assign(late, { id: "", object: this.ctx.id.toString(), message });
      throw new Error("not yet, on purpose");
    }
    return super.call(message);
  }
}

export default {
  async fetch(request, env, ctx) {
    const said = (name) => request.headers.get(`x-test-${name}`);
    if (said("deliver") !== null) {
      delivering = said("deliver") === "on";
      return new Response("ok");
    }
    if (said("deaf") !== null) {
      deaf = named(said("deaf"));
      return new Response("ok");
    }
    if (said("untold") !== null) {
      untold = named(said("untold"));
      return new Response("ok");
    }
    if (said("hold") !== null) {
      Object.assign(held, { text: named(said("hold")), calls: 0 });
      return new Response("ok");
    }
    if (said("held") !== null) return Response.json(held.calls);
    if (said("late") !== null && said("late") !== "now") {
      late.id = said("late");
      return new Response("ok");
    }
    if (said("late") === "now") return new Response(await env.KEY.get(env.KEY.idFromString(late.object)).call(late.message));
    if (said("object") !== null) {
      const [binding, ...name] = said("object").split("/");
      const stub = env[binding].get(env[binding].idFromName(name.join("/")));
      return new Response(await stub.call(await request.text()), { headers: { "content-type": "application/json" } });
    }
    return gate.fetch(request, env, ctx);
  },
};
