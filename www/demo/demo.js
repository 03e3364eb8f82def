// The demo page: one button, one story. What the calls are is in calls.js, how answers look in
// answer.js, the picture of the limits in limits.js.
import { answerView, frameView, kindOf } from "./answer.js";
import { calls, sentence } from "./calls.js";
import { byId, element } from "../dom.js";
import { Limits } from "./limits.js";
import { everythingHeld, proofView } from "./proof.js";
import { fromSecondOrigin, sentenceOf } from "./second-origin.js";

/** @typedef {import("../tollgate.js").Answer} Answer */
/** @typedef {import("./calls.js").Settings} Settings */

const frame = /** @type {HTMLIFrameElement} */ (byId("second-origin"));
const buttons = [...document.querySelectorAll("button[data-call]")];
const limits = new Limits(byId("limit-list"));
/** @type {Answer[]} every answer so far, for the search */
const answers = [];
let busy = false;

byId("page-origin").textContent = location.host;
const settings = await learnSettings();
if (settings) {
  byId("api-origin").textContent = new URL(settings.api).host;
  for (const button of buttons) {
    button.removeAttribute("disabled");
    button.addEventListener("click", () => press(settings, button));
  }
}

/** Which key to use and where: only a development gate tells. @returns {Promise<Settings | undefined>} */
async function learnSettings() {
  const response = await fetch("settings.json", { cache: "no-store" });
  if (response.ok) return response.json();
  const notice = byId("notice");
  notice.replaceChildren(
    "This gate has no demo key, so the buttons have nothing to call with. On a machine of your own, ",
    element("code", {}, "npm start"),
    " makes one and serves this page with it.",
  );
  notice.hidden = false;
  return undefined;
}

/** @param {Settings} settings @param {Element} pressed */
async function press(settings, pressed) {
  // Not `disabled`: that would take the focus away from who uses the keyboard.
  if (busy) return;
  busy = true;
  mark(pressed, "busy");
  const name = pressed.getAttribute("data-call") ?? "";
  try {
    const state = name === "second-origin" ? await tellFrame(settings) : await tell(settings, name);
    mark(pressed, state);
  } catch (error) {
    fail(error);
    mark(pressed, "failed");
  }
  busy = false;
}

/** @param {Settings} settings @param {string} name */
async function tell(settings, name) {
  /** @type {Answer[]} */
  const made = [];
  frame.hidden = true;
  for await (const answer of calls[name](settings)) {
    made.push(answer);
    answers.push(answer);
    limits.take(answer);
    show(answerView(made, sentence(made)));
  }
  const last = made[made.length - 1];
  announce(`${last.status}. ${sentence(made)} ${limits.inWords()}`);
  if (last.json?.backend) {
    byId("proof-view").replaceChildren(...(await proofView(last, everythingHeld(answers, settings))));
  }
  return kindOf(last);
}

/** @param {Settings} settings */
async function tellFrame(settings) {
  const outcome = await fromSecondOrigin(frame, settings);
  const words = sentenceOf(outcome);
  show(frameView(outcome, words));
  announce(words);
  return "answer" in outcome.seen ? kindOf(outcome.seen.answer) : "refused";
}

/** @param {import("./answer.js").View} view */
function show({ outcome, details }) {
  byId("outcome").replaceChildren(...outcome);
  byId("details-view").replaceChildren(...details);
}

/** @param {Element} pressed @param {string} state */
function mark(pressed, state) {
  byId("road").dataset.state = state;
  byId("outcome").setAttribute("aria-busy", String(state === "busy"));
  for (const button of buttons) {
    if (button === pressed) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

/** @param {unknown} error */
function fail(error) {
  const words = `No answer: ${error instanceof Error ? error.message : error}. Is the gate running, and is this page’s origin on the key’s list?`;
  show({ outcome: [element("p", { class: "notice" }, words)], details: [] });
  announce(words);
}

/** @param {string} words */
function announce(words) {
  byId("announcement").textContent = words;
}
