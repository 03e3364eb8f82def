//! Schemes of no one provider.

use crate::webhook::scheme::{Encoding, Form, KeyForm, Scheme, Signed};

use super::{BASE, RFC9421_ANY, WEBHOOK, header, standard};

pub(super) const STANDARD_WEBHOOKS: Scheme<'static> = Scheme {
    name: "standard-webhooks",
    provider: "Standard Webhooks",
    docs: "https://github.com/standard-webhooks/standard-webhooks/tree/main/spec",
    encoding: Encoding::Base64,
    key: KeyForm::Whsec,
    form: WEBHOOK,
    note: "Signatures of version `v1a` (Ed25519) are passed over.",
    ..BASE
};

pub(super) const SVIX: Scheme<'static> = Scheme {
    name: "svix",
    provider: "Svix (Clerk, Resend and others)",
    docs: "https://docs.svix.com/receiving/verifying-payloads/how-manual",
    encoding: Encoding::Base64,
    key: KeyForm::Whsec,
    form: standard("svix-signature", "svix-timestamp", "svix-id"),
    fallback: Some(WEBHOOK),
    ..BASE
};

pub(super) const RFC9421: Scheme<'static> = Scheme {
    name: "rfc9421",
    provider: "HTTP message signatures (RFC 9421)",
    docs: "https://www.rfc-editor.org/rfc/rfc9421",
    encoding: Encoding::Base64,
    key: KeyForm::Base64,
    form: Form { signed: Signed::Components { whole: true }, ..header("Signature") },
    note: "`hmac-sha256`. `created` and what is covered have to make the whole request sure: \
        `@method`, the target, and with a body `content-digest`. A `nonce` is unique to a \
        signature, not to an event, so an event is known by all that is covered but `date`: one \
        that is signed again is recognised. Of two requests that cover the same within ten minutes \
        the second is a duplicate: cover a header that tells them apart.",
    ..BASE
};

pub(super) const RFC9421_HMAC_SHA256: Scheme<'static> = Scheme {
    name: RFC9421_ANY,
    provider: "the same, whatever it covers",
    docs: "https://www.rfc-editor.org/rfc/rfc9421",
    encoding: Encoding::Base64,
    key: KeyForm::Base64,
    form: Form { signed: Signed::Components { whole: false }, ..header("Signature") },
    note: "On the command line only, to look at a signature: the body may be any.",
    ..BASE
};
