// Kills in the middle of a crowd never give anything twice, whatever the limit measures. Five of them here,
// fifty in tests/proof.
import { after, before, test } from "node:test";
import { startDoomed } from "./support/kills.mjs";

let doomed;
before(async () => {
  doomed = await startDoomed("limit-crash");
});
after(() => doomed?.stop());

for (const kind of ["large rate", "bucket", "quota", "leased rate", "concurrency"]) {
  test(`${kind}: killed at a random point`, () => doomed.kill(kind));
}
