// The gate with a dataset of Analytics Engine, and with countries as a test says them.
//
//   x-test-country: DE    the request comes from there, as Cloudflare tells it
//   x-test-points: take   answered here: every data point since the last time, as a JSON list
import gate from "../../worker.mjs";
export { CounterObject, EndpointObject, InboxObject, KeyObject, TenantObject } from "../../worker.mjs";

const points = [];
const ANALYTICS = { writeDataPoint: (point) => void points.push(point) };

export default {
  fetch(request, env, ctx) {
    if (request.headers.has("x-test-points")) return Response.json(points.splice(0));
    const country = request.headers.get("x-test-country");
    const from = country === null ? request : new Request(request, { cf: { ...request.cf, country } });
    return gate.fetch(from, { ...env, ANALYTICS }, ctx);
  },
};
