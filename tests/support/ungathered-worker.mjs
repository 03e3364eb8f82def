// The gate, except that what its isolates gather of requests never arrives: the events that follow from
// it (`key.accessed`, anomalies) come seconds after the requests, between whatever a test does then. One
// that says what stands in the audit, and nothing more, is better off without them.
import gate from "../../worker.mjs";
export { CounterObject, EndpointObject, InboxObject, KeyObject, TenantObject } from "../../worker.mjs";

const GATHERED = '{"usage":{"gathered":';

export default {
  fetch(request, env, ctx) {
    const { TENANT } = env;
    const reached = (stub) => ({
      call: (message) => (message.startsWith(GATHERED) ? "{}" : stub.call(message)),
      flush: () => stub.flush(),
    });
    const tenants = { idFromName: (name) => TENANT.idFromName(name), get: (id) => reached(TENANT.get(id)) };
    return gate.fetch(request, { ...env, TENANT: tenants }, ctx);
  },
};
