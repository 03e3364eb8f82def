// The floor: a bare Worker that adds the backend's secret and passes the request on. It checks nothing.
import { pass } from "./pass.mjs";

export default {
  fetch: (request, env) => pass(request, env),
};
