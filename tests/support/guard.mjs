// Against hangs: generous, because it only tells one from slowness.

/** How long anything may take, in ms. */
export const GUARD = 15_000;

/** What `promise` gives, or an error that says `what` did not happen in time. */
export async function within(promise, what, ms = GUARD) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
