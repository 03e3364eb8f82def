//! A source of webhooks, as the policy has it (SPEC section 7).

mod read;

use crate::address::Cidrs;
use crate::delivery::Schedule;
use crate::request::RequestUrl;
use crate::time::{Millis, UnixMillis};
use crate::webhook::{self, Description, table};

use super::template::Template;
pub(super) use read::{SOURCE, SOURCE_HMAC, SOURCE_OVERRIDE, SourceDraft, SourceOverride, read};

/// Deliveries in flight at a time of one object of a source, unless the policy says otherwise.
const CONCURRENCY: u32 = 64;
/// The most objects that a source is spread over.
pub const MAX_SHARDS: u8 = 16;
const KEEP: Millis = Millis::hours(24);
/// An object of Cloudflare's has 10 GB; what is deleted takes a while to be free again.
const STORE_LIMIT: u64 = 4 << 30;

/// A source of webhooks, in one environment.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its place in the policy, counted from 0.
    pub index: usize,
    /// Its name, for logs, its inbox, and `X-Tollgate-Webhook`.
    pub name: String,
    /// Whose events they are; None: operators alone see them.
    pub tenant: Option<String>,
    /// The one path that it is sent to.
    pub path: String,
    /// How its requests are signed.
    pub scheme: SourceScheme,
    /// One to eight, any of which may have signed.
    pub secrets: Vec<Template>,
    /// The index of the upstream that gets its events.
    pub upstream: usize,
    /// The path to ask the upstream for; none is the source's own.
    pub rewrite: Option<String>,
    /// How the upstream gets them.
    pub delivery: Delivery,
    /// What the gate signs with: none, one, or the present one and the one before it.
    pub sign: Vec<Template>,
    /// The URL that the provider was given; empty where its scheme does not sign it.
    pub url: String,
    /// Whether an unsigned id of a delivery counts for nothing.
    pub strict: bool,
    /// Who may send; empty: everybody.
    pub addresses: Cidrs,
    /// The most bytes of a body.
    pub body_limit: u64,
    /// Until then a refused signature is only logged.
    pub shadow_until: Option<UnixMillis>,
    /// The most objects that its events are spread over, 1 to 16.
    pub shards: u8,
}

/// How a source's requests are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceScheme {
    /// As a row of the table says.
    Named(&'static str),
    /// As the policy says.
    Described(Box<Description>),
}

/// How an upstream gets a source's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Kept first, then acknowledged, then delivered until it succeeds.
    Queue(Queue),
    /// Passed through while the sender waits.
    Forward,
}

/// What an inbox is told by the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The most deliveries in flight at a time, for each of its objects.
    pub concurrency: u32,
    /// When what failed is tried again.
    pub schedule: Schedule,
    /// How long a delivered event can be read and replayed.
    pub keep: Millis,
    /// The most bytes that each of its objects keeps.
    pub store_limit: u64,
}

impl SourceScheme {
    /// Its row, or what the policy says of it.
    pub fn scheme(&self) -> webhook::Scheme<'_> {
        match self {
            // A name of the table is all that reading lets through.
            Self::Named(name) => table::named(name).copied().unwrap_or(table::BASE),
            Self::Described(description) => description.scheme(),
        }
    }
}

impl Source {
    /// The names of the secrets that it needs, without its upstream's.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().chain(&self.sign).flat_map(Template::secrets)
    }

    /// The URL that the provider was given, with the query of a request: what URL schemes sign.
    pub fn url_of(&self, asked: &RequestUrl) -> String {
        match &asked.query {
            Some(query) => format!("{}?{query}", self.url),
            None => self.url.clone(),
        }
    }

    /// True while a refused signature is only logged.
    pub fn in_shadow(&self, now: UnixMillis) -> bool {
        self.shadow_until.is_some_and(|until| now < until)
    }

    /// The inbox's share of it; None for one that passes through.
    pub const fn queue(&self) -> Option<&Queue> {
        match &self.delivery {
            Delivery::Queue(queue) => Some(queue),
            Delivery::Forward => None,
        }
    }

    /// How what lies in its inbox is delivered: also of a source that passes through by now, so
    /// that what was acknowledged before arrives.
    pub const fn drain(&self) -> Queue {
        match self.delivery {
            Delivery::Queue(queue) => queue,
            Delivery::Forward => Queue::USUAL,
        }
    }
}

impl Queue {
    /// What holds where the policy says nothing.
    const USUAL: Self = Self {
        concurrency: CONCURRENCY,
        schedule: Schedule::STANDARD,
        keep: KEEP,
        store_limit: STORE_LIMIT,
    };
}
