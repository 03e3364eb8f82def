// The demo page in headless Chromium, against the gate on workerd and the demo's own backend:
// every button by keyboard, what the page then shows, and what the browser's console says.
//
// Chromium writes each refused call to the console as an error of its own ("Failed to load
// resource"), and no page can prevent that. So each story lists exactly the lines that its refusal
// brings; any other error or warning fails the test.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { backend as demoBackend } from "../demo/backend.mjs";
import { Gauge } from "../www/demo/gauge.js";
import { search } from "../www/demo/proof.js";
import { limitsOf, parseList } from "../www/tollgate.js";
import { faults, launch, SCREENS, watch } from "./support/browser.mjs";
import { demoPolicy, startGate } from "./support/gate.mjs";

/** What the demo's policy allows in development: pages of the gate's own host, on any port. */
const ANY_PORT = "http://gate.localhost:*";

describe("what the page makes of headers", () => {
  for (const [why, text, items] of [
    ["names and numbers", '"default";q=60;w=60', [["default", { q: "60", w: "60" }]]],
    ["several, with any spaces", '"a";r=1 ,\t"b"; r=2', [["a", { r: "1" }], ["b", { r: "2" }]]],
    ["a comma and a quote inside a name", '"a,\\"b";q=1', [['a,"b', { q: "1" }]]],
    ["a token for a name", "tight;q=1", [["tight", { q: "1" }]]],
    ["parameters of every type", '"a";s="x;y";b=:cGs=:;t=?0;f', [["a", { s: '"x;y"', b: ":cGs=:", t: "?0", f: "?1" }]]],
    ["nothing", "", []],
    ["a comma too many: none of it", '"a";q=1,', []],
    ["a name that does not end: none of it", '"a";q=1, "b', []],
    ["something after the last: none of it", '"a";q=1 x', []],
  ]) {
    test(why, () => assert.deepEqual(parseList(text).map(({ name, parameters }) => [name, parameters]), items));
  }

  test("a limit is what both headers tell of", () => {
    const headers = new Headers({
      "RateLimit-Policy": '"default";q=60;w=60, "tight";q=10;w=20, "untold";q=1;w=1',
      "RateLimit": '"tight";r=7;t=12, "default";r=59;t=1',
    });
    assert.deepEqual(limitsOf(headers), [
      { name: "default", quota: 60, window: 60, remaining: 59, resetsIn: 1 },
      { name: "tight", quota: 10, window: 20, remaining: 7, resetsIn: 12 },
    ]);
    assert.deepEqual(limitsOf(new Headers()), []);
  });
});

describe("the picture between two answers", () => {
  const said = (remaining, resetsIn) => ({ name: "tight", quota: 10, window: 20, remaining, resetsIn });
  const left = (gauge, ms) => gauge.read(ms).remaining;

  test("a call comes back one window after it was made", () => {
    const gauge = new Gauge("tight");
    gauge.take(said(9, 20), true, 0);
    gauge.take(said(8, 15), true, 5_000);
    assert.deepEqual([left(gauge, 19_999), left(gauge, 20_001), left(gauge, 25_001)], [8, 9, 10]);
  });
  test("a refused call costs nothing", () => {
    const gauge = new Gauge("tight");
    gauge.take(said(9, 20), true, 0);
    gauge.take(said(9, 10), false, 10_000);
    assert.deepEqual([left(gauge, 10_000), left(gauge, 20_001)], [9, 10]);
  });
  test("calls of others: the first is back after t, of the rest it is only known that a window is enough", () => {
    const gauge = new Gauge("tight");
    gauge.take(said(6, 3), true, 0);
    assert.deepEqual([left(gauge, 2_999), left(gauge, 3_001), left(gauge, 19_999), left(gauge, 20_001)], [6, 7, 7, 10]);
  });
  test("what the gate says counts, also when more came back than was known", () => {
    const gauge = new Gauge("tight");
    for (let ms = 0; ms < 5; ms += 1) gauge.take(said(9 - ms, 20), true, ms);
    gauge.take(said(9, 20), true, 10_000);
    assert.equal(left(gauge, 10_000), 9);
  });
});

test("the search finds a secret of which it knows length and SHA-256 only", async () => {
  const secret = "kX9_secret-of-24-letters";
  const sha256 = createHash("sha256").update(secret).digest("hex");
  const found = async (text) => (await search([text], secret.length, sha256)).found;
  assert.equal(await found(`{"deep":"Bearer ${secret}"}`), true);
  assert.equal(await found(`https://a.example/?token=x${secret}y`), true, "inside a longer run");
  assert.equal(await found(secret.slice(1)), false);
});

describe("the page", () => {
  let gate;
  let backend;
  let second;
  let browser;
  let key;

  before(async () => {
    const secrets = { BILLING_TOKEN: "demo-test-6fQ0xZrVt1mKc8JwEa5LhYpBn3uDs7G" };
    backend = demoBackend(secrets.BILLING_TOKEN).listen(0, "127.0.0.1");
    await once(backend, "listening");
    gate = await startGate({ policy: demoPolicy(backend.address()), secrets, name: "demo" });
    second = createServer(throughTheGate).listen(0, "127.0.0.1");
    await once(second, "listening");
    const made = await gate.api("POST", "keys", {
      tenant: "demo",
      kind: "pk",
      name: "demo page",
      scopes: ["invoices:read"],
      origins: [new URL(gate.admin()).origin],
    });
    assert.equal(made.status, 201, made.text);
    key = made.body.secret;
    settings({ api: new URL(gate.url()).origin, key, other_origin: other() });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    second?.closeAllConnections();
    second?.close();
    backend?.closeAllConnections();
    backend?.close();
    await gate?.stop();
  });

  const other = () => `http://gate.localhost:${second.address().port}`;

  /** The same pages on another port, which makes them another origin. */
  async function throughTheGate(request, response) {
    const { status, pairs, body } = await gate.request({ host: gate.adminHost, path: request.url });
    const kept = pairs.filter(([name]) => !/^(?:transfer-encoding|connection|keep-alive|content-length)$/i.test(name));
    response.writeHead(status, kept.flat()).end(body);
  }

  /** What the page learns its key from; files of the overlay are served before those of www/. */
  function settings(value) {
    const folder = join(gate.folder, "overlay/demo");
    mkdirSync(folder, { recursive: true });
    if (value) writeFileSync(join(folder, "settings.json"), JSON.stringify(value));
    else rmSync(join(folder, "settings.json"));
  }

  /** A new browser profile with the page open, and what the browser has to say about it. */
  async function open({ until = "button:enabled", ...options } = {}) {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const seen = { console: [], bodies: [] };
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) seen.console.push(`${message.text()} @ ${message.location().url}`);
    });
    page.on("pageerror", (error) => seen.console.push(`uncaught: ${error.stack}`));
    page.on("response", (response) => seen.bodies.push(response.text().catch(() => ""), JSON.stringify(response.headers())));
    await page.addInitScript(watch);
    const response = await page.goto(gate.admin("/_tollgate/demo/"));
    await page.locator(until).first().waitFor();
    return { context, page, seen, response };
  }

  /** Presses a button as who has no mouse does, and waits for the end of its story. */
  async function press(page, name, with_ = "Enter") {
    await page.locator("h1").click();
    for (let tabs = 0; (await focused(page)) !== name; tabs += 1) {
      assert.ok(tabs < 20, `no Tab leads to ${name}`);
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press(with_);
    await page.waitForFunction(() => !["idle", "busy"].includes(document.getElementById("road").dataset.state));
    assert.equal(await focused(page), name, "the focus stays on the button");
  }
  const focused = (page) => page.evaluate(() => document.activeElement?.getAttribute("data-call"));
  const outcome = (page) => page.locator("#outcome").innerText();
  const details = (page) => page.locator("#details-view").innerText();
  const headers = (page) =>
    page.locator("#details-view .pairs > div").evaluateAll((rows) =>
      Object.fromEntries(rows.map((row) => [row.children[0].textContent, row.children[1].textContent])));
  const tight = (page) => page.locator('[data-limit="tight"] .limit-left').innerText();

  /** The console holds these lines since the last look and, a little later, still nothing more. */
  async function consoleIs(seen, expected) {
    for (let tries = 0; tries < 40 && seen.console.length < expected.length; tries += 1) await sleep(50);
    await sleep(150);
    const lines = seen.console.splice(0);
    assert.equal(lines.length, expected.length, lines.join("\n"));
    for (const [at, pattern] of expected.entries()) assert.match(lines[at], pattern);
  }
  const refusedWith = (status, path) =>
    new RegExp(`^Failed to load resource: the server responded with a status of ${status} \\(.*\\) @ ${gate.url(path)}$`);

  test("its calls, one after the other", async (t) => {
    const { context, page, seen, response } = await open();

    await t.test("comes with a policy that allows no inline script or style", () => {
      const policy = response.headers()["content-security-policy"];
      assert.match(policy, /default-src 'none'/);
      assert.match(policy, /script-src 'self'(;|$)/);
      assert.match(policy, /style-src 'self'(;|$)/);
      assert.doesNotMatch(policy, /unsafe/);
    });

    await t.test("Tab goes through it in order, and the skip link past its head", async () => {
      const order = [];
      for (let i = 0; i < 7; i += 1) {
        await page.keyboard.press("Tab");
        order.push(await page.evaluate(() => document.activeElement.dataset.call ?? document.activeElement.textContent.trim()));
        const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
        assert.equal(outline, "solid", `the focus on ${order.at(-1)} shows`);
      }
      assert.deepEqual(order, ["Skip to the calls", "Error codes", "allowed", "missing-scope", "wrong-key", "over-the-limit", "second-origin"]);
      await page.keyboard.press("Tab");
      await page.locator(".skip").focus();
      await page.keyboard.press("Enter");
      assert.equal(await page.evaluate(() => document.activeElement.id), "calls");
      await page.keyboard.press("Tab");
      assert.equal(await focused(page), "allowed");
    });

    await t.test("Allowed", async () => {
      await press(page, "allowed");
      assert.match(await outcome(page), /^200 OK\s/);
      assert.match(await details(page), /"customer": "Ada Lovelace"/);
      const readable = await headers(page);
      assert.match(readable["ratelimit-policy"], /;q=\d+;w=\d+/);
      assert.match(readable["ratelimit"], /;r=\d+;t=\d+/);
      assert.ok(readable["x-request-id"]);
      assert.ok((await page.locator(".limit").count()) >= 1, "its limits are drawn");
      assert.equal(await page.locator("#road").getAttribute("data-state"), "passed");
      await consoleIs(seen, []);
    });

    await t.test("the proof: the backend saw the secret, the page did not", async () => {
      const secret = gate.secrets.BILLING_TOKEN;
      const proof = await page.locator("#proof-view").innerText();
      assert.match(proof, /Bearer •••, the right secret/);
      assert.match(proof, new RegExp(`${secret.length} characters`));
      assert.match(proof, new RegExp(createHash("sha256").update(secret).digest("hex").slice(0, 16)));
      assert.match(proof, /The secret is not in this page/);
      assert.match(proof, /X-Api-Key: tg_dev_pk_/, "what the page sent is its publishable key");
      assert.deepEqual(await page.locator("#proof-view .names").last().locator("li").allInnerTexts(), ["x-api-key"], "taken away");
    });

    await t.test("Missing scope", async () => {
      await press(page, "missing-scope", "Space");
      assert.match(await outcome(page), /^403 Forbidden\s+insufficient_scope[^]*invoices:write[^]*backend was not called/);
      const problem = JSON.parse(await page.locator("#details-view pre").first().innerText());
      assert.equal(problem.code, "insufficient_scope");
      assert.deepEqual(problem.required_scopes, ["invoices:write"]);
      assert.equal(problem.correlationId, (await headers(page))["x-request-id"]);
      assert.equal(await page.locator("#road").getAttribute("data-state"), "refused");
      await consoleIs(seen, [refusedWith(403, "/v1/invoices")]);
    });

    await t.test("the problem's type leads to a page that explains it", async () => {
      const [opened] = await Promise.all([context.waitForEvent("page"), page.locator("#details-view pre a").press("Enter")]);
      assert.match(await opened.locator("h1").innerText(), /scope/);
      assert.match(await opened.locator(".code-line").innerText(), /^403 insufficient_scope$/);
      await opened.close();
    });

    await t.test("Wrong key", async () => {
      await press(page, "wrong-key");
      assert.match(await outcome(page), /^401 Unauthorized\s+key_invalid/);
      assert.equal(JSON.parse(await page.locator("#details-view pre").first().innerText()).code, "key_invalid");
      await consoleIs(seen, [refusedWith(401, "/v1/invoices")]);
    });

    await t.test("Over the limit: the picture drains", async () => {
      await press(page, "over-the-limit", "Space");
      assert.match(await outcome(page), /^429 Too Many Requests\s+rate_limited\s+10 calls passed/);
      assert.deepEqual(await page.locator(".burst li").allInnerTexts(), [...Array(10).fill("200"), "429"]);
      const readable = await headers(page);
      assert.match(readable["retry-after"], /^[1-9]\d*$/);
      assert.match(readable["ratelimit"], /"tight";r=0;t=\d+/);
      assert.equal(await tight(page), "0 of 10 left");
      const bar = page.locator('[data-limit="tight"] svg');
      assert.equal(await bar.getAttribute("role"), "img");
      assert.match(await bar.locator("title").textContent(), /^tight: 0 of 10 left, one back in \d+ s\.$/);
      assert.match(await page.locator("[role=status]").textContent(), /^429\. .*tight: 0 of 10 left/, "and is told");
      await consoleIs(seen, [refusedWith(429, "/v1/limited")]);
    });

    await t.test("From a second origin, which the route knows and the key does not: refused, and told why", async () => {
      await press(page, "second-origin");
      assert.match(await outcome(page), new RegExp(`^403 Forbidden\\s+origin_not_allowed\\s+.*${other()}.* never called the backend`));
      await callsOfTheBackend(11, "one allowed call and ten of the burst");
      await consoleIs(seen, [refusedWith(403, "/v1/invoices")]);
    });

    await t.test("From a second origin, which nobody knows: nothing to read, and no call of the backend", async () => {
      await gate.restart({ policy: gate.policy.replaceAll(ANY_PORT, new URL(gate.admin()).origin) });
      await press(page, "second-origin");
      assert.match(await outcome(page), new RegExp(`^No answer[^]*granted nothing to ${other()}, and never called the backend`));
      assert.match((await headers(page))["fetch, in the frame"], /^TypeError/);
      await callsOfTheBackend(11);
      await consoleIs(seen, [
        new RegExp(`^Access to fetch at '${gate.url("/v1/invoices")}' from origin '${other()}' has been blocked by CORS policy: `),
        new RegExp(`^Failed to load resource: net::ERR_FAILED @ ${gate.url("/v1/invoices")}$`),
      ]);
    });

    async function callsOfTheBackend(count, why) {
      const shown = await headers(page);
      assert.deepEqual([shown["backend calls before"], shown["backend calls after"]], [`${count}`, `${count}`], why);
    }

    await t.test("the picture refills, and what it shows is true: then a call passes again", async () => {
      await page.waitForFunction(() => !document.querySelector('[data-limit="tight"]').classList.contains("empty"), null, { timeout: 25_000 });
      await press(page, "over-the-limit");
      assert.match(await page.locator(".burst li").first().innerText(), /200/);
      await consoleIs(seen, [refusedWith(429, "/v1/limited")]);
    });

    await t.test("nothing that reached the browser holds the secret, or broke the page's policy", async () => {
      const held = [...(await Promise.all(seen.bodies)), await page.content(), JSON.stringify(await context.storageState())];
      assert.ok(held.join("").includes(key), "the search sees what the page holds");
      for (const spelling of [(s) => s, btoa, encodeURIComponent]) {
        assert.ok(!held.some((text) => text.includes(spelling(gate.secrets.BILLING_TOKEN))));
      }
      assert.deepEqual(await page.evaluate(() => watched.violations), []);
    });
    await context.close();
  });

  for (const { name, ...screen } of SCREENS) {
    test(`looks in order: ${name}`, async () => {
      const { context, page } = await open(screen);
      const check = async (when) => assert.deepEqual(await page.evaluate(faults), [], `${name}, ${when}`);
      await check("at the start");
      for (const call of ["allowed", "missing-scope", "wrong-key", "over-the-limit", "second-origin"]) {
        await press(page, call);
        await check(`after ${call}`);
      }
      assert.ok((await page.evaluate(() => watched.shift)) < 0.1, "nothing jumps by itself");
      for (const path of ["/_tollgate/errors/", "/_tollgate/errors/key_invalid", "/_tollgate/errors/rate_limited"]) {
        const answer = await page.goto(gate.admin(path));
        assert.equal(answer.status(), 200, path);
        await check(path);
      }
      await context.close();
    });
  }

  test("with reduced motion only numbers change", async () => {
    const { context, page } = await open({ reducedMotion: "reduce" });
    await press(page, "allowed");
    await sleep(1_500);
    const heights = await page.locator(".bar-coming").evaluateAll((bars) => bars.map((bar) => bar.getAttribute("height")));
    assert.ok(heights.length > 0 && heights.every((height) => height === "0"), heights.join());
    await context.close();
  });

  test("without a demo key it says where one comes from", async () => {
    settings(undefined);
    const { context, page, seen } = await open({ until: "#notice" });
    assert.match(await page.locator("#notice").innerText(), /npm start/);
    assert.equal(await page.locator("button:enabled").count(), 0);
    await consoleIs(seen, [/404 \(.*\) @ .*\/_tollgate\/demo\/settings\.json$/]);
    await context.close();
  });
});
