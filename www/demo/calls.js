// What each button calls, and one sentence on what came of it.
import { tollgate } from "../tollgate.js";
import { counted } from "../dom.js";

/** @typedef {import("../tollgate.js").Answer} Answer */
/** @typedef {{ api: string, key: string, other_origin: string }} Settings */

/** More calls than the demo's tight limit takes, and fewer than a minute's worth of the key. */
const BURST = 15;
/** Between the calls of a burst, so that one can watch the limit drain, in ms. */
const BETWEEN = 60;

/**
 * The calls of each button, in order; each answer is shown as it comes.
 * @type {Record<string, (settings: Settings) => AsyncGenerator<Answer>>}
 */
export const calls = {
  async *"allowed"(settings) {
    yield await tollgate(settings).call("/v1/invoices");
  },
  async *"missing-scope"(settings) {
    yield await tollgate(settings).call("/v1/invoices", { method: "POST", json: { amount: "42.00" } });
  },
  async *"wrong-key"({ api, key }) {
    yield await tollgate({ api, key: oneOff(key) }).call("/v1/invoices");
  },
  async *"over-the-limit"(settings) {
    const gate = tollgate(settings);
    for (let made = 0; made < BURST; made += 1) {
      const answer = await gate.call("/v1/limited");
      yield answer;
      if (!answer.ok) return;
      await new Promise((resolve) => setTimeout(resolve, BETWEEN));
    }
  },
};

/** A key with another character in the middle of its secret. @param {string} key */
function oneOff(key) {
  const at = key.length - 20;
  return `${key.slice(0, at)}${key[at] === "a" ? "b" : "a"}${key.slice(at + 1)}`;
}

/**
 * @param {Answer[]} answers of one button
 * @returns {string}
 */
export function sentence(answers) {
  const last = answers[answers.length - 1];
  if (last.ok) {
    return answers.length === 1
      ? "Key, origin, scope and limits were in order: the gate added the backend’s secret and let the call through."
      : `All ${answers.length} calls passed: the limit is wider than this burst.`;
  }
  const { problem } = last;
  switch (problem?.code) {
    case "insufficient_scope":
      return `The key is good, but lacks the scope ${(problem.required_scopes ?? []).join(", ")}. The gate refused: the backend was not called, and no limit was touched.`;
    case "key_invalid":
      return "One character of the key’s secret was changed, so its checksum no longer fits. The gate saw that without asking any store, and the backend was not called.";
    case "rate_limited":
      return `${passed(answers.length - 1)} The gate refused the next call and says when a retry passes: in ${last.retryAfter} s. The backend never saw it.`;
    default:
      return problem
        ? `The gate refused: ${problem.detail}`
        : `The backend itself answered ${last.status}; the gate passed its answer on.`;
  }
}

/** @param {number} count */
const passed = (count) => (count === 0 ? "The limit was used up already." : `${counted(count, "call")} passed, then the limit was used up.`);
