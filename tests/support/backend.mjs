// A backend that remembers what reached it, and answers as the test says.
import { createServer } from "node:http";
import { once } from "node:events";

/** Of each body so much is kept; all of it is counted. */
const KEPT_BODY = 1024 * 1024;

/**
 * Starts one on a free port.
 *
 * `requests` are those that came, in order, each with method, url, pairs (headers as sent), header(name),
 * and, once it was read, body and bytes. `answer` is called for each as (seen, response) after its body
 * was read, or before when `early` is set; without it the answer is 200 and says what was seen.
 */
export async function startBackend({ answer, early = false } = {}) {
  const backend = {
    requests: [],
    answer,
    early,
    get last() {
      return backend.requests.at(-1);
    },
    /** Forgets what came so far. */
    clear() {
      backend.requests.length = 0;
    },
    async stop() {
      server.ref();
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  const server = createServer(async (request, response) => {
    const seen = {
      method: request.method,
      url: request.url,
      pairs: request.rawHeaders.flatMap((name, i, all) => (i % 2 ? [] : [[name, all[i + 1]]])),
      header: (name) => request.headers[name.toLowerCase()],
      body: Buffer.alloc(0),
      bytes: 0,
      whole: false,
      request,
    };
    backend.requests.push(seen);
    try {
      if (backend.early) await (backend.answer ?? tell)(seen, response);
      await read(request, seen);
      if (!backend.early) await (backend.answer ?? tell)(seen, response);
    } catch {
      response.destroy();
    }
  });
  server.requestTimeout = 0;
  server.listen({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  // A test that fails before it stops its backend must not hang.
  server.unref();
  backend.port = server.address().port;
  backend.origin = `http://127.0.0.1:${backend.port}`;
  return backend;
}

/** Answers with a status, headers and a body. */
export function reply(response, status, body = "", headers = {}) {
  const text = typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  response.writeHead(status, { "Content-Length": Buffer.byteLength(text), ...headers });
  response.end(text);
}

function tell(seen, response) {
  const { method, url, bytes } = seen;
  reply(response, 200, { method, url, bytes }, { "Content-Type": "application/json" });
}

async function read(request, seen) {
  const kept = [];
  for await (const chunk of request) {
    if (seen.bytes < KEPT_BODY) kept.push(chunk);
    seen.bytes += chunk.length;
  }
  seen.body = Buffer.concat(kept);
  seen.whole = true;
}
