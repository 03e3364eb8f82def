//! `[upstream.NAME]`: how a backend is spoken to. Where it is reached stands with each environment.

use core::ops::RangeInclusive;

use crate::header::{HOP_BY_HOP, has_prefix, is_token, same_name};
use crate::time::Millis;

use super::base::UpstreamBase;
use super::error::Wrong;
use super::not_built::NotBuilt;
use super::reader::{Field, Shape, name, unknown_word};
use super::template::Template;

pub(super) const UPSTREAM: Shape = Shape {
    at: "upstream.*",
    fields: &[
        "credential",
        "timeout",
        "max_stream",
        "leak_guard",
        "retry",
        "honours_idempotency_key",
        "circuit_breaker",
    ],
};
pub(super) const CREDENTIAL_HEADER: Shape =
    Shape { at: "upstream.*.credential(header)", fields: &["type", "name", "value"] };
pub(super) const CREDENTIAL_BASIC: Shape =
    Shape { at: "upstream.*.credential(basic)", fields: &["type", "username", "password"] };
pub(super) const CREDENTIAL_QUERY: Shape =
    Shape { at: "upstream.*.credential(query)", fields: &["type", "name", "value"] };
pub(super) const CREDENTIAL_OAUTH2: Shape = Shape {
    at: "upstream.*.credential(oauth2_client_credentials)",
    fields: &["type", "token_url", "client_id", "client_secret", "scopes", "audience"],
};
pub(super) const CREDENTIAL_HMAC: Shape = Shape {
    at: "upstream.*.credential(hmac)",
    fields: &["type", "key_id", "secret", "components"],
};
pub(super) const RETRY: Shape =
    Shape { at: "upstream.*.retry", fields: &["attempts", "budget", "body"] };
pub(super) const CIRCUIT_BREAKER: Shape =
    Shape { at: "upstream.*.circuit_breaker", fields: &["failures", "window", "pause"] };

/// To the first byte of the answer.
const TIMEOUT: Millis = Millis::secs(10);
const TIMEOUT_RANGE: RangeInclusive<Millis> = Millis::millis(100)..=Millis::minutes(5);
/// For the whole answer; revoked keys lose open streams at this age (SPEC section 3).
const MAX_STREAM: Millis = Millis::minutes(15);
const MAX_STREAM_RANGE: RangeInclusive<Millis> = Millis::secs(1)..=Millis::hours(24);

/// A backend, in one environment.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name in the policy.
    pub name: String,
    /// Where it is reached.
    pub base: UpstreamBase,
    /// What the gate adds so that the backend believes it.
    pub credential: Option<Credential>,
    /// Time to the first byte of its answer, 100 ms to 5 min.
    pub timeout: Millis,
    /// Time to the last byte of its answer, 1 s to 24 h, at least the timeout.
    pub max_stream: Millis,
    /// Where injected secrets are looked for in its answers.
    pub leak_guard: LeakGuardMode,
}

/// How the gate shows itself to a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// One header.
    Header {
        /// Its name in lower case.
        name: String,
        /// Its value.
        value: Template,
    },
    /// `Authorization: Basic` (RFC 7617).
    Basic {
        /// Without a colon.
        username: Template,
        /// Holds at least one secret.
        password: Template,
    },
    /// A parameter of the query, for backends that know nothing else.
    Query {
        /// Its name: unreserved characters only.
        name: String,
        /// Its value, before percent-encoding.
        value: Template,
    },
}

/// Where injected secrets are looked for in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeakGuardMode {
    /// In its headers.
    Headers,
    /// Nowhere.
    Off,
}

impl Credential {
    /// The header that it sets, in lower case: a route may not use it for anything else.
    pub fn header_name(&self) -> Option<&str> {
        match self {
            Self::Header { name, .. } => Some(name),
            Self::Basic { .. } => Some("authorization"),
            Self::Query { .. } => None,
        }
    }

    /// The query parameter that it sets.
    pub fn query_name(&self) -> Option<&str> {
        match self {
            Self::Query { name, .. } => Some(name),
            Self::Header { .. } | Self::Basic { .. } => None,
        }
    }

    /// The names of the secrets that it needs; one that is used twice comes twice.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match self {
            Self::Header { value, .. } | Self::Query { value, .. } => (value, None),
            Self::Basic { username, password } => (username, Some(password)),
        };
        first.secrets().chain(second.into_iter().flat_map(Template::secrets))
    }
}

/// An upstream before it is known where it is reached.
#[derive(Debug)]
pub(super) struct UpstreamDraft<'a> {
    pub(super) name: &'a str,
    pub(super) credential: Option<Credential>,
    timeout: Millis,
    max_stream: Millis,
    leak_guard: LeakGuardMode,
}

impl UpstreamDraft<'_> {
    pub(super) fn at(&self, base: UpstreamBase) -> Upstream {
        Upstream {
            name: self.name.to_owned(),
            base,
            credential: self.credential.clone(),
            timeout: self.timeout,
            max_stream: self.max_stream,
            leak_guard: self.leak_guard,
        }
    }
}

/// Reads `[upstream]`, all of it.
pub(super) fn read<'a>(field: &Field<'a>) -> Vec<UpstreamDraft<'a>> {
    field.named(name).into_iter().filter_map(|(name, field)| upstream(name, &field)).collect()
}

fn upstream<'a>(name: &'a str, field: &Field<'a>) -> Option<UpstreamDraft<'a>> {
    let table = field.table(&UPSTREAM)?;
    let max_stream_at = table.field("max_stream");
    let timeout = table.field("timeout").duration(&TIMEOUT_RANGE).unwrap_or(TIMEOUT);
    let max_stream = max_stream_at.duration(&MAX_STREAM_RANGE).unwrap_or(MAX_STREAM);
    if max_stream < timeout {
        max_stream_at.wrong(Wrong::new(format!("must be at least the timeout, {timeout}")));
    }
    read_retry(&table.field("retry"));
    read_circuit_breaker(&table.field("circuit_breaker"));
    let honours = table.field("honours_idempotency_key");
    if honours.boolean() == Some(true) {
        NotBuilt::HonoursIdempotencyKey.refuse(&honours);
    }
    let credential = table.field("credential");
    Some(UpstreamDraft {
        name,
        credential: credential.is_given().then(|| read_credential(&credential)).flatten(),
        timeout,
        max_stream,
        leak_guard: read_leak_guard(&table.field("leak_guard")),
    })
}

fn read_leak_guard(field: &Field<'_>) -> LeakGuardMode {
    let choices = [
        ("headers", Some(LeakGuardMode::Headers)),
        ("off", Some(LeakGuardMode::Off)),
        ("body", None),
    ];
    match field.choice(&choices) {
        Some(Some(guard)) => guard,
        Some(None) => {
            NotBuilt::LeakGuardBody.refuse(field);
            LeakGuardMode::Headers
        }
        None => LeakGuardMode::Headers,
    }
}

fn read_credential(field: &Field<'_>) -> Option<Credential> {
    let kind = field.tag("type")?;
    match kind.text()? {
        "header" => {
            let table = field.table(&CREDENTIAL_HEADER)?;
            let name = table.field("name").required().parsed(header_name);
            let value = table.field("value").required().parsed(Template::parse_secret);
            Some(Credential::Header { name: name?, value: value? })
        }
        "basic" => {
            let table = field.table(&CREDENTIAL_BASIC)?;
            let username = table.field("username").required().parsed(username);
            let password = table.field("password").required().parsed(Template::parse_secret);
            Some(Credential::Basic { username: username?, password: password? })
        }
        "query" => {
            let table = field.table(&CREDENTIAL_QUERY)?;
            let name = table.field("name").required().parsed(query_name);
            let value = table.field("value").required().parsed(Template::parse_secret);
            Some(Credential::Query { name: name?, value: value? })
        }
        "oauth2_client_credentials" => {
            let table = field.table(&CREDENTIAL_OAUTH2)?;
            table.field("token_url").required().parsed(UpstreamBase::parse);
            table.field("client_id").required().parsed(Template::parse);
            table.field("client_secret").required().parsed(Template::parse_secret);
            table.field("scopes").list(token);
            table.field("audience").text();
            NotBuilt::CredentialOauth2.refuse(&kind);
            None
        }
        "hmac" => {
            let table = field.table(&CREDENTIAL_HMAC)?;
            table.field("key_id").required().text();
            table.field("secret").required().parsed(Template::parse_secret);
            table.field("components").list(|text| Ok(text.to_owned()));
            NotBuilt::CredentialHmac.refuse(&kind);
            None
        }
        other => {
            let known = ["header", "basic", "query", "oauth2_client_credentials", "hmac"];
            kind.wrong(unknown_word(other, &known));
            None
        }
    }
}

fn read_retry(field: &Field<'_>) {
    let Some(table) = field.table(&RETRY) else {
        return;
    };
    table.field("attempts").required().integer(&(2..=10));
    table.field("budget").duration(&TIMEOUT_RANGE);
    table.field("body").size(1 << 20);
    NotBuilt::Retry.refuse(field);
}

fn read_circuit_breaker(field: &Field<'_>) {
    let Some(table) = field.table(&CIRCUIT_BREAKER) else {
        return;
    };
    table.field("failures").integer(&(1..=1_000_000));
    table.field("window").duration(&(Millis::secs(1)..=Millis::hours(1)));
    table.field("pause").duration(&(Millis::secs(1)..=Millis::hours(1)));
    NotBuilt::CircuitBreaker.refuse(field);
}

/// Headers that belong to the connection, to the message, or to the gate: nobody else sets them.
const RESERVED_HEADERS: [&str; 15] = [
    "accept-encoding",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "forwarded",
    "host",
    "origin",
    "range",
    "set-cookie",
    "traceparent",
    "tracestate",
    "via",
    "x-request-id",
];
const RESERVED_PREFIXES: [&str; 5] =
    ["access-control-", "proxy-", "sec-", "x-forwarded-", "x-tollgate-"];

/// A header that the gate may be told to set on a request; in lower case.
pub(super) fn header_name(text: &str) -> Result<String, Wrong> {
    if !is_token(text) {
        return Err(Wrong::new(format!("{text:?} is not the name of a header")));
    }
    let reserved = HOP_BY_HOP.iter().chain(&RESERVED_HEADERS).any(|name| same_name(name, text))
        || RESERVED_PREFIXES.iter().any(|prefix| has_prefix(text, prefix));
    if reserved {
        return Err(Wrong::new(format!("`{text}` is not for a policy to set")));
    }
    Ok(text.to_ascii_lowercase())
}

/// A query parameter that the gate may be told to set: a name with one spelling, so that a
/// client's copy of it is found (RFC 3986 section 2.3).
pub(super) fn query_name(text: &str) -> Result<String, Wrong> {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(unreserved) {
        return Ok(text.to_owned());
    }
    let message = format!("{text:?} is not a name for a query parameter");
    Err(Wrong::help(message, "1 to 64 letters, digits, `-`, `.`, `_` and `~`"))
}

/// The colon ends it (RFC 7617 section 2).
fn username(text: &str) -> Result<Template, Wrong> {
    let template = Template::parse(text)?;
    if template.has_literal(':') {
        return Err(Wrong::new("a user name has no colon"));
    }
    Ok(template)
}

fn token(text: &str) -> Result<String, Wrong> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if plain { Ok(text.to_owned()) } else { Err(Wrong::new("must be printable, without blanks")) }
}
