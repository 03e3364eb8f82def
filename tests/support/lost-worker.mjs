// The gate on a clock that a test sets (clock-worker.mjs), whose key objects can lose their answers: they
// do what they are asked, and whoever asked never learns of it.
//
//   x-test-lose: N      the answers to the next N changes of a key, or of its holder, are lost; the answer is N
import gate, * as clocked from "./clock-worker.mjs";

let left = 0;

export class KeyObject extends clocked.KeyObject {
  call(message) {
    const reply = super.call(message);
    if (left === 0 || !(message.startsWith('{"change"') || message.includes('"invite"'))) return reply;
    left -= 1;
    throw new Error("the connection was lost");
  }
}
export const { TenantObject, CounterObject, EndpointObject, InboxObject } = clocked;

export default {
  async fetch(request, env, ctx) {
    const lose = request.headers.get("x-test-lose");
    if (lose === null) return gate.fetch(request, env, ctx);
    left = Number(lose);
    return Response.json(left);
  },
};
