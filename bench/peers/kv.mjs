// KV for the Hono gate, in memory: the local platform's own, on disk behind an object, would cost it what
// no KV on the edge does.
const values = new Map();

export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (request.method === "PUT") {
      values.set(pathname, await request.text());
      return new Response(null);
    }
    const value = values.get(pathname);
    return new Response(value ?? null, { status: value === undefined ? 404 : 200 });
  },
};
