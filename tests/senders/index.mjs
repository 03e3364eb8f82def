// The packages, as they are found from here.
export { hmacValidator as Adyen } from "@adyen/api-library";
export { Signature as HubSpotSignature } from "@hubspot/api-client";
export { LinearWebhookClient } from "@linear/sdk/webhooks";
export { default as Mux } from "@mux/mux-node";
export * as octokit from "@octokit/webhooks-methods";
export { Paddle } from "@paddle/paddle-node-sdk";
export { default as bolt } from "@slack/bolt";
export { WorkOS } from "@workos-inc/node";
export * as discord from "discord-interactions";
export { default as Razorpay } from "razorpay";
export { WebhooksHelper as SquareWebhooks } from "square";
export { Webhook as Standard } from "standardwebhooks";
export { default as Stripe } from "stripe";
export { Webhook as Svix } from "svix";
export { default as twilio } from "twilio";
