//! `[[source]]`: inbound webhooks (SPEC section 7). Only its form is read: what it asks for is not
//! built yet.

use crate::address::Cidr;
use crate::time::{Millis, UnixMillis};

use super::base::UpstreamBase;
use super::dated::{SOURCE_SHADOW, read_shadow};
use super::error::Wrong;
use super::not_built::NotBuilt;
use super::path::{PathTemplate, RewriteTemplate};
use super::reader::{Field, Shape, name, unknown_name};
use super::template::Template;
use super::upstream::{UpstreamDraft, header_name};

pub(super) const SOURCE: Shape = Shape {
    at: "source[]",
    fields: &[
        "name",
        "tenant",
        "path",
        "scheme",
        "secrets",
        "upstream",
        "rewrite",
        "delivery",
        "sign",
        "url",
        "dedupe",
        "addresses",
        "body_limit",
        "hmac",
        "shadow",
    ],
};
pub(super) const SOURCE_HMAC: Shape = Shape {
    at: "source[].hmac",
    fields: &["header", "algorithm", "encoding", "template", "tolerance"],
};

/// Every scheme of SPEC section 7.
const SCHEMES: [&str; 34] = [
    "standard-webhooks",
    "svix",
    "stripe",
    "github",
    "slack",
    "shopify",
    "twilio",
    "square",
    "paddle",
    "hubspot",
    "linear",
    "zoom",
    "razorpay",
    "coinbase-commerce",
    "pagerduty",
    "mux",
    "adyen",
    "workos",
    "notion",
    "zendesk",
    "dropbox",
    "lemon-squeezy",
    "typeform",
    "calendly",
    "docusign",
    "bitbucket",
    "twitch",
    "sentry",
    "xero",
    "woocommerce",
    "paystack",
    "discord",
    "rfc9421",
    "hmac",
];

/// Reads `[[source]]`, all of them, and refuses each.
pub(super) fn read(field: &Field<'_>, upstreams: &[UpstreamDraft<'_>], now: UnixMillis) {
    for item in field.items().unwrap_or_default() {
        source(&item, upstreams, now);
        NotBuilt::Source.refuse(&item);
    }
}

fn source(field: &Field<'_>, upstreams: &[UpstreamDraft<'_>], now: UnixMillis) {
    let Some(table) = field.table(&SOURCE) else {
        return;
    };
    table.field("name").required().parsed(name);
    table.field("tenant").text();
    let path = table.field("path").required().parsed(PathTemplate::parse);
    let scheme = table.field("scheme").required();
    let known: Vec<(&str, bool)> = SCHEMES.iter().map(|name| (*name, *name == "hmac")).collect();
    let hmac = table.field("hmac");
    match scheme.choice(&known) {
        Some(true) => read_hmac(&hmac.required()),
        Some(false) if hmac.is_given() => {
            hmac.wrong(Wrong::new("is for `scheme = \"hmac\"` only"));
        }
        _ => read_hmac(&hmac),
    }
    let secrets = table.field("secrets").required();
    let listed = secrets.list(Template::parse_secret);
    if secrets.is_given() && listed.is_some_and(|secrets| secrets.is_empty()) {
        secrets.wrong(Wrong::new("names no secret"));
    }
    table.field("upstream").required().parsed(|text| {
        let names: Vec<&str> = upstreams.iter().map(|upstream| upstream.name).collect();
        if names.contains(&text) { Ok(()) } else { Err(unknown_name("upstream", text, &names)) }
    });
    table.field("rewrite").parsed(|text| RewriteTemplate::parse(text, path.as_ref()));
    table.field("delivery").choice(&[("queue", ()), ("forward", ())]);
    table.field("sign").parsed(Template::parse_secret);
    table.field("url").parsed(UpstreamBase::parse);
    table.field("dedupe").choice(&[("normal", ()), ("strict", ())]);
    table.field("addresses").list(|text| Cidr::parse(text).map_err(Wrong::told));
    table.field("body_limit").size(100 << 20);
    let shadow = table.field("shadow");
    read_shadow(&shadow, &SOURCE_SHADOW, &[("signatures", None)], now);
}

fn read_hmac(field: &Field<'_>) {
    let Some(table) = field.table(&SOURCE_HMAC) else {
        return;
    };
    table.field("header").required().parsed(header_name);
    table.field("algorithm").required().choice(&[("sha1", ()), ("sha256", ()), ("sha512", ())]);
    table.field("encoding").required().choice(&[("hex", ()), ("base64", ()), ("base64url", ())]);
    table.field("template").required().text();
    table.field("tolerance").duration(&(Millis::secs(1)..=Millis::hours(24)));
}
