//! Reading `[[source]]`, and what an environment says of one.

use core::num::NonZeroU32;
use core::ops::RangeInclusive;

use crate::address::{Cidr, Cidrs};
use crate::delivery::{DEAD_KEPT, MAX_SPEED, Schedule};
use crate::time::{Millis, UnixMillis};
use crate::webhook::table::{self, DESCRIBED, TABLE};
use crate::webhook::{self, BODY_LIMIT, Description, FORWARD_LIMIT, KnownBy, MAX_SECRETS};

use super::super::base::UpstreamBase;
use super::super::dated::{SOURCE_SHADOW, read_shadow};
use super::super::error::Wrong;
use super::super::path::{self, PathTemplate};
use super::super::reader::{Field, Shape, Table, name, unknown_name, unknown_word};
use super::super::route::RouteDraft;
use super::super::template::Template;
use super::super::upstream::UpstreamDraft;
use super::{CONCURRENCY, Delivery, KEEP, MAX_SHARDS, Queue, STORE_LIMIT, Source, SourceScheme};

pub(in crate::policy) const SOURCE: Shape = Shape {
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
        "delivery_concurrency",
        "retry_speed",
        "keep_delivered",
        "store_limit",
        "shards",
    ],
};
pub(in crate::policy) const SOURCE_HMAC: Shape =
    Shape { at: "source[].hmac", fields: &webhook::FIELDS };
pub(in crate::policy) const SOURCE_OVERRIDE: Shape =
    Shape { at: "environment.*.source.*", fields: &["url", "addresses", "retry_speed"] };

/// What only a source with an inbox has.
const OF_AN_INBOX: [&str; 4] =
    ["delivery_concurrency", "retry_speed", "keep_delivered", "store_limit"];

/// A row of an object's database has at most 2 MB (Cloudflare's limit), and the body is one of
/// them.
const MAX_QUEUED: u64 = 1 << 20;
const CONCURRENCY_RANGE: RangeInclusive<u64> = 1..=256;
const MAX_STORE: u64 = 8 << 30;
const MIN_STORE: u64 = 1 << 20;

/// A source as far as it could be read. None means that what is wrong has been told.
#[derive(Debug)]
pub(in crate::policy) struct SourceDraft<'a> {
    pub(in crate::policy) table: Table<'a>,
    pub(in crate::policy) name: Option<&'a str>,
    pub(in crate::policy) upstream: Option<usize>,
    /// What holds in every environment, but for the index of the upstream.
    whole: Option<Source>,
    url: (Field<'a>, Option<String>),
    addresses: (Field<'a>, Option<Vec<Cidr>>),
    retry_speed: (Field<'a>, Option<u64>),
}

/// `[environment.NAME.source.SOURCE]`.
#[derive(Debug)]
pub(in crate::policy) struct SourceOverride<'a> {
    url: (Field<'a>, Option<String>),
    addresses: (Field<'a>, Option<Vec<Cidr>>),
    retry_speed: (Field<'a>, Option<u64>),
}

impl<'a> SourceOverride<'a> {
    pub(in crate::policy) fn read(field: &Field<'a>) -> Option<Self> {
        let table = field.table(&SOURCE_OVERRIDE)?;
        let (url, addresses) = (table.field("url"), table.field("addresses"));
        let speed = table.field("retry_speed");
        Some(Self {
            url: (url.clone(), url.parsed(public_url)),
            addresses: (addresses.clone(), addresses.list(cidr)),
            retry_speed: (speed.clone(), read_speed(&speed)),
        })
    }
}

/// Reads `[[source]]`, all of them.
pub(in crate::policy) fn read<'a>(
    field: &Field<'a>,
    upstreams: &[UpstreamDraft<'_>],
    routes: &[RouteDraft<'_>],
    now: UnixMillis,
) -> Vec<SourceDraft<'a>> {
    let mut drafts: Vec<SourceDraft<'a>> = Vec::new();
    for (index, item) in field.items().unwrap_or_default().iter().enumerate() {
        let Some(draft) = SourceDraft::read(index, item, upstreams, now) else { continue };
        if draft.name.is_some() && drafts.iter().any(|other| other.name == draft.name) {
            draft.table.field("name").wrong(Wrong::new("another source has this name"));
        }
        let path = draft.table.field("path");
        if let Some(text) = path.word() {
            let route =
                routes.iter().find(|it| it.path.as_ref().is_some_and(|p| p.as_str() == text));
            if let Some(route) = route {
                let name = route.name.unwrap_or_default();
                path.wrong(Wrong::new(format!("route {name:?} has this path")));
            }
            let other = drafts.iter().find(|other| other.table.field("path").word() == Some(text));
            if let Some(other) = other {
                let name = other.name.unwrap_or_default();
                path.wrong(Wrong::new(format!("source {name:?} has this path")));
            }
        }
        drafts.push(draft);
    }
    one_purpose(&drafts);
    drafts
}

/// A secret that providers sign with must not be one that the gate signs with, of any source:
/// whoever sees what the gate sends to a backend could send it back, and it would be genuine.
fn one_purpose(drafts: &[SourceDraft<'_>]) {
    let read = || drafts.iter().filter_map(|draft| draft.whole.as_ref());
    let theirs = read().flat_map(|source| &source.secrets).flat_map(Template::secrets);
    let theirs: Vec<&str> = theirs.collect();
    for draft in drafts {
        let sign = draft.whole.iter().flat_map(|source| &source.sign);
        let both = sign.flat_map(Template::secrets).find(|name| theirs.contains(name));
        if let Some(name) = both {
            let message = format!("`{name}` is among the `secrets` of a source");
            let help = "the gate signs with a secret of its own, which no provider knows";
            draft.table.field("sign").wrong(Wrong::help(message, help));
        }
    }
}

impl<'a> SourceDraft<'a> {
    fn read(
        index: usize,
        field: &Field<'a>,
        upstreams: &[UpstreamDraft<'_>],
        now: UnixMillis,
    ) -> Option<Self> {
        let table = field.table(&SOURCE)?;
        let name_at = table.field("name").required();
        let name = name_at.parsed(source_name).and_then(|()| name_at.text());
        let scheme = read_scheme(&table);
        let secrets = read_secrets(&table.field("secrets").required());
        let upstream = table.field("upstream").required().parsed(|text| {
            let at = upstreams.iter().position(|upstream| upstream.name == text);
            at.ok_or_else(|| {
                let names: Vec<&str> = upstreams.iter().map(|upstream| upstream.name).collect();
                unknown_name("upstream", text, &names)
            })
        });
        let rewrite = table.field("rewrite");
        let delivery = read_delivery(&table);
        let path = table.field("path").required().parsed(fixed_path);
        let tenant = table.field("tenant");
        let (url, addresses) = (table.field("url"), table.field("addresses"));
        let speed = table.field("retry_speed");
        let url = (url.clone(), url.parsed(public_url));
        let addresses = (addresses.clone(), addresses.list(cidr));
        let retry_speed = (speed.clone(), read_speed(&speed));
        let tenant_read = tenant.parsed(tenant_name);
        let rewrite_read =
            rewrite.parsed(|text| path::check_literal(text).map(|()| text.to_owned()));
        let sign = read_sign(&table.field("sign"));
        let strict = table.field("dedupe").choice(&[("normal", false), ("strict", true)]);
        let uncounted = scheme.as_ref().map(|scheme| scheme.scheme().known_by);
        if strict == Some(true) && uncounted == Some(KnownBy::Request) {
            let message = "is for schemes whose events differ: here two that are not the same have \
                           the same bytes";
            table.field("dedupe").wrong(Wrong::new(message));
        }
        let shadow = table.field("shadow");
        let shadow = read_shadow(&shadow, &SOURCE_SHADOW, &[("signatures", None)], now);
        let queued = !matches!(delivery, Some(Delivery::Forward));
        let most = if queued { MAX_QUEUED } else { FORWARD_LIMIT as u64 };
        let body_limit = table.field("body_limit").size(most);
        let shards = table.field("shards").integer(&(1..=u64::from(MAX_SHARDS)));
        let whole = || {
            Some(Source {
                index,
                name: name?.to_owned(),
                tenant: tenant_read,
                path: path?,
                scheme: scheme?,
                secrets: secrets?,
                upstream: 0,
                rewrite: rewrite_read,
                delivery: delivery?,
                sign: sign?,
                url: String::new(),
                strict: strict.unwrap_or(false),
                addresses: Cidrs::default(),
                body_limit: body_limit.unwrap_or(BODY_LIMIT as u64),
                shadow_until: shadow.map(|shadow| shadow.until),
                shards: shards.and_then(|shards| u8::try_from(shards).ok()).unwrap_or(1),
            })
        };
        let whole = whole();
        Some(Self { table, name, upstream, whole, url, addresses, retry_speed })
    }

    /// The source as it is in one environment, whose upstream is known by now.
    pub(in crate::policy) fn resolve(
        &self,
        over: Option<&SourceOverride<'a>>,
        upstream: Option<usize>,
        environment: &Field<'a>,
        in_production: bool,
    ) -> Option<Source> {
        let (_, url) = given(over.map(|over| &over.url), &self.url);
        let (_, addresses) = given(over.map(|over| &over.addresses), &self.addresses);
        let (speed_at, speed) = given(over.map(|over| &over.retry_speed), &self.retry_speed);
        if in_production && speed.is_some_and(|speed| speed > 1) {
            let name = self.name.unwrap_or_default();
            let message =
                "not in production: a backend that is down would be asked without a pause";
            let suggestion = format!("[environment.dev.source.{name}] retry_speed = …");
            speed_at.wrong(Wrong::help(message, suggestion));
        }
        let whole = self.whole.as_ref()?;
        let nowhere = !self.url.0.is_given() && !over.is_some_and(|over| over.url.0.is_given());
        if nowhere && whole.scheme.scheme().signs_url() {
            let message = format!(
                "has no `url` in environment {:?}: the scheme signs the address that the provider \
                 was given",
                environment.spot().path.rsplit('.').next().unwrap_or_default()
            );
            let suggestion = format!("url = \"https://api.example.com{}\"", whole.path);
            self.table.wrong(Wrong::help(message, suggestion));
            return None;
        }
        let mut source = whole.clone();
        source.upstream = upstream?;
        source.url = url.clone().unwrap_or_default();
        source.addresses = Cidrs(addresses.clone()?);
        let speed = speed.and_then(|speed| u32::try_from(speed).ok()).and_then(NonZeroU32::new);
        if let (Delivery::Queue(queue), Some(speed)) = (&mut source.delivery, speed) {
            queue.schedule = Schedule::faster(speed);
        }
        Some(source)
    }
}

/// The override where it is given, else what holds everywhere.
fn given<'r, 'a, T>(
    over: Option<&'r (Field<'a>, T)>,
    base: &'r (Field<'a>, T),
) -> (&'r Field<'a>, &'r T) {
    let (field, value) = over.filter(|over| over.0.is_given()).unwrap_or(base);
    (field, value)
}

fn read_scheme(table: &Table<'_>) -> Option<SourceScheme> {
    let hmac = table.field("hmac");
    let scheme = table.field("scheme").required().parsed(|text| {
        let row = table::is_for_sources(text).then(|| TABLE.iter().find(|row| row.name == text));
        row.ok_or_else(|| {
            let rows = TABLE.iter().map(|row| row.name).filter(|row| table::is_for_sources(row));
            unknown_word(text, &rows.chain([DESCRIBED]).collect::<Vec<_>>())
        })
    })?;
    match scheme {
        Some(_) if hmac.is_given() => {
            hmac.wrong(Wrong::new("is for `scheme = \"hmac\"` only"));
            None
        }
        Some(row) => Some(SourceScheme::Named(row.name)),
        None => read_described(&hmac.required()),
    }
}

fn read_described(field: &Field<'_>) -> Option<SourceScheme> {
    let table = field.table(&SOURCE_HMAC)?;
    let given = webhook::FIELDS.into_iter().filter(|name| table.field(name).is_given());
    let texts = given.map(|name| Some((name.to_owned(), table.field(name).text()?.to_owned())));
    // All of them are looked at, whatever is wrong with one.
    let texts: Vec<Option<(String, String)>> = texts.collect();
    let texts: Vec<(String, String)> = texts.into_iter().collect::<Option<_>>()?;
    match Description::read(&texts) {
        Ok(description) => Some(SourceScheme::Described(Box::new(description))),
        Err(errors) => {
            for error in errors {
                let known = webhook::FIELDS.into_iter().find(|name| *name == error.field);
                match known {
                    Some(name) => table.field(name).wrong(Wrong::new(error.problem)),
                    None => field.wrong(Wrong::told(error)),
                }
            }
            None
        }
    }
}

fn read_secrets(field: &Field<'_>) -> Option<Vec<Template>> {
    let secrets = field.list(Template::parse_secret)?;
    if field.is_given() && !(1..=MAX_SECRETS).contains(&secrets.len()) {
        field.wrong(match secrets.len() {
            0 => Wrong::new("names no secret"),
            _ => Wrong::new(format!("names more than {MAX_SECRETS} secrets")),
        });
    }
    Some(secrets)
}

/// One secret as a text, or the present one and the one before it as a list.
fn read_sign(field: &Field<'_>) -> Option<Vec<Template>> {
    if field.word().is_some() {
        return field.parsed(Template::parse_secret).map(|one| vec![one]);
    }
    let secrets = field.list(Template::parse_secret)?;
    if field.is_given() && !(1..=2).contains(&secrets.len()) {
        field.wrong(Wrong::new("names one secret, or the present one and the one before it"));
    }
    Some(secrets)
}

fn read_delivery(table: &Table<'_>) -> Option<Delivery> {
    let field = table.field("delivery");
    let queued = field.choice(&[("queue", true), ("forward", false)]);
    if queued.is_none() && field.is_given() {
        return None;
    }
    if queued == Some(false) {
        for name in OF_AN_INBOX {
            let field = table.field(name);
            if field.is_given() {
                field.wrong(Wrong::new("is for `delivery = \"queue\"` only"));
            }
        }
        return Some(Delivery::Forward);
    }
    let concurrency = table.field("delivery_concurrency").integer(&CONCURRENCY_RANGE);
    Some(Delivery::Queue(Queue {
        concurrency: concurrency.and_then(|most| u32::try_from(most).ok()).unwrap_or(CONCURRENCY),
        keep: table.field("keep_delivered").duration(&(Millis::ZERO..=DEAD_KEPT)).unwrap_or(KEEP),
        store_limit: store_limit(&table.field("store_limit")).unwrap_or(STORE_LIMIT),
        ..Queue::USUAL
    }))
}

fn store_limit(field: &Field<'_>) -> Option<u64> {
    let size = field.size(MAX_STORE)?;
    if size < MIN_STORE {
        field.wrong(Wrong::new("must be at least 1MiB: empty tables take some of it"));
    }
    Some(size)
}

fn read_speed(field: &Field<'_>) -> Option<u64> {
    field.integer(&(1..=u64::from(MAX_SPEED)))
}

/// `hooks/endpoints` of the management API is something else.
fn source_name(text: &str) -> Result<(), Wrong> {
    if text == "endpoints" {
        return Err(Wrong::new("`endpoints` means something else in the management API"));
    }
    name(text)
}

/// A path without parameters: a provider is given one address.
fn fixed_path(text: &str) -> Result<String, Wrong> {
    let template = PathTemplate::parse(text)?;
    match template.params().next() {
        Some(name) => {
            Err(Wrong::new(format!("a source has one path: no parameter such as `{{{name}}}`")))
        }
        None => Ok(text.to_owned()),
    }
}

/// The address that a provider was given, as it signs it; one may end with a slash.
fn public_url(text: &str) -> Result<String, Wrong> {
    UpstreamBase::parse(text.strip_suffix('/').unwrap_or(text)).map(|_| text.to_owned())
}

fn cidr(text: &str) -> Result<Cidr, Wrong> {
    Cidr::parse(text).map_err(Wrong::told)
}

/// The form of tenants' names in the management API.
fn tenant_name(text: &str) -> Result<String, Wrong> {
    let of_a_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let good = (1..=63).contains(&text.len()) && !text.starts_with('-');
    if good && text.bytes().all(of_a_name) {
        return Ok(text.to_owned());
    }
    let message = format!("{text:?} is not the name of a tenant");
    Err(Wrong::help(message, "lower-case letters, digits and `-`, at most 63"))
}
