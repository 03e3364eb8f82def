// The gate, and a way to make its Wasm panic where a test says. A header of a request says where:
//
//   x-test-panic: begin     in the first step of its walk
//   x-test-panic: step      in a later step, after a store was asked
//   x-test-panic: gate      in async Rust, whose future then never ends
//   x-test-panic: object    in the Durable Object that it asks
//   x-test-slow: MS         the objects take so long for each call, from now on; 0 ends that
import gate, { CounterObject, KeyObject as Key, TenantObject } from "../../worker.mjs";
import entry, { KeyObject as Inner } from "./build/index.js";

const wasm = entry.prototype;
let inObject = false;
let slow = 0;

function before(owner, method, act) {
  const original = owner[method];
  owner[method] = function (...args) {
    return act(...args) ?? original.apply(this, args);
  };
}
const asks = (request, where) => request.headers.get("x-test-panic") === where;

before(wasm, "roadBegin", (request) => void (asks(request, "begin") && wasm.panicOnPurpose()));
before(wasm, "roadStep", (walk, request) => void (asks(request, "step") && wasm.panicOnPurpose()));
before(wasm, "gateAnswer", (walk, request) => {
  if (!asks(request, "gate")) return undefined;
  // As a panic inside a future: the hook runs, and nobody ever hears of the future again.
  try {
    wasm.panicOnPurpose();
  } catch {}
  return new Promise(() => {});
});
before(Inner.prototype, "call", () => {
  if (!inObject) return;
  inObject = false;
  wasm.panicOnPurpose();
});

class KeyObject extends Key {
  async call(message) {
    if (slow > 0) await new Promise((resolve) => setTimeout(resolve, slow));
    return super.call(message);
  }
}
export { CounterObject, KeyObject, TenantObject };

export default {
  fetch(request, env, ctx) {
    if (asks(request, "object")) inObject = true;
    const said = request.headers.get("x-test-slow");
    if (said !== null) {
      slow = Number(said);
      return new Response("ok");
    }
    return gate.fetch(request, env, ctx);
  },
};
