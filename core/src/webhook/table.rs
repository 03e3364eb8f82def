//! The table: one row for each provider.
//!
//! `docs/webhooks.md` is made from it. Where two providers do the same, their rows say the same; a
//! row only says what differs from `BASE`.

mod general;
mod shops;
mod talk;
mod work;

use crate::time::Millis;

use super::scheme::{
    Algorithm, Encoding, Fixed, Form, KeyForm, KnownBy, Place, Scheme, Signed, Unit, UrlSpelling,
};

/// The scheme that a policy describes itself; it has no row.
pub const DESCRIBED: &str = "hmac";

/// The row of a scheme; none for one that is not known, and for `hmac`.
pub fn named(name: &str) -> Option<&'static Scheme<'static>> {
    TABLE.iter().find(|scheme| scheme.name == name)
}

/// True for a scheme that a source may have. `rfc9421-hmac-sha256` takes signatures that do not
/// cover the body: it is for looking at signatures by hand, and nothing may be let in by it.
pub fn is_for_sources(name: &str) -> bool {
    name == DESCRIBED || (named(name).is_some() && name != RFC9421_ANY)
}

const RFC9421_ANY: &str = "rfc9421-hmac-sha256";

const fn text(body: &'static str) -> Fixed {
    Fixed { status: 200, content_type: Some("text/plain"), body }
}

/// One signature over the body alone, in a header of its own.
const fn header(name: &'static str) -> Form<'static> {
    Form {
        signature: Place::Header(name),
        separator: None,
        tag: "",
        timestamp: None,
        id: None,
        signed: Signed::Template("{body}"),
        of_objects: false,
    }
}

/// `t=…,v1=…` over `{timestamp}.{body}`, as Stripe does.
const fn entries(name: &'static str, id: Option<Place<'static>>) -> Form<'static> {
    Form {
        separator: Some(','),
        tag: "v1=",
        timestamp: Some(Place::Entry("t=")),
        id,
        signed: Signed::Template("{timestamp}.{body}"),
        ..header(name)
    }
}

/// `v1,…` lists beside an id and a time, as Standard Webhooks does.
const fn standard(
    signature: &'static str,
    timestamp: &'static str,
    id: &'static str,
) -> Form<'static> {
    Form {
        separator: Some(' '),
        tag: "v1,",
        timestamp: Some(Place::Header(timestamp)),
        id: Some(Place::Header(id)),
        signed: Signed::Template("{id}.{timestamp}.{body}"),
        ..header(signature)
    }
}

const WEBHOOK: Form<'static> = standard("webhook-signature", "webhook-timestamp", "webhook-id");

/// What a row says if it says nothing else.
pub(crate) const BASE: Scheme<'static> = Scheme {
    name: "",
    provider: "Described",
    docs: "",
    algorithm: Algorithm::HmacSha256,
    encoding: Encoding::Hex,
    key: KeyForm::Text,
    form: header(""),
    fallback: None,
    unit: Unit::Seconds,
    tolerance: Millis::secs(300),
    url: UrlSpelling::Exact,
    acknowledgement: Fixed::empty(202),
    bare: false,
    challenges: &[],
    sample: r#"{"id":"$ID","type":"test"}"#,
    sample_type: "application/json",
    known_by: KnownBy::All,
    note: "",
};

/// Every scheme but `hmac`, in the order of SPEC section 7.
pub const TABLE: &[Scheme<'static>] = &[
    general::STANDARD_WEBHOOKS,
    general::SVIX,
    shops::STRIPE,
    work::GITHUB,
    talk::SLACK,
    shops::SHOPIFY,
    talk::TWILIO,
    shops::SQUARE,
    shops::PADDLE,
    work::HUBSPOT,
    work::LINEAR,
    talk::ZOOM,
    shops::RAZORPAY,
    shops::COINBASE_COMMERCE,
    work::PAGERDUTY,
    talk::MUX,
    shops::ADYEN,
    work::WORKOS,
    work::NOTION,
    work::ZENDESK,
    work::DROPBOX,
    shops::LEMON_SQUEEZY,
    work::TYPEFORM,
    work::CALENDLY,
    work::DOCUSIGN,
    work::BITBUCKET,
    talk::TWITCH,
    work::SENTRY,
    shops::XERO,
    shops::WOOCOMMERCE,
    shops::PAYSTACK,
    talk::DISCORD,
    general::RFC9421,
    general::RFC9421_HMAC_SHA256,
];
