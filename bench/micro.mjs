// The microbenchmarks of the core (core/benches/, by criterion): run, and their medians read.
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { at, root } from "../scripts/paths.mjs";
import { must } from "../scripts/run.mjs";

const folder = join(process.env.CARGO_TARGET_DIR ?? at("target"), "criterion");

/** @returns {Promise<{group: string, name: string, ns: number, least: number, most: number}[]>} */
export async function micro() {
  // What an older run left would be told again.
  rmSync(folder, { recursive: true, force: true });
  await must("cargo", ["bench", "--locked", "-p", "tollgate-core", "--bench", "decisions"], { cwd: root });
  return found(folder).map(([benchmark, estimates]) => {
    const { group_id, function_id } = JSON.parse(readFileSync(benchmark, "utf8"));
    const { point_estimate, confidence_interval } = JSON.parse(readFileSync(estimates, "utf8")).median;
    const { lower_bound, upper_bound } = confidence_interval;
    return { group: group_id, name: function_id, ns: point_estimate, least: lower_bound, most: upper_bound };
  });
}

/** The files of each benchmark, in the order of their names. */
function found(place) {
  const benchmark = join(place, "new", "benchmark.json");
  if (existsSync(benchmark)) return [[benchmark, join(place, "new", "estimates.json")]];
  return readdirSync(place)
    .sort()
    .map((name) => join(place, name))
    .filter((path) => statSync(path).isDirectory())
    .flatMap(found);
}
