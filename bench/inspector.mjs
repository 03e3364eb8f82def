// workerd's inspector: the debugging protocol of one service, spoken over a WebSocket.
import { createServer } from "node:net";
import { once } from "node:events";
import WebSocket from "ws";

/** A port that is free at this moment. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** A connection to the service of this name. */
export async function inspect(port, service) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${service}`, { maxPayload: 1 << 30 });
  await once(socket, "open");
  const waiting = new Map();
  const contexts = [];
  let last = 0;
  socket.on("message", (data) => {
    const { id, result, error, method, params } = JSON.parse(data);
    if (method === "Runtime.executionContextCreated") contexts.push(params.context.id);
    const asked = waiting.get(id);
    waiting.delete(id);
    if (error) asked?.reject(new Error(`${asked.method}: ${error.message}`));
    else asked?.resolve(result);
  });
  const ask = (method, params = {}) =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject, method });
      socket.send(JSON.stringify({ id: last, method, params }));
    });
  return {
    ask,
    /** The value of an expression in the isolate's global scope. */
    async evaluate(expression) {
      if (contexts.length === 0) await ask("Runtime.enable");
      const { result, exceptionDetails } = await ask("Runtime.evaluate", { expression, contextId: contexts[0] });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    },
    close: () => socket.close(),
  };
}
