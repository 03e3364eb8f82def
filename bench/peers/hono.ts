// A gate as a good team writes it today: TypeScript and Hono's own middleware on Workers.
//
//   cors, request-id and proxy are Hono's; the key is looked up in KV by the SHA-256 of itself, and kept
//   for a minute; its limit is counted in the memory of a Durable Object, one for each key, by RPC.
//
// It does what Tollgate does where both do the same: refuses pages of other origins, unknown and expired
// keys, and more requests than the limit; tells the limit in headers; answers problem documents; takes the
// key off before the backend sees the request. It knows no checksum, no revocation at once, no window
// that slides, and its counts are gone when the object is.
import { DurableObject } from "cloudflare:workers";
import { type Context, Hono } from "hono";
import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";
import { proxy } from "hono/proxy";
import { requestId } from "hono/request-id";
import { log } from "./log.mjs";

interface KeyRecord {
  id: string;
  tenant: string;
  scopes: string[];
  expiresAt: number;
  limit: { requests: number; windowMs: number };
}
interface Taken {
  allowed: boolean;
  remaining: number;
  /** Seconds until the window ends. */
  reset: number;
}
interface Gate {
  Bindings: {
    KEYS: { get(name: string, options: { type: "json"; cacheTtl: number }): Promise<KeyRecord | null> };
    COUNTER: { getByName(name: string): { take(requests: number, windowMs: number): Promise<Taken> } };
    UPSTREAM: string;
    BILLING_TOKEN: string;
    /** For how many seconds a record is kept in the memory of the isolate. */
    KEEP_RECORDS: string;
  };
  Variables: { requestId: string; key?: KeyRecord; code?: string; upstreamMs?: number };
}

const ORIGINS = ["https://app.example.com"];
const SCOPE = "invoices:read";

const refuse = (c: Context<Gate>, status: 401 | 403 | 429 | 502, code: string, detail: string, more = {}) => {
  c.set("code", code);
  const problem = { type: `https://api.example.com/errors/${code}`, title: code, status, detail, code };
  return c.json({ ...problem, correlationId: c.get("requestId"), ...more }, status, {
    "Content-Type": "application/problem+json",
    "Cache-Control": "no-store",
  });
};

const logged = createMiddleware<Gate>(async (c, next) => {
  const began = new Date();
  await next();
  const key = c.get("key");
  log(began, {
    id: c.get("requestId"),
    method: c.req.method,
    route: "read-invoice",
    path: c.req.path,
    status: c.res.status,
    code: c.get("code"),
    key: key?.id,
    tenant: key?.tenant,
    upstream: c.get("upstreamMs"),
  });
});

const listedOrigin = createMiddleware<Gate>(async (c, next) => {
  const origin = c.req.header("Origin");
  if (origin !== undefined && !ORIGINS.includes(origin)) {
    return refuse(c, 403, "origin_not_allowed", "pages of this origin may not call this route");
  }
  await next();
});

const sha256 = async (text: string) => {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
};

/** Records of keys that were found, in this isolate, by the hash of the key. */
const known = new Map<string, { record: KeyRecord; until: number }>();
const MOST_KNOWN = 10_000;

async function recordOf(env: Gate["Bindings"], text: string): Promise<KeyRecord | null> {
  const name = await sha256(text);
  const now = Date.now();
  const kept = known.get(name);
  if (kept !== undefined && kept.until > now) return kept.record;
  const record = await env.KEYS.get(`hono:${name}`, { type: "json", cacheTtl: 60 });
  const keep = Number(env.KEEP_RECORDS) * 1000;
  if (record !== null && keep > 0) {
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(name, { record, until: now + keep });
  }
  return record;
}

const keyed = createMiddleware<Gate>(async (c, next) => {
  const text = c.req.header("X-Api-Key") ?? c.req.header("Authorization")?.match(/^Bearer (\S+)$/)?.[1];
  if (text === undefined) return refuse(c, 401, "key_missing", "this route wants a key");
  const record = await recordOf(c.env, text);
  if (record === null) return refuse(c, 401, "key_invalid", "this is no key of this gate");
  c.set("key", record);
  if (record.expiresAt <= Date.now()) return refuse(c, 401, "key_expired", "the key has ended");
  if (!record.scopes.includes(SCOPE)) {
    return refuse(c, 403, "insufficient_scope", `the key lacks ${SCOPE}`, { required_scopes: [SCOPE] });
  }
  await next();
});

const limited = createMiddleware<Gate>(async (c, next) => {
  const { id, limit } = c.get("key")!;
  const taken = await c.env.COUNTER.getByName(id).take(limit.requests, limit.windowMs);
  c.header("RateLimit-Policy", `"default";q=${limit.requests};w=${limit.windowMs / 1000}`);
  c.header("RateLimit", `"default";r=${taken.remaining};t=${taken.reset}`);
  c.header("X-RateLimit-Limit", String(limit.requests));
  c.header("X-RateLimit-Remaining", String(taken.remaining));
  c.header("X-RateLimit-Reset", String(taken.reset));
  if (!taken.allowed) {
    c.header("Retry-After", String(taken.reset));
    return refuse(c, 429, "rate_limited", "the key has no requests left", { retry_after: taken.reset });
  }
  await next();
});

/** The count of one key, in memory, in windows that begin with their first request. */
export class Counter extends DurableObject {
  #used = 0;
  #ends = 0;

  take(requests: number, windowMs: number): Taken {
    const now = Date.now();
    if (now >= this.#ends) {
      this.#used = 0;
      this.#ends = now + windowMs;
    }
    const allowed = this.#used < requests;
    if (allowed) this.#used += 1;
    return { allowed, remaining: requests - this.#used, reset: Math.max(1, Math.ceil((this.#ends - now) / 1000)) };
  }
}

const app = new Hono<Gate>();
app.use(requestId());
app.use(logged);
app.use(
  cors({
    origin: ORIGINS,
    allowMethods: ["GET", "HEAD"],
    allowHeaders: ["Authorization", "X-Api-Key"],
    exposeHeaders: ["RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"],
    maxAge: 7200,
  }),
);
app.use(listedOrigin);

app.get("/v1/invoices/:id", keyed, limited, async (c) => {
  const { id, tenant, scopes } = c.get("key")!;
  const pathAndQuery = c.req.url.slice(c.req.url.indexOf("/", "https://".length));
  const sentAt = Date.now();
  try {
    const answer = await proxy(c.env.UPSTREAM + pathAndQuery, {
      ...c.req,
      headers: {
        ...c.req.header(),
        "X-Api-Key": undefined,
        Cookie: undefined,
        Authorization: `Bearer ${c.env.BILLING_TOKEN}`,
        "X-Gate-Tenant": tenant,
        "X-Gate-Key": id,
        "X-Gate-Scopes": scopes.join(" "),
        "X-Request-Id": c.get("requestId"),
        "X-Forwarded-Host": c.req.header("Host"),
      },
      redirect: "manual",
    });
    answer.headers.set("Cache-Control", "no-store");
    return answer;
  } catch {
    return refuse(c, 502, "upstream_unreachable", "the backend did not answer");
  } finally {
    c.set("upstreamMs", Date.now() - sentAt);
  }
});

export default app;
