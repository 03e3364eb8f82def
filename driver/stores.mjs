// What is asked of KV and of the objects.

/** What a store said, or that it could not be reached. */
export async function attempt(promise) {
  try {
    return { ok: true, value: (await promise) ?? undefined };
  } catch (error) {
    console.error(JSON.stringify({ fault: String(error) }));
    return { ok: false, value: undefined };
  }
}

/** Objects' ids by binding and name: to make one again takes longer than to look it up. */
const ids = new Map();
const MAX_IDS = 10_000;

function idOf(namespace, binding, name) {
  const key = `${binding} ${name}`;
  let id = ids.get(key);
  if (id === undefined) {
    id = namespace.idFromName(name);
    if (ids.size >= MAX_IDS) ids.clear();
    ids.set(key, id);
  }
  return id;
}

/** Asks the object `name` of the namespace `binding`. */
export function call(env, binding, name, message) {
  const namespace = env[binding];
  return attempt(namespace.get(idOf(namespace, binding, name)).call(message));
}

/**
 * After `wait` ms what a module counted goes to the tenants' objects; undefined: somebody else sees to it.
 *
 * @param {import("./wasm.mjs").WasmModule} module
 * @param {any} env @param {ExecutionContext} ctx @param {number | undefined} wait
 */
export function bring(module, env, ctx, wait) {
  if (wait === undefined) return;
  const born = module.generation;
  const brought = async () => {
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    // A panic took it.
    if (!module.lives(born)) return;
    const batches = JSON.parse(module.wasm.usageTake());
    await Promise.all(batches.map(([name, message]) => call(env, "TENANT", name, message)));
  };
  ctx.waitUntil(attempt(brought()));
}
