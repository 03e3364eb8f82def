// The kills of tests/limit-crash.test.mjs: fifty, five for each kind of limit, on one state that is carried
// from kill to kill.
import { after, before, test } from "node:test";
import { kinds, startDoomed } from "../support/kills.mjs";

const KILLS = 50;

let doomed;
before(async () => {
  doomed = await startDoomed("proof-limit-crash");
});
after(() => doomed?.stop());

for (const kind of kinds) {
  test(`${kind}: killed ${KILLS / kinds.length} times, at random points`, async () => {
    for (let kill = 0; kill < KILLS / kinds.length; kill += 1) await doomed.kill(kind);
  });
}
