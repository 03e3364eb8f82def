// The gate, and its KV in the hands of a test:
//
//   POST /test/kv     body ["get", name] and the like: one call of KV
//   POST /test/hold   reads of KV read, and then keep what they found to themselves
//   POST /test/free   until now
//   GET /test/held    how many do
import gate, { CounterObject, EndpointObject, InboxObject, KeyObject, TenantObject } from "../../worker.mjs";

export { CounterObject, EndpointObject, InboxObject, KeyObject, TenantObject };

let holding = false;
let held = 0;

/** The same KV, whose answers may be a long time on their way. */
const slowly = (kv) =>
  new Proxy(kv, {
    get(target, name) {
      if (["put", "delete", "list", "getWithMetadata"].includes(name)) return target[name].bind(target);
      if (name !== "get") return target[name];
      return async (...args) => {
        const value = await target.get(...args);
        held += 1;
        while (holding) await new Promise((resolve) => setTimeout(resolve, 5));
        held -= 1;
        return value;
      };
    },
  });

export default {
  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (pathname === "/test/kv") {
      const [method, ...args] = await request.json();
      return Response.json((await env.KEYS[method](...args)) ?? null);
    }
    if (pathname === "/test/hold" || pathname === "/test/free") {
      holding = pathname === "/test/hold";
      return new Response("ok");
    }
    if (pathname === "/test/held") return Response.json(held);
    return gate.fetch(request, { ...env, KEYS: slowly(env.KEYS) }, ctx);
  },
};
