// The gate on a clock that is set by hand (clock-worker.mjs), and the tables of its objects in the hands of a
// test:
//
//   x-test-sql: BINDING/NAME     runs the body as SQL in that object; its rows, as lists
//   x-test-object: BINDING/NAME  one call of that object, with the body as its message; its answer
//   x-test-fault: TEXT           in objects of endpoints and inboxes the next statement with this text in it
//                                fails, once;
//                                `2 TEXT` the second one that has it, and so on; `all TEXT` each of
//                                them until there is another fault, or an empty one
import gate, * as clocked from "./clock-worker.mjs";

let fault = null;

/** The database, with a fault where the test wants one. */
const faulty = (sql) => ({
  get databaseSize() {
    return sql.databaseSize;
  },
  exec(statement, ...values) {
    if (fault !== null && statement.includes(fault.text) && (fault.left -= 1) <= 0) {
      if (!fault.all) fault = null;
      throw new Error("a fault, on purpose");
    }
    return sql.exec(statement, ...values);
  },
});

const open = (Inner, wrap) =>
  class extends Inner {
    constructor(ctx, env) {
      const { sql } = ctx.storage;
      if (wrap) Object.defineProperty(ctx.storage, "sql", { value: faulty(sql) });
      super(ctx, env);
      this.sql = sql;
    }
    run(statement) {
      return [...this.sql.exec(statement).raw()];
    }
  };

export const EndpointObject = open(clocked.EndpointObject, true);
export const TenantObject = open(clocked.TenantObject, false);
export const InboxObject = open(clocked.InboxObject, true);
export const { KeyObject, CounterObject } = clocked;

export default {
  async fetch(request, env, ctx) {
    const said = (name) => request.headers.get(`x-test-${name}`);
    const at = (place) => {
      const [binding, ...name] = place.split("/");
      return env[binding].get(env[binding].idFromName(name.join("/")));
    };
    if (said("sql") !== null) return Response.json(await at(said("sql")).run(await request.text()));
    if (said("object") !== null) return new Response(await at(said("object")).call(await request.text()));
    if (said("fault") !== null) {
      const [, count, text] = /^(?:(\d+|all) )?(.*)$/.exec(said("fault"));
      const all = count === "all";
      fault = text === "" ? null : { text, all, left: all ? 0 : Number(count ?? 1) };
      return Response.json(true);
    }
    return gate.fetch(request, env, ctx);
  },
};
