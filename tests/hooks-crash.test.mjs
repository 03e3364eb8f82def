// Acknowledged means stored: three kills among 300 events here, thirty among 5 000 in tests/proof.
import { test } from "node:test";
import { killAmongEvents } from "./support/hook-kills.mjs";

test("killed at random while events arrive: each one is delivered, and again only what a kill cut off", async (t) => {
  const { events, kills, again, attempts } = await killAmongEvents({ name: "hooks-crash", events: 300, kills: 3 });
  t.diagnostic(`${events} events, ${kills} kills, ${attempts} attempts; ${again} arrived again because a kill cut off the answer`);
});
