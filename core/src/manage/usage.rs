//! `GET usage` and `GET keys/{id}/usage`: over which time, and of whom.

use serde_json::{Map, Value};

use super::caller::Caller;
use super::field::{Errors, Object};
use super::registry::ALL_TENANTS;
use super::rules::is_tenant;
use crate::key::KeyId;
use crate::problem::{Code, Problem};
use crate::time::UnixMillis;
use crate::usage::{By, Frame, ReportRequest, STALE};

/// Which usage is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageQuery {
    /// Whose: the name of the object that keeps it.
    pub tenant: String,
    /// What it is asked.
    pub request: ReportRequest,
}

impl UsageQuery {
    /// Reads the pairs of a query about one key, which exists for the caller.
    ///
    /// # Errors
    /// `invalid_field` with everything that is wrong.
    pub fn of_key(
        pairs: &Map<String, Value>,
        key: &KeyId,
        tenant: &str,
        now: UnixMillis,
    ) -> Result<Self, Box<Problem>> {
        let errors = Errors::default();
        let query = Object::query(pairs, &["by", "from", "to"], &errors);
        let frame = frame(&query, now);
        let frame = errors.settle(frame)?;
        let key = Some(key.clone());
        let request = ReportRequest { key, frame, unused_since: None, tenants: false };
        Ok(Self { tenant: tenant.to_owned(), request })
    }

    /// Reads the pairs of a query about a tenant, or about all of them.
    ///
    /// # Errors
    /// `invalid_field` with everything that is wrong; `not_found` for another tenant.
    pub fn of_tenant(
        pairs: &Map<String, Value>,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<Self, Box<Problem>> {
        let errors = Errors::default();
        let query = Object::query(pairs, &["by", "from", "to", "tenant"], &errors);
        let asked = query.field("tenant").read(|text| {
            let fits = is_tenant(text) || text == ALL_TENANTS;
            if fits { Ok(text.to_owned()) } else { Err("is no name of a tenant") }
        });
        let frame = frame(&query, now);
        let frame = errors.settle(frame)?;
        let tenant = match (caller.tenant(), asked) {
            (Some(own), Some(asked)) if asked != own => {
                return Err(Box::new(Code::NotFound.into()));
            }
            (Some(own), _) => own.to_owned(),
            (None, asked) => asked.unwrap_or_else(|| ALL_TENANTS.to_owned()),
        };
        let request = ReportRequest {
            key: None,
            frame,
            unused_since: Some(now.minus(STALE)),
            tenants: tenant == ALL_TENANTS,
        };
        Ok(Self { tenant, request })
    }
}

fn frame(query: &Object<'_>, now: UnixMillis) -> Option<Frame> {
    let by = match query.field("by") {
        by if by.is_given() => by.read(|text| match text {
            "hour" => Ok(By::Hour),
            "day" => Ok(By::Day),
            _ => Err("has to be hour or day"),
        }),
        _ => Some(By::default()),
    };
    let time = |name: &str| {
        let field = query.field(name);
        let wrong = "has to be a time in UTC such as 2027-01-31T12:00:00Z";
        let read = field.read(|text| UnixMillis::parse_rfc3339(text).ok_or(wrong));
        // What makes no sense was noted; no frame is made without it.
        if field.is_given() { read.map(Some) } else { Some(None) }
    };
    let (from, to) = (time("from"), time("to"));
    match Frame::new(by?, from?, to?, now) {
        Ok(frame) => Some(frame),
        Err((name, wrong)) => {
            query.field(name).wrong(wrong);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manage::query_pairs;

    fn now() -> UnixMillis {
        UnixMillis::parse_rfc3339("2026-11-22T10:20:30Z").unwrap()
    }

    fn read(query: &str) -> Result<UsageQuery, Vec<String>> {
        let asked = UsageQuery::of_tenant(&query_pairs(query).unwrap(), &Caller::Root, now());
        asked.map_err(|problem| problem.errors.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn what_is_asked_for() {
        let all = read("").unwrap();
        assert_eq!((all.tenant.as_str(), all.request.tenants), ("*", true));
        assert_eq!(all.request.frame.by, By::Hour);
        assert_eq!(all.request.unused_since.unwrap().to_rfc3339(), "2026-08-24T10:20:30Z");
        let one = read("tenant=acme&by=day&from=2026-11-01&to=2026-11-03T00:00:00Z").unwrap();
        assert_eq!((one.tenant.as_str(), one.request.tenants), ("acme", false));
        let frame = one.request.frame;
        let told = (frame.from.to_rfc3339(), frame.to.to_rfc3339());
        let days = ("2026-11-01T00:00:00Z".to_owned(), "2026-11-03T00:00:00Z".to_owned());
        assert_eq!((frame.by, told), (By::Day, days));
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        for (query, fields) in [
            ("by=week", ["by"].as_slice()),
            ("from=yesterday", &["from"]),
            ("by=week&from=1&to=2&tenant=A&limit=3", &["limit", "tenant", "by", "from", "to"]),
            ("from=2026-10-01", &["from"]),
            ("by=day&from=2026-10-01&to=2026-09-01", &["to"]),
            ("from=2027-01-01", &["from"]),
            ("tenant=", &["tenant"]),
        ] {
            assert_eq!(read(query).unwrap_err(), fields, "{query}");
        }
    }
}
