// A KV namespace for workerd: the HTTP calls that workerd makes of a `kvNamespace` binding,
// answered from one Durable Object with SQLite, so that what is stored survives a restart.
//
//   GET /KEY?urlencoded=true     the value, 404 when there is none; CF-KV-Metadata
//   GET /?prefix=&cursor=&key_count_limit=     { keys, list_complete, cursor }
//   PUT /KEY?expiration=SECONDS or expiration_ttl=SECONDS     body is the value
//   DELETE /KEY
import { DurableObject } from "cloudflare:workers";

/** KV's own largest page and largest value. */
const PAGE = 1000;
const LARGEST_VALUE = 25 * 1024 * 1024;

export class KvStore extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.sql = ctx.storage.sql;
    this.sql.exec(
      "CREATE TABLE IF NOT EXISTS pair (key TEXT PRIMARY KEY, value BLOB, metadata TEXT, expires INTEGER)",
    );
  }

  get(key) {
    const [row] = this.sql.exec(`SELECT value, metadata FROM pair WHERE key = ? AND ${LIVE}`, key, nowSeconds());
    return row ?? null;
  }

  put(key, value, metadata, expires) {
    this.sql.exec("DELETE FROM pair WHERE expires <= ?", nowSeconds());
    this.sql.exec("INSERT OR REPLACE INTO pair VALUES (?, ?, ?, ?)", key, value, metadata, expires);
  }

  delete(key) {
    this.sql.exec("DELETE FROM pair WHERE key = ?", key);
  }

  list(prefix, after, limit) {
    const rows = this.sql
      .exec(
        `SELECT key, metadata, expires FROM pair
         WHERE ${LIVE.replace("?", "?1")} AND substr(key, 1, length(?2)) = ?2 AND key > ?3 ORDER BY key LIMIT ?4`,
        nowSeconds(), prefix, after, limit + 1,
      )
      .toArray();
    const page = rows.slice(0, limit);
    return {
      keys: page.map(({ key, metadata, expires }) => ({
        name: key,
        ...(expires === null ? {} : { expiration: expires }),
        ...(metadata === null ? {} : { metadata: JSON.parse(metadata) }),
      })),
      list_complete: rows.length <= limit,
      ...(rows.length <= limit ? {} : { cursor: new TextEncoder().encode(page.at(-1).key).toHex() }),
    };
  }
}

const LIVE = "(expires IS NULL OR expires > ?)";
const nowSeconds = () => Math.floor(Date.now() / 1000);

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const store = env.STORE.getByName("kv");
    const key = decodeURIComponent(url.pathname.slice(1));
    const query = (name) => url.searchParams.get(name);

    if (request.method === "GET" && key === "") {
      const limit = Math.min(Number(query("key_count_limit") ?? PAGE), PAGE);
      const after = new TextDecoder().decode(Uint8Array.fromHex(query("cursor") ?? ""));
      return Response.json(await store.list(query("prefix") ?? "", after, limit));
    }
    if (request.method === "GET") {
      const row = await store.get(key);
      if (row === null) return new Response(null, { status: 404 });
      return new Response(row.value, { headers: row.metadata === null ? {} : { "CF-KV-Metadata": row.metadata } });
    }
    if (request.method === "PUT") {
      const value = await request.arrayBuffer();
      if (value.byteLength > LARGEST_VALUE) return new Response("value too large", { status: 413 });
      await store.put(key, value, request.headers.get("CF-KV-Metadata"), expiry(query));
      return new Response(null);
    }
    if (request.method === "DELETE") {
      await store.delete(key);
      return new Response(null);
    }
    return new Response("this KV does not know that call", { status: 501 });
  },
};

function expiry(query) {
  if (query("expiration")) return Number(query("expiration"));
  if (query("expiration_ttl")) return nowSeconds() + Number(query("expiration_ttl"));
  return null;
}
