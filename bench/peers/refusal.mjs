// A bare Worker that refuses everything: what any refusal costs at least, on this engine.
import { log } from "./log.mjs";

const BODY = JSON.stringify({
  type: "https://api.example.com/errors/key_invalid",
  title: "The key is not valid",
  status: 401,
  detail: "this is no key of this gate",
  code: "key_invalid",
  correlationId: "0Vbfu4rRxUBt34a5rnO",
});

export default {
  fetch(request) {
    const began = new Date();
    const id = crypto.randomUUID();
    const path = request.url.slice(request.url.indexOf("/", "https://".length));
    const answer = new Response(BODY, {
      status: 401,
      headers: {
        "content-type": "application/problem+json",
        "cache-control": "no-store",
        "www-authenticate": 'Bearer realm="bench"',
        "x-request-id": id,
      },
    });
    log(began, { id, method: request.method, route: "read-invoice", path, status: 401, code: "key_invalid" });
    return answer;
  },
};
