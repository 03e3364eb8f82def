// Bytes on a socket, for what no HTTP client would send.
import { connect } from "node:net";

/** How long the other side may say nothing, in ms: generous, because it only tells a hang from slowness. */
const PATIENCE = 15_000;

/**
 * Sends bytes on a connection of their own and resolves with the first answer, or with status null when
 * the other side closed without one. Nothing at all in time is an error: somebody hangs.
 *
 * The connection is half closed after the bytes, as of a client that has nothing more to say.
 *
 * @returns {Promise<{status: number | null, head: string, headers: Record<string, string>, body: string}>}
 */
export function exchange(port, bytes, { patience = PATIENCE, end = true } = {}) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    let got = "";
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(parse(got) ?? { status: null, head: got, headers: {}, body: "" });
    };
    const timer = setTimeout(() => {
      socket.destroy();
      const sent = Buffer.from(bytes).subarray(0, 200).toString("latin1");
      reject(new Error(`nothing came back within ${patience} ms for ${JSON.stringify(sent)}`));
    }, patience);
    socket.on("data", (chunk) => {
      got += chunk.toString("latin1");
      if (parse(got)?.whole) done();
    });
    socket.on("end", done);
    // The other side may close while bytes still go out: what it said before counts.
    socket.on("error", done);
    socket.on("close", done);
    socket.write(bytes, () => end && socket.end());
  });
}

function parse(all) {
  // Interim answers, such as 100 Continue, come before the one that counts.
  const got = all.replace(/^(HTTP\/1\.1 1\d\d [^\r]*\r\n(?:[^\r]+\r\n)*\r\n)+/, "");
  const end = got.indexOf("\r\n\r\n");
  const first = got.match(/^HTTP\/1\.[01] (\d{3})/);
  if (end < 0 || !first) return undefined;
  const head = got.slice(0, end);
  const lines = head.split("\r\n").slice(1);
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );
  const body = got.slice(end + 4);
  const length = headers["content-length"];
  const bare = first[1] === "204" || first[1] === "304";
  const whole = bare || (length !== undefined ? body.length >= Number(length) : body.endsWith("0\r\n\r\n"));
  return { status: Number(first[1]), head, headers, body, whole };
}
