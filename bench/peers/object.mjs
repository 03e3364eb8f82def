// The floor, and one call of a Durable Object before it: what any exact limit costs at least, here.
import { DurableObject } from "cloudflare:workers";
import { pass } from "./pass.mjs";

/** As long as what the gate says to its own object, and as what that answers. */
const QUESTION = JSON.stringify({ admit: { key: "0123456789abcdef", version: 1, route: "read-invoice", limits: [] } });
const ANSWER = JSON.stringify({ admitted: { limits: [{ name: "default", remaining: 999_999, reset: 60 }] } });

export class Bare extends DurableObject {
  call(text) {
    return text === "" ? "" : ANSWER;
  }
}

export default {
  async fetch(request, env) {
    await env.OBJECT.get(env.OBJECT.idFromName("0123456789abcdef")).call(QUESTION);
    return pass(request, env);
  },
};
