// `tollgate hooks` on a gate, from a terminal:
//
//   1. endpoints: create, list, show, update, rotate, test, deliveries, replay, delete
//   2. events of a source: list, show, replay
//   3. listen: every event that comes in reaches a program on this machine, while the command runs, also when the
//      gate or the program is away for a while, the key has few calls, or the clocks differ
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { cli } from "../scripts/paths.mjs";
import { known, verified } from "./support/endpoints.mjs";
import { reply, startBackend } from "./support/backend.mjs";
import { environmentOf, runCli } from "./support/cli.mjs";
import { startClockedGate } from "./support/clock.mjs";
import { startGate } from "./support/gate.mjs";
import { makeKey } from "./support/keys.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";

const GITHUB = randomBytes(24).toString("hex");

let backend, hook, gate;
const policy = () =>
  testPolicy({
    backend,
    routes: [{ name: "plain", path: "/plain" }],
    sources: [{ name: "github", tenant: "acme", path: "/hooks/github", scheme: "github", secrets: ["${secret:GITHUB}"], rewrite: "/in/github" }],
  });
before(async () => {
  [backend, hook] = [await startBackend(), await startBackend()];
  gate = await startGate({ policy: policy(), secrets: { GITHUB }, name: "hooks-cli" });
  await makeKey(gate, { tenant: "acme" });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
  await hook?.stop();
});

const run = (...args) => runCli(gate, ["hooks", ...args]);
/** What the command tells, as JSON; it has to succeed. */
async function told(...args) {
  const ran = await run(...args, "--json");
  assert.equal(ran.code, 0, `${args.join(" ")}: ${ran.out}${ran.err}`);
  return ran.out.trim() === "null" ? null : ran.json;
}
/** Waits until `look` finds something. */
async function until(look, what) {
  for (const end = performance.now() + 15_000; performance.now() < end; await sleep(50)) {
    const found = await look();
    if (found) return found;
  }
  throw new Error(`${what} does not come:\n${gate.output}`);
}

describe("endpoints", () => {
  test("from the first to the last word about one", async () => {
    const tenant = ["--tenant", "acme"];
    const { endpoint, secret } = await told("endpoints", "create", `${hook.origin}/cli`, "--event", "key.revoked", "--description", "mine", ...tenant);
    known(gate, secret);
    assert.deepEqual([endpoint.tenant, endpoint.events, endpoint.description], ["acme", ["key.revoked"], "mine"]);
    const { endpoints } = await told("endpoints", "list", ...tenant);
    assert.deepEqual(endpoints, [endpoint]);
    assert.deepEqual((await told("endpoints", "show", endpoint.id, ...tenant)).endpoint, endpoint);
    const updated = (await told("endpoints", "update", endpoint.id, "--clear", "description", "--event", "key.disabled", ...tenant)).endpoint;
    assert.deepEqual([updated.version, updated.events, updated.description], [2, ["key.disabled"], null]);
    const rotated = await told("endpoints", "rotate", endpoint.id, "--grace", "1h", ...tenant);
    known(gate, rotated.secret);
    assert.notEqual(rotated.secret, secret);

    const { delivery } = await told("endpoints", "test", endpoint.id, ...tenant);
    const seen = await until(() => hook.requests.find((request) => request.header("webhook-id") === delivery.id), "the test event");
    assert.equal(verified(seen, secret).type, "endpoint.test");
    assert.equal(verified(seen, rotated.secret).type, "endpoint.test");
    const delivered = async () => (await told("endpoints", "deliveries", endpoint.id, "--state", "delivered", ...tenant)).deliveries;
    assert.deepEqual((await until(async () => ((await delivered()).length > 0 ? delivered() : null), "the delivery")).map(({ id }) => id), [delivery.id]);
    const human = await run("endpoints", "deliveries", endpoint.id, ...tenant);
    assert.match(human.out, new RegExp(`^ID .*\\n${delivery.id} +endpoint\\.test .* delivered .*200\\n$`));

    const would = await run("endpoints", "replay", endpoint.id, "--since", "2020-01-01", "--dry-run", ...tenant);
    assert.deepEqual([would.code, would.out], [0, "1 would be sent again\n"]);
    assert.equal((await told("endpoints", "replay", endpoint.id, delivery.id, ...tenant)).count, 1);
    await until(() => hook.requests.filter((request) => request.header("webhook-id") === delivery.id).length === 2, "the replay");

    const gone = await run("endpoints", "delete", endpoint.id, ...tenant);
    assert.deepEqual([gone.code, gone.out], [0, "deleted\n"]);
    const none = await run("endpoints", "show", endpoint.id, ...tenant);
    assert.deepEqual([none.code, none.err.split(":")[0]], [1, "404 not_found"]);
    const wrong = await run("endpoints", "create", "http://10.0.0.1/");
    assert.deepEqual([wrong.code, /url has to begin with https/.test(wrong.err)], [2, true]);
    assert.equal((await run("endpoints", "replay", endpoint.id)).code, 2, "of what?");
  });

  test("shows its secret once, in words", async () => {
    const made = await run("endpoints", "create", `${hook.origin}/words`, "--tenant", "acme");
    const secret = made.out.match(/^whsec_.*$/m)[0];
    known(gate, secret);
    const id = made.out.match(/^id +(ep_\w+)$/m)[1];
    const shown = await run("endpoints", "show", id, "--tenant", "acme");
    assert.ok(shown.out.length > 0 && !shown.out.includes("whsec_"));
    await run("endpoints", "delete", id, "--tenant", "acme");
  });
});

let sent = 0;
/** An event as GitHub sends it; the one that the gate keeps. */
async function event(wish = {}, delivery = randomBytes(16).toString("hex"), at = gate) {
  const body = JSON.stringify({ action: "opened", number: (sent += 1), ...wish });
  const answer = await at.request({
    method: "POST",
    path: "/hooks/github",
    headers: {
      "Content-Type": "application/json",
      "X-GitHub-Delivery": delivery,
      "X-GitHub-Event": "issues",
      "X-Hub-Signature-256": `sha256=${createHmac("sha256", GITHUB).update(body).digest("hex")}`,
    },
    body,
  });
  assert.equal(answer.status, 202, answer.text);
  return { body, delivery };
}

describe("a source", () => {
  test("has its events listed, shown and delivered again", async () => {
    const { body } = await event();
    await until(() => backend.requests.find((seen) => seen.body.toString() === body), "the event");
    const delivered = async () => (await told("events", "github", "--state", "delivered")).events;
    const [listed] = await until(async () => ((await delivered()).length > 0 ? delivered() : null), "the delivery");
    const one = (await told("events", "github", listed.id)).event;
    assert.equal(Buffer.from(one.body, "base64").toString(), body);
    const human = await run("events", "github", listed.id);
    assert.ok(human.out.includes(body) && human.out.includes(listed.id), human.out);
    assert.match((await run("events", "github")).out, new RegExp(`^ID .*\\n${listed.id} `));
    const again = await run("replay", "github", listed.id);
    assert.deepEqual([again.code, again.out], [0, "1 on the way again\n"]);
    await until(() => backend.requests.filter((seen) => seen.body.toString() === body).length === 2, "the replay");
    assert.equal((await run("events", "nobody")).code, 1);
    assert.equal((await run("replay", "github")).code, 2);
  });

  /** `tollgate hooks listen`, until it is over: `{ child, over, err() }`. */
  async function listen(program, args, env = {}, of = gate) {
    const all = ["hooks", "listen", "github", "--forward-to", `${program}/local?a=b`, "--every", "100ms", "--json", ...args];
    const child = spawn(cli, all, { env: { ...environmentOf(of), ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let [out, err] = ["", ""];
    child.stdout.on("data", (chunk) => (out += chunk));
    child.stderr.on("data", (chunk) => (err += chunk));
    const over = once(child, "close").then(([code]) => {
      assert.equal(code, 0, err);
      return out.trim().split("\n").map((line) => JSON.parse(line));
    });
    await until(() => err.includes("listening to github"), "the command");
    return { child, over, err: () => err };
  }
  const bodies = (program) => program.requests.map(({ body }) => body.toString()).sort();

  test("is listened to: what comes in while the command runs reaches a local program, signed as by the gate", async () => {
    const before = await event();
    const program = await startBackend();
    program.answer = (_, response) => reply(response, 207);
    const secret = `whsec_${randomBytes(32).toString("base64")}`;
    // From an argument or, as here, from where no other process reads it.
    const { child, over } = await listen(program.origin, ["--count", "3"], { TOLLGATE_WEBHOOK_SECRET: secret });
    try {
      const first = await event({ text: "é" });
      const events = [first, await event(), await event({ another: true }, first.delivery)];
      const lines = await over;
      assert.deepEqual(bodies(program), events.map(({ body }) => body).sort());
      assert.ok(!program.requests.some(({ body }) => body.toString() === before.body));
      for (const seen of program.requests) {
        assert.deepEqual([seen.method, seen.url, seen.header("x-github-event")], ["POST", "/local?a=b", "issues"]);
        assert.deepEqual([seen.header("accept-encoding"), seen.header("x-tollgate-webhook")], ["identity", "github"]);
        assert.equal(verified(seen, secret).action, "opened");
      }
      assert.deepEqual(lines.map(({ status, error }) => [status, error]), Array(3).fill([207, null]));
      assert.deepEqual(lines.map(({ id }) => id).sort(), program.requests.map((seen) => seen.header("webhook-id")).sort());
      // GitHub's id is not signed: with another body it is another event, and no reuse of an id.
      assert.ok(program.requests.every((seen) => seen.header("x-tollgate-webhook-flag") === undefined));
    } finally {
      child.kill();
      await program.stop();
    }
  });

  test("is listened to by a key with few calls, and none is lost", async () => {
    const few = { tenant: "acme", kind: "ak", scopes: ["hooks:read"], addresses: ["127.0.0.0/8"], limits: [atMost(4, "2s")] };
    const key = await makeKey(gate, few);
    const program = await startBackend();
    const { child, over, err } = await listen(program.origin, ["--count", "8"], { TOLLGATE_TOKEN: key.secret });
    try {
      const events = [];
      for (let i = 0; i < 8; i += 1) events.push(await event());
      const lines = await over;
      assert.deepEqual(bodies(program), events.map(({ body }) => body).sort(), "each of them once");
      assert.ok(lines.every(({ status }) => status === 200));
      assert.match(err(), /429 rate_limited/);
      const refused = gate.logLines.filter(({ status, key: by }) => by === key.id && status === 429);
      assert.ok(refused.length < 20, `it asked ${refused.length} times in vain`);
    } finally {
      child.kill();
      await program.stop();
    }
  });

  test("is listened to on a gate whose clock is another one", async () => {
    const there = await startClockedGate({ policy: policy(), secrets: { GITHUB }, name: "hooks-cli-clock", at: Date.parse("2025-01-01T00:00:00Z") });
    const program = await startBackend();
    try {
      const before = await event({}, undefined, there);
      const { over } = await listen(program.origin, ["--count", "1"], {}, there);
      const { body } = await event({}, undefined, there);
      assert.equal((await over).length, 1);
      assert.deepEqual([bodies(program), before.body === body], [[body], false]);
    } finally {
      await there.stop();
      await program.stop();
    }
  });

  test("is listened to before the program is up, and while the gate is away", async () => {
    const place = await startBackend();
    const { origin, port } = place;
    await place.stop();
    const { child, over, err } = await listen(origin, ["--count", "2"]);
    const program = createServer((request, response) => response.writeHead(request.resume().headers["x-github-event"] ? 200 : 400).end());
    try {
      await event();
      await until(() => err().includes("nobody answers"), "that it waits");
      await gate.kill();
      program.listen(port, "127.0.0.1");
      await until(() => err().includes("cannot call"), "that the gate is missed");
      await gate.start();
      await event();
      assert.deepEqual((await over).map(({ status, error }) => [status, error]), [[200, null], [200, null]]);
    } finally {
      child.kill();
      program.close();
    }
  });

  test("is not forwarded away from this machine", async () => {
    const away = await run("listen", "github", "--forward-to", "https://example.com/");
    assert.deepEqual([away.code, /this machine only/.test(away.err)], [2, true]);
    for (const [why, wrong] of [["a secret that is none", ["--secret", "whsec_x"]], ["no pause", ["--every", "0s"]]]) {
      assert.equal((await run("listen", "github", "--forward-to", "http://127.0.0.1:1/", ...wrong)).code, 2, why);
    }
    const none = await run("listen", "nobody", "--forward-to", "http://127.0.0.1:1/");
    assert.equal(none.code, 1, none.err);
  });
});
