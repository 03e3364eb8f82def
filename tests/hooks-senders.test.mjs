// The providers' own packages against the gate's:
//
//   1. what a package signs, `tollgate hooks verify` finds valid, and nothing that was altered
//   2. what `tollgate hooks sign` makes, the package verifies, and nothing that was altered
//   3. what either signs, the gate on workerd passes on byte by byte, under its own signature, which
//      `standardwebhooks` and `svix` verify; what was altered never reaches the backend
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startBackend } from "./support/backend.mjs";
import { offline } from "./support/cli.mjs";
import { verified, verifies } from "./support/endpoints.mjs";
import { assertProblem } from "./support/expect.mjs";
import { startGate } from "./support/gate.mjs";
import { testPolicy } from "./support/policy.mjs";
import { senders } from "./support/senders.mjs";

const all = senders();
const TYPE = "application/json";

/** One event signed by `tollgate hooks sign`: `{ body, headers, url, key }`. */
async function signedByGate(sender, n) {
  const body = sender.body(n);
  const args = ["hooks", "sign", "--json", "--scheme", sender.scheme, "--body", "-", "--header", `Content-Type: ${sender.type ?? TYPE}`];
  if (sender.url) args.push("--url", sender.url);
  const made = await offline(args, { input: body, env: { TOLLGATE_HOOK_SECRET: sender.secret } });
  assert.equal(made.code, 0, made.err);
  const { headers, url, body: signed, public_key: key } = made.json;
  return { body: signed, headers: lower(headers), url: url ?? sender.url, key };
}

/** One event signed by the package. */
async function signedByPackage(sender, n) {
  const body = sender.body(n);
  const made = await sender.sign(body, sender.url);
  const url = made.query ? `${sender.url}?${made.query}` : sender.url;
  return { body: made.body ?? body, headers: lower(Object.entries({ "Content-Type": sender.type ?? TYPE, ...made.headers })), url };
}

const lower = (pairs) => Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), value]));

/** The event with something of what is signed changed. */
const altered = (sender, event) => {
  const body = sender.alter ? sender.alter(event.body) : event.body.replace(/[0-9a-f](?=[0-9a-f"&]*)/i, (digit) => (digit === "1" ? "2" : "1"));
  assert.notEqual(body, event.body);
  return { ...event, body };
};

async function verifiedByCli(sender, event) {
  const args = ["hooks", "verify", "--json", "--scheme", sender.scheme, "--body", "-"];
  for (const [name, value] of Object.entries(event.headers)) args.push("--header", `${name}: ${value}`);
  if (event.url) args.push("--url", event.url);
  const ran = await offline(args, { input: event.body, env: { TOLLGATE_HOOK_SECRET: event.key ?? sender.secret } });
  return ran.json;
}

describe("by hand", () => {
  for (const sender of all.filter(({ sign }) => sign)) {
    test(`what ${sender.name} signs is valid, and nothing altered is`, async () => {
      const event = await signedByPackage(sender, 1);
      assert.equal(await sender.verify(event), true, "by its own word");
      assert.equal((await verifiedByCli(sender, event)).valid, true);
      const told = await verifiedByCli(sender, altered(sender, event));
      assert.deepEqual([told.valid, told.reason], [false, "signature_mismatch"]);
    });
  }
  for (const sender of all) {
    test(`${sender.name} verifies what the command line signs, and nothing altered`, async () => {
      const event = await signedByGate(sender, 1);
      assert.equal(await sender.verify(event), true);
      assert.equal(await sender.verify(altered(sender, event)), false);
    });
  }
});

describe("on the gate", () => {
  let backend, gate;
  const uniform = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
  const secretOf = (name) => `HOOK_${name.replace(/\W/g, "_").toUpperCase()}`;
  before(async () => {
    backend = await startBackend();
    const keys = {};
    for (const sender of all) keys[sender.name] = sender.keyed ? (await signedByGate(sender, 0)).key : sender.secret;
    gate = await startGate({
      policy: testPolicy({
        backend,
        routes: [{ name: "plain", path: "/plain" }],
        sources: all.map(({ name, scheme, url }) => ({
          name, path: `/hooks/${name}`, scheme, secrets: [`\${secret:${secretOf(name)}}`], delivery: "forward", rewrite: `/in/${name}`,
          sign: "${secret:HOOK_SIGNING}", ...(url && { url }),
        })),
      }),
      secrets: { HOOK_SIGNING: uniform, ...Object.fromEntries(all.map(({ name }) => [secretOf(name), keys[name]])) },
      name: "hooks-senders",
    });
  });
  after(async () => {
    await gate?.stop();
    await backend?.stop();
  });

  const send = ({ name }, { body, headers, url }) => {
    const query = url?.includes("?") ? url.slice(url.indexOf("?")) : "";
    return gate.request({ method: "POST", path: `/hooks/${name}${query}`, headers, body });
  };

  for (const sender of all) {
    const signers = [["the command line", signedByGate], ...(sender.sign ? [[`its own package`, signedByPackage]] : [])];
    for (const [who, sign] of signers) {
      test(`${sender.name}, signed by ${who}, passes as it is, and nothing altered does`, async () => {
        const event = await sign(sender, 2);
        backend.clear();
        const bad = altered(sender, await sign(sender, 3));
        assertProblem(await send(sender, bad), 401, "signature_invalid");
        assert.equal(backend.requests.length, 0, "the backend does not hear of it");
        const answer = await send(sender, event);
        assert.equal(answer.status, 200, answer.text);
        const [seen] = backend.requests;
        assert.equal(seen.url.split("?")[0], `/in/${sender.name}`);
        assert.deepEqual(seen.body, Buffer.from(event.body));
        assert.equal(seen.header("x-tollgate-webhook"), sender.name);
        if (event.body.startsWith("{")) verified(seen, uniform);
        assert.ok(!verifies({ ...seen, body: Buffer.from(`${event.body} `) }, uniform));
      });
    }
  }
});
