// A server that takes webhooks from Tollgate: events of the gate, and those of a source with `sign`.
//
//   npm install
//   TOLLGATE_WEBHOOK_SECRET=whsec_… node server.mjs        # PORT, 3000 if left out
//
// It verifies one scheme, Standard Webhooks, with its stock library: whoever sent the event to the gate,
// the gate has verified that already. While a secret is changed, name both, with a blank between them.
import { createServer } from "node:http";
import { once } from "node:events";
import { Webhook } from "standardwebhooks";

/** The most bytes of a body. A source takes no more, unless it has `delivery = "forward"` and a larger `body_limit`. */
const MAX_BODY = 1024 * 1024;
/** How many ids are remembered. Put them where your data is, in the same transaction as the work. */
const MAX_SEEN = 10_000;

const verifiers = (process.env.TOLLGATE_WEBHOOK_SECRET ?? "").split(" ").filter(Boolean).map((secret) => new Webhook(secret));
if (verifiers.length === 0) throw new Error("TOLLGATE_WEBHOOK_SECRET is not set");

const seen = new Set();

const server = createServer(async (request, response) => {
  const answer = (status, text) => response.writeHead(status, { "Content-Type": "text/plain" }).end(`${text}\n`);
  if (request.method !== "POST") return answer(405, "events are posted");
  const body = await bytes(request);
  if (body === null) return answer(413, "too large");

  if (!isSigned(body, request.headers)) return answer(401, "not signed by the gate");

  // The same event comes again when an answer was lost: it has the same id.
  const id = request.headers["webhook-id"];
  if (seen.has(id)) return answer(200, "known");
  seen.add(id);
  if (seen.size > MAX_SEEN) seen.delete(seen.values().next().value);

  // Which provider it is from: a source of the gate's policy, or the gate itself. No more than a label: the signature
  // vouches for the id, the time and the body, and not for the query or any other header, this one included. Where it
  // matters who sent an event, give each source a `sign` secret of its own, and let the secret tell.
  const source = request.headers["x-tollgate-webhook"] ?? "tollgate";
  console.log(JSON.stringify({ id, source, type: json(body)?.type ?? null }));
  answer(204, "");
});

/** True for what the gate signed. The bytes are verified as they came, before anything reads them. */
function isSigned(body, headers) {
  return verifiers.some((verifier) => {
    try {
      // Not every provider sends JSON: what the body is, is another question.
      verifier.verify(body, headers, { jsonParse: false });
      return true;
    } catch {
      // Perhaps it is the other secret.
      return false;
    }
  });
}

/** The event as JSON; undefined if it is none, such as the form that Slack and Twilio send. */
function json(body) {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

async function bytes(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > MAX_BODY) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1");
await once(server, "listening");
console.log(JSON.stringify({ listening: server.address().port }));
