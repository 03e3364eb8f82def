// Calls to the management API of the host that this page is from.
const API = "/_tollgate/v1/";

/**
 * One call: with the session's cookie, or with a key where one is given.
 * @param {string} method
 * @param {string} path below the API's base
 * @param {{key?: string, body?: object}} [more]
 * @returns {Promise<{ok: boolean, status: number, body: any, retryAfter: number}>} status 0: nobody answered
 */
export async function call(method, path, { key, body } = {}) {
  const headers = { Accept: "application/json" };
  if (key !== undefined) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    const answer = await fetch(API + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
    });
    const text = await answer.text();
    return {
      ok: answer.ok,
      status: answer.status,
      body: text === "" ? null : JSON.parse(text),
      retryAfter: Number(answer.headers.get("Retry-After") ?? 0),
    };
  } catch {
    // A key with characters that no header takes ends here too, and so does an answer that is no JSON.
    return { ok: false, status: 0, body: null, retryAfter: 0 };
  }
}

/**
 * What a refusal says, for a person.
 * @param {{status: number, body: any, retryAfter: number}} answer
 * @returns {{detail: string, code: string}}
 */
export function problemOf({ status, body, retryAfter }) {
  const detail = body?.detail ?? (status === 0 ? "The gate did not answer as it should. Is what you typed whole?" : `The gate answered ${status}.`);
  const fields = (body?.errors ?? []).map(({ field, message }) => `${field} ${message}.`);
  const wait = retryAfter > 0 ? [`Try again in ${spoken(retryAfter)}.`] : [];
  return { detail: [detail, ...fields, ...wait].join(" "), code: body?.code ?? "" };
}

/** "30 seconds", "2 minutes". */
function spoken(seconds) {
  const [count, unit] = seconds < 120 ? [seconds, "second"] : [Math.ceil(seconds / 60), "minute"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
