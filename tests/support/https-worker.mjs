// The gate as it stands behind something that ends TLS: every request came over https.
import gate, { CounterObject, EndpointObject, InboxObject, KeyObject, TenantObject } from "../../worker.mjs";

export { CounterObject, EndpointObject, InboxObject, KeyObject, TenantObject };

export default {
  fetch: (request, env, ctx) => gate.fetch(new Request(request.url.replace(/^http:/, "https:"), request), env, ctx),
};
