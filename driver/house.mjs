// The house: management and pages, and the objects. Its module is large, so its instance is made when the
// first of them is asked for.

import { DurableObject } from "cloudflare:workers";
import { bring } from "./stores.mjs";
import { WasmModule } from "./wasm.mjs";

let opened;

/** The house's module and its classes. Each caller imports by itself, and waits for no other request. */
async function open() {
  const exports = await import("../build/house/index.js");
  opened ??= { ...exports, house: new WasmModule("house", exports) };
  return opened;
}

/** The answer to a request for the gate itself. @param {string} head as headOf gives it @param {Request} request @param {any} env @param {ExecutionContext} ctx */
export async function answerOfHouse(head, request, env, ctx) {
  const { house } = opened ?? (await open());
  house.restart();
  const born = house.generation;
  const answering = house.settled(house.wasm.gateAnswer(head, request, env));
  // What was begun is brought to its end, though the client may be gone.
  ctx.waitUntil(answering.catch(() => {}));
  const answer = await answering;
  if (house.lives(born)) bring(house, env, ctx, house.wasm.usageDue());
  return answer;
}

/**
 * An object of the house, reached by one method. worker-build gives each object as a Proxy, which costs a
 * call as much as all that the object does in it. It keeps the object alive; `call` goes past it.
 *
 * @param {string} name of its class
 */
export const wrapped = (name) =>
  class extends DurableObject {
    #born;
    #inner;
    #direct;
    constructor(ctx, env) {
      super(ctx, env);
      // Nothing reaches the object before that has ended.
      if (opened) this.#alive();
      else ctx.blockConcurrencyWhile(() => open().then(() => this.#alive()));
    }
    /** The object, made anew when a panic took the one before. */
    #alive() {
      const { house } = opened;
      house.restart();
      if (this.#born === house.generation) return house;
      this.#born = house.generation;
      this.#inner = new opened[name](this.ctx, this.env);
      const { __wbg_ptr, __wbg_inst } = this.#inner;
      this.#direct = Object.create(Object.getPrototypeOf(this.#inner), {
        __wbg_ptr: { value: __wbg_ptr },
        __wbg_inst: { value: __wbg_inst },
      });
      return house;
    }
    /** @param {string} message @param {Uint8Array} [bytes] of the body that goes with it */
    call(message, bytes) {
      const house = this.#alive();
      try {
        const reply = this.#direct.call(message, bytes);
        // What is answered later hangs as soon as its module is lost.
        return typeof reply === "string" ? reply : house.settled(reply);
      } catch (error) {
        house.trapped(error);
        throw error;
      }
    }
    async flush() {
      return this.#alive().settled(this.#inner.flush());
    }
    async alarm() {
      await this.#alive().settled(this.#inner.alarm());
    }
  };
