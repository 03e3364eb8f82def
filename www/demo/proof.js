// Shows that the secret arrived at the backend and is nowhere in this page. The page cannot know
// the secret; the backend tells its length and SHA-256, and the page tries everything it holds.
import { element } from "../dom.js";
import { nameValues, request } from "./answer.js";

/** @typedef {import("../tollgate.js").Answer} Answer */
/** @typedef {{ characters: number, sha256: string }} Credential */

/** Headers that the gate sets, whatever a client sent. */
const OF_THE_GATE = /^(?:authorization|via|traceparent|x-tollgate-.+)$/;

/**
 * @param {Answer} answer with the backend's report
 * @param {string[]} held every text that the page holds
 * @returns {Promise<Node[]>}
 */
export async function proofView(answer, held) {
  const { backend } = answer.json;
  /** @type {Credential | undefined} */
  const credential = backend.credential;
  const received = /** @type {string[]} */ (backend.headers);
  const sent = Object.keys(answer.sent.headers).map((name) => name.toLowerCase());
  const added = received.filter((name) => !sent.includes(name) && OF_THE_GATE.test(name));
  const taken = sent.filter((name) => !received.includes(name));
  return [
    element("div", { class: "sides" },
      element("div", { class: "stack" },
        element("h3", {}, "This page sent"),
        element("pre", {}, request(answer.sent)),
        element("p", { class: "quiet" }, "And what the browser adds by itself, such as Origin and User-Agent. The key is a publishable one, which anyone may read.")),
      element("div", { class: "stack" },
        element("h3", {}, "The backend received"),
        nameValues([
          ["authorization", "Bearer •••, the right secret"],
          ...(credential ? fingerprint(credential) : []),
          ["tenant", backend.tenant],
          ["key", backend.key],
          ["scopes", backend.scopes],
          ["added by the gate", names(added)],
          ["taken away", names(taken)],
        ]))),
    element("p", { id: "search" }, credential
      ? await searchSentence(held, credential)
      : "The backend tells no fingerprint of its secret, so the page has nothing to search for."),
  ];
}

/** @param {Credential} credential @returns {[string, string][]} */
const fingerprint = ({ characters, sha256 }) => [
  ["its length", `${characters} characters`],
  ["its SHA-256", `${sha256.slice(0, 16)}…`],
];

/** @param {string[]} headers */
const names = (headers) => element("ul", { class: "names" }, ...headers.map((name) => element("li", {}, name)));

/** @param {string[]} held @param {Credential} credential */
async function searchSentence(held, { characters, sha256 }) {
  const { tried, found } = await search(held, characters, sha256);
  const size = held.reduce((sum, text) => sum + text.length, 0).toLocaleString("en");
  return `The secret is ${found ? "" : "not "}in this page. All that the page holds was searched: its answers and their headers, `
    + `settings, storage, cookies and the document, ${size} characters. Of ${tried} pieces that are ${characters} characters `
    + `long as the secret is, ${found ? "one" : "none"} has its SHA-256.`;
}

/**
 * Looks for a text of which only length and SHA-256 are known.
 * @param {string[]} held
 * @param {number} length
 * @param {string} sha256 in hex
 */
export async function search(held, length, sha256) {
  const candidates = new Set(held.flatMap((text) => text.split(/[^!-~]+|["<>]/)).flatMap((run) => windows(run, length)));
  const digests = await Promise.all([...candidates].map(digest));
  return { tried: candidates.size, found: digests.includes(sha256) };
}

/** @param {string} run @param {number} length */
const windows = (run, length) =>
  Array.from({ length: Math.max(0, run.length - length + 1) }, (_, at) => run.slice(at, at + length));

/** @param {string} text */
async function digest(text) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Every text that the page holds.
 * @param {Answer[]} answers all there were
 * @param {unknown} settings
 */
export function everythingHeld(answers, settings) {
  return [
    JSON.stringify(settings),
    ...answers.flatMap((answer) => [answer.text, ...answer.headers.flat(), JSON.stringify(answer.sent)]),
    JSON.stringify({ ...localStorage }),
    JSON.stringify({ ...sessionStorage }),
    document.cookie,
    document.documentElement.outerHTML,
    ...performance.getEntriesByType("resource").map((entry) => entry.name),
  ];
}
