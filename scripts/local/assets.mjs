// The folder www/ as the binding ASSETS: as Cloudflare serves it with `html_handling = "none"`,
// so a path names a file and nothing else. Files are read at each request: an edit shows at once.
// Files of the folder OVERLAY, such as the demo page's publishable key, come before those of www/.
const TYPES = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  ico: "image/x-icon",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  mjs: "text/javascript; charset=utf-8",
  png: "image/png",
  svg: "image/svg+xml",
  txt: "text/plain; charset=utf-8",
  wasm: "application/wasm",
  webmanifest: "application/manifest+json",
  woff2: "font/woff2",
};

export default {
  async fetch(request, env) {
    if (request.method !== "GET" && request.method !== "HEAD") return new Response(null, { status: 405 });
    const { pathname } = new URL(request.url);
    const type = TYPES[pathname.split("/").pop().split(".").slice(1).pop()];
    if (type === undefined) return new Response(null, { status: 404 });
    const look = (folder) => folder.fetch(`http://files${pathname}`, { method: request.method });
    let file = await look(env.OVERLAY);
    if (!file.ok) file = await look(env.WWW);
    if (!file.ok) return new Response(null, { status: 404 });
    const headers = { "Content-Type": type };
    const length = file.headers.get("Content-Length");
    if (length !== null) headers["Content-Length"] = length;
    return new Response(file.body, { headers });
  },
};
