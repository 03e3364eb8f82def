// The log line of the peers: one JSON object with the members that the gate's own has, in its order.

/** @param {Date} began when the request arrived */
export function log(began, { id, method, route, path, status, code, key, tenant, upstream }) {
  console.log(
    JSON.stringify({
      time: began.toISOString(),
      request_id: id,
      method,
      route,
      path,
      status,
      code,
      key,
      tenant,
      duration_ms: Date.now() - began.getTime(),
      upstream_ms: upstream,
    }),
  );
}
