// The same call as the demo page's first one, from another origin. The frame tells the page that
// embeds it what it could see of the answer.
import { tollgate } from "../tollgate.js";
import { byId } from "../dom.js";

byId("origin").textContent = location.origin;

addEventListener("message", async ({ data, source, origin }) => {
  // Whoever else embeds this page learns nothing from it.
  if (data !== "call" || source !== parent || new URL(origin).hostname !== location.hostname) return;
  const seen = await call();
  byId("seen").textContent = "answer" in seen ? `fetch gave an answer: ${seen.answer.status}` : `fetch gave ${seen.error}`;
  parent.postMessage(seen, origin);
});
parent.postMessage("ready", "*");

/** @returns {Promise<import("./second-origin.js").Seen>} */
async function call() {
  try {
    const { api, key } = await (await fetch("settings.json")).json();
    return { answer: await tollgate({ api, key }).call("/v1/invoices") };
  } catch (error) {
    return { error: String(error) };
  }
}
