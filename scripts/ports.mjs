// Where the development gate listens.
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { Mend } from "./report.mjs";

/** Ports of the gate, of a second origin of the demo page, and of the demo backend. */
export function chosenPorts() {
  const gate = port("TOLLGATE_PORT", 8787);
  return {
    gate,
    // The same gate once more, so that the demo page can show an origin that is not allowed.
    other: port("TOLLGATE_OTHER_PORT", gate + 1),
    backend: port("TOLLGATE_BACKEND_PORT", 9090),
  };
}

/** Loopback addresses of this machine: `gate.localhost` may mean either. */
export function loopbacks() {
  const all = Object.values(networkInterfaces()).flat();
  return all.some((i) => i.address === "::1") ? ["127.0.0.1", "[::1]"] : ["127.0.0.1"];
}

/** Fails with the mend when something else listens on one of the ports already. */
export async function checkFree(ports) {
  const names = { gate: "TOLLGATE_PORT", other: "TOLLGATE_OTHER_PORT", backend: "TOLLGATE_BACKEND_PORT" };
  for (const [what, number] of Object.entries(ports)) {
    for (const host of what === "backend" ? ["127.0.0.1"] : loopbacks()) {
      if (await free(number, host.replace(/[[\]]/g, ""))) continue;
      throw new Mend(
        `Port ${number} is taken by another program.`,
        `stop that program, or choose another port: ${names[what]}=${number + 10} npm start`,
      );
    }
  }
}

function free(port, host) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host }, () => server.close(() => resolve(true)));
  });
}

function port(name, otherwise) {
  const said = process.env[name];
  if (said === undefined) return otherwise;
  const number = Number(said);
  if (Number.isInteger(number) && number > 0 && number < 65536) return number;
  throw new Mend(`${name} is "${said}", which is no port.`, `a number from 1 to 65535: ${name}=${otherwise} npm start`);
}
