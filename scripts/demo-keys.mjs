// The key of the demo's tenant, made once through the management API like anybody's.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { Mend } from "./report.mjs";

/** A call that the demo key may make; the curl line of `npm start`. */
export const DEMO_CALL = "/v1/invoices/42";

/** What the demo page's key may do: less than the page tries. */
const wish = (pageOrigin) => ({
  tenant: "demo",
  kind: "pk",
  name: "demo page",
  scopes: ["invoices:read"],
  origins: [pageOrigin],
});

/**
 * The demo's key, from `.dev/demo.json` when the gate still knows it. It is also put where the page
 * fetches it, `demo/settings.json` of the overlay: it is publishable, so anybody may read it.
 *
 * @returns {Promise<{key: string, pageOrigin: string, note: string}>}
 */
export async function makeDemoKey({ file, overlay, ports, rootToken }) {
  const call = (method, path, body) => manage(ports.gate, rootToken, method, path, body);
  const pageOrigin = `http://gate.localhost:${ports.gate}`;
  let demo = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
  const known = demo?.pageOrigin === pageOrigin && (await isGood(call, demo.id));
  if (!known) {
    const { status, body } = await call("POST", "keys", wish(pageOrigin));
    if (status !== 201) {
      throw new Mend(
        `The gate did not make the demo's key: ${status} ${body.code ?? ""} ${body.detail ?? ""}`,
        "start afresh without its state: rm -r .dev && npm start",
      );
    }
    demo = { pageOrigin, id: body.key.id, key: body.secret };
    writeFileSync(file, `${JSON.stringify(demo, null, 2)}\n`, { mode: 0o600 });
  }
  const settings = {
    api: `http://localhost:${ports.gate}`,
    key: demo.key,
    other_origin: `http://gate.localhost:${ports.other}`,
  };
  mkdirSync(join(overlay, "demo"), { recursive: true });
  writeFileSync(join(overlay, "demo/settings.json"), JSON.stringify(settings));
  return { ...demo, note: known ? "there" : "made" };
}

async function isGood(call, id) {
  const { status, body } = await call("GET", `keys/${id}`);
  return status === 200 && body.key.state === "active";
}

/** One management call. Node does not resolve `gate.localhost`, so the host is only said. */
function manage(port, token, method, path, body) {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        host: "127.0.0.1",
        port,
        method,
        path: `/_tollgate/v1/${path}`,
        headers: {
          Host: `gate.localhost:${port}`,
          Authorization: `Bearer ${token}`,
          ...(body ? { "Content-Type": "application/json" } : {}),
        },
      },
      async (response) => {
        let text = "";
        for await (const chunk of response) text += chunk;
        try {
          resolve({ status: response.statusCode, body: JSON.parse(text) });
        } catch {
          resolve({ status: response.statusCode, body: { detail: text.slice(0, 200) } });
        }
      },
    );
    request.once("error", reject);
    request.end(body && JSON.stringify(body));
  });
}
