//! `GET anomalies`: which ones to list.

use serde_json::{Map, Value};

use super::caller::Caller;
use super::field::{Errors, Object};
use super::list::{DEFAULT_PAGE, instant, page_size};
use crate::anomaly::{AnomalyQuery, Cursor, Kind};
use crate::key::KeyId;
use crate::problem::{Code, Problem};

/// Reads the pairs of the query.
///
/// # Errors
/// `invalid_field` with everything that is wrong; `not_found` for another tenant.
pub fn anomaly_query(
    pairs: &Map<String, Value>,
    caller: &Caller,
) -> Result<AnomalyQuery, Box<Problem>> {
    const KNOWN: [&str; 6] = ["limit", "cursor", "tenant", "key", "kind", "since"];
    let errors = Errors::default();
    let query = Object::query(pairs, &KNOWN, &errors);
    let limit = query.field("limit").read(page_size);
    let cursor = query
        .field("cursor")
        .read(|text| Cursor::parse(text).ok_or("is not a nextCursor of this list"));
    let key = query
        .field("key")
        .read(|text| KeyId::parse(text).map_err(|_| "is no id of a key"))
        .map(|id| id.to_string());
    let kind = query.field("kind").read(|text| {
        let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        Kind::parse(text).ok_or_else(|| format!("has to be one of {}", known.join(", ")))
    });
    let asked = AnomalyQuery {
        limit: limit.unwrap_or(DEFAULT_PAGE),
        cursor,
        tenant: query.field("tenant").line(1, 100),
        key,
        kind,
        since: query.field("since").read(instant),
    };
    let mut asked = errors.settle(Some(asked))?;
    match (caller.tenant(), &asked.tenant) {
        (Some(own), Some(tenant)) if own != tenant => Err(Box::new(Code::NotFound.into())),
        (Some(own), _) => {
            asked.tenant = Some(own.to_owned());
            Ok(asked)
        }
        (None, _) => Ok(asked),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::time::UnixMillis;

    fn read(pairs: &Value) -> Result<AnomalyQuery, Box<Problem>> {
        anomaly_query(pairs.as_object().unwrap(), &Caller::Root)
    }

    #[test]
    fn a_query_is_read_whole_or_told_what_is_wrong() {
        let least = AnomalyQuery {
            limit: 50,
            cursor: None,
            tenant: None,
            key: None,
            kind: None,
            since: None,
        };
        assert_eq!(read(&json!({})).unwrap(), least);
        let cursor = Cursor { at: UnixMillis::from_secs(7), id: "abc".to_owned() };
        let pairs = json!({
            "limit": "100", "cursor": cursor.to_text(), "tenant": "acme",
            "key": "abcdefghij012345", "kind": "new_route", "since": "1970-01-01T00:00:07Z",
        });
        let whole = AnomalyQuery {
            limit: 100,
            cursor: Some(cursor),
            tenant: Some("acme".to_owned()),
            key: Some("abcdefghij012345".to_owned()),
            kind: Some(Kind::NewRoute),
            since: Some(UnixMillis::from_secs(7)),
        };
        assert_eq!(read(&pairs).unwrap(), whole);

        let pairs = json!({
            "limit": "101", "cursor": "x", "key": "../x", "kind": "new", "since": "yesterday",
            "keys": "a",
        });
        let problem = read(&pairs).unwrap_err();
        let mut fields: Vec<&str> = problem.errors.iter().map(|e| e.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["cursor", "key", "keys", "kind", "limit", "since"]);
    }
}
