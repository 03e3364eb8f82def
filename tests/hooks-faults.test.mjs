// An inbox whose storage fails in the middle, on a clock that is set by hand: nothing that was acknowledged is
// lost, nothing is acknowledged that was not stored, and no backend is asked in a circle.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { MINUTE, startClockedGate } from "./support/clock.mjs";
import { assertProblem } from "./support/expect.mjs";
import { post } from "./support/hooks.mjs";
import { testPolicy } from "./support/policy.mjs";

const SECRET = randomBytes(24).toString("base64url");
const OBJECT = "shop/0";

let backend, gate;
before(async () => {
  backend = await startBackend();
  gate = await startClockedGate({
    name: "hooks-faults",
    worker: "faulty-worker.mjs",
    secrets: { SHOP: SECRET },
    policy: testPolicy({ backend, sources: [{ name: "shop", path: "/hooks/shop", scheme: "stripe", secrets: ["${secret:SHOP}"] }] }),
  });
});
after(async () => {
  await gate?.stop();
  await backend?.stop();
});
beforeEach(() => backend.clear());

let count = 0;
const send = (id = `evt_${(count += 1)}`) =>
  post(gate, { path: "/hooks/shop", scheme: "stripe", secret: SECRET, body: JSON.stringify({ id }) });
const events = async (state) => (await gate.api("GET", `hooks/shop/events?state=${state}`)).body.events;
const seen = () => backend.requests.map(({ body }) => JSON.parse(body).id);

test("an event that cannot be stored is not acknowledged, and the same one is taken when it comes again", async () => {
  await gate.ask("fault", "all INSERT INTO entry");
  assertProblem(await send("evt_twice"), 503, "admission_unavailable");
  await gate.ask("fault", "");
  assert.equal((await send("evt_twice")).status, 202);
  await gate.alarm("INBOX", OBJECT);
  assert.deepEqual(seen(), ["evt_twice"]);
});

test("of several that come together one that cannot be stored takes no other with it", async () => {
  // The first statement fails that stores them together; then each is stored by itself.
  await gate.ask("fault", "INSERT INTO entry");
  const ids = ["evt_a", "evt_b", "evt_c", "evt_d"];
  assert.deepEqual((await Promise.all(ids.map(send))).map(({ status }) => status), [202, 202, 202, 202]);
  await gate.alarm("INBOX", OBJECT);
  assert.deepEqual(seen().sort(), ids);
});

test("a 2xx that cannot be written down: not again at once, but in a minute", async () => {
  assert.equal((await send("evt_again")).status, 202);
  await gate.ask("fault", "all UPDATE entry");
  await gate.alarm("INBOX", OBJECT);
  await gate.ask("fault", "");
  assert.deepEqual(seen(), ["evt_again"]);
  assert.deepEqual((await events("pending")).map(({ provider_id: id }) => id), ["evt_again"]);
  assert.equal(await gate.alarmAt("INBOX", OBJECT), gate.now + MINUTE);
  await gate.advance(MINUTE);
  await gate.alarm("INBOX", OBJECT);
  assert.deepEqual(seen(), ["evt_again", "evt_again"], "at least once");
  assert.deepEqual(await events("pending"), []);
});

test("of several answers that come together one that cannot be written down takes no other with it", async () => {
  const ids = ["evt_1st", "evt_2nd", "evt_3rd"];
  for (const id of ids) assert.equal((await send(id)).status, 202);
  // The statement fails once, which stores some of them together; then each is stored by itself.
  await gate.ask("fault", "UPDATE entry");
  await gate.alarm("INBOX", OBJECT);
  assert.deepEqual(seen().sort(), ids);
  assert.deepEqual(await events("pending"), []);
});

test("an event that cannot be read holds up no other", async () => {
  for (const id of ["evt_damaged", "evt_well"]) assert.equal((await send(id)).status, 202);
  const sql = async (statement) => {
    const answer = await gate.request({ method: "POST", headers: { "x-test-sql": `INBOX/${OBJECT}` }, body: statement });
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
  };
  const [[seq, tries]] = await sql("SELECT seq, tries FROM entry WHERE state = 0 ORDER BY seq LIMIT 1");
  await sql(`UPDATE entry SET tries = '?' WHERE seq = ${seq}`);
  await gate.alarm("INBOX", OBJECT);
  assert.deepEqual(seen(), ["evt_well"]);
  assert.equal(await gate.alarmAt("INBOX", OBJECT), gate.now + MINUTE);
  await sql(`UPDATE entry SET tries = '${tries}' WHERE seq = ${seq}`);
  await gate.advance(MINUTE);
  await gate.alarm("INBOX", OBJECT);
  assert.deepEqual(seen(), ["evt_well", "evt_damaged"], "once it is mended it goes on");
});
