// The console's room for webhooks in headless Chromium: at which step each was refused, what came in, and
// having it delivered again, by keyboard.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { reply, startBackend } from "./support/backend.mjs";
import { faults, launch, SCREENS, watch } from "./support/browser.mjs";
import { startClockedGate } from "./support/clock.mjs";
import { post } from "./support/hooks.mjs";
import { codeAt, enrolled, makePerson, secret } from "./support/people.mjs";
import { testPolicy } from "./support/policy.mjs";
import { secretsOfKeys } from "./support/run.mjs";

const SECRET = randomBytes(24).toString("base64url");
const OBJECT = "shop/0";

let gate, backend, browser;
before(async () => {
  backend = await startBackend();
  const source = (name, more) => ({ name, path: `/hooks/${name}`, tenant: "acme", scheme: "stripe", secrets: ["${secret:SHOP}"], ...more });
  gate = await startClockedGate({
    name: "console-webhooks",
    secrets: { SHOP: SECRET },
    policy: testPolicy({
      backend,
      sources: [source("shop"), source("chat", { delivery: "forward" }), source("strange", { tenant: "globex" })],
    }),
  });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await gate?.stop();
  await backend?.stop();
});

let count = 0;
/** One webhook of the source `shop`. */
const send = (more = {}) =>
  post(gate, { path: "/hooks/shop", scheme: "stripe", secret: SECRET, body: JSON.stringify({ id: `evt_${(count += 1)}`, type: "ping" }), ...more });

/** A page on which somebody with these scopes is signed in. */
async function signedIn(scopes, options = {}) {
  // Whoever only reads has no second factor.
  const writes = scopes.some((scope) => scope.endsWith(":write"));
  const person = await (writes ? enrolled : makePerson)(gate, { scopes });
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const seen = [];
  page.on("pageerror", (error) => seen.push(`uncaught: ${error.stack}`));
  await page.addInitScript(watch);
  await page.goto(gate.admin("/_tollgate/console/"));
  await page.locator("#key").fill(person.secret);
  await page.locator("#code").fill(writes ? codeAt(person.seed, gate.now) : "");
  await page.keyboard.press("Enter");
  await page.locator("#session").waitFor();
  const cookie = (await context.cookies()).find(({ name }) => name === "__Host-tollgate");
  secret(gate, ...secretsOfKeys(cookie.value));
  return { page, context, seen };
}

/** The cells of a table's rows, as they are read. */
const rows = (page, id) =>
  page.locator(`#${id} tbody tr`).evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.innerText.replace(/\s+/g, " "))));
const shown = (page, id, number) =>
  page.waitForFunction(([id, number]) => document.querySelectorAll(`#${id} tbody tr`).length === number && !document.getElementById(id).hidden, [id, number]);

describe("the console's room for webhooks", () => {
  let wrong, right;
  before(async () => {
    wrong = (await send({ secret: "other" })).headers["x-request-id"];
    await send({ more: { "Stripe-Signature": "" } });
    backend.answer = (seen, response) => reply(response, 410);
    right = (await send()).headers["x-request-id"];
    await gate.alarm("INBOX", OBJECT);
    backend.answer = undefined;
    backend.clear();
  });

  test("says at which step a signature failed, and what came of what was good, by keyboard", async (t) => {
    const { page, context, seen } = await signedIn(["keys:read", "hooks:read", "hooks:write"]);
    await page.locator("#webhooks").waitFor();
    assert.deepEqual(await page.locator("#source option").allInnerTexts(), ["chat", "shop"], "those of the tenant alone");

    await t.test("a source that keeps nothing", async () => {
      await page.locator("#refused-none:not([hidden])").waitFor();
      assert.equal(await page.locator("#source-about").innerText(), "stripe at /hooks/chat, to main.");
      assert.equal(await page.locator("#events-of").isVisible(), false);
    });

    await t.test("what was refused", async () => {
      await page.locator("#source").focus();
      await page.keyboard.press("ArrowDown");
      await shown(page, "refused", 2);
      const [missing, other] = await rows(page, "refused");
      assert.deepEqual([missing[1], missing[2]], ["Missing", "Stripe-Signature is missing"]);
      assert.deepEqual([other[1], other[3]], ["Wrong signature", wrong]);
      assert.match(other[2], /another secret, another public URL, or a changed body/);
    });

    await t.test("what came in, and delivering it again", async () => {
      await shown(page, "events", 1);
      const [event] = await rows(page, "events");
      assert.deepEqual(event.slice(1, 3), ["dead", "1 attempt last: 410"]);
      assert.ok(event[3].startsWith(right), event[3]);
      await page.locator("#events button").focus();
      await page.keyboard.press("Enter");
      await page.locator("#webhooks-done:not([hidden])").waitFor();
      assert.match(await page.locator("#webhooks-done").innerText(), /is on its way again\.$/);
      await gate.alarm("INBOX", OBJECT);
      assert.equal(backend.requests.length, 1);
      await page.locator("#look-again").press("Enter");
      await page.waitForFunction(() => document.querySelector("#events .mark")?.textContent === "delivered");
    });

    await t.test("by its state", async () => {
      await page.locator("#state").selectOption("dead");
      await page.locator("#events-none:not([hidden])").waitFor();
      await page.locator("#state").selectOption("delivered");
      await shown(page, "events", 1);
    });

    await t.test("signing out leaves nothing of it on the page", async () => {
      await page.locator("#sign-out").press("Enter");
      await page.locator("#sign-in").waitFor();
      assert.equal(await page.locator("#webhooks").isVisible(), false);
      assert.equal(await page.evaluate(() => document.querySelectorAll("#webhooks td, #webhooks option[value=shop]").length), 0);
      assert.deepEqual(await page.evaluate(() => watched.violations), []);
    });
    await context.close();
    assert.deepEqual(seen, []);
  });

  test("more than fits on a page comes when it is asked for", async () => {
    for (let i = 0; i < 20; i += 1) await send();
    await gate.alarm("INBOX", OBJECT);
    const { page, context } = await signedIn(["keys:read", "hooks:read", "hooks:write"]);
    await page.locator("#source").selectOption("shop");
    await shown(page, "events", 20);
    await page.locator("#more-events").press("Enter");
    await shown(page, "events", 21);
    assert.equal(await page.locator("#more-events").isVisible(), false);
    const ids = (await rows(page, "events")).map((row) => row[3]);
    assert.equal(new Set(ids).size, 21);
    await context.close();
  });

  test("who may only look is shown no buttons, and who may not look no room", async () => {
    const reader = await signedIn(["keys:read", "hooks:read"]);
    await reader.page.locator("#source").selectOption("shop");
    await shown(reader.page, "refused", 2);
    await shown(reader.page, "events", 20);
    assert.equal(await reader.page.locator("#events button").count(), 0);
    await reader.context.close();
    const other = await signedIn(["keys:read", "keys:write"]);
    await other.page.waitForLoadState("networkidle");
    assert.equal(await other.page.locator("#webhooks").isVisible(), false);
    await other.context.close();
  });

  test("a session that ended elsewhere, and a gate that says no, leave nothing of before on the page", async () => {
    const { page, context } = await signedIn(["keys:read", "hooks:read", "hooks:write"]);
    await page.locator("#source").selectOption("shop");
    await shown(page, "events", 20);
    await page.route("**/hooks/shop/events*", (route) => route.fulfill({ status: 503, json: { code: "admission_unavailable", detail: "not now" } }));
    await page.locator("#state").selectOption("dead");
    await page.locator("#webhooks-problem:not([hidden])").waitFor();
    assert.match(await page.locator("#webhooks-problem").innerText(), /^not now/);
    assert.equal(await page.locator("#events tbody tr").count(), 0, "those of the other state are gone");
    await page.unroute("**/hooks/shop/events*");
    await page.evaluate(() => fetch("/_tollgate/v1/session", { method: "DELETE" }));
    await page.locator("#look-again").click();
    await page.locator("#sign-in").waitFor();
    assert.equal(await page.evaluate(() => document.querySelectorAll("#webhooks td").length), 0);
    await context.close();
  });

  for (const { name, ...screen } of SCREENS) {
    test(`looks right: ${name}`, async () => {
      const { page, context } = await signedIn(["keys:read", "hooks:read", "hooks:write"], screen);
      await page.locator("#source").selectOption("shop");
      await shown(page, "refused", 2);
      await shown(page, "events", 20);
      assert.deepEqual(await page.evaluate(faults), []);
      if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/console-${name.replace(/\W+/g, "-")}.png`, fullPage: true });
      await context.close();
    });
  }
});
