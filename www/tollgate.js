// A small client for pages that call backends through the gate. It needs nothing else: copy it to
// your pages. The key it sends is a publishable one (pk), which anyone may read.
//
//   import { tollgate } from "./tollgate.js";
//   const gate = tollgate({ api: "https://api.example.com", key: "tg_prod_pk_…" });
//   const answer = await gate.call("/v1/invoices");
//   if (answer.problem?.code === "rate_limited") await sleep(answer.retryAfter * 1000);

/**
 * One limit as an answer tells of it.
 * @typedef {object} Limit
 * @property {string} name
 * @property {number} quota calls in one window
 * @property {number} window seconds
 * @property {number} remaining calls that are left now
 * @property {number} resetsIn seconds until more are left
 *
 * What was sent: the browser adds headers of its own, such as Origin, which no page can change.
 * @typedef {object} Sent
 * @property {string} method
 * @property {string} url
 * @property {Record<string, string>} headers
 * @property {string} [body]
 *
 * @typedef {object} Answer
 * @property {Sent} sent
 * @property {boolean} ok the status is a 2xx
 * @property {number} status
 * @property {[string, string][]} headers those that the gate lets the page read
 * @property {string} text
 * @property {any} [json] the body, when it is JSON
 * @property {any} [problem] the problem document (RFC 9457), when it is one
 * @property {Limit[]} limits none on a refusal that was not counted
 * @property {number} [retryAfter] seconds
 * @property {string} [requestId] what to quote when asking for help
 */

/**
 * @param {{ api: string, key?: string, fetch?: typeof globalThis.fetch }} options
 */
export function tollgate({ api, key, fetch = globalThis.fetch.bind(globalThis) }) {
  return {
    /**
     * One call. Resolves for every answer that the page may read; rejects with fetch's own
     * TypeError when there is none: no connection, or an origin that is not allowed.
     * @param {string} path
     * @param {{ method?: string, json?: unknown, headers?: Record<string, string> }} [options]
     * @returns {Promise<Answer>}
     */
    async call(path, { method = "GET", json, headers = {} } = {}) {
      /** @type {Sent} */
      const sent = { method, url: `${api}${path}`, headers: { ...headers } };
      if (key !== undefined) sent.headers["X-Api-Key"] = key;
      if (json !== undefined) {
        sent.headers["Content-Type"] = "application/json";
        sent.body = JSON.stringify(json);
      }
      const { method: _, url, ...rest } = sent;
      const response = await fetch(url, { method, ...rest, credentials: "omit", cache: "no-store" });
      return read(sent, response);
    },
  };
}

/**
 * @param {Sent} sent
 * @param {Response} response
 * @returns {Promise<Answer>}
 */
async function read(sent, response) {
  const { ok, status, headers } = response;
  const text = await response.text();
  const json = parsed(text, headers.get("content-type") ?? "");
  const isProblem = headers.get("content-type")?.startsWith("application/problem+json");
  const retryAfter = headers.get("retry-after");
  return {
    sent,
    ok,
    status,
    headers: [...headers],
    text,
    json,
    problem: isProblem ? json : undefined,
    limits: limitsOf(headers),
    retryAfter: retryAfter === null ? undefined : Number(retryAfter),
    requestId: headers.get("x-request-id") ?? undefined,
  };
}

/** @param {string} text @param {string} type */
function parsed(text, type) {
  if (!/^application\/(?:[\w.-]+\+)?json\b/.test(type)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The limits of an answer, from `RateLimit-Policy` and `RateLimit`. Names that stand in only one of
 * the two are left out.
 * @param {{ get(name: string): string | null }} headers
 * @returns {Limit[]}
 */
export function limitsOf(headers) {
  const states = new Map(parseList(headers.get("ratelimit") ?? "").map((item) => [item.name, item.parameters]));
  return parseList(headers.get("ratelimit-policy") ?? "").flatMap(({ name, parameters }) => {
    const limit = {
      name,
      quota: Number(parameters.q),
      window: Number(parameters.w),
      remaining: Number(states.get(name)?.r),
      resetsIn: Number(states.get(name)?.t),
    };
    return Object.values(limit).includes(NaN) ? [] : [limit];
  });
}

// Structured Fields (RFC 9651): a list of strings or tokens with parameters.
const NAME = /"((?:[ !#-[\]-~]|\\["\\])*)"|([A-Za-z*][\w!#$%&'*+.^`|~:/-]*)/y;
const PARAMETER = /; *([a-z*][a-z0-9_.*-]*)(?:=("(?:[ !#-[\]-~]|\\["\\])*"|:[A-Za-z0-9+/=]*:|\?[01]|[\w!#$%&'*+.^`|~:/-]+))?/y;
const COMMA = /[ \t]*,[ \t]*/y;

/**
 * Reads such a list. One that is broken anywhere is empty: half a header is not to be trusted.
 * @param {string} text
 * @returns {{ name: string, parameters: Record<string, string> }[]}
 */
export function parseList(text) {
  let at = 0;
  /** @param {RegExp} pattern */
  const take = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found;
  };
  const items = [];
  do {
    const name = take(NAME);
    if (!name) return [];
    /** @type {Record<string, string>} */
    const parameters = {};
    for (let found = take(PARAMETER); found; found = take(PARAMETER)) parameters[found[1]] = found[2] ?? "?1";
    items.push({ name: name[2] ?? name[1].replace(/\\(.)/g, "$1"), parameters });
  } while (take(COMMA));
  return at === text.length ? items : [];
}
