// The configuration of the one workerd that every side runs on: each side a service behind a socket of
// its own.
import { mkdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { build } from "esbuild";
import { at } from "../scripts/paths.mjs";
import { compatibility, writeConfig } from "../scripts/workerd-config.mjs";

const text = (value) => JSON.stringify(value);
/** A port that the system chooses. */
const address = "127.0.0.1:0";

const hono = (keepRecords) => ({
  entry: "hono.ts",
  object: { binding: "COUNTER", class: "Counter" },
  vars: { KEEP_RECORDS: keepRecords },
  needs: ["kv-memory"],
});

/** The peers: each its entry, its object, what else it is told, and the peers that it needs. */
const PEERS = {
  floor: { entry: "floor.mjs" },
  refusal: { entry: "refusal.mjs" },
  object: { entry: "object.mjs", object: { binding: "OBJECT", class: "Bare" } },
  hono: hono("0"),
  "hono-kept": hono("60"),
  "kv-memory": { entry: "kv.mjs" },
};

/** Bundles the peers into `folder`, as they would be deployed. */
export async function bundlePeers(folder) {
  await build({
    entryPoints: [...new Set(Object.values(PEERS).map(({ entry }) => at("bench/peers", entry)))],
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2024",
    external: ["cloudflare:*"],
    logLevel: "error",
  });
}

/**
 * Writes the configuration into `folder`, where peers.bundled/ and policy.json are.
 *
 * @param {object} options
 * @param {string[]} options.services which of the peers, and `gate`
 * @param {string} options.backend its address
 * @param {string[]} options.secrets names of secrets in workerd's environment
 * @param {(file: string) => void} [options.edit] changes what was written
 * @returns {{file: string, sockets: number}}
 */
export function configure(folder, { services, backend, secrets, edit = () => {} }) {
  const file = join(folder, "workerd.capnp");
  for (const name of ["state", "overlay"]) mkdirSync(join(folder, name), { recursive: true });
  const wanted = services.filter((name) => name !== "gate");
  const peers = [...new Set(wanted.flatMap((name) => [name, ...(PEERS[name].needs ?? [])]))];
  const sockets = [
    ...peers.map((name) => ({ name, address, service: name })),
    ...(services.includes("gate") ? [{ name: "http", address }] : []),
  ];
  writeConfig(file, {
    sockets,
    state: join(folder, "state"),
    overlay: join(folder, "overlay"),
    policy: join(folder, "policy.json"),
    vars: { ENVIRONMENT: "dev" },
    secrets,
    gate: services.includes("gate"),
    services: peers.map((name) => peer(name, PEERS[name], dirname(file), backend)),
  });
  edit(file);
  return { file, sockets: sockets.length };
}

function peer(name, { entry, object, vars = {}, needs = [] }, folder, backend) {
  const module = join(folder, "peers.bundled", entry.replace(/\.\w+$/, ".mjs"));
  const { date, flags } = compatibility();
  const bindings = [
    `(name = "UPSTREAM", text = ${text(backend)})`,
    `(name = "BILLING_TOKEN", fromEnvironment = "BILLING_TOKEN")`,
    ...needs.map((name) => `(name = "KEYS", kvNamespace = ${text(name)})`),
    ...Object.entries(vars).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`),
    ...(object ? [`(name = ${text(object.binding)}, durableObjectNamespace = ${text(object.class)})`] : []),
  ];
  const objects = object
    ? `durableObjectNamespaces = [(className = ${text(object.class)}, uniqueKey = ${text(name)})],
      durableObjectStorage = (inMemory = void),`
    : "";
  return `(name = ${text(name)}, worker = (
      modules = [(name = "worker.mjs", esModule = embed ${text(relative(folder, module))})],
      compatibilityDate = ${text(date)},
      compatibilityFlags = [${flags.map(text).join(", ")}],
      bindings = [
        ${bindings.join(",\n        ")},
      ],
      ${objects}
      globalOutbound = "upstreams",
    ))`;
}
