//! The two questions about an allowance ahead, as an object answers them.

use super::{Charge, Counts, Slot, Verdict};
use crate::time::UnixMillis;

impl Counts {
    /// [`Self::charge`], and for a request that may pass up to `ahead` further ones
    /// ([`Self::lease`]). The standings are those after both.
    pub fn admit(
        &mut self,
        charges: &[Charge],
        slot: Option<&Slot>,
        ahead: u32,
        now: UnixMillis,
    ) -> Verdict {
        let verdict = self.charge(charges, slot, now);
        match verdict {
            Verdict::Admitted { would_limit, at, .. } if ahead > 0 => {
                let grant = self.lease(charges, ahead, now);
                Verdict::Admitted { standings: self.look(charges, now), would_limit, at, grant }
            }
            verdict => verdict,
        }
    }

    /// Up to `ahead` requests to be admitted without asking, and none by this. Without a grant
    /// where none can be given.
    pub fn grant(&mut self, charges: &[Charge], ahead: u32, now: UnixMillis) -> Verdict {
        let grant = self.lease(charges, ahead, now);
        let standings = self.look(charges, now);
        Verdict::Admitted { standings, would_limit: Vec::new(), at: now, grant }
    }
}
