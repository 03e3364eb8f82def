// The providers' own packages, each as somebody who signs and verifies events of one scheme:
//
//   scheme, secret     as the gate's policy names them; verifiers: what the gate gets in the place of the secret
//   url                the public URL, where the scheme signs it
//   body(n)            an event of the provider, another one for each n
//   sign(body, url)    the headers (and the body, where it is signed inside) that the package makes; none for
//                      packages that only verify
//   verify(event)      true if the package takes it: `{ body, headers, url }`, names of headers in lower case
//
// They live in tests/senders, which scripts/setup.mjs installs for tests.
import { randomBytes } from "node:crypto";
import {
  Adyen, HubSpotSignature, LinearWebhookClient, Mux, Paddle, Razorpay, SquareWebhooks, Standard, Stripe, Svix, WorkOS, bolt, discord, octokit, twilio,
} from "../senders/index.mjs";

const random = (encoding, bytes = 32) => randomBytes(bytes).toString(encoding);
const seconds = () => Math.floor(Date.now() / 1000);
const PUBLIC = "https://api.example.com";

/** True if it does not throw, and says nothing else than yes. */
const accepted = async (run) => {
  try {
    return (await run()) !== false;
  } catch {
    return false;
  }
};

/** All of them, with fresh secrets. */
export function senders() {
  const whsec = () => `whsec_${random("base64")}`;
  const plain = (name) => (n) => JSON.stringify({ id: `${name}_${n}_${random("hex", 4)}`, type: "test.event", text: "é \u{1f600} \\u00e9" });

  const stripe = new Stripe("sk_test_not_used");
  const stripeSecret = whsec();
  const list = [
    {
      name: "stripe", scheme: "stripe", secret: stripeSecret, body: plain("evt"),
      sign: (body) => ({ headers: { "Stripe-Signature": stripe.webhooks.generateTestHeaderString({ payload: body, secret: stripeSecret, timestamp: seconds() }) } }),
      verify: ({ body, headers }) => accepted(() => stripe.webhooks.constructEvent(body, headers["stripe-signature"], stripeSecret)),
    },
  ];

  for (const [name, scheme, Webhook, prefix] of [["svix", "svix", Svix, "svix"], ["standardwebhooks", "standard-webhooks", Standard, "webhook"]]) {
    const secret = whsec();
    const webhook = new Webhook(secret);
    list.push({
      name, scheme, secret, body: plain("msg"),
      sign: (body) => {
        const [id, now] = [`msg_${random("hex", 12)}`, new Date()];
        const parts = { id, timestamp: String(Math.floor(now / 1000)), signature: webhook.sign(id, now, body) };
        return { headers: Object.fromEntries(Object.entries(parts).map(([part, value]) => [`${prefix}-${part}`, value])) };
      },
      verify: ({ body, headers }) => accepted(() => webhook.verify(body, headers)),
    });
  }

  const github = random("hex");
  list.push({
    name: "octokit", scheme: "github", secret: github, body: plain("gh"),
    sign: async (body) => ({ headers: { "X-GitHub-Delivery": random("hex", 16), "X-Hub-Signature-256": await octokit.sign(github, body) } }),
    verify: ({ body, headers }) => accepted(() => octokit.verify(github, body, headers["x-hub-signature-256"])),
  });

  const token = random("hex", 16);
  const form = "application/x-www-form-urlencoded";
  list.push(
    {
      name: "twilio", scheme: "twilio", secret: token, url: `${PUBLIC}/hooks/twilio`, type: form,
      body: (n) => new URLSearchParams({ MessageSid: `SM${random("hex", 16)}`, Body: `é & = + ${n}`, From: "+15550100" }).toString(),
      sign: (body, url) => ({ headers: { "X-Twilio-Signature": twilio.getExpectedTwilioSignature(token, url, Object.fromEntries(new URLSearchParams(body))) } }),
      verify: ({ body, headers, url }) =>
        accepted(() => twilio.validateRequest(token, headers["x-twilio-signature"], url, Object.fromEntries(new URLSearchParams(body)))),
    },
    {
      name: "twilio-json", scheme: "twilio", secret: token, url: `${PUBLIC}/hooks/twilio-json`, body: plain("tw"),
      sign: (body, url) => {
        const query = `bodySHA256=${twilio.getExpectedBodyHash(body)}`;
        return { query, headers: { "X-Twilio-Signature": twilio.getExpectedTwilioSignature(token, `${url}?${query}`, {}) } };
      },
      verify: ({ body, headers, url }) => accepted(() => twilio.validateRequestWithBody(token, headers["x-twilio-signature"], url, body)),
    },
  );

  const slack = random("hex", 16);
  list.push({
    name: "slack-bolt", scheme: "slack", secret: slack, body: plain("sl"),
    verify: ({ body, headers }) =>
      accepted(() => bolt.isValidSlackRequest({
        signingSecret: slack, body,
        headers: { "x-slack-signature": headers["x-slack-signature"], "x-slack-request-timestamp": Number(headers["x-slack-request-timestamp"]) },
      })),
  });

  const square = random("base64");
  list.push({
    name: "square", scheme: "square", secret: square, url: `${PUBLIC}/hooks/square`, body: plain("sq"),
    verify: ({ body, headers, url }) =>
      accepted(() => SquareWebhooks.verifySignature({
        requestBody: body, signatureHeader: headers["x-square-hmacsha256-signature"], signatureKey: square, notificationUrl: url,
      })),
  });

  const paddle = `pdl_ntfset_${random("hex", 16)}`;
  list.push({
    name: "paddle", scheme: "paddle", secret: paddle, body: plain("pd"),
    verify: ({ body, headers }) => accepted(() => new Paddle("not used").webhooks.isSignatureValid(body, paddle, headers["paddle-signature"])),
  });

  const workos = random("hex");
  const webhooks = new WorkOS("sk_test_not_used").webhooks;
  list.push({
    name: "workos", scheme: "workos", secret: workos, body: plain("wo"),
    sign: async (body) => {
      const now = Date.now();
      return { headers: { "WorkOS-Signature": `t=${now}, v1=${await webhooks.computeSignature(now, JSON.parse(body), workos)}` } };
    },
    verify: ({ body, headers }) =>
      accepted(async () => void (await webhooks.verifyHeader({ payload: JSON.parse(body), sigHeader: headers["workos-signature"], secret: workos }))),
  });

  const razorpay = random("hex");
  list.push({
    name: "razorpay", scheme: "razorpay", secret: razorpay, body: plain("rz"),
    verify: ({ body, headers }) => accepted(() => Razorpay.validateWebhookSignature(body, headers["x-razorpay-signature"], razorpay)),
  });

  const hubspot = random("hex", 16);
  const hubspotOptions = (body, url, timestamp) => ({ clientSecret: hubspot, requestBody: body, url, timestamp });
  list.push({
    name: "hubspot", scheme: "hubspot", secret: hubspot, url: `${PUBLIC}/hooks/hubspot`, body: plain("hs"),
    sign: (body, url) => {
      const now = Date.now();
      const signature = HubSpotSignature.getSignature("POST", "v3", hubspotOptions(body, url, now));
      return { headers: { "X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": String(now) } };
    },
    verify: ({ body, headers, url }) => {
      const options = hubspotOptions(body, url, Number(headers["x-hubspot-request-timestamp"]));
      return accepted(() => HubSpotSignature.isValid({ ...options, method: "POST", signatureVersion: "v3", signature: headers["x-hubspot-signature-v3"] }));
    },
  });

  const mux = random("hex");
  list.push({
    name: "mux", scheme: "mux", secret: mux, body: plain("mx"),
    verify: ({ body, headers }) => accepted(async () => void (await new Mux({ tokenId: "a", tokenSecret: "b" }).webhooks.verifySignature(body, headers, mux))),
  });

  const adyenKey = random("hex").toUpperCase();
  const adyen = new Adyen();
  const payment = (n, signature) => ({
    NotificationRequestItem: {
      ...(signature && { additionalData: { hmacSignature: signature } }),
      amount: { currency: "EUR", value: 1000 + n }, eventCode: "AUTHORISATION", eventDate: "2026-11-22T04:56:51+01:00",
      merchantAccountCode: "TestMerchant", merchantReference: `ref ${n}`, originalReference: "", pspReference: random("hex", 8).toUpperCase(), success: "true",
    },
  });
  list.push(
    {
      name: "adyen", scheme: "adyen", secret: adyenKey, body: plain("ad"),
      sign: (body) => ({ headers: { HmacSignature: adyen.calculateHmac(body, adyenKey) } }),
      verify: ({ body, headers }) => accepted(() => adyen.validateHMACSignature(adyenKey, headers.hmacsignature, body)),
    },
    {
      name: "adyen-payment", scheme: "adyen", secret: adyenKey,
      body: (n) => JSON.stringify({ live: "false", notificationItems: [payment(n)] }),
      sign: (body) => {
        const event = JSON.parse(body);
        const [{ NotificationRequestItem: item }] = event.notificationItems;
        item.additionalData = { hmacSignature: adyen.calculateHmac(item, adyenKey) };
        return { headers: {}, body: JSON.stringify(event) };
      },
      // Of a payment only some fields are signed; the amount is one of them.
      alter: (body) => body.replace('"EUR"', '"USD"'),
      verify: ({ body }) => accepted(() => adyen.validateHMAC(JSON.parse(body).notificationItems[0].NotificationRequestItem, adyenKey)),
    },
  );

  const linear = `lin_wh_${random("hex", 16)}`;
  list.push({
    name: "linear", scheme: "linear", secret: linear,
    body: (n) => JSON.stringify({ action: "create", type: "Issue", data: { id: `${n}-${random("hex", 4)}` }, webhookId: random("hex", 8), webhookTimestamp: Date.now() }),
    verify: ({ body, headers }) => accepted(() => new LinearWebhookClient(linear).verify(Buffer.from(body), headers["linear-signature"])),
  });

  const seed = random("hex");
  list.push({
    name: "discord", scheme: "discord", secret: seed, body: (n) => JSON.stringify({ type: 2, id: `${n}${random("hex", 4)}` }),
    /** The gate and the package verify with the public key, which whoever signs tells. */
    keyed: true,
    verify: ({ body, headers, key }) => accepted(() => discord.verifyKey(body, headers["x-signature-ed25519"], headers["x-signature-timestamp"], key)),
  });
  return list;
}
