//! Code, tickets, documents and people.

use crate::time::Millis;
use crate::webhook::scheme::{
    Answer, Challenge, Encoding, Fixed, Form, KnownBy, Place, Scheme, Signed, Token, Unit,
    UrlSpelling, When,
};

use super::{BASE, entries, header};

pub(super) const GITHUB: Scheme<'static> = Scheme {
    name: "github",
    provider: "GitHub",
    docs: "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
    form: Form {
        tag: "sha256=",
        id: Some(Place::Header("X-GitHub-Delivery")),
        ..header("X-Hub-Signature-256")
    },
    sample: r#"{"zen":"Keep it logically awesome.","hook_id":1}"#,
    note: "The older `X-Hub-Signature` (SHA-1) is not looked at.",
    ..BASE
};

pub(super) const HUBSPOT: Scheme<'static> = Scheme {
    name: "hubspot",
    provider: "HubSpot (v3)",
    docs: concat!(
        "https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/",
        "request-validation"
    ),
    encoding: Encoding::Base64,
    form: Form {
        timestamp: Some(Place::Header("X-HubSpot-Request-Timestamp")),
        signed: Signed::Template("{method}{url}{body}{timestamp}"),
        ..header("X-HubSpot-Signature-v3")
    },
    unit: Unit::Millis,
    url: UrlSpelling::Decoded,
    sample: r#"[{"eventId":1,"subscriptionType":"test","objectId":"$ID"}]"#,
    note: "Signatures v1 and v2, which are no HMAC, are not looked at. The body is signed right \
        behind the URL: what is sure is both together, not where the query ends and the body \
        begins. The body counts its attempts (`attemptNumber`), and nothing else tells the event: \
        one that HubSpot sends again is a new one.",
    ..BASE
};

pub(super) const LINEAR: Scheme<'static> = Scheme {
    name: "linear",
    provider: "Linear",
    docs: "https://linear.app/developers/webhooks#securing-webhooks",
    form: Form {
        timestamp: Some(Place::Json("webhookTimestamp")),
        id: Some(Place::Header("Linear-Delivery")),
        ..header("Linear-Signature")
    },
    unit: Unit::Millis,
    tolerance: Millis::secs(60),
    acknowledgement: Fixed::empty(200),
    sample: r#"{"action":"create","type":"test","webhookTimestamp":$MILLIS}"#,
    note: "The time in the body counts; `Linear-Timestamp` is not signed and not looked at. Each \
        attempt has a time of its own, and what else would tell the event is not signed: one that \
        Linear sends again is a new one. The body is read as JSON, so one of more than 1 MiB is \
        refused.",
    ..BASE
};

pub(super) const PAGERDUTY: Scheme<'static> = Scheme {
    name: "pagerduty",
    provider: "PagerDuty (v3)",
    docs: "https://developer.pagerduty.com/docs/verifying-webhook-signatures",
    form: Form {
        separator: Some(','),
        tag: "v1=",
        id: Some(Place::Json("event.id")),
        ..header("X-PagerDuty-Signature")
    },
    sample: r#"{"event":{"id":"$ID","event_type":"pagey.ping"}}"#,
    ..BASE
};

pub(super) const WORKOS: Scheme<'static> = Scheme {
    name: "workos",
    provider: "WorkOS",
    docs: "https://workos.com/docs/events/data-syncing/webhooks#3-process-the-events",
    form: entries("WorkOS-Signature", Some(Place::Json("id"))),
    unit: Unit::Millis,
    tolerance: Millis::secs(180),
    acknowledgement: Fixed::empty(200),
    ..BASE
};

pub(super) const NOTION: Scheme<'static> = Scheme {
    name: "notion",
    provider: "Notion",
    docs: "https://developers.notion.com/reference/webhooks",
    encoding: Encoding::HexAnyCase,
    form: Form { tag: "sha256=", id: Some(Place::Json("id")), ..header("X-Notion-Signature") },
    acknowledgement: Fixed::empty(200),
    known_by: KnownBy::Id,
    note: "The body counts its attempts (`attempt_number`), so an event is known by its `id` alone, \
        and none is flagged `id_reused`. The secret is the `verification_token` that Notion sends once, unsigned, to a new \
        address: take it with another program, because the gate refuses what is not signed.",
    ..BASE
};

pub(super) const ZENDESK: Scheme<'static> = Scheme {
    name: "zendesk",
    provider: "Zendesk",
    docs: "https://developer.zendesk.com/documentation/webhooks/verifying/",
    encoding: Encoding::Base64,
    form: Form {
        timestamp: Some(Place::Header("X-Zendesk-Webhook-Signature-Timestamp")),
        id: Some(Place::Header("X-Zendesk-Webhook-Invocation-Id")),
        signed: Signed::Template("{timestamp}{body}"),
        ..header("X-Zendesk-Webhook-Signature")
    },
    unit: Unit::Rfc3339,
    note: "The secret looks like base64 and is used as it is.",
    ..BASE
};

pub(super) const DROPBOX: Scheme<'static> = Scheme {
    name: "dropbox",
    provider: "Dropbox",
    docs: "https://www.dropbox.com/developers/reference/webhooks",
    form: header("X-Dropbox-Signature"),
    acknowledgement: Fixed::empty(200),
    challenges: &[Challenge {
        signed: false,
        when: &[When::Method("GET"), When::Query("challenge")],
        answer: Answer::Echo(Token::Query("challenge")),
    }],
    sample: r#"{"list_folder":{"accounts":["$ID"]}}"#,
    known_by: KnownBy::Request,
    note: "A notification says whose files changed, and nothing else: the next one of the same \
        account has the same bytes. So none is a duplicate, `dedupe = \"strict\"` is refused, and \
        who captures one can send it again. It only tells the backend to look.",
    ..BASE
};

pub(super) const TYPEFORM: Scheme<'static> = Scheme {
    name: "typeform",
    provider: "Typeform",
    docs: "https://www.typeform.com/developers/webhooks/secure-your-webhooks/",
    encoding: Encoding::Base64,
    form: Form {
        tag: "sha256=",
        id: Some(Place::Json("event_id")),
        ..header("Typeform-Signature")
    },
    sample: r#"{"event_id":"$ID","event_type":"form_response"}"#,
    ..BASE
};

pub(super) const CALENDLY: Scheme<'static> = Scheme {
    name: "calendly",
    provider: "Calendly",
    docs: "https://developer.calendly.com/api-docs/4c305798a61d3-webhook-signatures",
    form: entries("Calendly-Webhook-Signature", None),
    tolerance: Millis::secs(180),
    sample: r#"{"event":"invitee.created","payload":{"uri":"$ID"}}"#,
    ..BASE
};

pub(super) const DOCUSIGN: Scheme<'static> = Scheme {
    name: "docusign",
    provider: "DocuSign Connect",
    docs: "https://developers.docusign.com/platform/webhooks/connect/validate/",
    encoding: Encoding::Base64,
    form: Form { signature: Place::Numbered("X-DocuSign-Signature-"), ..header("") },
    acknowledgement: Fixed::empty(200),
    sample: r#"{"event":"envelope-completed","data":{"envelopeId":"$ID"}}"#,
    note: "Each of the account's keys makes a header of its own, from `-1` on; eight are looked \
        at.",
    ..BASE
};

pub(super) const BITBUCKET: Scheme<'static> = Scheme {
    name: "bitbucket",
    provider: "Bitbucket",
    docs: "https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/#Secure-webhooks",
    form: Form {
        tag: "sha256=",
        id: Some(Place::Header("X-Request-UUID")),
        ..header("X-Hub-Signature")
    },
    ..BASE
};

pub(super) const SENTRY: Scheme<'static> = Scheme {
    name: "sentry",
    provider: "Sentry",
    docs: "https://docs.sentry.io/organization/integrations/integration-platform/webhooks/",
    form: Form { id: Some(Place::Header("Request-ID")), ..header("Sentry-Hook-Signature") },
    note: "`Sentry-Hook-Timestamp` is not signed and not looked at.",
    ..BASE
};
