//! `[limit.NAME]`: how much may pass, counted by what.

use crate::limit::{Limit, LimitBy, LimitByError, valid_limit_name};

use super::error::Wrong;
use super::not_built::NotBuilt;
use super::rate;
use super::reader::{Field, Shape};

pub(super) const LIMIT: Shape =
    Shape { at: "limit.*", fields: &["rate", "bucket", "quota", "concurrency", "by", "mode"] };
pub(super) const RATE: Shape = Shape { at: "limit.*.rate", fields: &["requests", "window"] };
pub(super) const BUCKET: Shape = Shape { at: "limit.*.bucket", fields: &["rate", "burst"] };
pub(super) const BUCKET_RATE: Shape =
    Shape { at: "limit.*.bucket.rate", fields: &["requests", "window"] };
pub(super) const QUOTA: Shape = Shape { at: "limit.*.quota", fields: &["requests", "per"] };

/// A limit by its name; without its content where that is wrong or not built yet.
#[derive(Debug, PartialEq)]
pub(super) struct LimitDraft<'a> {
    pub(super) name: &'a str,
    pub(super) limit: Option<Limit>,
}

/// Reads `[limit]`, all of it.
pub(super) fn read<'a>(field: &Field<'a>) -> Vec<LimitDraft<'a>> {
    let named = field.named(limit_name).into_iter();
    named.map(|(name, field)| LimitDraft { name, limit: limit(name, &field) }).collect()
}

fn limit(name: &str, field: &Field<'_>) -> Option<Limit> {
    let table = field.table(&LIMIT)?;
    let (rate, bucket) = (table.field("rate"), table.field("bucket"));
    let (quota, concurrency) = (table.field("quota"), table.field("concurrency"));
    let by = table.field("by");

    if ![&rate, &bucket, &quota, &concurrency].into_iter().any(Field::is_given) {
        rate.wrong(Wrong::new("is missing"));
    }
    if rate.is_given() && bucket.is_given() {
        bucket.wrong(Wrong::new("a limit has a `rate` or a `bucket`, not both"));
    }
    read_bucket(&bucket);
    read_quota(&quota);
    if concurrency.integer(&(1..=1_000_000)).is_some() {
        NotBuilt::Concurrency.refuse(&concurrency);
    }
    let mode = table.field("mode");
    if mode.choice(&[("exact", false), ("leased", true)]) == Some(true) {
        NotBuilt::Leased.refuse(&mode);
    }
    let by = if by.is_given() { read_by(&by) } else { Some(LimitBy::Key) };
    let rate = rate::read(&rate, &RATE);
    Some(Limit { name: name.to_owned(), rate: rate?, by: by? })
}

fn read_by(field: &Field<'_>) -> Option<LimitBy> {
    match LimitBy::parse(field.text()?) {
        Ok(by) => return Some(by),
        Err(LimitByError::NotBuilt("tenant")) => NotBuilt::ByTenant.refuse(field),
        Err(LimitByError::NotBuilt(_)) => NotBuilt::ByRoute.refuse(field),
        Err(error) => field.wrong(Wrong::told(error)),
    }
    None
}

fn read_bucket(field: &Field<'_>) {
    let Some(table) = field.table(&BUCKET) else {
        return;
    };
    rate::read(&table.field("rate").required(), &BUCKET_RATE);
    table.field("burst").required().integer(&(1..=1_000_000));
    NotBuilt::Bucket.refuse(field);
}

fn read_quota(field: &Field<'_>) {
    let Some(table) = field.table(&QUOTA) else {
        return;
    };
    table.field("requests").required().integer(&(1..=u64::from(u32::MAX)));
    table.field("per").required().choice(&[("hour", ()), ("day", ()), ("month", ())]);
    NotBuilt::Quota.refuse(field);
}

/// Stricter than other names: clients see it in headers, objects keep counts under it.
fn limit_name(text: &str) -> Result<(), Wrong> {
    if valid_limit_name(text) {
        return Ok(());
    }
    let suggestion = "1 to 32 lower-case letters, digits, `-` and `_`";
    Err(Wrong::help(format!("{text:?} is not the name of a limit"), suggestion))
}
