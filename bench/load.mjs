// The load, a process of its own: keep-alive connections that send one request after the other, bytes as
// they were given, and look at every answer. One that is not as expected fails the round.
//
// Its parent sends { port, request, count, connections, status, marker } and gets
// { micros: time of each request, elapsed: ms } or { wrong: text }.
import { connect } from "node:net";

/** Connections by port, kept from round to round. */
const pools = new Map();

async function pool(port, size) {
  const open = (pools.get(port) ?? []).filter((socket) => !socket.destroyed);
  while (open.length < size) {
    open.push(
      await new Promise((resolve, reject) => {
        const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => resolve(socket)).once("error", reject);
      }),
    );
  }
  pools.set(port, open);
  return open.slice(0, size);
}

/** Reads whole answers off a connection: calls `each(head, body)`. Bodies have a length or chunks. */
function reader(each) {
  let rest = "";
  return (chunk) => {
    rest += chunk.toString("latin1");
    for (;;) {
      const headEnd = rest.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      const head = rest.slice(0, headEnd);
      const start = headEnd + 4;
      const length = /^content-length: *(\d+)$/im.exec(head)?.[1];
      let end;
      if (length !== undefined) {
        end = start + Number(length);
        if (rest.length < end) return;
      } else {
        const last = rest.indexOf("0\r\n\r\n", start);
        if (last < 0) return;
        end = last + 5;
      }
      const body = rest.slice(start, end);
      rest = rest.slice(end);
      each(head, body);
    }
  };
}

async function round({ port, request, count, connections, status, marker }) {
  const bytes = Buffer.from(request, "latin1");
  const wanted = `HTTP/1.1 ${status} `;
  const sockets = await pool(port, connections);
  const micros = [];
  let sent = 0;
  const began = performance.now();
  const client = (socket) =>
    new Promise((resolve, reject) => {
      let at = 0;
      const stop = (error) => {
        socket.removeAllListeners("data").removeAllListeners("close").removeAllListeners("error");
        if (error === undefined) return resolve();
        socket.destroy();
        reject(error);
      };
      const next = () => {
        if (sent >= count) return stop();
        sent += 1;
        at = performance.now();
        socket.write(bytes);
      };
      const read = reader((head, body) => {
        micros.push(Math.round((performance.now() - at) * 1_000));
        if (head.startsWith(wanted) && body.includes(marker)) return next();
        stop(new Error(`expected ${status} with ${marker}, got:\n${head}\n\n${body.slice(0, 500)}`));
      });
      socket.on("data", read);
      socket.once("error", stop);
      socket.once("close", () => stop(new Error("the connection was closed")));
      next();
    });
  await Promise.all(sockets.map(client));
  return { micros, elapsed: performance.now() - began };
}

process.on("message", async (wish) => {
  try {
    process.send(await round(wish));
  } catch (error) {
    process.send({ wrong: error.message });
  }
});
process.once("disconnect", () => process.exit());
