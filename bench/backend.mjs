// The backend behind every side, a process of its own: it answers 418 to whoever lacks the secret, and
// puts a marker into every answer, so that the load knows that it came from here.
//
//   BILLING_TOKEN=… MARKER=… node backend.mjs     says { port } to its parent
import { createServer } from "node:http";

const { BILLING_TOKEN, MARKER } = process.env;
/** What an invoice looks like: 1.2 KB, and the headers that come with it behind a usual reverse proxy. */
const body = JSON.stringify({
  id: "42",
  marker: MARKER,
  customer: { id: "cus_8Jw2", name: "Acme GmbH", country: "DE", vat: "DE123456789" },
  currency: "EUR",
  state: "open",
  issued: "2026-11-01",
  due: "2026-11-30",
  lines: ["one month of service", "support", "storage", "traffic", "set-up", "training"].map((text, i) => ({
    text,
    quantity: i + 1,
    unit_amount: "100.00",
    amount: `${(i + 1) * 100}.00`,
    tax: { rate: "0.19", amount: `${(i + 1) * 19}.00` },
    period: { from: "2026-10-01", to: "2026-10-31" },
  })),
  total: "2499.00",
});
const headers = {
  Server: "nginx/1.28.0",
  "Content-Type": "application/json; charset=utf-8",
  "Content-Length": Buffer.byteLength(body),
  "Cache-Control": "private, max-age=60",
  ETag: 'W/"51f-Zr6hO5xJ2bq0"',
  "Last-Modified": "Sat, 21 Nov 2026 08:00:00 GMT",
  Vary: "Accept-Encoding",
  "X-Runtime": "0.014",
  "X-Content-Type-Options": "nosniff",
};

const server = createServer((request, response) => {
  request.resume();
  if (request.headers.authorization === `Bearer ${BILLING_TOKEN}`) response.writeHead(200, headers).end(body);
  else response.writeHead(418).end("the secret is missing");
});
// Connections of the gates stay: only those who ask end them.
server.keepAliveTimeout = 0;
server.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
process.once("disconnect", () => process.exit());
