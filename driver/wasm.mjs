// A Wasm module as worker-build wraps it, and a fresh instance of it after a panic.
//
// There are two, the road's and the house's, and the panic of one leaves the other alone: each has its
// own state, under a name that scripts/build.mjs gives it, its own generation, and its own who wait.

const PANIC = Symbol("panic");
const modules = [];

export class WasmModule {
  #critical;
  #state;
  #Restart;
  /** Those who wait inside, each with a promise of its own request: workerd lets no other one settle. */
  #waiting = new Set();

  /**
   * @param {string} name of its folder in build/
   * @param {any} exports of its index.js
   */
  constructor(name, { default: entry, Restart }) {
    // worker-build hangs every exported function on its own default export, where any Worker bound to
    // this one could call it. So that export is used here and not passed on.
    this.wasm = entry.prototype;
    this.#Restart = Restart;
    this.#state = globalThis[`__tollgate_${name}_state`];
    this.#critical = this.#state.criticalError;
    // The panic hook sets it; from then on nothing that waits inside will go on.
    Object.defineProperty(this.#state, "criticalError", {
      get: () => this.#critical,
      set: (value) => {
        this.#critical = value;
        if (!value) return;
        for (const stop of this.#waiting) stop(PANIC);
        this.#waiting.clear();
      },
    });
    modules.push(this);
  }

  /** Which instance it is: what was begun under another number is gone. */
  get generation() {
    return this.#state.instanceId;
  }

  /** True from a panic to the next `restart`. */
  get critical() {
    return this.#critical;
  }

  /** After a panic: a fresh instance, before anything else is asked of it. */
  restart() {
    if (this.#critical) new this.#Restart();
  }

  /** True while the instance of this generation is there. */
  lives(generation) {
    return generation === this.generation && !this.#critical;
  }

  /** Sees to it that an instance that trapped without a word, out of memory say, is taken for lost. */
  trapped(error) {
    if (error instanceof WebAssembly.RuntimeError) this.#state.criticalError = true;
  }

  /** What a Rust future gives, or an error as soon as a panic leaves it hanging. */
  async settled(promise) {
    const { promise: panic, resolve } = Promise.withResolvers();
    this.#waiting.add(resolve);
    if (this.#critical) resolve(PANIC);
    try {
      const value = await Promise.race([promise, panic]);
      if (value === PANIC) throw new Error("the module was restarted");
      return value;
    } finally {
      this.#waiting.delete(resolve);
    }
  }
}

// A trap in a Rust future has no caller. Where no hook has said whose it was, nobody can tell.
addEventListener("error", ({ error }) => {
  if (modules.some((module) => module.critical)) return;
  for (const module of modules) module.trapped(error);
});
