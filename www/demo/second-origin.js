// A call from a frame of another origin: what the frame could see of it, and what the backend did.
import { tollgate } from "../tollgate.js";
import { counted } from "../dom.js";

/** Longer than a frame takes to load and to make one call, in ms. */
const PATIENCE = 8_000;

/**
 * @typedef {import("../tollgate.js").Answer} Answer
 *
 * What a page sees of a call: the answer, or only that there was none for it.
 * @typedef {{ answer: Answer } | { error: string }} Seen
 *
 * @typedef {object} Outcome
 * @property {string} origin
 * @property {Seen} seen
 * @property {number} before calls that the backend had seen
 * @property {number} after
 */

/**
 * @param {HTMLIFrameElement} frame
 * @param {{ api: string, other_origin: string }} settings
 * @returns {Promise<Outcome>}
 */
export async function fromSecondOrigin(frame, { api, other_origin: origin }) {
  const open = tollgate({ api });
  const count = async () => Number((await open.call("/v1/status")).json?.backend?.calls);
  const before = await count();
  const seen = await ask(frame, origin);
  return { origin, seen, before, after: await count() };
}

/** @param {Outcome} outcome @returns {string} */
export function sentenceOf({ origin, seen, before, after }) {
  const more = after - before;
  const backend = more === 0 ? "never called the backend" : `the backend has seen ${counted(more, "more call")}`;
  if ("error" in seen) return `The browser got no readable answer: the gate granted nothing to ${origin}, and ${backend}.`;
  if (seen.answer.ok) return `The gate lets ${origin} pass too, and ${backend}.`;
  return `The key is not for pages of ${origin}. The gate refused, and ${backend}; the frame may read why, because the route knows its origin.`;
}

/** @param {HTMLIFrameElement} frame @param {string} origin @returns {Promise<Seen>} */
function ask(frame, origin) {
  return new Promise((resolve, reject) => {
    const heard = new AbortController();
    const late = setTimeout(() => {
      heard.abort();
      reject(new Error(`nothing answers at ${origin}; npm start serves this page there too`));
    }, PATIENCE);
    /** @param {MessageEvent} event */
    const hear = (event) => {
      if (event.source !== frame.contentWindow || event.origin !== origin) return;
      if (event.data === "ready") return frame.contentWindow?.postMessage("call", origin);
      clearTimeout(late);
      heard.abort();
      resolve(event.data);
    };
    addEventListener("message", hear, { signal: heard.signal });
    frame.src = `${origin}/_tollgate/demo/frame.html`;
    frame.hidden = false;
  });
}
