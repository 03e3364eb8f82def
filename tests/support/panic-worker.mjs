// The gate, and a way to make its Wasm panic where a test says. A header of a request says where:
//
//   x-test-panic: begin     the road, in the first step of its walk
//   x-test-panic: step      the road, in a later step, after a store was asked
//   x-test-panic: memory    the road, when the house next asks what the isolate remembers
//   x-test-panic: gate      the house, in async Rust, whose future then never ends
//   x-test-panic: object    the house, in the Durable Object that it asks
//   x-test-objects: hold    keys' objects go on with no call, until x-test-objects: free
//   x-test-held: any        how many calls have come to that
import gate, { CounterObject, EndpointObject, InboxObject, KeyObject as Key, TenantObject } from "../../worker.mjs";
import houseEntry, { KeyObject as Inner } from "../../build/house/index.js";
import roadEntry from "../../build/road/index.js";

const [road, house] = [roadEntry.prototype, houseEntry.prototype];
/** Where the next panic is to be: whoever comes by there first has it. */
let where = null;
let holding = false;
let held = 0;

/** Has `owner[method]` do `act` first when the next panic is to be there. */
function panics(there, owner, method, act) {
  const original = owner[method];
  owner[method] = function (...args) {
    if (where !== there) return original.apply(this, args);
    where = null;
    return act();
  };
}
panics("begin", road, "roadBegin", road.panicOnPurpose);
panics("step", road, "roadStep", road.panicOnPurpose);
panics("memory", road, "failuresSpent", road.panicOnPurpose);
panics("object", Inner.prototype, "call", house.panicOnPurpose);
// As in a future: a panic there has no caller, and nobody ever hears of the future again.
panics("gate", house, "gateAnswer", () => {
  queueMicrotask(() => house.panicOnPurpose());
  return new Promise(() => {});
});

class KeyObject extends Key {
  async call(message) {
    held += 1;
    // Each call looks for itself: no promise of another request may wake it.
    while (holding) await scheduler.wait(5);
    held -= 1;
    return super.call(message);
  }
}
export { CounterObject, EndpointObject, InboxObject, KeyObject, TenantObject };

export default {
  fetch(request, env, ctx) {
    where = request.headers.get("x-test-panic") ?? where;
    if (request.headers.has("x-test-held")) return Response.json(held);
    const objects = request.headers.get("x-test-objects");
    if (objects !== null) {
      holding = objects === "hold";
      return new Response("ok");
    }
    return gate.fetch(request, env, ctx);
  },
};
