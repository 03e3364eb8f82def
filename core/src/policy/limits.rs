//! `[limit.NAME]`: how much may pass, counted by what.

use crate::limit::{
    Bucket, Concurrency, Limit, LimitBy, LimitError, LimitText, MAX_REQUESTS, Mode, Period, Quota,
    valid_limit_name,
};

use super::error::Wrong;
use super::rate;
use super::reader::{Field, Shape};

pub(super) const LIMIT: Shape =
    Shape { at: "limit.*", fields: &["rate", "bucket", "quota", "concurrency", "by", "mode"] };
pub(super) const RATE: Shape = Shape { at: "limit.*.rate", fields: &["requests", "window"] };
pub(super) const BUCKET: Shape = Shape { at: "limit.*.bucket", fields: &["rate", "burst"] };
pub(super) const BUCKET_RATE: Shape =
    Shape { at: "limit.*.bucket.rate", fields: &["requests", "window"] };
pub(super) const QUOTA: Shape = Shape { at: "limit.*.quota", fields: &["requests", "per"] };

/// A limit by its name; without its content where that is wrong.
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
    let (by, mode) = (table.field("by"), table.field("mode"));

    let measures = [&rate, &bucket, &quota, &concurrency];
    if !measures.into_iter().any(Field::is_given) {
        let suggestion = "rate = { requests = 60, window = \"1m\" }";
        table.wrong(Wrong::help(LimitError::Empty.to_string(), suggestion));
    }
    if rate.is_given() && bucket.is_given() {
        bucket.wrong(Wrong::told(LimitError::RateAndBucket));
    }
    let of_mode = mode.choice(&[("exact", Mode::Exact), ("leased", Mode::Leased)]);
    if of_mode == Some(Mode::Leased) && concurrency.is_given() {
        mode.wrong(Wrong::told(LimitError::LeasedConcurrency));
    }
    let of_bucket = read_bucket(&bucket);
    let too_small = |it: &Bucket| of_mode == Some(Mode::Leased) && it.leased_burst() == 0;
    if let Some(small) = of_bucket.filter(too_small) {
        let suggestion = format!("a `burst` of more than {}, or a lower rate", small.ahead());
        mode.wrong(Wrong::help(LimitError::LeasedBucket(small).to_string(), suggestion));
    }
    let (of_rate, of_quota) = (rate::read(&rate, &RATE), read_quota(&quota));
    let (of_concurrency, of_by) = (read_concurrency(&concurrency), by.parsed(read_by));
    let read = [
        (&rate, of_rate.is_some()),
        (&bucket, of_bucket.is_some()),
        (&quota, of_quota.is_some()),
        (&concurrency, of_concurrency.is_some()),
        (&by, of_by.is_some()),
        (&mode, of_mode.is_some()),
    ];
    // What was written and could not be read has been told; without it this is another limit.
    if read.iter().any(|(field, is_read)| field.is_given() && !is_read) {
        return None;
    }
    let text = LimitText {
        name: name.to_owned(),
        rate: of_rate,
        bucket: of_bucket,
        quota: of_quota,
        concurrency: of_concurrency,
        by: of_by.unwrap_or_default(),
        mode: of_mode.unwrap_or_default(),
    };
    Limit::try_from(text).ok()
}

fn read_by(text: &str) -> Result<LimitBy, Wrong> {
    LimitBy::parse(text).map_err(Wrong::told)
}

fn read_bucket(field: &Field<'_>) -> Option<Bucket> {
    let table = field.table(&BUCKET)?;
    let rate = rate::read(&table.field("rate").required(), &BUCKET_RATE);
    let burst = table.field("burst").required().integer(&(1..=u64::from(MAX_REQUESTS)));
    Bucket::new(rate?, u32::try_from(burst?).ok()?).ok()
}

fn read_quota(field: &Field<'_>) -> Option<Quota> {
    let table = field.table(&QUOTA)?;
    let requests = table.field("requests").required().integer(&(1..=u64::from(u32::MAX)));
    let periods = Period::ALL.map(|period| (period.word(), period));
    let per = table.field("per").required().choice(&periods);
    Quota::new(u32::try_from(requests?).ok()?, per?).ok()
}

fn read_concurrency(field: &Field<'_>) -> Option<Concurrency> {
    let most = field.integer(&(1..=u64::from(MAX_REQUESTS)))?;
    Concurrency::new(u32::try_from(most).ok()?).ok()
}

/// Stricter than other names: clients see it in headers, objects keep counts under it.
fn limit_name(text: &str) -> Result<(), Wrong> {
    if valid_limit_name(text) {
        return Ok(());
    }
    let suggestion = "1 to 32 lower-case letters, digits, `-` and `_`";
    Err(Wrong::help(format!("{text:?} is not the name of a limit"), suggestion))
}
