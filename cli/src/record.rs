//! A key's record for `explain --key`: as its object stores it, or as the management API shows it
//! (`tollgate keys show ID --json`).

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
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
        let part = |limit: &mut serde_json::Map<String, Value>, name: &str| {
            limit.remove(name).with_context(|| format!("a limit has no {name}"))
        };
        let (requests, window) = (part(limit, "requests")?, part(limit, "window")?);
        limit.insert("rate".to_owned(), json!({ "requests": requests, "window": window }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "limits": [{"name": "own", "requests": 5, "window": "1m", "by": "key"}],
        }});
        let record = read(&shown.to_string()).unwrap();
        assert_eq!((record.version, record.lifetime.as_millis()), (3, 86_400_500));
        assert_eq!(record.limits[0].rate.requests(), 5);
        let stored = serde_json::to_string(&record).unwrap();
        assert_eq!(read(&stored).unwrap(), record, "and what an object stores is one as it is");
        for broken in ["", "[]", "{}", r#"{"created_at":1,"expires_at":2}"#] {
            assert!(read(broken).is_err(), "{broken}");
        }
    }
}
