//! The public suffix list, whole: too big for the edge, so it is asked here, before a policy or a
//! key record gets there.

use tollgate_core::origin::PublicSuffixes;

/// Mozilla's list as compiled into the crate `psl`, its private section (`github.io`) included:
/// names below those too belong to different people.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PublicSuffixList;

impl PublicSuffixes for PublicSuffixList {
    /// True also for the parent of a wildcard rule: below `*.compute.amazonaws.com` each label is
    /// a suffix of its own, so that no name below `compute.amazonaws.com` has one owner.
    fn is_public_suffix(&self, domain: &str) -> bool {
        let is_suffix = |name: &str| psl::suffix_str(name) == Some(name);
        // No rule names a label with a leading underscore, only a wildcard covers it.
        is_suffix(domain) || is_suffix(&format!("_.{domain}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_those_below_which_names_have_different_owners() {
        for (domain, suffix, reason) in [
            ("com", true, "a top-level domain"),
            ("example", true, "an unknown top-level domain"),
            ("co.uk", true, "a registry's own second level"),
            ("github.io", true, "the private section"),
            ("compute.amazonaws.com", true, "the parent of a wildcard rule"),
            ("ck", true, "the parent of a wildcard rule at the top"),
            ("www.ck", false, "an exception to a wildcard rule"),
            ("example.com", false, "a registered domain"),
            ("example.co.uk", false, "a registered domain below co.uk"),
            ("acme.github.io", false, "one owner's part of a private suffix"),
            ("app.example.com", false, "below a registered domain"),
        ] {
            assert_eq!(PublicSuffixList.is_public_suffix(domain), suffix, "{domain}: {reason}");
        }
    }
}
