// HTTP as a test wants to say it: any Host, any Origin, repeated headers, bodies of any shape.
// (`fetch` forbids to set some of these and normalises others.)
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { answered } from "./run.mjs";

/** How long an answer may take, in ms. */
const PATIENCE = 20_000;

/**
 * Sends one request and resolves when the head of its answer is there.
 *
 * @param {object} options
 * @param {number} options.port
 * @param {string} [options.host] the Host header
 * @param {string} [options.method]
 * @param {string} [options.path] sent as it is
 * @param {Record<string, string> | [string, string][]} [options.headers] pairs may repeat a name
 * @param {string | Buffer | AsyncIterable<Buffer>} [options.body] an iterable goes out chunked
 * @returns {Promise<import("node:http").IncomingMessage>}
 */
export function open(options) {
  const { port, host = `localhost:${port}`, method = "GET", path = "/", headers = {}, body } = options;
  const { agent, signal, timeout = PATIENCE } = options;
  const pairs = Array.isArray(headers) ? [...headers] : Object.entries(headers);
  const has = (name) => pairs.some(([key]) => key.toLowerCase() === name);
  if (!has("host")) pairs.unshift(["Host", host]);
  const whole = typeof body === "string" || Buffer.isBuffer(body);
  if (whole && !has("content-length") && !has("transfer-encoding")) {
    pairs.push(["Content-Length", String(Buffer.byteLength(body))]);
  }
  if (body !== undefined && !whole && !has("content-length")) pairs.push(["Transfer-Encoding", "chunked"]);
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: "127.0.0.1", port, method, path, headers: pairs.flat(), agent, signal, timeout });
    sent.once("response", resolve);
    // Also after the answer has begun: a backend may end the exchange while the body still goes out.
    sent.on("error", reject);
    sent.once("timeout", () => sent.destroy(new Error(`no answer to ${method} ${path} within ${timeout} ms`)));
    if (body === undefined || whole) sent.end(body);
    else pipeline(Readable.from(body), sent).catch(reject);
  });
}

/** Sends one request and resolves with the whole answer. */
export async function request(options) {
  const began = performance.now();
  const answer = await open(options);
  const chunks = [];
  for await (const chunk of answer) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const text = body.toString();
  const whole = {
    status: answer.statusCode,
    /** Names in lower case; a repeated header's values joined by ", ". */
    headers: answer.headers,
    /** The names and values as they came, in pairs. */
    pairs: answer.rawHeaders.flatMap((name, i, all) => (i % 2 ? [] : [[name, all[i + 1]]])),
    body,
    text,
    /** The answer as JSON; of a refusal, its problem document. */
    get json() {
      return text === "" ? undefined : JSON.parse(text);
    },
    ms: performance.now() - began,
  };
  answered(options.method ?? "GET", options.path ?? "/", whole);
  return whole;
}

/** Sends bytes as they are and resolves with what came back until the other side closed. */
export function raw(port, bytes, { timeout = PATIENCE } = {}) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    let got = "";
    socket.setTimeout(timeout, () => socket.destroy(new Error("the connection stayed open")));
    socket.on("data", (chunk) => (got += chunk.toString("latin1")));
    socket.once("error", (error) => (got ? resolve(got) : reject(error)));
    socket.once("close", () => resolve(got));
    socket.write(bytes);
  });
}
