// Requests that stay in flight until a test lets them end.
import { once } from "node:events";
import { reply } from "./backend.mjs";

/**
 * A backend's `answer` that begins the answers of requests with the header `x-hold` and ends them when
 * `free` says so; all others are answered at once.
 *
 * @returns {{answer: Function, hold: Function, free: Function, live: Set, most: number}}
 *   `hold(gate, caller)` sends such a request and resolves when the head of its answer is there, or with the
 *   whole answer if that is the gate's own; `free(count)` lets so many end, the oldest first, all without a
 *   number; `live`, those that the backend is answering; `most`, how many it was at a time
 */
export function makeHolder() {
  const holder = {
    live: new Set(),
    most: 0,
    async answer(seen, response) {
      holder.live.add(response);
      holder.most = Math.max(holder.most, holder.live.size);
      response.once("close", () => holder.live.delete(response));
      if (seen.header("x-hold") === undefined) return reply(response, 200, "ok");
      response.writeHead(200, { "Content-Type": "text/plain" });
      response.write("held\n");
      await once(response, "close");
    },
    async hold(gate, { key, address = "192.0.2.1", route, channel = "one", path = `/${route}/${channel}`, more = {} }) {
      const headers = { ...key?.bearer, "X-Forwarded-For": address, "X-Hold": "1", ...more };
      const answer = await gate.open({ path, headers, timeout: 60_000 });
      // Whoever is cut off later is not surprised.
      answer.on("error", () => {});
      if (answer.statusCode === 200) await once(answer, "data");
      let text = "";
      answer.on("data", (chunk) => (text += chunk));
      const ended = new Promise((resolve) => answer.once("close", resolve));
      if (answer.statusCode !== 200) await ended;
      return {
        status: answer.statusCode, headers: answer.headers, ended, stream: answer,
        get text() {
          return text;
        },
        get json() {
          return JSON.parse(text);
        },
      };
    },
    free(count = Infinity) {
      for (const response of [...holder.live].slice(0, count)) {
        holder.live.delete(response);
        response.end("freed\n");
      }
    },
  };
  return holder;
}
