//! `GET audit`: which chain, and a page of it or an export.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};

use super::caller::Caller;
use super::field::{Errors, Field, Object};
use super::registry::ALL_TENANTS;
use super::rules::is_tenant;
use crate::audit::{AuditQuery, AuditRequest};
use crate::key::KeyId;
use crate::problem::{Code, Problem};
use crate::road::redacted;
use crate::time::UnixMillis;

/// The most entries of one page.
const MAX_PAGE: u64 = 100;
/// The entries of a page when nobody says.
const DEFAULT_PAGE: u64 = 50;
/// The most lines of one export, and as many as it has when nobody says.
const MAX_EXPORT: u64 = 10_000;
/// The largest number that JavaScript counts to, which is where stored numbers pass through.
const MAX_SEQ: u64 = 1 << 53;
/// Filters of a page that an export cannot have.
const OF_PAGES: [&str; 6] = ["cursor", "key", "actor", "type", "from", "to"];

/// What is asked of the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditAsk {
    /// The tenant whose chain it is; `*` is the one over all.
    pub chain: String,
    /// Which of its entries.
    pub part: AuditPart,
}

/// Which entries of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditPart {
    /// Some of them, as JSON.
    Page(AuditQuery),
    /// Whole lines, with a signed head.
    Export {
        /// Those after this one.
        after: u64,
        /// At most so many.
        limit: u64,
    },
}

impl AuditAsk {
    /// Reads the pairs of the query.
    ///
    /// # Errors
    /// `invalid_field` with everything that is wrong; `not_found` for another tenant.
    pub fn read(pairs: &Map<String, Value>, caller: &Caller) -> Result<Self, Box<Problem>> {
        const KNOWN: [&str; 10] =
            ["tenant", "format", "after", "limit", "cursor", "key", "actor", "type", "from", "to"];
        let errors = Errors::default();
        let query = Object::query(pairs, &KNOWN, &errors);
        let tenant = query.field("tenant").read(tenant);
        let format = query.field("format");
        let export = format.is_given();
        format.read(|text| if text == "ndjson" { Ok(()) } else { Err("has to be ndjson") });
        let part = if export { export_part(&query) } else { page_part(&query) };
        let asked = errors.settle(Some((tenant, part)))?;
        let chain = match (caller.tenant(), asked.0) {
            (Some(own), Some(tenant)) if own != tenant => {
                return Err(Box::new(Code::NotFound.into()));
            }
            (Some(own), _) => own.to_owned(),
            (None, tenant) => tenant.unwrap_or_else(|| ALL_TENANTS.to_owned()),
        };
        Ok(Self { chain, part: asked.1 })
    }

    /// What the chain's keeper is asked.
    pub fn request(&self) -> AuditRequest {
        match &self.part {
            AuditPart::Page(query) => AuditRequest::Page(query.clone()),
            AuditPart::Export { after, limit } => {
                AuditRequest::Export { after: *after, limit: *limit }
            }
        }
    }
}

/// As `nextCursor` says it: older entries than this one.
pub fn audit_cursor(before: u64) -> String {
    BASE64URL_NOPAD.encode(format!("a1.{before}").as_bytes())
}

/// The refusal of an export that begins after the end of the chain.
pub fn after_the_end(last: u64) -> Problem {
    let errors = Errors::default();
    errors.note("after", format!("is after the end: the last entry is {last}"));
    errors.into()
}

/// What an entry may say of a text: nothing that is shaped like a key of this brand.
pub fn without_keys(brand: &str, text: &str) -> String {
    redacted(brand, text)
}

fn page_part(query: &Object<'_>) -> AuditPart {
    if query.field("after").is_given() {
        query.field("after").wrong("is for format=ndjson: pages go on with cursor");
    }
    let text = |name: &str| query.field(name).line(1, 100);
    let instant = |name: &str| query.field(name).read(instant);
    let key = |text: &str| KeyId::parse(text).map_err(|_| "is no id of a key");
    let (from, to) = (instant("from"), instant("to"));
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        query.field("to").wrong("has to be after from");
    }
    AuditPart::Page(AuditQuery {
        limit: count(&query.field("limit"), MAX_PAGE).unwrap_or(DEFAULT_PAGE),
        before: query.field("cursor").read(cursor),
        key: query.field("key").read(key).map(|id| id.to_string()),
        actor: text("actor"),
        kind: text("type"),
        from,
        to,
    })
}

fn export_part(query: &Object<'_>) -> AuditPart {
    for name in OF_PAGES {
        let field = query.field(name);
        if field.is_given() {
            field.wrong("cannot be said of an export, which is whole so that it can be verified");
        }
    }
    AuditPart::Export {
        after: query.field("after").read(|text| number(text, 0, MAX_SEQ)).unwrap_or(0),
        limit: count(&query.field("limit"), MAX_EXPORT).unwrap_or(MAX_EXPORT),
    }
}

fn tenant(text: &str) -> Result<String, &'static str> {
    let known = text == ALL_TENANTS || is_tenant(text);
    known.then(|| text.to_owned()).ok_or("is no name of a tenant")
}

fn count(field: &Field<'_>, most: u64) -> Option<u64> {
    field.read(|text| number(text, 1, most))
}

fn number(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|n| digits && (least..=most).contains(n));
    number.ok_or_else(|| format!("has to be {least} to {most}"))
}

fn instant(text: &str) -> Result<UnixMillis, &'static str> {
    UnixMillis::parse_rfc3339(text).ok_or("has to be a time such as 2026-11-22T04:56:18Z")
}

fn cursor(text: &str) -> Result<u64, &'static str> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let seq = text.as_deref().and_then(|text| text.strip_prefix("a1."));
    let seq = seq.and_then(|seq| number(seq, 1, MAX_SEQ).ok());
    seq.ok_or("is not a nextCursor of this list")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manage::query_pairs;
    use crate::manage::tests::{body, made};

    fn of_tenant() -> Caller {
        let record = made(&body("sk", serde_json::json!({}))).record;
        assert_eq!(record.tenant, "acme");
        Caller::Key(Box::new(record))
    }

    fn read(query: &str, caller: &Caller) -> Result<AuditAsk, Box<Problem>> {
        AuditAsk::read(&query_pairs(query).unwrap(), caller)
    }

    #[test]
    fn whose_chain_it_is() {
        for (caller, query, chain) in [
            (Caller::Root, "", Some("*")),
            (Caller::Root, "tenant=*", Some("*")),
            (Caller::Root, "tenant=acme", Some("acme")),
            (of_tenant(), "", Some("acme")),
            (of_tenant(), "tenant=acme", Some("acme")),
            (of_tenant(), "tenant=other", None),
            (of_tenant(), "tenant=*", None),
            (of_tenant(), "format=ndjson", Some("acme")),
            (of_tenant(), "format=ndjson&tenant=*", None),
        ] {
            let got = read(query, &caller);
            if let Err(problem) = &got {
                assert_eq!(problem.code, Code::NotFound, "{query}");
            }
            assert_eq!(got.ok().map(|asked| asked.chain).as_deref(), chain, "{query}");
        }
    }

    #[test]
    fn a_page_and_an_export_are_asked_for_in_their_own_words() {
        let page = |query: AuditQuery| AuditPart::Page(AuditQuery { limit: 50, ..query });
        let cursor = audit_cursor(7);
        for (query, part) in [
            (String::new(), page(AuditQuery::default())),
            (
                format!("cursor={cursor}&key=abcdefghij012345&actor=root&type=key.created"),
                page(AuditQuery {
                    before: Some(7),
                    key: Some("abcdefghij012345".to_owned()),
                    actor: Some("root".to_owned()),
                    kind: Some("key.created".to_owned()),
                    ..AuditQuery::default()
                }),
            ),
            (
                "from=1970-01-01T00:00:01Z&to=1970-01-02".to_owned(),
                page(AuditQuery {
                    from: Some(UnixMillis::from_secs(1)),
                    to: Some(UnixMillis::from_secs(86_400)),
                    ..AuditQuery::default()
                }),
            ),
            ("format=ndjson".to_owned(), AuditPart::Export { after: 0, limit: 10_000 }),
            ("format=ndjson&after=5&limit=1".to_owned(), AuditPart::Export { after: 5, limit: 1 }),
        ] {
            assert_eq!(read(&query, &Caller::Root).unwrap().part, part, "{query}");
        }
    }

    #[test]
    fn every_mistake_is_told_by_its_field() {
        for (query, fields) in [
            ("format=csv", vec!["format"]),
            ("limit=101&after=1", vec!["after", "limit"]),
            ("limit=0&tenant=A&key=x&from=yesterday", vec!["tenant", "from", "limit", "key"]),
            ("from=2026-01-02&to=2026-01-01", vec!["to"]),
            ("cursor=MS4x", vec!["cursor"]),
            ("form=ndjson", vec!["form"]),
            (
                "format=ndjson&limit=10001&after=-1&key=abcdefghij012345&type=a&from=1970-01-01",
                vec!["key", "type", "from", "after", "limit"],
            ),
        ] {
            let problem = read(query, &Caller::Root).unwrap_err();
            assert_eq!(problem.code, Code::InvalidField);
            let told: Vec<&str> = problem.errors.iter().map(|e| e.field.as_str()).collect();
            assert_eq!(told, fields, "{query}");
        }
    }
}
