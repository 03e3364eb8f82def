// Policies for tests: values in, the text of a tollgate.toml out, with everything in it that a test
// does not care about.

/**
 * A policy with one backend, `main`, whose secret goes into the header `x-upstream-token`.
 *
 * Failed credentials are not counted unless `gate.failures` says so: many tests send them on purpose.
 *
 * @param {object} options
 * @param {{origin: string}} options.backend
 * @param {object} [options.gate] more of [gate]
 * @param {object} [options.anomalies] [anomalies]
 * @param {object} [options.admin] more of [environment.dev.gate]
 * @param {object} [options.dev] more of [environment.dev]
 * @param {object} [options.environments] further environments
 * @param {object} [options.main] more of [upstream.main]
 * @param {Record<string, object>} [options.upstreams] further upstreams, each with its `at`
 * @param {Record<string, object>} [options.limits]
 * @param {object[]} [options.routes] of `main` with a key, unless they say otherwise
 * @param {object[]} [options.sources] of webhooks, for `main`
 */
export function testPolicy(options) {
  const { backend, gate, anomalies, admin, dev, environments, main, upstreams = {}, limits = {}, routes = [], sources = [] } = options;
  const addresses = Object.fromEntries(Object.entries(upstreams).map(([name, { at }]) => [name, at]));
  return toToml({
    version: 1,
    gate: { realm: "test", failures: { requests: 1_000_000, window: "1m" }, ...gate },
    ...(anomalies && { anomalies }),
    environment: {
      dev: {
        upstream: { main: backend.origin, ...addresses },
        gate: { admin_host: "gate.localhost", platform: "workerd", ...admin },
        ...dev,
      },
      ...environments,
    },
    upstream: {
      main: { credential: { type: "header", name: "x-upstream-token", value: "${secret:BILLING_TOKEN}" }, ...main },
      ...Object.fromEntries(Object.entries(upstreams).map(([name, { at, ...rest }]) => [name, rest])),
    },
    limit: limits,
    route: routes.map((route) => ({ methods: ["GET"], auth: "key", ...target(route), ...route })),
    ...(sources.length > 0 && { source: sources.map((source) => ({ upstream: "main", ...source })) }),
  });
}

const target = (route) => (route.mock ? {} : { upstream: "main" });

/** A limit of one key: `requests` in `window`. */
export const atMost = (requests, window, more = {}) => ({ name: "default", requests, window, ...more });

/** A table as TOML: one line for each of its fields, what is inside them inline. */
export const toToml = (table) =>
  Object.entries(table)
    .map(([name, value]) => `${name} = ${toml(value, true)}\n`)
    .join("");

function toml(value, lines = false) {
  if (Array.isArray(value)) {
    const items = value.map((item) => toml(item));
    return lines ? `[\n${items.map((item) => `  ${item},\n`).join("")}]` : `[${items.join(", ")}]`;
  }
  if (typeof value === "object") {
    return `{ ${Object.entries(value).map(([name, item]) => `${name} = ${toml(item)}`).join(", ")} }`;
  }
  return JSON.stringify(value);
}
