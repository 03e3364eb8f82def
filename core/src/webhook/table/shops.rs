//! Shops, payments and books.

use crate::time::Millis;
use crate::webhook::scheme::{
    Algorithm, Answer, Challenge, Encoding, Fixed, Form, KeyForm, KnownBy, Place, Scheme, Signed,
    When,
};

use super::{BASE, entries, header, text};

pub(super) const STRIPE: Scheme<'static> = Scheme {
    name: "stripe",
    provider: "Stripe",
    docs: "https://docs.stripe.com/webhooks#verify-manually",
    form: entries("Stripe-Signature", Some(Place::Json("id"))),
    sample: r#"{"id":"$ID","object":"event","type":"test","data":{"object":{}}}"#,
    note: "The secret is used with its `whsec_`, as it is. Signatures of version `v0` are passed \
        over.",
    ..BASE
};

pub(super) const SHOPIFY: Scheme<'static> = Scheme {
    name: "shopify",
    provider: "Shopify",
    docs: "https://shopify.dev/docs/apps/build/webhooks/subscribe/https",
    encoding: Encoding::Base64,
    form: Form {
        id: Some(Place::Header("X-Shopify-Webhook-Id")),
        ..header("X-Shopify-Hmac-Sha256")
    },
    fallback: Some(Form {
        id: Some(Place::Header("shopify-webhook-id")),
        ..header("shopify-hmac-sha256")
    }),
    ..BASE
};

pub(super) const SQUARE: Scheme<'static> = Scheme {
    name: "square",
    provider: "Square",
    docs: "https://developer.squareup.com/docs/webhooks/step3validate",
    encoding: Encoding::Base64,
    form: Form {
        id: Some(Place::Json("event_id")),
        signed: Signed::Template("{url}{body}"),
        ..header("x-square-hmacsha256-signature")
    },
    sample: r#"{"event_id":"$ID","type":"webhooks.test_notification"}"#,
    note: "The body is signed right behind the URL: what is sure is both together, not where the \
        query ends and the body begins.",
    ..BASE
};

pub(super) const PADDLE: Scheme<'static> = Scheme {
    name: "paddle",
    provider: "Paddle",
    docs: "https://developer.paddle.com/webhooks/signature-verification",
    form: Form {
        separator: Some(';'),
        tag: "h1=",
        timestamp: Some(Place::Entry("ts=")),
        id: Some(Place::Json("event_id")),
        signed: Signed::Template("{timestamp}:{body}"),
        ..header("Paddle-Signature")
    },
    tolerance: Millis::secs(5),
    acknowledgement: Fixed::empty(200),
    sample: r#"{"event_id":"$ID","event_type":"test"}"#,
    ..BASE
};

pub(super) const RAZORPAY: Scheme<'static> = Scheme {
    name: "razorpay",
    provider: "Razorpay",
    docs: "https://razorpay.com/docs/webhooks/validate-test/",
    form: Form { id: Some(Place::Header("X-Razorpay-Event-Id")), ..header("X-Razorpay-Signature") },
    ..BASE
};

pub(super) const COINBASE_COMMERCE: Scheme<'static> = Scheme {
    name: "coinbase-commerce",
    provider: "Coinbase Commerce",
    docs: "https://docs.cdp.coinbase.com/commerce-onchain/docs/webhooks-security",
    form: Form { id: Some(Place::Json("event.id")), ..header("X-CC-Webhook-Signature") },
    acknowledgement: Fixed::empty(200),
    sample: r#"{"event":{"id":"$ID","type":"test"}}"#,
    known_by: KnownBy::Id,
    note: "The body counts its attempts (`id`, `attempt_number`), so an event is known by `event.id` \
        alone, and none is flagged `id_reused`.",
    ..BASE
};

pub(super) const ADYEN: Scheme<'static> = Scheme {
    name: "adyen",
    provider: "Adyen",
    docs: "https://docs.adyen.com/development-resources/webhooks/verify-hmac-signatures/",
    encoding: Encoding::Base64,
    key: KeyForm::Hex,
    // The text that is signed of a payment's fields, sent as a body, has the right signature.
    form: Form { of_objects: true, ..header("HmacSignature") },
    fallback: Some(Form {
        signature: Place::Json(
            "notificationItems[].NotificationRequestItem.additionalData.hmacSignature",
        ),
        id: Some(Place::Json("notificationItems[].NotificationRequestItem.pspReference")),
        signed: Signed::Template(concat!(
            "{field:notificationItems[].NotificationRequestItem.pspReference}:",
            "{field:notificationItems[].NotificationRequestItem.originalReference}:",
            "{field:notificationItems[].NotificationRequestItem.merchantAccountCode}:",
            "{text:notificationItems[].NotificationRequestItem.merchantReference}:",
            "{field:notificationItems[].NotificationRequestItem.amount.value}:",
            "{field:notificationItems[].NotificationRequestItem.amount.currency}:",
            "{field:notificationItems[].NotificationRequestItem.eventCode}:",
            "{field:notificationItems[].NotificationRequestItem.success}",
        )),
        ..header("")
    }),
    acknowledgement: text("[accepted]"),
    note: "Payment webhooks sign eight of their fields, not the body: what else stands in it is \
        not sure. They come with one item each; more are refused. The events of a dispute have \
        their `pspReference` in common, so one is known by all its signed fields. All bodies are \
        read as JSON, so one of more than 1 MiB is refused.",
    ..BASE
};

pub(super) const LEMON_SQUEEZY: Scheme<'static> = Scheme {
    name: "lemon-squeezy",
    provider: "Lemon Squeezy",
    docs: "https://docs.lemonsqueezy.com/help/webhooks/signing-requests",
    form: header("X-Signature"),
    acknowledgement: Fixed::empty(200),
    sample: r#"{"meta":{"event_name":"test"},"data":{"id":"$ID"}}"#,
    ..BASE
};

pub(super) const XERO: Scheme<'static> = Scheme {
    name: "xero",
    provider: "Xero",
    docs: "https://developer.xero.com/documentation/guides/webhooks/configuring-your-server/",
    encoding: Encoding::Base64,
    form: header("x-xero-signature"),
    acknowledgement: Fixed::empty(200),
    bare: true,
    challenges: &[Challenge {
        signed: true,
        when: &[When::NoneIn("events")],
        answer: Answer::Fixed(Fixed::empty(200)),
    }],
    sample: r#"{"events":[{"resourceId":"$ID"}],"lastEventSequence":1,"entropy":"test"}"#,
    note: "The intent to receive is answered with 200 or 401, and goes no further. No answer has a \
        body.",
    ..BASE
};

pub(super) const WOOCOMMERCE: Scheme<'static> = Scheme {
    name: "woocommerce",
    provider: "WooCommerce",
    docs: "https://developer.woocommerce.com/docs/best-practices/data-management/using-webhooks/",
    encoding: Encoding::Base64,
    form: Form {
        id: Some(Place::Header("X-WC-Webhook-Delivery-ID")),
        ..header("X-WC-Webhook-Signature")
    },
    challenges: &[Challenge {
        signed: false,
        when: &[When::Method("POST"), When::OnlyNumber("webhook_id")],
        answer: Answer::Fixed(Fixed::empty(200)),
    }],
    note: "The ping of a new webhook is not signed: it is answered with 200, and goes no further.",
    ..BASE
};

pub(super) const PAYSTACK: Scheme<'static> = Scheme {
    name: "paystack",
    provider: "Paystack",
    docs: "https://paystack.com/docs/payments/webhooks/#verify-event-origin",
    algorithm: Algorithm::HmacSha512,
    form: header("x-paystack-signature"),
    acknowledgement: Fixed::empty(200),
    sample: r#"{"event":"test","data":{"reference":"$ID"}}"#,
    note: "The secret is the account's secret key.",
    ..BASE
};
