//! `GET ready`: is everything there that the gate needs?

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What was found of the bindings and secrets that a policy does not name.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    reasons: Vec<String>,
    warnings: Vec<String>,
}

/// What the registry of all tenants tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// Live admin keys.
    pub admin_keys: u64,
    /// Live keys whose secret is kept under another pepper than the newest.
    pub on_old_peppers: u64,
}

impl Readiness {
    /// Something without which the gate refuses what it should let pass.
    pub fn lacks(&mut self, reason: impl Into<String>) {
        self.reasons.push(reason.into());
    }

    /// Something that works and should not stay so.
    pub fn warns(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// Adds what the registry told; None when it could not be asked.
    pub fn registry(&mut self, store: Option<Store>, root_token: bool) {
        let Some(store) = store else {
            return self.lacks("the registry of keys cannot be reached");
        };
        if root_token && store.admin_keys > 0 {
            self.warns("ROOT_TOKEN is still set: there are admin keys, so remove it");
        }
        if store.on_old_peppers > 0 {
            let count = store.on_old_peppers;
            self.warns(format!("{count} keys are kept under an older version of KEY_PEPPER"));
        }
    }

    /// True when nothing is lacking.
    pub fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        if self.is_ready() { 200 } else { 503 }
    }

    /// The body of the answer; the reasons are for operators.
    pub fn body(&self, for_operator: bool) -> Value {
        if for_operator {
            json!({
                "ready": self.is_ready(),
                "reasons": self.reasons,
                "warnings": self.warnings,
            })
        } else {
            json!({ "ready": self.is_ready() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_learn_whether_and_operators_why() {
        let mut readiness = Readiness::default();
        readiness.registry(Some(Store { admin_keys: 1, on_old_peppers: 2 }), true);
        assert_eq!((readiness.status(), readiness.body(false)), (200, json!({ "ready": true })));
        assert_eq!(
            readiness.body(true),
            json!({ "ready": true, "reasons": [], "warnings": [
                "ROOT_TOKEN is still set: there are admin keys, so remove it",
                "2 keys are kept under an older version of KEY_PEPPER",
            ] })
        );
        readiness.registry(None, true);
        assert_eq!((readiness.status(), readiness.body(false)), (503, json!({ "ready": false })));
        assert_eq!(
            readiness.body(true)["reasons"],
            json!(["the registry of keys cannot be reached"])
        );
    }

    #[test]
    fn a_root_token_is_no_warning_while_it_is_the_only_way_in() {
        for (admin_keys, root_token, warned) in
            [(0, true, false), (1, false, false), (1, true, true)]
        {
            let mut readiness = Readiness::default();
            readiness.registry(Some(Store { admin_keys, on_old_peppers: 0 }), root_token);
            let warnings = readiness.body(true)["warnings"].as_array().unwrap().len();
            assert_eq!(warnings == 1, warned, "{admin_keys} {root_token}");
        }
    }
}
