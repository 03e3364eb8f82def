// A Worker that only touches its bindings, to try the platform of scripts/workerd-config.mjs
// without the gate: /kv?… one call of KV, /object one row more in an object, /hooks?to=URL the status of an event
// that is sent there, /www/… a file.
import { DurableObject } from "cloudflare:workers";

class Counting extends DurableObject {
  call() {
    const { sql } = this.ctx.storage;
    sql.exec("CREATE TABLE IF NOT EXISTS row (n INTEGER)");
    sql.exec("INSERT INTO row VALUES (1)");
    return String(sql.exec("SELECT count(*) AS n FROM row").one().n);
  }
}
export class KeyObject extends Counting {}
export class TenantObject extends Counting {}
export class EndpointObject extends Counting {}
export class CounterObject extends Counting {}
export class InboxObject extends Counting {}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    if (url.pathname === "/kv") {
      const [method, ...args] = await request.json();
      return Response.json((await env.KEYS[method](...args)) ?? null);
    }
    if (url.pathname === "/object") {
      return new Response(await env[url.searchParams.get("binding")].getByName("one").call());
    }
    if (url.pathname === "/hooks") {
      const sent = await env.HOOKS.fetch(url.searchParams.get("to"), { method: "POST", body: "x", redirect: "manual" }).catch((error) => error);
      return Response.json({ status: sent.status ?? null });
    }
    if (url.pathname.startsWith("/www/")) {
      return env.ASSETS.fetch(new Request(`http://assets${url.pathname.slice(4)}`, { method: request.method }));
    }
    if (url.pathname !== "/") return new Response(null, { status: 404 });
    return Response.json({ environment: env.ENVIRONMENT ?? null, secret: env.BILLING_TOKEN?.length ?? null });
  },
};
