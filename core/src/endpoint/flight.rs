//! Which deliveries are under way: so many at a time, so many of one endpoint, and of each one attempt.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::{CLOUDFLARE_CONNECTIONS, Platform};

/// How many deliveries of one tenant may be under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Of all its endpoints.
    pub all: usize,
    /// Of one: an endpoint that hangs leaves places to the others.
    pub of_one: usize,
}

impl Places {
    /// On workerd nothing but memory bounds them.
    pub const WORKERD: Self = Self { all: 32, of_one: 4 };
    /// On Cloudflare what is beyond its connections would fail for what its neighbours do.
    pub const CLOUDFLARE: Self = Self { all: CLOUDFLARE_CONNECTIONS as usize, of_one: 2 };

    /// Those of a platform.
    pub const fn on(platform: Platform) -> Self {
        match platform {
            Platform::Cloudflare => Self::CLOUDFLARE,
            Platform::Workerd => Self::WORKERD,
        }
    }
}

/// The deliveries of one tenant that are under way.
#[derive(Clone, Debug, Default)]
pub struct Flight {
    /// Endpoint and event.
    under_way: BTreeSet<(String, String)>,
    /// When an endpoint was given a place last, counted in starts.
    turns: BTreeMap<String, u64>,
    starts: u64,
}

impl Flight {
    /// How many are under way.
    pub fn len(&self) -> usize {
        self.under_way.len()
    }

    /// True when none is.
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// How many are of this endpoint.
    pub fn of(&self, endpoint: &str) -> usize {
        self.under_way.iter().filter(|(at, _)| at == endpoint).count()
    }

    /// True while an attempt at this delivery is under way.
    pub fn has(&self, endpoint: &str, event: &str) -> bool {
        self.under_way.contains(&(endpoint.to_owned(), event.to_owned()))
    }

    /// True when one more of this endpoint may start.
    pub fn is_free(&self, endpoint: &str, places: Places) -> bool {
        self.len() < places.all && self.of(endpoint) < places.of_one
    }

    /// The endpoints in the order in which they are given places: who has waited the longest since its
    /// last one comes first, however much lies due for the others.
    pub fn in_turn(&self, mut endpoints: Vec<String>) -> Vec<String> {
        endpoints.sort_by_key(|endpoint| self.turns.get(endpoint).copied());
        endpoints
    }

    /// An attempt starts; false if that delivery is under way already.
    #[must_use]
    pub fn start(&mut self, endpoint: &str, event: &str) -> bool {
        if !self.under_way.insert((endpoint.to_owned(), event.to_owned())) {
            return false;
        }
        self.starts = self.starts.saturating_add(1);
        self.turns.insert(endpoint.to_owned(), self.starts);
        true
    }

    /// An attempt has ended.
    pub fn end(&mut self, endpoint: &str, event: &str) {
        self.under_way.remove(&(endpoint.to_owned(), event.to_owned()));
    }

    /// An endpoint is there no more.
    pub fn forget(&mut self, endpoint: &str) {
        self.turns.remove(endpoint);
    }
}
