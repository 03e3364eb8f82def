// Shows answers: status, sentence, the request, the body, and the headers that the page may read.
import { element } from "../dom.js";

/** @typedef {import("../tollgate.js").Answer} Answer */

/** Of the statuses that the gate and its demo backend answer with; HTTP/2 has no words for them. */
const WORDS = /** @type {Record<number, string>} */ ({
  200: "OK", 201: "Created", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
  429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
  504: "Gateway Timeout",
});

/** @param {Answer} answer @returns {"passed" | "limited" | "refused"} */
export const kindOf = ({ ok, status }) => (ok ? "passed" : status === 429 ? "limited" : "refused");

/**
 * What a story looks like: the outcome at a glance, and the details.
 * @typedef {{ outcome: Node[], details: Node[] }} View
 */

/**
 * @param {Answer[]} answers of one button, the last one in full
 * @param {string} sentence
 * @returns {View}
 */
export function answerView(answers, sentence) {
  const answer = answers[answers.length - 1];
  const { status, problem, sent, headers } = answer;
  return {
    outcome: [
      statusLine(kindOf(answer), `${status}`, WORDS[status] ?? "", problem?.code),
      element("p", {}, sentence),
      ...(answers.length > 1 ? [burst(answers)] : []),
    ],
    details: [
      element("h3", {}, problem ? "Problem document" : "Body"),
      element("pre", {}, ...(answer.json === undefined ? [answer.text] : pretty(answer.json))),
      element("h3", {}, "Headers that the page may read"),
      nameValues(headers),
      element("h3", {}, "What the page sent"),
      element("pre", {}, request(sent)),
    ],
  };
}

/**
 * What a frame of another origin could see.
 * @param {import("./second-origin.js").Outcome} outcome
 * @param {string} sentence
 * @returns {View}
 */
export function frameView({ seen, before, after }, sentence) {
  const calls = nameValues([
    ["backend calls before", `${before}`],
    ["backend calls after", `${after}`],
  ]);
  if ("answer" in seen) {
    const { outcome, details } = answerView([seen.answer], sentence);
    return { outcome, details: [calls, ...details] };
  }
  return {
    outcome: [statusLine("refused", "No answer", "that a page could read", undefined), element("p", {}, sentence)],
    details: [
      element("p", {}, "The gate answered 403 without a grant for that origin. From the page that called, the browser "
        + "then hides even the status, and tells it in its own console only. That page is the frame below."),
      nameValues([["fetch, in the frame", seen.error]]),
      calls,
    ],
  };
}

/** @param {string} kind @param {string} status @param {string} words @param {string | undefined} code */
function statusLine(kind, status, words, code) {
  return element("p", { class: "status", "data-kind": kind },
    element("strong", {}, status), ` ${words} `, ...(code ? [element("code", {}, code)] : []));
}

/** The statuses of a burst in their order. @param {Answer[]} answers */
function burst(answers) {
  return element("ol", { class: "burst", "aria-label": "Statuses in order" },
    ...answers.map((answer) => element("li", { "data-kind": kindOf(answer) }, `${answer.status}`)));
}

/** @param {[string, string | Node][]} pairs */
export function nameValues(pairs) {
  return element("dl", { class: "pairs" },
    ...pairs.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

/** @param {import("../tollgate.js").Sent} sent */
export function request({ method, url, headers, body }) {
  const lines = [`${method} ${url}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)];
  return `${lines.join("\n")}${body === undefined ? "" : `\n\n${body}`}`;
}

/**
 * JSON to read, in which the address of an error page is a link.
 * @param {any} json
 * @returns {(Node | string)[]}
 */
function pretty(json) {
  const text = laidOut(json);
  const page = json?.type;
  if (typeof page !== "string" || !/^https?:\/\//.test(page)) return [text];
  const quoted = JSON.stringify(page);
  const at = text.indexOf(quoted);
  const link = element("a", { href: page, target: "_blank", rel: "noopener" }, quoted);
  return [text.slice(0, at), link, text.slice(at + quoted.length)];
}

/** Longest object that stands on one line, in characters; the page wraps it where it is narrower. */
const ONE_LINE = 100;

/** @param {any} value */
const isPlain = (value) => typeof value !== "object" || value === null;

/**
 * JSON in lines, in which what is short stays on one.
 * @param {any} value
 * @param {string} [indent]
 * @returns {string}
 */
function laidOut(value, indent = "") {
  // Line ends inside of strings are escaped, so these are all between values.
  const flat = JSON.stringify(value, null, 1).replace(/\n */g, " ");
  if (isPlain(value) || (Array.isArray(value) && value.every(isPlain))) return flat;
  if (indent && flat.length <= ONE_LINE) return flat;
  const deeper = `${indent}  `;
  const lines = Array.isArray(value)
    ? value.map((item) => laidOut(item, deeper))
    : Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${laidOut(item, deeper)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return `${open}\n${lines.map((line) => deeper + line).join(",\n")}\n${indent}${close}`;
}
