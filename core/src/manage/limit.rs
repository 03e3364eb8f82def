//! A key's own limit as the management API has it. A rate is written flat, as `requests` in a
//! `window`; what else a limit may measure stands in a field of its own.

use serde_json::{Map, Value, json};

use super::field::{Field, Object};
use crate::limit::{
    Bucket, Concurrency, Limit, LimitBy, LimitError, LimitText, Mode, Period, Quota, Rate,
    RateError, valid_limit_name,
};
use crate::time::Millis;

const FIELDS: [&str; 8] =
    ["name", "requests", "window", "bucket", "quota", "concurrency", "by", "mode"];

/// Reads one limit of a list.
pub(super) fn read(field: &Field<'_>) -> Option<Limit> {
    let object = field.object(&FIELDS, &[])?;
    let given = |name| object.field(name).is_given();
    let name = match object.field("name") {
        name if name.is_given() => name.read(|text| {
            let wrong = "has to be 1 to 32 lower-case letters, digits, `_` and `-`, and not to \
                         begin with `route-`";
            if valid_limit_name(text) { Ok(text.to_owned()) } else { Err(wrong) }
        }),
        _ => Some("default".to_owned()),
    };
    let by = if given("by") { of_a_key(&object.field("by")) } else { Some(LimitBy::Key) };
    let of_mode = if given("mode") { mode(&object.field("mode")) } else { Some(Mode::Exact) };
    let has_rate = given("requests") || given("window");
    let measures = ["bucket", "quota", "concurrency"];
    if !has_rate && !measures.into_iter().any(given) {
        field.wrong("has `requests` and a `window`, a `bucket`, a `quota` or a `concurrency`");
        return None;
    }

    let of_rate = if has_rate { rate(&object) } else { None };
    let of_bucket = bucket(&object.field("bucket"));
    let of_quota = quota(&object.field("quota"));
    let of_concurrency = concurrency(&object.field("concurrency"));
    if has_rate && given("bucket") {
        object.field("bucket").wrong(LimitError::RateAndBucket.to_string());
    }
    let leased = of_mode == Some(Mode::Leased);
    if leased && given("concurrency") {
        object.field("mode").wrong(LimitError::LeasedConcurrency.to_string());
    }
    if let Some(small) = of_bucket.filter(|it| leased && it.leased_burst() == 0) {
        object.field("mode").wrong(LimitError::LeasedBucket(small).to_string());
    }
    let read = [
        (has_rate, of_rate.is_some()),
        (given("bucket"), of_bucket.is_some()),
        (given("quota"), of_quota.is_some()),
        (given("concurrency"), of_concurrency.is_some()),
    ];
    // What was said and could not be read has been noted; without it this is another limit.
    if read.iter().any(|(is_given, is_read)| *is_given && !is_read) {
        return None;
    }
    let text = LimitText {
        name: name?,
        rate: of_rate,
        bucket: of_bucket,
        quota: of_quota,
        concurrency: of_concurrency,
        by: by?,
        mode: of_mode?,
    };
    Limit::try_from(text).ok()
}

/// A key's own limit is counted in its family's object: other counts are shared with other keys,
/// so the policy says them.
fn of_a_key(field: &Field<'_>) -> Option<LimitBy> {
    let by = field.read(LimitBy::parse)?;
    if !by.is_of_key() {
        field.wrong("a key's own limits are counted by key, key+address or key+param:NAME");
        return None;
    }
    Some(by)
}

/// `exact` or `leased`.
pub(super) fn mode(field: &Field<'_>) -> Option<Mode> {
    field.read(|text| match text {
        "exact" => Ok(Mode::Exact),
        "leased" => Ok(Mode::Leased),
        _ => Err("has to be exact or leased"),
    })
}

/// The fields `requests` and `window`.
pub(super) fn rate(object: &Object<'_>) -> Option<Rate> {
    let requests = object.field("requests").required();
    let window = object.field("window").required();
    let number = number(&requests);
    let span = window.read(Millis::parse);
    let told = |error: RateError| {
        let at = if matches!(error, RateError::Requests(_)) { &requests } else { &window };
        at.wrong(error.to_string());
    };
    Rate::new(number?, span?).map_err(told).ok()
}

fn bucket(field: &Field<'_>) -> Option<Bucket> {
    let object = field.object(&["requests", "window", "burst"], &[])?;
    let rate = rate(&object);
    let burst = object.field("burst").required();
    let most = number(&burst);
    Bucket::new(rate?, most?).map_err(|error| burst.wrong(error.to_string())).ok()
}

fn quota(field: &Field<'_>) -> Option<Quota> {
    let object = field.object(&["requests", "per"], &[])?;
    let requests = object.field("requests").required();
    let per = object.field("per").required();
    let most = requests.number().and_then(|number| {
        let wrong = |_| requests.wrong(format!("requests = {number}: at most {}", u32::MAX));
        u32::try_from(number).map_err(wrong).ok()
    });
    let period = per.read(|text| Period::parse(text).ok_or("has to be hour, day or month"));
    Quota::new(most?, period?).map_err(|error| requests.wrong(error.to_string())).ok()
}

fn concurrency(field: &Field<'_>) -> Option<Concurrency> {
    Concurrency::new(number(field)?).map_err(|error| field.wrong(error.to_string())).ok()
}

/// A number that the bounds of what it is for judge.
fn number(field: &Field<'_>) -> Option<u32> {
    field.number().map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

/// As the API shows it: what [`read`] reads.
pub(super) fn shown(limit: &Limit) -> Value {
    let LimitText { name, rate, bucket, quota, concurrency, by, mode } = limit.text();
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    put("name", json!(name));
    if let Some(rate) = rate {
        put("requests", json!(rate.requests()));
        put("window", json!(rate.window().to_string()));
    }
    if let Some(bucket) = bucket {
        let (requests, window) = (bucket.rate().requests(), bucket.rate().window().to_string());
        let burst = bucket.burst();
        put("bucket", json!({ "requests": requests, "window": window, "burst": burst }));
    }
    if let Some(quota) = quota {
        put("quota", json!(quota));
    }
    if let Some(concurrency) = concurrency {
        put("concurrency", json!(concurrency));
    }
    put("by", json!(by));
    if mode == Mode::Leased {
        put("mode", json!(mode));
    }
    Value::Object(shown)
}

#[cfg(test)]
mod tests;
