// A backend behind the gate, as small as one can be: it answers only to the secret that the gate
// adds (BILLING_TOKEN), and then tells what it saw, so that the demo page can show that the secret
// arrived here and nowhere else. It never says the secret itself.
//
//   BILLING_TOKEN=… PORT=9090 node demo/backend.mjs
import { createHash, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** Longest body that is read; a longer one is counted and thrown away. */
const KEPT_BODY = 64 * 1024;

/** Makes the server; `token` is the secret that it wants. */
export function backend(token) {
  const wanted = hash(`Bearer ${token}`);
  // What a page needs to look for the secret in all it has, and of no use for finding it out.
  const credential = { characters: token.length, sha256: hash(token).toString("hex") };
  let calls = 0;
  return createServer(async (request, response) => {
    const seen = request.headers.authorization ?? "";
    if (!timingSafeEqual(hash(seen), wanted)) {
      request.resume();
      return json(response, 401, { error: "this backend wants its secret, which only the gate has" });
    }
    const url = new URL(request.url, "http://backend");
    if (url.pathname !== "/status") calls += 1;
    const call = { request, response, url, saw: { ...saw(request), credential, calls } };
    const asked = request.method === "HEAD" ? "GET" : request.method;
    const found = ROUTES.find(([method, path]) => method === asked && path.test(url.pathname));
    try {
      await (found?.[2] ?? nothingHere)(call);
    } catch {
      // The caller has gone in the middle of its body.
      response.destroy();
    }
  });
}

/** Method, path, and what answers. */
const ROUTES = [
  // For everybody; how many calls there were, not counting those to this.
  ["GET", /^\/status$/, ({ response, saw }) => json(response, 200, { status: "open", backend: { calls: saw.calls } })],
  ["GET", /^\/prices$/, ({ response, saw }) =>
    json(response, 200, { prices: [{ plan: "small", amount: "9.00", currency: "EUR" }], backend: saw })],
  ["GET", /^\/invoices$/, ({ response, saw }) =>
    json(response, 200, { invoices: ["41", "42", "43"].map(invoice), backend: saw }, { "x-total": "3" })],
  ["POST", /^\/invoices$/, async ({ request, response, saw }) =>
    json(response, 201, { invoice: invoice("44"), received: await body(request), backend: saw })],
  ["GET", /^\/invoices\/[\w.~-]+$/, ({ response, url, saw }) =>
    json(response, 200, { invoice: invoice(url.pathname.split("/")[2]), backend: saw })],
  ["POST", /^\/messages$/, async ({ request, response, saw }) =>
    json(response, 202, { message: { state: "sent" }, received: await body(request), backend: saw })],
  // For trying timeouts: the first byte comes after ?ms=, at most a minute.
  ["GET", /^\/slow$/, async ({ response, url, saw }) => {
    await sleep(number(url, "ms", 1_000, 60_000));
    json(response, 200, { slept: true, backend: saw });
  }],
  // For trying streams: ?count= events, one every ?ms=.
  ["GET", /^\/events$/, async ({ response, url }) => {
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    const count = number(url, "count", 5, 1_000);
    for (let event = 1; event <= count && !response.destroyed; event += 1) {
      response.write(`data: ${JSON.stringify({ event, of: count })}\n\n`);
      await sleep(number(url, "ms", 200, 10_000));
    }
    response.end();
  }],
];

function nothingHere({ request, response, url, saw }) {
  request.resume();
  json(response, 404, { error: `no ${request.method} ${url.pathname} here`, backend: saw });
}

const number = (url, name, otherwise, most) => Math.min(Number(url.searchParams.get(name)) || otherwise, most);
const invoice = (id) => ({ id, customer: "Ada Lovelace", amount: "42.00", currency: "EUR", state: "paid" });

/** What came in beside the body: who called, as the gate tells it, and that the secret was right. */
function saw(request) {
  const of = (name) => request.headers[name] ?? null;
  return {
    sawSecret: true,
    tenant: of("x-tollgate-tenant"),
    key: of("x-tollgate-key"),
    scopes: of("x-tollgate-scopes"),
    via: of("via"),
    traceparent: of("traceparent"),
    headers: Object.keys(request.headers).sort(),
  };
}

async function body(request) {
  const kept = [];
  let bytes = 0;
  for await (const chunk of request) {
    if (bytes < KEPT_BODY) kept.push(chunk);
    bytes += chunk.length;
  }
  const text = Buffer.concat(kept).subarray(0, KEPT_BODY).toString();
  return { bytes, type: request.headers["content-type"] ?? null, text: bytes > KEPT_BODY ? null : text };
}

function json(response, status, value, headers = {}) {
  const text = `${JSON.stringify(value, null, 2)}\n`;
  const length = Buffer.byteLength(text);
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": length, ...headers });
  response.end(text);
}

// Hashes are of one length, as the comparison needs, and it then takes the same time for any guess.
const hash = (text) => createHash("sha256").update(text).digest();

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const token = process.env.BILLING_TOKEN;
  if (!token) {
    console.error("BILLING_TOKEN is not set: the backend does not start without the secret it wants.");
    process.exit(1);
  }
  const server = backend(token);
  server.listen({ port: Number(process.env.PORT ?? 9090), host: "127.0.0.1" }, () => process.send?.("listening"));
  const stop = () => {
    server.close(() => process.exit(0));
    server.closeAllConnections();
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  // Started by `npm start`: it does not outlive it.
  process.on("disconnect", stop);
}
