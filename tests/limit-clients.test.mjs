// Clients that are alone on their limit and do nothing but obey, on a clock that is set by hand:
//
//   1. one that waits as `Retry-After` says is never refused twice
//   2. one that sends as `RateLimit` says is never refused at all
//
// for every measure, exact and leased, and limits of several sizes.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { MINUTE, SECOND, startClockedGate } from "./support/clock.mjs";
import { makeHolder } from "./support/hold.mjs";
import { makeKey } from "./support/keys.mjs";
import { toldOf } from "./support/limits.mjs";
import { atMost, testPolicy } from "./support/policy.mjs";
import { chance, seed } from "./support/random.mjs";
import { eventually } from "./support/usage.mjs";

const SIZES = [1, 2, 7, 60];
/** What a key may be limited by: of `n`, in a span that a test can wait through. */
const LIMITS = {
  rate: (n) => [atMost(n, "10s")],
  bucket: (n) => [{ name: "default", bucket: { requests: n, window: "10s", burst: n } }],
  "bucket that fills slowly": (n) => [{ name: "default", bucket: { requests: 7, window: "1m", burst: n } }],
  quota: (n) => [{ name: "default", quota: { requests: n, per: "hour" } }],
  "rate and quota": (n) => [{ name: "default", requests: n, window: "3s", quota: { requests: 3 * n, per: "hour" } }],
  "two rates": (n) => [atMost(n, "2s"), { name: "slow", requests: 2 * n, window: "1m" }],
};
const LEASED = ["rate", "bucket", "quota", "rate and quota"];

let backend;
let gate;
let holder;
before(async () => {
  holder = makeHolder();
  backend = await startBackend({ answer: holder.answer });
  gate = await startClockedGate({
    policy: testPolicy({
      backend,
      limits: { few: { concurrency: 4 } },
      routes: [{ name: "plain", path: "/plain" }, { name: "few", path: "/few", limits: ["few"] }],
    }),
    name: "limit-clients",
  });
});
after(async () => {
  holder?.free();
  await gate?.stop();
  await backend?.stop();
});

const cases = [
  ...Object.keys(LIMITS).flatMap((name) => SIZES.map((size) => ({ name, size, mode: "exact" }))),
  ...LEASED.flatMap((name) => [60, 600].map((size) => ({ name, size, mode: "leased" }))),
];
/** So many requests tell whether a limit of this size is obeyed. */
const enough = (size) => Math.min(3 * size + 8, 200);

describe("Retry-After", () => {
  for (const { name, size, mode } of cases) {
    test(`${mode} ${name} of ${size}: who waits as told passes`, async () => {
      const random = chance(seed());
      const key = await makeKey(gate, { mode, limits: LIMITS[name](size) });
      let refusals = 0;
      for (let i = 0; i < enough(size); i += 1) {
        const first = await gate.request({ path: "/plain", headers: key.bearer });
        if (first.status === 200) {
          if (random.below(4) === 0) await gate.advance(random.below(700));
          continue;
        }
        refusals += 1;
        assert.equal(first.status, 429);
        await gate.advance(Number(first.headers["retry-after"]) * SECOND);
        const second = await gate.request({ path: "/plain", headers: key.bearer });
        assert.equal(second.status, 200, `seed ${random.seed}, request ${i}, told ${first.headers["retry-after"]} s: ${second.text}`);
      }
      if (size <= 60) assert.ok(refusals > 0, "it was refused now and then");
    });
  }
});

describe("RateLimit", () => {
  for (const { name, size, mode } of cases) {
    test(`${mode} ${name} of ${size}: who sends no more than is left is never refused`, async () => {
      const random = chance(seed());
      const key = await makeKey(gate, { mode, limits: LIMITS[name](size) });
      let waits = 0;
      for (let sent = 0; sent < enough(size); ) {
        const answer = await gate.request({ path: "/plain", headers: key.bearer });
        sent += 1;
        assert.equal(answer.status, 200, `seed ${random.seed}, request ${sent}: ${answer.text}`);
        const limits = Object.values(toldOf(answer));
        const left = Math.min(...limits.map((limit) => limit.left));
        // All that are left, at once, or one by one; then the wait that belongs to them.
        const burst = Math.min(left, random.below(2) === 0 ? left : 1, 60);
        const answers = await Promise.all(Array.from({ length: burst }, () => gate.request({ path: "/plain", headers: key.bearer })));
        sent += burst;
        for (const { status, text } of answers) assert.equal(status, 200, `seed ${random.seed}, one of ${burst} after request ${sent}: ${text}`);
        const last = answers.reduce((least, one) => (leastOf(one) <= leastOf(least) ? one : least), answers[0] ?? answer);
        const spent = Object.values(toldOf(last)).filter((limit) => limit.left === 0);
        if (spent.length > 0) {
          waits += 1;
          await gate.advance(Math.max(...spent.map(({ wait }) => wait)) * SECOND);
        } else if (random.below(5) === 0) {
          await gate.advance(random.below(700));
        }
      }
      if (size <= 60) assert.ok(waits > 0, "it had to wait now and then");
    });
  }

  test("concurrency: who keeps no more in flight than it may is never refused", async () => {
    const key = await makeKey(gate, { limits: [atMost(10_000, "1h")] });
    for (let round = 0; round < 5; round += 1) {
      let left = 1;
      const held = [];
      while (left > 0) {
        const answer = await holder.hold(gate, { key, path: "/few" });
        assert.equal(answer.status, 200, `${held.length} in flight`);
        held.push(answer);
        ({ left } = toldOf(answer).few);
      }
      assert.equal(held.length, 4);
      holder.free();
      await Promise.all(held.map(({ ended }) => ended));
      // It waits as it is told: a second, in which what ended is told to the object.
      const [told] = held.slice(-1).map((answer) => toldOf(answer).few.wait);
      assert.ok(told >= 1 && told <= MINUTE / SECOND, `${told} s`);
      await gate.advance(told * SECOND);
      const after = await eventually(() => gate.request({ path: "/few", headers: key.bearer }), ({ status }) => status === 200, 5_000);
      assert.equal(after.status, 200);
    }
  });
});

const leastOf = (answer) => Math.min(...Object.values(toldOf(answer)).map(({ left }) => left));
