// The request on its way to the upstream, and the answer on its way back: natively, bodies as streams.

/** One request to an upstream and its answer: what it may take, and why it was broken off. */
export class Exchange {
  /** The request has a place in flight: its end has to be known, to the last byte. */
  #held;
  #url;
  #cap;
  #timeout;
  #passesCache;
  /** When all of it is over, its body, the wait and the answer: no stream outlives a revoked key for long. */
  #ends;
  #abort = new AbortController();
  /** One timer is set at a time: for the nearest end. */
  #timer;
  #sending = false;
  #fault = "unreachable";
  #response;
  #relayed = false;

  /** @param {import("./lines.mjs").Lines} command up to its errands */
  constructor(command) {
    this.#url = command.text();
    this.#cap = command.maybe();
    this.#timeout = command.number();
    const most = command.number();
    const within = command.maybe();
    this.#held = within !== undefined;
    this.#ends = Date.now() + Math.min(most, within ?? most);
    this.#passesCache = command.flag();
  }

  /**
   * Sends the request natively, its body as the stream that it is.
   *
   * @param {import("./lines.mjs").Lines} command with the headers to remove, and those to set
   * @returns {Promise<string>} what came of it, as the road's module reads it
   */
  async send(command, request, ctx) {
    if (this.#held) this.#heed(request.signal);
    try {
      const headers = new Headers(request.headers);
      command.names((name) => headers.delete(name));
      command.pairs((name, value) => headers.set(name, value));
      // The answer's bytes pass as they came, compressed or not.
      const init = { headers, redirect: "manual", encodeResponseBody: "manual", signal: this.#abort.signal };
      // An answer is for one key: no cache on the way may keep it for another.
      if (this.#passesCache) init.cache = "no-store";
      const body = outgoing(request, this.#cap, this);
      if (body) {
        this.#sending = true;
        this.#breakWithin(Infinity);
        init.body = body.readable;
        ctx.waitUntil(body.done);
      } else {
        this.#breakWithin(this.#timeout);
      }
      const response = await this.#fetch(request, init);
      const { status } = response;
      // No Response can be made of such a status: 101 without having asked, or a number beyond HTTP's.
      if (status < 200 || status > 599) throw new Error("no status of an answer");
      this.#response = response;
      // It has begun: only the end of all of it still holds, as long as somebody is at it.
      if (this.#sending) this.#breakWithin(Infinity);
      else this.#settle();
      let came = String(status);
      response.headers.forEach((value, name) => {
        came += `\n${name}\n${value}`;
      });
      return came;
    } catch {
      this.break();
      return this.#fault;
    }
  }

  #fetch(request, init) {
    // No `method: "GET"` goes with a body, though HTTP knows them: such a request is copied as it came.
    const { method, body } = request;
    if (body && (method === "GET" || method === "HEAD")) {
      return fetch(new Request(this.#url, new Request(request, init)));
    }
    return fetch(this.#url, { ...init, method, body: init.body ?? body });
  }

  /** The request's body is sent whole: the first byte of the answer is waited for, unless it is here. */
  sent() {
    this.#sending = false;
    if (this.#response === undefined) this.#breakWithin(this.#timeout);
  }

  /**
   * The upstream's answer, its headers edited, its body the stream that it is.
   *
   * @param {import("./lines.mjs").Lines} command with the headers to remove, to set and to append
   * @param {(() => void) | undefined} ended is called when its body has ended, however it did
   */
  relay(command, ctx, ended) {
    const { status, statusText, headers, body } = this.#response;
    const passing = this.#bounded(body, headers, ctx, ended);
    const answer = new Response(passing, { status, statusText, headers, encodeBody: "manual" });
    const edited = answer.headers;
    command.names((name) => edited.delete(name));
    command.pairs((name, value) => edited.set(name, value));
    command.pairs((name, value) => edited.append(name, value));
    this.#relayed = true;
    return answer;
  }

  /** Ends what was not relayed. */
  abandon() {
    if (!this.#relayed) this.break();
  }

  break(fault = this.#fault) {
    this.#settle();
    this.#fault = fault;
    this.#abort.abort();
  }

  /**
   * The body of an answer, within the time that it has. What passes natively outlives every timer, and
   * nobody here learns when it ends: where `ended` is to be called then, none does.
   */
  #bounded(body, headers, ctx, ended) {
    const length = declared(headers);
    if (!body || (!ended && length !== null && length <= SHORT)) {
      if (!this.#sending) this.#settle();
      ended?.();
      return body;
    }
    this.#breakWithin(Infinity);
    const { readable, writable } = length === null ? new IdentityTransformStream() : new FixedLengthStream(length);
    const piped = body.pipeTo(writable, { signal: this.#abort.signal }).catch(() => {});
    const over = () => {
      this.#settle();
      ended?.();
    };
    ctx.waitUntil(piped.then(over));
    return readable;
  }

  /** When the client goes, it is over: at once, though the upstream may be silent. */
  #heed(client) {
    if (client.aborted) this.break();
    else client.addEventListener("abort", () => this.break());
  }

  /** It is broken off after so many milliseconds, and at its end at the latest. */
  #breakWithin(ms) {
    this.#settle();
    this.#timer = setTimeout(() => this.break("timeout"), Math.min(ms, this.#ends - Date.now()));
  }

  /** Nothing is waited for any more. */
  #settle() {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** So long a body is sent, or ends, soon enough by itself to pass natively. */
const SHORT = 64 * 1024;

/** The declared length of a body, or null. */
function declared(headers) {
  const length = headers.get("content-length");
  return length !== null && /^\d+$/.test(length) ? Number(length) : null;
}

/**
 * The body that goes out, where it has to be watched: how long it is, or when it is all sent. Null for
 * none and for a short one, which goes as it is.
 *
 * A stream that ends in an error reaches the upstream as a body that is whole: workerd writes the last
 * chunk all the same. So a body that is over the cap, or that the client broke off, is never ended
 * here; the whole exchange with the upstream is.
 */
function outgoing(request, cap, exchange) {
  const length = declared(request.headers);
  if (!request.body || (cap === undefined && (length === null || length <= SHORT))) return null;
  const { readable, writable } = length === null ? new IdentityTransformStream() : new FixedLengthStream(length);
  const pump = async () => {
    const reader = request.body.getReader({ mode: "byob" });
    const writer = writable.getWriter();
    let size = 0;
    for (let buffer = new ArrayBuffer(64 * 1024); ; ) {
      const part = await reader.read(new Uint8Array(buffer)).catch(() => null);
      if (part?.done) {
        exchange.sent();
        return writer.close().catch(() => {});
      }
      if (part === null) return exchange.break();
      size += part.value.byteLength;
      if (cap !== undefined && size > cap) return exchange.break("body_too_large");
      try {
        await writer.write(part.value);
      } catch {
        // The upstream wants no more of it.
        return reader.cancel().catch(() => {});
      }
      buffer = part.value.buffer;
    }
  };
  return { readable, done: pump() };
}
