// The console: signing in, setting up a second factor, and the session; its rooms are in files of their
// own. Secrets are in this page's memory and nowhere else, and no longer than they are needed; the
// session's own is in a cookie that no script can read.
import { byId, element } from "../dom.js";
import { call, problemOf } from "./call.js";
import { closeWebhooks, openWebhooks } from "./webhooks.js";

/** The parts of the page of which one is shown at a time, and what the page is called then. */
const VIEWS = {
  "sign-in": "Sign in",
  "enrol": "Set up a second factor",
  "confirm": "Scan this with your app",
  "recovery-codes": "Keep these recovery codes",
  "session": "You are signed in",
};
/** The longest time that a browser's timer can wait, in ms. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** The key between the steps of setting up; empty otherwise. */
let heldKey = "";
let endTimer = 0;

const input = (id) => /** @type {HTMLInputElement} */ (byId(id));

/**
 * Shows one view and puts the focus where one goes on.
 * @param {string} view
 * @param {string} [notice] what happened
 */
function show(view, notice = "") {
  if (view !== "confirm") forgetSeed();
  // The step after it still signs in with the key.
  if (view !== "confirm" && view !== "recovery-codes") heldKey = "";
  for (const name of Object.keys(VIEWS)) byId(name).hidden = name !== view;
  byId("title").textContent = VIEWS[view];
  document.title = `${VIEWS[view]} · Tollgate`;
  byId("notice").textContent = notice;
  byId("notice").hidden = notice === "";
  complain(view, "");
  const seen = [...byId(view).querySelectorAll("input")].filter((field) => field.offsetParent);
  (seen.find((field) => field.value === "") ?? seen[0] ?? byId("title")).focus();
}

/** What the app was told is shown while it is asked for its first code, and no longer. */
function forgetSeed() {
  input("first-code").value = "";
  byId("qr").removeAttribute("src");
  byId("otpauth").removeAttribute("href");
  byId("seed").textContent = "";
}

/**
 * Says what is wrong, beside the form that it is about.
 * @param {string} view
 * @param {string | {detail: string, code: string}} problem
 * @param {HTMLInputElement} [field] the one to mend
 */
function complain(view, problem, field) {
  const place = document.getElementById(`${view}-problem`);
  for (const each of byId(view).querySelectorAll("input")) each.removeAttribute("aria-invalid");
  if (!place) return;
  place.hidden = problem === "";
  place.replaceChildren();
  if (problem === "") return;
  const { detail, code } = typeof problem === "string" ? { detail: problem, code: "" } : problem;
  place.append(detail);
  if (code) place.append(" ", element("a", { href: `/_tollgate/errors/${code}` }, "What this means"));
  field?.setAttribute("aria-invalid", "true");
  field?.focus();
  field?.select();
}

/**
 * Runs `work` when the form is sent, one at a time.
 * @param {string} view
 * @param {() => Promise<void>} work
 */
function onSubmit(view, work) {
  byId(view).addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = /** @type {HTMLButtonElement} */ (byId(view).querySelector("button.main"));
    if (button.disabled) return;
    button.disabled = true;
    complain(view, "");
    try {
      await work();
    } finally {
      button.disabled = false;
    }
  });
}

/** The first of these fields that is empty is asked for. */
function missing(view, ...fields) {
  const empty = fields.find((field) => field.value.trim() === "");
  if (!empty) return false;
  const label = byId(view).querySelector(`label[for="${empty.id}"]`)?.textContent ?? "this field";
  complain(view, `Fill in: ${label}.`, empty);
  return true;
}

/** Which field a refusal is about. */
const about = (code, keyField, codeField) =>
  ["key_invalid", "key_missing", "wrong_kind", "wrong_environment", "malformed_request"].includes(code) ? keyField : codeField;

const withRecovery = () => !byId("recovery-field").hidden;

/** Asks for a recovery code, or for the app's. */
function askFor(recovery) {
  byId("recovery-field").hidden = !recovery;
  byId("code-field").hidden = recovery;
  byId("other-code").textContent = recovery ? "Use the app’s code" : "Use a recovery code";
  complain("sign-in", "");
}

byId("other-code").addEventListener("click", () => {
  askFor(!withRecovery());
  input(withRecovery() ? "recovery" : "code").focus();
});
byId("to-enrol").addEventListener("click", () => {
  input("enrol-key").value = input("key").value;
  input("key").value = "";
  show("enrol");
});
for (const button of document.querySelectorAll("[data-to]")) {
  button.addEventListener("click", () => show(/** @type {HTMLElement} */ (button).dataset.to ?? "sign-in"));
}

onSubmit("sign-in", async () => {
  const [key, code, recovery] = [input("key"), input("code"), input("recovery")];
  if (missing("sign-in", ...(withRecovery() ? [key, recovery] : [key]))) return;
  const body = { kind: "console" };
  if (withRecovery()) body.recovery_code = recovery.value.trim();
  else if (code.value.trim() !== "") body.code = code.value.trim();
  const answer = await call("POST", "session", { key: key.value.trim(), body });
  const codeField = withRecovery() ? recovery : code;
  if (!answer.ok) {
    const problem = problemOf(answer);
    complain("sign-in", problem, about(problem.code, key, codeField));
    return;
  }
  for (const field of [key, code, recovery]) field.value = "";
  signedIn(answer.body.session);
});

onSubmit("enrol", async () => {
  const [key, enrolment] = [input("enrol-key"), input("enrolment")];
  if (missing("enrol", key, enrolment)) return;
  const answer = await call("POST", "session/enrol", { key: key.value.trim(), body: { enrolment_code: enrolment.value } });
  if (!answer.ok) {
    const problem = problemOf(answer);
    complain("enrol", problem, about(problem.code, key, enrolment));
    return;
  }
  heldKey = key.value.trim();
  key.value = "";
  enrolment.value = "";
  const { otpauth_uri: uri, secret, qr_svg: svg } = answer.body;
  byId("qr").setAttribute("src", `data:image/svg+xml,${encodeURIComponent(svg)}`);
  byId("otpauth").setAttribute("href", uri);
  byId("seed").textContent = secret.match(/.{1,4}/g).join(" ");
  show("confirm");
});

onSubmit("confirm", async () => {
  const code = input("first-code");
  if (missing("confirm", code)) return;
  const answer = await call("POST", "session/enrol/confirm", { key: heldKey, body: { code: code.value } });
  if (!answer.ok) {
    // Whoever has left meanwhile is not called back.
    if (!byId("confirm").hidden) complain("confirm", problemOf(answer), code);
    return;
  }
  byId("codes").replaceChildren(
    ...answer.body.recovery_codes.map((one) => element("li", {}, element("code", {}, one))),
  );
  show("recovery-codes");
});

byId("copy").addEventListener("click", async () => {
  const codes = [...byId("codes").querySelectorAll("code")].map((code) => code.textContent).join("\n");
  try {
    await navigator.clipboard.writeText(codes);
    byId("copy").textContent = "Copied";
  } catch {
    byId("copy").textContent = "The browser does not allow it: copy them by hand";
  }
});

byId("kept").addEventListener("click", () => {
  byId("codes").replaceChildren();
  byId("copy").textContent = "Copy them";
  input("key").value = heldKey;
  for (const id of ["code", "recovery"]) input(id).value = "";
  askFor(false);
  show("sign-in", "The second factor is set up. Sign in with the next code that the app shows.");
});

byId("sign-out").addEventListener("click", async () => {
  const answer = await call("DELETE", "session");
  // Whatever was wrong with it, it is over when the gate does not know it.
  if (answer.ok || answer.status === 401) ended("You are signed out.");
  else complain("session", problemOf(answer));
});

/** Shows the session, until it ends. */
function signedIn(session) {
  const end = new Date(session.expires_at);
  const when = element("time", { datetime: session.expires_at }, end.toLocaleString([], { dateStyle: "medium", timeStyle: "short" }));
  const left = element("span", { class: "quiet", id: "left" });
  const rows = [
    ["Key", session.name, element("code", { class: "quiet" }, session.key)],
    ["Tenant", session.tenant === "*" ? "all tenants" : session.tenant],
    ["Scopes", session.scopes.join(", ")],
    ["Second factor", session.second_factor ? "yes" : "no"],
    ["Until", when, left],
  ];
  byId("who").replaceChildren(...rows.flatMap(([name, ...values]) => [element("dt", {}, name), element("dd", {}, ...values)]));
  const recovery = session.recovery_codes_left;
  const few = recovery === undefined ? "" : `That recovery code is used up; ${recovery} are left. With a new enrolment code you get ten more.`;
  show("session", few);
  const tick = () => {
    const ms = end.getTime() - Date.now();
    if (ms <= 0) return ended("The session has ended.");
    left.textContent = `${spoken(ms)} left`;
    endTimer = setTimeout(tick, Math.min(ms, 20_000, LONGEST_TIMER));
  };
  clearTimeout(endTimer);
  tick();
  openWebhooks(session, ended);
}

function ended(notice) {
  clearTimeout(endTimer);
  closeWebhooks();
  byId("who").replaceChildren();
  show("sign-in", notice);
}

/** "11 h 59 min", "40 s". */
function spoken(ms) {
  const minutes = Math.floor(ms / 60_000);
  if (minutes === 0) return `${Math.ceil(ms / 1_000)} s`;
  const hours = Math.floor(minutes / 60);
  return hours === 0 ? `${minutes} min` : `${hours} h ${minutes % 60} min`;
}

// A browser may keep a page that was left, as it is, for whoever goes back to it.
addEventListener("pagehide", () => {
  if (heldKey === "") return;
  byId("codes").replaceChildren();
  show("sign-in");
});

// A session that ended elsewhere is not shown as if it went on.
document.addEventListener("visibilitychange", async () => {
  if (document.hidden || byId("session").hidden) return;
  const answer = await call("GET", "session");
  if (answer.status === 401) ended(problemOf(answer).detail);
});

const known = await call("GET", "session");
if (known.ok) signedIn(known.body.session);
else if (known.status === 401) show("sign-in");
else {
  show("sign-in");
  complain("sign-in", problemOf(known));
}
