// `npm run proof`: the tests that take longer than a test run should (tests/proof/*.test.mjs).
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { buildAll } from "./build.mjs";
import { at, dev, root } from "./paths.mjs";
import { main, Mend } from "./report.mjs";
import { run, stopRunning } from "./run.mjs";
import { setUp } from "./setup.mjs";
import { nodeTests, testFiles } from "./stages.mjs";

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    stopRunning();
    process.exit(1);
  });
}

await main(async () => {
  const files = existsSync(at("tests/proof")) ? testFiles("tests/proof") : [];
  if (files.length === 0) throw new Mend("There are no proofs in tests/proof.", "add one: tests/proof/NAME.test.mjs");
  await setUp();
  await buildAll();
  mkdirSync(join(dev, "proof"), { recursive: true });
  const { commands, env } = nodeTests(files, join(dev, "proof", "proof.tap"));
  const folder = { TOLLGATE_TEST_RUN: join(dev, "proof") };
  const { code } = await run(...commands[0], { cwd: root, show: true, env: { ...env, ...folder } });
  process.exitCode = code === 0 ? 0 : 1;
});
