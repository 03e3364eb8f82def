//! A key's limit in one word: `60/1m`, `messages=10/1m,200/day,key+param:channel`. What is shown
//! can be said again.

use anyhow::{Result, bail, ensure};
use serde_json::{Map, Value, json};
use tollgate_core::limit::LimitBy;

use crate::client::member;
use crate::table;

/// The forms of a part, for whoever wrote another one.
const FORMS: &str = "write 60/1m, or visitor=5/10s,key+address; parts are 60/1m, burst:100, \
                     200/day, concurrency:5, leased and key, key+address or key+param:NAME";
/// The periods of a quota.
const PERIODS: [&str; 3] = ["hour", "day", "month"];

/// Reads a limit as the API takes it.
///
/// # Errors
/// For a part that is none, for two of a kind, and for none that says how many. What a number may
/// be, and what a key's limit is counted by, the gate knows.
pub(super) fn read(text: &str) -> Result<Value> {
    let (name, parts) = match text.split_once('=') {
        Some((name, parts)) => (Some(name), parts),
        None => (None, text),
    };
    let mut limit = Map::new();
    if let Some(name) = name {
        limit.insert("name".to_owned(), json!(name));
    }
    let mut burst = None;
    for part in parts.split(',') {
        let twice = match Part::read(part) {
            Some(Part::Rate { requests, window }) => {
                limit.insert("requests".to_owned(), json!(requests));
                limit.insert("window".to_owned(), json!(window)).is_some()
            }
            Some(Part::Burst(most)) => burst.replace(most).is_some(),
            Some(Part::Quota { requests, per }) => {
                let quota = json!({ "requests": requests, "per": per });
                limit.insert("quota".to_owned(), quota).is_some()
            }
            Some(Part::Concurrency(most)) => {
                limit.insert("concurrency".to_owned(), json!(most)).is_some()
            }
            Some(Part::Mode(mode)) => limit.insert("mode".to_owned(), json!(mode)).is_some(),
            Some(Part::By(by)) => limit.insert("by".to_owned(), json!(by)).is_some(),
            None => bail!("--limit {text}: {part:?} is no part of a limit: {FORMS}"),
        };
        ensure!(!twice, "--limit {text}: {part:?} is the second of its kind");
    }
    if let Some(burst) = burst {
        let (requests, window) = (limit.remove("requests"), limit.remove("window"));
        ensure!(
            requests.is_some(),
            "--limit {text}: how fast does the bucket fill? Write it as 10/1s,burst:100"
        );
        let bucket = json!({ "requests": requests, "window": window, "burst": burst });
        limit.insert("bucket".to_owned(), bucket);
    }
    let measures = ["requests", "bucket", "quota", "concurrency"];
    ensure!(
        measures.into_iter().any(|measure| limit.contains_key(measure)),
        "--limit {text}: how many may come? {FORMS}"
    );
    Ok(Value::Object(limit))
}

/// One part of a limit.
enum Part<'t> {
    Rate { requests: u64, window: &'t str },
    Burst(u64),
    Quota { requests: u64, per: &'t str },
    Concurrency(u64),
    Mode(&'t str),
    By(&'t str),
}

impl<'t> Part<'t> {
    fn read(part: &'t str) -> Option<Self> {
        if let Some((requests, span)) = part.split_once('/') {
            let requests = requests.parse().ok()?;
            return Some(if PERIODS.contains(&span) {
                Self::Quota { requests, per: span }
            } else {
                Self::Rate { requests, window: span }
            });
        }
        match part.split_once(':') {
            Some(("burst", most)) => most.parse().ok().map(Self::Burst),
            Some(("concurrency", most)) => most.parse().ok().map(Self::Concurrency),
            _ if matches!(part, "exact" | "leased") => Some(Self::Mode(part)),
            _ => LimitBy::parse(part).ok().map(|_| Self::By(part)),
        }
    }
}

/// The limits that the API tells of, each as [`read`] reads it.
pub(super) fn shown(limits: &Value) -> String {
    let limits = limits.as_array().map_or(&[][..], Vec::as_slice);
    limits.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn one(limit: &Value) -> String {
    let text = |of: &Value, name: &str| table::text(member(of, name));
    let rate = |of: &Value| format!("{}/{}", text(of, "requests"), text(of, "window"));
    let mut parts = Vec::new();
    if !member(limit, "requests").is_null() {
        parts.push(rate(limit));
    }
    let bucket = member(limit, "bucket");
    if !bucket.is_null() {
        parts.push(format!("{},burst:{}", rate(bucket), text(bucket, "burst")));
    }
    let quota = member(limit, "quota");
    if !quota.is_null() {
        parts.push(format!("{}/{}", text(quota, "requests"), text(quota, "per")));
    }
    if !member(limit, "concurrency").is_null() {
        parts.push(format!("concurrency:{}", text(limit, "concurrency")));
    }
    let last = ["by", "mode"].map(|name| text(limit, name));
    parts.extend(last.into_iter().filter(|part| !part.is_empty()));
    format!("{}={}", text(limit, "name"), parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_shown_as_it_was_said() {
        for (text, limit) in [
            ("default=60/1m,key", json!({ "requests": 60, "window": "1m" })),
            (
                "default=60/1m,key,leased",
                json!({ "requests": 60, "window": "1m", "mode": "leased" }),
            ),
            (
                "visitor=10/1s,burst:100,key+address",
                json!({
                    "bucket": { "requests": 10, "window": "1s", "burst": 100 }, "by": "key+address",
                }),
            ),
            (
                "messages=10/1m,200/day,key+param:channel",
                json!({
                    "requests": 10, "window": "1m", "quota": { "requests": 200, "per": "day" },
                    "by": "key+param:channel",
                }),
            ),
            (
                "monthly=1000000/month,key",
                json!({ "quota": { "requests": 1_000_000, "per": "month" } }),
            ),
            (
                "busy=5/hour,concurrency:5,key",
                json!({ "quota": { "requests": 5, "per": "hour" }, "concurrency": 5 }),
            ),
        ] {
            let mut limit = limit;
            limit["name"] = json!(text.split('=').next());
            if limit.get("by").is_none() {
                limit["by"] = json!("key");
            }
            assert_eq!(read(text).unwrap(), limit, "{text}");
            assert_eq!(shown(&json!([limit])), text);
        }
        let two = shown(&json!([read("a=1/1s,key").unwrap(), read("b=2/1s,key").unwrap()]));
        assert_eq!(two, "a=1/1s,key b=2/1s,key");
        assert_eq!(shown(&json!([])), "");
    }

    #[test]
    fn what_is_not_said_is_not_sent() {
        for (text, limit) in [
            ("60/1m", json!({ "requests": 60, "window": "1m" })),
            ("concurrency:5", json!({ "concurrency": 5 })),
            (
                "a=leased,1/day",
                json!({ "name": "a", "quota": { "requests": 1, "per": "day" }, "mode": "leased" }),
            ),
            ("burst:3,1/1s", json!({ "bucket": { "requests": 1, "window": "1s", "burst": 3 } })),
            ("1/1s,tenant", json!({ "requests": 1, "window": "1s", "by": "tenant" })),
            ("60/", json!({ "requests": 60, "window": "" })),
        ] {
            assert_eq!(read(text).unwrap(), limit, "{text}");
        }
    }

    #[test]
    fn a_limit_that_makes_no_sense_is_told_here() {
        for text in [
            "",
            "60",
            "many",
            "a=",
            "a=leased",
            "key",
            "1/1s,key+adress",
            "x/1m",
            "-1/1m",
            "a=/1m",
            "1.5/1m",
            "1/1m,",
            "1/1m,,key",
            "burst:3",
            "1/day,burst:3",
            "burst:x,1/1s",
            "concurrency:",
            "concurrency:-1",
            "1/1m,2/1m",
            "1/day,2/hour",
            "1/1m,key,key",
            "1/1m,leased,exact",
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.starts_with(&format!("--limit {text}: ")), "{error}");
        }
    }
}
