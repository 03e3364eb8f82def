// The console's room for webhooks: what sources refused and at which step, what came in, and having it
// delivered again.
import { byId, counted, element } from "../dom.js";
import { call, problemOf } from "./call.js";

/** The steps of a verification, as people call them. */
const STEPS = {
  header: "Missing",
  encoding: "Malformed",
  size: "Too large",
  signature: "Wrong signature",
  body: "Body changed",
  time: "Out of time",
};
/** So many rows at a time. */
const ROWS = 20;

const select = (id) => /** @type {HTMLSelectElement} */ (byId(id));

/** What is to be done once the session is over. */
let whenOver = (detail) => {};
/** Counts what was opened, so that an answer for what is not shown any more is dropped. */
let view = 0;
/** The same for each table. */
const turns = { refused: 0, events: 0 };
let mayReplay = false;
/** @type {Map<string, any>} the sources by their names */
let sources = new Map();

/**
 * Shows the room to whoever may see it.
 * @param {{scopes: string[]}} session
 * @param {(detail: string) => void} over called when a call says that the session has ended
 */
export async function openWebhooks(session, over) {
  closeWebhooks();
  whenOver = over;
  if (!session.scopes.includes("hooks:read")) return;
  mayReplay = session.scopes.includes("hooks:write");
  const own = view;
  const found = [];
  let cursor = "";
  do {
    const answer = await call("GET", `hooks?limit=100${cursor}`);
    if (own !== view) return;
    byId("webhooks").hidden = false;
    byId("webhooks-of").hidden = false;
    if (!answer.ok) return complain(answer);
    found.push(...answer.body.sources);
    cursor = answer.body.nextCursor === null ? "" : `&cursor=${encodeURIComponent(answer.body.nextCursor)}`;
  } while (cursor !== "");
  sources = new Map(found.map((source) => [source.name, source]));
  select("source").replaceChildren(...found.map(({ name }) => element("option", { value: name }, name)));
  byId("webhooks-none").hidden = found.length > 0;
  byId("webhooks-of").hidden = found.length === 0;
  if (found.length > 0) await look();
}

/** Hides the room, and forgets what it showed. */
export function closeWebhooks() {
  view += 1;
  sources = new Map();
  byId("webhooks").hidden = true;
  select("source").replaceChildren();
  select("state").value = "";
  clear("refused");
  clear("events");
  say("");
}

/** Reads what there is of the source that is chosen. */
async function look() {
  const source = sources.get(select("source").value);
  if (!source) return;
  view += 1;
  const shadow = source.shadow_until === null ? "" : ` Signatures are in shadow until ${spoken(source.shadow_until)}.`;
  byId("source-about").textContent = `${source.scheme} at ${source.path}, to ${source.upstream}.${shadow}`;
  const queued = source.delivery === "queue";
  byId("events-of").hidden = !queued;
  if (!queued) clear("events");
  say("");
  complain();
  const reads = [list("refused")];
  if (queued) reads.push(list("events"));
  await Promise.all(reads);
}

/** What each table is read from, and how a row of it is made. */
const LISTS = {
  refused: {
    path: (source) => `hooks/${source}/refusals?`,
    rows: "refusals",
    row: (refusal) => [
      moment(refusal.at),
      element("span", { class: "mark" }, STEPS[refusal.step] ?? refusal.step),
      element("span", {}, refusal.detail, ...besides(refusal)),
      element("code", {}, refusal.request_id),
    ],
  },
  events: {
    path: (source) => {
      const state = select("state").value;
      return `hooks/${source}/events?${state === "" ? "" : `state=${state}&`}`;
    },
    rows: "events",
    row: (event) => [
      moment(event.received_at),
      element("span", { class: `mark ${event.state}` }, event.state),
      element("span", {}, counted(event.attempts, "attempt"), ...came(event)),
      element("span", {}, element("code", {}, event.id), ...known(event)),
      mayReplay ? replayButton(event) : "",
    ],
  },
};

/** Shows the first rows of a table, or those after `cursor`. */
async function list(id, cursor) {
  const [own, turn] = [view, ++turns[id]];
  // What was shown may be of another state.
  if (cursor === undefined) clear(id);
  const { path, rows, row } = LISTS[id];
  const after = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
  const answer = await call("GET", `${path(encodeURIComponent(select("source").value))}limit=${ROWS}${after}`);
  if (own !== view || turn !== turns[id]) return;
  if (!answer.ok) return complain(answer);
  const made = answer.body[rows].map((each) => element("tr", {}, ...row(each).map((part) => element("td", {}, part))));
  const body = byId(id).querySelector("tbody");
  body?.append(...made);
  const none = body?.childElementCount === 0;
  byId(id).hidden = none;
  byId(`${id}-none`).hidden = !none;
  const next = answer.body.nextCursor;
  byId(`more-${id}`).hidden = next === null;
  byId(`more-${id}`).onclick = () => list(id, next);
}

function clear(id) {
  byId(id).querySelector("tbody")?.replaceChildren();
  byId(id).hidden = true;
  byId(`${id}-none`).hidden = true;
  byId(`more-${id}`).hidden = true;
}

/** What else there is to say of a refusal. */
function besides({ shadow, others }) {
  const parts = [];
  if (shadow) parts.push("let pass in shadow");
  if (others > 0) parts.push(`and ${others} more before it, only counted`);
  return parts.length === 0 ? [] : [element("span", { class: "quiet" }, parts.join("; "))];
}

/** What the last attempt came to. */
function came({ last_attempt: last }) {
  if (last === null) return [];
  return [element("span", { class: "quiet" }, `last: ${last.status ?? last.fault}`)];
}

/** What its provider calls it, and what is unusual about it. */
function known({ provider_id: id, id_reused: reused, unverified }) {
  const parts = [];
  if (id !== null) parts.push(id);
  if (reused) parts.push("its id was here before");
  if (unverified) parts.push("let in by shadow");
  return parts.length === 0 ? [] : [element("span", { class: "quiet" }, parts.join("; "))];
}

function replayButton(event) {
  const button = /** @type {HTMLButtonElement} */ (element("button", { type: "button", class: "small" }, "Deliver again"));
  button.setAttribute("aria-label", `Deliver ${event.id} again`);
  button.addEventListener("click", async () => {
    button.disabled = true;
    const own = view;
    const source = encodeURIComponent(event.source);
    const answer = await call("POST", `hooks/${source}/events/${encodeURIComponent(event.id)}/replay`);
    button.disabled = false;
    if (own !== view) return;
    complain(answer.ok ? undefined : answer);
    if (answer.ok) say(`${event.id} is on its way again.`);
  });
  return button;
}

/** @param {any} [answer] a refusal; none: nothing is wrong */
function complain(answer) {
  const place = byId("webhooks-problem");
  place.hidden = answer === undefined;
  place.replaceChildren();
  if (answer === undefined) return;
  const { detail, code } = problemOf(answer);
  if (answer.status === 401) return whenOver(detail);
  place.append(detail);
  if (code) place.append(" ", element("a", { href: `/_tollgate/errors/${code}` }, "What this means"));
}

function say(text) {
  byId("webhooks-done").textContent = text;
  byId("webhooks-done").hidden = text === "";
}

/** An instant, as people here write it. */
const spoken = (at) => new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
const moment = (at) => element("time", { datetime: at }, spoken(at));

select("source").addEventListener("change", look);
select("state").addEventListener("change", () => list("events"));
byId("look-again").addEventListener("click", look);
