// The console in headless Chromium, against the gate on workerd: setting up a second factor, signing in
// and out, by keyboard; what it shows, and what the browser keeps of it.
//
// Chromium writes each refused call to its console as an error of its own ("Failed to load resource"), and
// no page can prevent that. So each story lists exactly the lines that its refusals bring; any other error
// or warning fails the test.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startBackend } from "./support/backend.mjs";
import { faults, launch, SCREENS, watch } from "./support/browser.mjs";
import { HOUR, startClockedGate } from "./support/clock.mjs";
import { act } from "./support/keys.mjs";
import { codeAt, enrolled, makePerson, secret, STEP, wrongCode } from "./support/people.mjs";
import { testPolicy } from "./support/policy.mjs";
import { secretsOfKeys } from "./support/run.mjs";

const COOKIE = "__Host-tollgate";

let gate, backend, browser;
before(async () => {
  backend = await startBackend();
  const policy = testPolicy({ backend, routes: [{ name: "plain", path: "/plain" }] });
  gate = await startClockedGate({ policy, name: "console" });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await gate?.stop();
  await backend?.stop();
});

/** A new browser profile with the page open, and what the browser has to say about it. */
async function open({ clock = false, ...options } = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const seen = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) seen.push(`${message.text()} @ ${message.location().url}`);
  });
  page.on("pageerror", (error) => seen.push(`uncaught: ${error.stack}`));
  await page.addInitScript(watch);
  if (clock) await page.clock.install({ time: gate.now });
  const response = await page.goto(gate.admin("/_tollgate/console"));
  await page.locator("#sign-in").waitFor();
  return { context, page, seen, response };
}

const refused = (status, path) =>
  new RegExp(`^Failed to load resource: the server responded with a status of ${status} \\(.*\\) @ ${gate.admin(`/_tollgate/v1/${path}`)}$`);

/** The browser's console holds these lines since the last look and, a little later, still nothing more. */
async function consoleIs(seen, expected) {
  for (let tries = 0; tries < 40 && seen.length < expected.length; tries += 1) await sleep(50);
  await sleep(100);
  const lines = seen.splice(0);
  assert.equal(lines.length, expected.length, lines.join("\n"));
  for (const [at, pattern] of expected.entries()) assert.match(lines[at], pattern);
}

const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
const title = (page) => page.locator("h1").innerText();
const shows = async (page, heading) => {
  await page.waitForFunction((text) => document.querySelector("h1").textContent === text, heading);
};
const problem = (page, view) => page.locator(`#${view}-problem`).innerText();

/** Types the key and a code, where the focus is, and presses Enter. */
async function signIn(page, person, code = codeAt(person.seed, gate.now)) {
  await page.locator("#key").fill(person.secret);
  await page.locator("#key").press("Tab");
  await page.keyboard.type(code);
  await page.keyboard.press("Enter");
}

/** The cookie that the browser has; it must be found nowhere else. */
async function cookieIn(context) {
  const cookie = (await context.cookies()).find(({ name }) => name === COOKIE);
  if (cookie) secret(gate, ...secretsOfKeys(cookie.value));
  return cookie;
}

describe("the console", () => {
  test("sets up a second factor, signs in and signs out, by keyboard alone", async (t) => {
    const person = await makePerson(gate, { name: "Anna" });
    const { context, page, seen, response } = await open();

    await t.test("it comes with a policy that allows nothing but its own", async () => {
      assert.equal(new URL(page.url()).pathname, "/_tollgate/console/", "with its slash");
      const policy = response.headers()["content-security-policy"];
      for (const part of [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "form-action 'none'",
        "frame-ancestors 'none'", "require-trusted-types-for 'script'",
      ]) {
        assert.ok(policy.split(/;\s*/).includes(part), `${part} in ${policy}`);
      }
      assert.equal(response.headers()["cache-control"], "no-store");
      assert.equal(response.headers()["referrer-policy"], "no-referrer");
      assert.equal(await title(page), "Sign in");
      assert.equal(await focused(page), "key", "one can begin to type");
      await consoleIs(seen, [refused(401, "session")]);
    });

    await t.test("Tab goes through it in order, and the focus shows", async () => {
      const order = [];
      for (let i = 0; i < 5; i += 1) {
        order.push(await focused(page));
        assert.equal(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "solid", order.at(-1));
        await page.keyboard.press("Tab");
      }
      assert.deepEqual(order, ["key", "code", "Sign in", "other-code", "to-enrol"]);
    });

    await t.test("what is missing is said before anything is sent", async () => {
      await page.locator("#key").press("Enter");
      assert.equal(await problem(page, "sign-in"), "Fill in: Admin key.");
      assert.equal(await page.locator("#key").getAttribute("aria-invalid"), "true");
      await consoleIs(seen, []);
    });

    await t.test("a key without an app is told to set one up", async () => {
      await signIn(page, person, "");
      await page.locator("#sign-in-problem a").waitFor();
      assert.match(await problem(page, "sign-in"), /second factor/i);
      await consoleIs(seen, [refused(403, "session")]);
      await page.locator("#to-enrol").press("Enter");
      await shows(page, "Set up a second factor");
      assert.equal(await page.locator("#enrol-key").inputValue(), person.secret, "the key is not asked for twice");
      assert.equal(await focused(page), "enrolment");
    });

    await t.test("a wrong enrolment code", async () => {
      await page.keyboard.type("AAAA-AAAA-AAAA-AAAA\n");
      await page.locator("#enrol-problem a").waitFor();
      assert.match(await problem(page, "enrol"), /wrong, too old/);
      assert.equal(await focused(page), "enrolment");
      await consoleIs(seen, [refused(401, "session/enrol")]);
    });

    await t.test("the right one shows a picture and its text", async () => {
      await page.keyboard.type(`${person.enrolment.code.toLowerCase()}\n`);
      await shows(page, "Scan this with your app");
      person.seed = (await page.locator("#seed").innerText()).replaceAll(" ", "");
      assert.match(person.seed, /^[A-Z2-7]{32}$/);
      secret(gate, person.seed);
      const qr = page.locator("#qr");
      assert.ok(await qr.evaluate(async (image) => (await image.decode(), image.naturalWidth > 0)), "it is drawn");
      assert.match(await page.locator("#otpauth").getAttribute("href"), new RegExp(`^otpauth://totp/test:Anna%20${person.id}\\?secret=${person.seed}&`));
      assert.equal(await focused(page), "first-code");
      assert.deepEqual(await page.evaluate(faults), []);
    });

    await t.test("a first code proves it, and ten recovery codes are shown once", async () => {
      await page.keyboard.type(`${wrongCode(person.seed, gate.now)}\n`);
      await page.locator("#confirm-problem a").waitFor();
      await page.keyboard.type(`${codeAt(person.seed, gate.now)}\n`);
      await shows(page, "Keep these recovery codes");
      person.recovery = await page.locator("#codes code").allInnerTexts();
      assert.equal(person.recovery.length, 10);
      secret(gate, ...person.recovery);
      assert.equal(await page.locator("#seed").textContent(), "", "the text is gone");
      assert.equal(await page.locator("#qr").getAttribute("src"), null, "and so is the picture");
      assert.deepEqual(await page.evaluate(faults), []);
      await page.locator("#kept").press("Enter");
      await shows(page, "Sign in");
      assert.match(await page.locator("#notice").innerText(), /next code/);
      assert.equal(await page.locator("#codes code").count(), 0);
      assert.equal(await focused(page), "code");
      await consoleIs(seen, [refused(401, "session/enrol/confirm")]);
    });

    await t.test("the code that was used is refused, the next one is not", async () => {
      await page.keyboard.type(`${codeAt(person.seed, gate.now)}\n`);
      await page.locator("#sign-in-problem a").waitFor();
      assert.equal(await page.locator("#code").getAttribute("aria-invalid"), "true");
      assert.equal(await focused(page), "code");
      await consoleIs(seen, [refused(401, "session")]);
      await gate.advance(STEP);
      await page.keyboard.type(`${codeAt(person.seed, gate.now)}\n`);
      await shows(page, "You are signed in");
      const who = await page.locator("#who").innerText();
      for (const part of ["Anna", person.id, "acme", "keys:read, keys:write, keys:admin", "yes"]) assert.ok(who.includes(part), part);
      assert.deepEqual(await page.evaluate(faults), []);
    });

    await t.test("the browser keeps one cookie that no script reads, and nothing else", async () => {
      const cookie = await cookieIn(context);
      const { httpOnly, secure, sameSite, path, domain } = cookie;
      assert.deepEqual({ httpOnly, secure, sameSite, path, domain }, {
        httpOnly: true, secure: true, sameSite: "Strict", path: "/", domain: "gate.localhost",
      });
      assert.ok(Math.abs(cookie.expires - Date.now() / 1_000 - 12 * 3_600) < 60, "for twelve hours");
      assert.equal((await context.cookies()).length, 1);
      const held = await page.evaluate(async () => [
        document.cookie, JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage }), location.href,
        (await indexedDB.databases()).length, (await caches.keys()).length, document.documentElement.outerHTML,
        [...document.querySelectorAll("input")].map((field) => field.value).join(""),
      ]);
      assert.deepEqual(held.slice(0, 6), ["", "{}", "{}", gate.admin("/_tollgate/console/"), 0, 0]);
      for (const text of [person.secret, person.seed, ...person.recovery, cookie.value]) {
        assert.ok(!held.some((one) => String(one).includes(text)), "nothing of a secret is left in the page");
      }
      assert.equal(held[7], "");
      assert.deepEqual(await page.evaluate(() => watched.violations), []);
    });

    await t.test("it writes for its own page, and for no other", async () => {
      const write = (host) =>
        page.evaluate(async (url) => {
          const body = JSON.stringify({ tenant: "acme", kind: "sk", name: "from the page" });
          const headers = { "Content-Type": "application/json" };
          return fetch(url, { method: "POST", body, headers, credentials: "include" }).then((answer) => answer.status, () => "no answer");
        }, host);
      const keys = gate.admin("/_tollgate/v1/keys");
      assert.equal(await write(keys), 201);
      const other = await context.newPage();
      await other.goto(gate.url("/_tollgate/errors/key_invalid"));
      const forged = await other.evaluate((url) =>
        fetch(url, { method: "POST", body: "{}", mode: "no-cors", credentials: "include" }).then(() => "sent", (error) => `${error}`), keys);
      assert.match(forged, /sent|TypeError/);
      await other.close();
      const made = (await gate.api("GET", "keys?tenant=acme&limit=100")).body.keys.filter(({ name }) => name === "from the page");
      assert.equal(made.length, 1);
    });

    await t.test("it is still there after a reload, and gone after signing out", async () => {
      await page.reload();
      await shows(page, "You are signed in");
      assert.equal(await focused(page), "title");
      await page.keyboard.press("Tab");
      assert.equal(await focused(page), "sign-out");
      await page.keyboard.press("Enter");
      await shows(page, "Sign in");
      assert.equal(await page.locator("#notice").innerText(), "You are signed out.");
      assert.deepEqual(await context.cookies(), []);
      await page.reload();
      await page.locator("#sign-in").waitFor();
      await consoleIs(seen, [refused(401, "session")]);
    });
    await context.close();
  });

  test("a recovery code in place of the app's", async () => {
    const person = await enrolled(gate);
    const { context, page } = await open();
    await page.locator("#key").fill(person.secret);
    await page.locator("#other-code").press("Enter");
    assert.equal(await focused(page), "recovery");
    assert.equal(await page.locator("#code").isVisible(), false);
    await page.keyboard.type(`${person.recovery[0]}\n`);
    await shows(page, "You are signed in");
    assert.match(await page.locator("#notice").innerText(), /9 are left/);
    await cookieIn(context);
    await context.close();
  });

  test("whoever leaves while the app is set up leaves nothing of it behind", async () => {
    const person = await makePerson(gate);
    const { context, page } = await open();
    const begin = async () => {
      await page.locator("#to-enrol").click();
      await page.locator("#enrol-key").fill(person.secret);
      await page.locator("#enrolment").fill(person.enrolment.code);
      await page.keyboard.press("Enter");
      await shows(page, "Scan this with your app");
      const seed = (await page.locator("#seed").innerText()).replaceAll(" ", "");
      secret(gate, seed);
      await page.locator("#first-code").fill("12");
    };
    for (const [way, leave] of [
      ["a button", () => page.locator("#confirm [data-to]").click()],
      ["another page", () => page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })))],
    ]) {
      await begin();
      await leave();
      await shows(page, "Sign in");
      assert.equal(await page.locator("#seed").textContent(), "", way);
      for (const [id, name] of [["qr", "src"], ["otpauth", "href"]]) {
        assert.equal(await page.locator(`#${id}`).getAttribute(name), null, `${way}: ${id}`);
      }
      const fields = await page.evaluate(() => [...document.querySelectorAll("input")].map((field) => field.value).join(""));
      assert.equal(fields, "", way);
      // Without the key that was held, the step that was left goes no further.
      const sent = page.waitForRequest((request) => request.url().endsWith("/session/enrol/confirm"));
      await page.evaluate((code) => {
        document.getElementById("first-code").value = code;
        document.getElementById("confirm").requestSubmit();
      }, codeAt(person.seed ?? "A".repeat(32), gate.now));
      assert.ok(!((await (await sent).allHeaders()).authorization ?? "").includes(person.secret), way);
      await page.locator("#first-code").evaluate((field) => (field.value = ""));
    }
    await context.close();
  });

  test("too many wrong codes: it says how long to wait", async () => {
    const person = await enrolled(gate);
    const { context, page, seen } = await open();
    await page.locator("#key").fill(person.secret);
    await page.locator("#code").focus();
    for (let i = 0; i < 6; i += 1) {
      const done = page.waitForResponse((answer) => answer.url().endsWith("/session") && answer.request().method() === "POST");
      await page.locator("#code").fill(wrongCode(person.seed, gate.now));
      await page.keyboard.press("Enter");
      await done;
      await page.waitForFunction(() => !document.querySelector("#sign-in button.main").disabled);
    }
    assert.match(await problem(page, "sign-in"), /Try again in 30 seconds\./);
    await consoleIs(seen, [refused(401, "session"), ...Array(5).fill(refused(401, "session")), refused(429, "session")]);
    await context.close();
  });

  test("a session that ends by itself, and one that is ended elsewhere", async () => {
    const person = await enrolled(gate);
    const { context, page } = await open({ clock: true });
    await signIn(page, person);
    await shows(page, "You are signed in");
    await cookieIn(context);
    assert.match(await page.locator("#left").innerText(), /^(11 h 59 min|12 h 0 min) left$/);
    await page.clock.fastForward(12 * HOUR);
    await shows(page, "Sign in");
    assert.equal(await page.locator("#notice").innerText(), "The session has ended.");
    await gate.advance(STEP);
    await signIn(page, person);
    await shows(page, "You are signed in");
    await cookieIn(context);
    await act(gate, person, "revoke");
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await shows(page, "Sign in");
    assert.match(await page.locator("#notice").innerText(), /ended this key for good/);
    assert.deepEqual(await context.cookies(), []);
    await context.close();
  });

  test("a gate that does not answer is said to", async () => {
    const { context, page } = await open();
    await page.locator("#key").fill("no key — at all");
    await page.keyboard.press("Enter");
    await page.locator("#sign-in-problem:not([hidden])").waitFor();
    assert.match(await problem(page, "sign-in"), /did not answer as it should/);
    await context.close();
  });

  for (const { name, ...screen } of SCREENS) {
    test(`looks in order: ${name}`, async () => {
      const person = await makePerson(gate, { name: "A name as long as the names that people give to keys" });
      const { context, page } = await open(screen);
      const check = async (when) => {
        assert.deepEqual(await page.evaluate(faults), [], `${name}, ${when}`);
        const folder = process.env.TOLLGATE_SCREENSHOTS;
        if (folder) await page.screenshot({ path: `${folder}/${name.replace(", ", "-")}-${when}.png`, fullPage: true });
      };
      await check("sign-in");
      await signIn(page, person, "123456");
      await page.locator("#sign-in-problem a").waitFor();
      await check("refused");
      await page.locator("#other-code").click();
      await check("recovery");
      await page.locator("#to-enrol").click();
      await check("enrol");
      await page.locator("#enrolment").fill(person.enrolment.code);
      await page.keyboard.press("Enter");
      await shows(page, "Scan this with your app");
      await check("picture");
      person.seed = (await page.locator("#seed").innerText()).replaceAll(" ", "");
      secret(gate, person.seed);
      await page.locator("#first-code").fill(codeAt(person.seed, gate.now));
      await page.keyboard.press("Enter");
      await shows(page, "Keep these recovery codes");
      secret(gate, ...(await page.locator("#codes code").allInnerTexts()));
      await check("codes");
      await page.locator("#kept").click();
      await check("again");
      await gate.advance(STEP);
      await page.locator("#code").fill(codeAt(person.seed, gate.now));
      await page.keyboard.press("Enter");
      await shows(page, "You are signed in");
      await cookieIn(context);
      await check("session");
      assert.ok((await page.evaluate(() => watched.shift)) < 0.1, "nothing jumps by itself");
      await context.close();
    });
  }
});
