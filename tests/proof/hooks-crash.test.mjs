// The kills of tests/hooks-crash.test.mjs: thirty, among 5 000 events.
import { test } from "node:test";
import { killAmongEvents } from "../support/hook-kills.mjs";

test("thirty kills among 5 000 events", async (t) => {
  const { events, kills, again, attempts } = await killAmongEvents({ name: "proof-hooks-crash", events: 5_000, kills: 30 });
  t.diagnostic(`${events} events, ${kills} kills, ${attempts} attempts; ${again} arrived again because a kill cut off the answer`);
});
