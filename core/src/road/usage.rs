//! What usage has to know of a walk.

use super::walk::Walk;
use crate::key::{KeyId, KeyRecord};
use crate::problem::Code;
use crate::time::UnixMillis;
use crate::usage::Sample;

/// What a walk notes for usage, besides what its log line says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted {
    /// It was admitted, whatever came of it then.
    admitted: bool,
    /// It was paid of what the isolate was given ahead: the key's object does not know of it.
    leased: bool,
    /// Its key was rotated out, and still works.
    in_grace: bool,
    /// The key that it named with a wrong secret, and its tenant. It did not call; it is what was
    /// tried.
    tried: Option<(KeyId, String)>,
}

impl Walk {
    pub(super) const fn note_admission(&mut self, leased: bool) {
        self.usage.admitted = true;
        self.usage.leased = leased;
    }

    pub(super) const fn note_grace(&mut self) {
        self.usage.in_grace = true;
    }

    pub(super) fn note_wrong_secret(&mut self, record: &KeyRecord) {
        self.usage.tried = Some((record.id.clone(), record.tenant.clone()));
    }

    /// The walk as it is counted.
    pub(super) fn sample(&self, status: u16, code: Option<Code>, now: UnixMillis) -> Sample<'_> {
        let key = self.key.as_ref().or(self.usage.tried.as_ref());
        Sample {
            key: key.map(|(id, tenant)| (id, tenant.as_str())),
            route: self.target(),
            status,
            code,
            country: self.country.as_deref(),
            at: now,
            took: now.since(self.arrived_at),
            admitted: self.usage.admitted,
            leased: self.usage.leased,
            in_grace: self.usage.in_grace,
        }
    }
}
