// The project's own Worker inside another one, for faults that nobody outside can bring about. What
// workerd gets is one module, as it gets of worker.mjs.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { buildSync } from "esbuild";
import { at, root } from "../../scripts/paths.mjs";

/** Path of one module made of tests/support/`name`, which imports worker.mjs. */
export function wrapped(name) {
  const built = buildSync({
    entryPoints: [at("tests/support", name)],
    bundle: true,
    write: false,
    format: "esm",
    // What workerd has beside it, by the names that it has as seen from worker.mjs.
    external: ["./build/*", "cloudflare:*"],
    absWorkingDir: root,
    outfile: at("worker.mjs"),
  });
  const folder = mkdtempSync(join(tmpdir(), "tollgate-wrapped-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "worker.mjs");
  writeFileSync(file, built.outputFiles[0].text);
  return file;
}
