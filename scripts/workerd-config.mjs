// Writes the configuration of workerd, in which one process is the whole platform: the gate, its
// Durable Objects and KV on local disk, and the folder www/.
import { readFileSync, readdirSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { at, build, modules, workerd } from "./paths.mjs";

/** The objects of the gate: binding, class, and the name that their storage goes by on disk. */
const OBJECTS = [
  { binding: "KEY", class: "KeyObject", storage: "tollgate-key" },
  { binding: "TENANT", class: "TenantObject", storage: "tollgate-tenant" },
  { binding: "ENDPOINT", class: "EndpointObject", storage: "tollgate-endpoint" },
  { binding: "COUNTER", class: "CounterObject", storage: "tollgate-counter" },
  { binding: "INBOX", class: "InboxObject", storage: "tollgate-inbox" },
];

/**
 * Writes `file`. Its services: `gate` behind every socket; state is in the folder `state`.
 *
 * @param {string} file where the configuration goes
 * @param {object} options
 * @param {{name: string, address: string, service?: string}[]} options.sockets where workerd listens, and
 *   for which service when it is not the gate
 * @param {string} options.state folder of the objects' and KV's databases
 * @param {string} options.overlay folder of files that are served before those of www/
 * @param {string} options.policy the built policy
 * @param {Record<string, string>} options.vars bindings whose values may be read by anyone
 * @param {string[]} options.secrets names of environment variables that are bound as secrets
 * @param {string} [options.worker] entry of the Worker, when it is not the project's own
 * @param {boolean} [options.gate] false: everything but the gate
 * @param {number} [options.edges] so many further isolates of the gate, the services `edge1` and so on,
 *   which share the objects of `gate`
 * @param {string[]} [options.services] further services, as workerd's configuration writes them
 */
export function writeConfig(file, options) {
  const { sockets, state, overlay, policy, vars, secrets, worker = at("worker.mjs") } = options;
  const { gate = true, edges = 0, services = [] } = options;
  const here = realpathSync(dirname(file));
  const embed = (path) => `embed ${text(relative(here, realpathSync(path)))}`;
  const { date, flags } = compatibility();
  const driver = readdirSync(at("driver")).sort();
  const parts = [
    ...driver.map((name) => `(name = ${text(`driver/${name}`)}, esModule = ${embed(at("driver", name))})`),
    ...modules.flatMap((name) => [
      `(name = ${text(`build/${name}/index.js`)}, esModule = ${embed(join(build, name, "index.js"))})`,
      `(name = ${text(`build/${name}/index_bg.wasm`)}, wasm = ${embed(join(build, name, "index_bg.wasm"))})`,
    ]),
  ];

  const bindings = [
    `(name = "KEYS", kvNamespace = "kv")`,
    `(name = "ASSETS", service = "assets")`,
    `(name = "HOOKS", service = "hooks")`,
    ...Object.entries(vars).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`),
    ...secrets.map((name) => `(name = ${text(name)}, fromEnvironment = ${text(name)})`),
  ];
  const namespaces = OBJECTS.map(
    (o) => `(className = ${text(o.class)}, uniqueKey = ${text(o.storage)}, enableSql = true)`,
  );
  const own = {
    objects: OBJECTS.map((o) => `(name = ${text(o.binding)}, durableObjectNamespace = ${text(o.class)})`),
    storage: `durableObjectNamespaces = [
        ${namespaces.join(",\n        ")},
      ],
      durableObjectStorage = (localDisk = "state"),`,
  };
  const shared = {
    objects: OBJECTS.map(
      (o) => `(name = ${text(o.binding)}, durableObjectNamespace = (className = ${text(o.class)}, serviceName = "gate"))`,
    ),
    storage: "",
  };
  const isolate = (name, { objects, storage }) => `(name = ${text(name)}, worker = (
      modules = [
        (name = "worker.mjs", esModule = ${embed(worker)}),
        ${parts.join(",\n        ")},
        (name = "build/policy.json", json = ${embed(policy)}),
      ],
      compatibilityDate = ${text(date)},
      compatibilityFlags = [${flags.map(text).join(", ")}],
      bindings = [
        ${[...bindings, ...objects].join(",\n        ")},
      ],
      ${storage}
      globalOutbound = "upstreams",
    ))`;
  const reach = (vars.ENVIRONMENT === "production" ? ["public"] : ["public", "local"]).map(text).join(", ");
  const listeners = sockets.map(
    (s) => `(name = ${text(s.name)}, address = ${text(s.address)}, http = (), service = ${text(s.service ?? "gate")})`,
  );

  writeFileSync(
    file,
    `# Made by scripts/workerd-config.mjs.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    ${gate ? `${isolate("gate", own)},` : ""}
    ${Array.from({ length: edges }, (_, i) => `${isolate(`edge${i + 1}`, shared)},`).join("\n    ")}
    (name = "kv", worker = (
      modules = [(name = "kv.mjs", esModule = ${embed(at("scripts/local/kv.mjs"))})],
      compatibilityDate = ${text(date)},
      bindings = [(name = "STORE", durableObjectNamespace = "KvStore")],
      durableObjectNamespaces = [(className = "KvStore", uniqueKey = "tollgate-kv", enableSql = true)],
      durableObjectStorage = (localDisk = "state"),
    )),
    (name = "assets", worker = (
      modules = [(name = "assets.mjs", esModule = ${embed(at("scripts/local/assets.mjs"))})],
      compatibilityDate = ${text(date)},
      bindings = [(name = "WWW", service = "www"), (name = "OVERLAY", service = "overlay")],
    )),
    (name = "www", disk = (path = ${text(at("www"))})),
    (name = "overlay", disk = (path = ${text(overlay)})),
    (name = "state", disk = (path = ${text(state)}, writable = true)),
    # Backends in development are on loopback, which workerd refuses unless it is allowed.
    (name = "upstreams", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
    # Where tenants have events sent to: the public internet, and this machine while it is developed on.
    (name = "hooks", network = (allow = [${reach}], tlsOptions = (trustBrowserCas = true))),
    ${services.map((service) => `${service},`).join("\n    ")}
  ],
  sockets = [
    ${listeners.join(",\n    ")},
  ],
);
`,
  );
}

/** Date and flags as wrangler.toml says; a workerd older than that date gets its own newest. */
export function compatibility() {
  const toml = readFileSync(at("wrangler.toml"), "utf8");
  const wanted = toml.match(/^compatibility_date = "([^"]+)"/m)[1];
  const flags = toml.match(/^compatibility_flags = \[([^\]]*)\]/m)[1].match(/[\w-]+/g) ?? [];
  const newest = workerd().compatibilityDate;
  return { date: wanted < newest ? wanted : newest, flags };
}

const text = (value) => JSON.stringify(value);
