//! A key's record for `explain --key`: as its object stores it, or as the management API shows it
//! (`tollgate keys show ID --json`).

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use tollgate_core::key::KeyRecord;
use tollgate_core::time::UnixMillis;

/// Reads either form.
///
/// # Errors
/// What is missing or wrong, by the field's name.
pub(crate) fn read(text: &str) -> Result<KeyRecord> {
    let mut value: Value = serde_json::from_str(text).context("it is not JSON")?;
    if let Some(key) = value.get_mut("key").map(Value::take) {
        value = key;
    }
    if value.get("digest").is_none() {
        stored_form(&mut value)?;
    }
    Ok(serde_json::from_value(value)?)
}

/// Turns what the API shows into what an object stores. What was not shown stays without meaning:
/// offline no secret is verified.
fn stored_form(value: &mut Value) -> Result<()> {
    let Value::Object(key) = value else { bail!("it is not a JSON object") };
    let instant = |value: &Value| -> Option<u64> {
        Some(UnixMillis::parse_rfc3339(value.as_str()?)?.as_millis())
    };
    let mut times = [0; 2];
    for (name, time) in ["created_at", "expires_at"].into_iter().zip(&mut times) {
        let given = key.get_mut(name).with_context(|| format!("{name} is missing"))?;
        *time = instant(given).with_context(|| format!("{name} is not an RFC 3339 time"))?;
        *given = json!(*time);
    }
    let [created, expires] = times;
    key.insert("lifetime".to_owned(), json!(expires.saturating_sub(created)));
    key.insert("digest".to_owned(), json!({ "pepper": 1, "mac": "" }));
    if key.get("state").and_then(Value::as_str) == Some("expired") {
        key.insert("state".to_owned(), json!("active"));
    }
    if let Some(since) = key.get_mut("deprecated").and_then(|it| it.get_mut("since")) {
        *since = json!(instant(since).context("deprecated.since is not an RFC 3339 time")?);
    }
    let limits = key.get_mut("limits").and_then(Value::as_array_mut);
    for limit in limits.into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Some(rate) = taken_rate(limit) {
            limit.insert("rate".to_owned(), rate);
        }
        if let Some(bucket) = limit.get_mut("bucket").and_then(Value::as_object_mut) {
            let rate = taken_rate(bucket).context("a bucket has no requests")?;
            bucket.insert("rate".to_owned(), rate);
        }
    }
    Ok(())
}

/// The members `requests` and `window`, which the API shows flat.
fn taken_rate(of: &mut Map<String, Value>) -> Option<Value> {
    let requests = of.remove("requests")?;
    Some(json!({ "requests": requests, "window": of.remove("window") }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_core::limit::{Limit, LimitText, Mode};

    #[test]
    fn what_the_api_shows_is_a_record_too() {
        let shown = json!({"key": {
            "id": "0123456789ABCDEF", "family": "0123456789ABCDEF", "kind": "sk", "tenant": "acme",
            "environment": "dev", "name": "n", "owner": null, "tags": [], "metadata": {},
            "state": "expired", "version": 3, "created_at": "2026-01-01T00:00:00Z",
            "expires_at": "2026-01-02T00:00:00.500Z",
            "deprecated": {"since": "2026-01-01T12:00:00Z", "successor": "0123456789ABCDEG"},
            "origins": [], "allow_any_origin": false, "addresses": ["192.0.2.0/24"],
            "scopes": ["a:read"], "mfa": false,
            "limits": [
                {"name": "own", "requests": 5, "window": "1m", "by": "key", "mode": "leased"},
                {"name": "filled", "bucket": {"requests": 6, "window": "1s", "burst": 7},
                 "quota": {"requests": 8, "per": "day"}, "concurrency": 9, "by": "key+address"},
            ],
            "mode": "leased",
        }});
        let record = read(&shown.to_string()).unwrap();
        assert_eq!((record.version, record.lifetime.as_millis()), (3, 86_400_500));
        let stored: Vec<LimitText> = record.limits.iter().map(Limit::text).collect();
        assert_eq!(
            (json!(stored), record.mode),
            (
                json!([
                    {"name": "own", "rate": {"requests": 5, "window": "1m"}, "by": "key",
                     "mode": "leased"},
                    {"name": "filled",
                     "bucket": {"rate": {"requests": 6, "window": "1s"}, "burst": 7},
                     "quota": {"requests": 8, "per": "day"}, "concurrency": 9, "by": "key+address"},
                ]),
                Mode::Leased
            )
        );
        let stored = serde_json::to_string(&record).unwrap();
        assert_eq!(read(&stored).unwrap(), record, "and what an object stores is one as it is");
        let half = json!({"key": {"created_at": "2026-01-01", "expires_at": "2026-01-02",
            "limits": [{"name": "a", "bucket": {"window": "1s"}}]}});
        let half = half.to_string();
        for broken in ["", "[]", "{}", r#"{"created_at":1,"expires_at":2}"#, half.as_str()] {
            assert!(read(broken).is_err(), "{broken}");
        }
    }
}
