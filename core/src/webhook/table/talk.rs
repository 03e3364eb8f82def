//! Messages, calls and streams.

use crate::time::Millis;
use crate::webhook::scheme::{
    Algorithm, Answer, Challenge, Encoding, Fixed, Form, KeyForm, Place, Scheme, Signed, Token,
    Unit, UrlSpelling, When,
};

use super::{BASE, entries, header};

pub(super) const SLACK: Scheme<'static> = Scheme {
    name: "slack",
    provider: "Slack",
    docs: "https://docs.slack.dev/authentication/verifying-requests-from-slack",
    form: Form {
        tag: "v0=",
        timestamp: Some(Place::Header("X-Slack-Request-Timestamp")),
        id: Some(Place::Json("event_id")),
        signed: Signed::Template("v0:{timestamp}:{body}"),
        ..header("X-Slack-Signature")
    },
    acknowledgement: Fixed::empty(200),
    challenges: &[Challenge {
        signed: true,
        when: &[When::Text("type", "url_verification")],
        answer: Answer::Echo(Token::Json("challenge")),
    }],
    sample: r#"{"type":"event_callback","event_id":"$ID","event":{"type":"test"}}"#,
    note: "Slash commands and buttons want their answer at once: use `delivery = \"forward\"`.",
    ..BASE
};

pub(super) const TWILIO: Scheme<'static> = Scheme {
    name: "twilio",
    provider: "Twilio",
    docs: "https://www.twilio.com/docs/usage/webhooks/webhooks-security",
    algorithm: Algorithm::HmacSha1,
    encoding: Encoding::Base64,
    form: Form {
        id: Some(Place::Header("I-Twilio-Idempotency-Token")),
        signed: Signed::Template("{url}{form}"),
        ..header("X-Twilio-Signature")
    },
    url: UrlSpelling::Ports,
    acknowledgement: Fixed { status: 200, content_type: Some("text/xml"), body: "<Response/>" },
    sample: "MessageSid=$ID&From=%2B15005550006&Body=test",
    sample_type: "application/x-www-form-urlencoded",
    note: "The URL, then names and values of the form are signed one after the other with nothing \
        between them: what is sure is that row of characters, not where a name or a value ends, \
        nor where the query does. A form has 1 MiB at the most. Any other body is bound by \
        `bodySHA256` in the URL. Calls that want TwiML: use `delivery = \"forward\"`.",
    ..BASE
};

pub(super) const ZOOM: Scheme<'static> = Scheme {
    name: "zoom",
    provider: "Zoom",
    docs: "https://developers.zoom.us/docs/api/webhooks/#verify-webhook-events",
    form: Form {
        tag: "v0=",
        timestamp: Some(Place::Header("x-zm-request-timestamp")),
        signed: Signed::Template("v0:{timestamp}:{body}"),
        ..header("x-zm-signature")
    },
    acknowledgement: Fixed::empty(200),
    challenges: &[Challenge {
        signed: true,
        when: &[When::Text("event", "endpoint.url_validation")],
        answer: Answer::Mac {
            token: "payload.plainToken",
            plain: "plainToken",
            mac: "encryptedToken",
        },
    }],
    sample: r#"{"event":"test","payload":{"object":{"id":"$ID"}}}"#,
    ..BASE
};

pub(super) const MUX: Scheme<'static> = Scheme {
    name: "mux",
    provider: "Mux",
    docs: "https://www.mux.com/docs/core/verify-webhook-signatures",
    form: entries("Mux-Signature", Some(Place::Json("id"))),
    ..BASE
};

pub(super) const TWITCH: Scheme<'static> = Scheme {
    name: "twitch",
    provider: "Twitch EventSub",
    docs: "https://dev.twitch.tv/docs/eventsub/handling-webhook-events/",
    form: Form {
        tag: "sha256=",
        timestamp: Some(Place::Header("Twitch-Eventsub-Message-Timestamp")),
        id: Some(Place::Header("Twitch-Eventsub-Message-Id")),
        signed: Signed::Template("{id}{timestamp}{body}"),
        ..header("Twitch-Eventsub-Message-Signature")
    },
    unit: Unit::Rfc3339,
    tolerance: Millis::minutes(10),
    challenges: &[Challenge {
        signed: true,
        when: &[
            When::Header("Twitch-Eventsub-Message-Type", "webhook_callback_verification"),
            When::Without("event"),
        ],
        answer: Answer::Echo(Token::Json("challenge")),
    }],
    sample: r#"{"subscription":{"type":"test"},"event":{"user_id":"1"}}"#,
    ..BASE
};

pub(super) const DISCORD: Scheme<'static> = Scheme {
    name: "discord",
    provider: "Discord",
    docs: "https://docs.discord.com/developers/events/webhook-events",
    algorithm: Algorithm::Ed25519,
    key: KeyForm::PublicKey,
    form: Form {
        timestamp: Some(Place::Header("X-Signature-Timestamp")),
        id: Some(Place::Json("id")),
        signed: Signed::Template("{timestamp}{body}"),
        ..header("X-Signature-Ed25519")
    },
    acknowledgement: Fixed::empty(204),
    challenges: &[
        Challenge {
            signed: true,
            when: &[When::Number("type", 0), When::Without("event")],
            // Discord looks at the type of this answer too, although it has no body.
            answer: Answer::Fixed(Fixed {
                content_type: Some("application/json"),
                ..Fixed::empty(204)
            }),
        },
        Challenge {
            signed: true,
            when: &[When::Number("type", 1), When::Without("event")],
            answer: Answer::Fixed(Fixed {
                status: 200,
                content_type: Some("application/json"),
                body: r#"{"type":1}"#,
            }),
        },
    ],
    sample: r#"{"version":1,"type":1,"event":{"type":"TEST","data":{"id":"$ID"}}}"#,
    note: "The secret is the application's public key, in hex. Interactions want their answer at \
        once: use `delivery = \"forward\"`.",
    ..BASE
};
