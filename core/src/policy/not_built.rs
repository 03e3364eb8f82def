//! What the policy's language has and this gate does not do yet. Its form is read in full, so a
//! misspelt field is an unknown field; then it is refused by name, because a policy that asks for
//! a retry and silently gets none is worse than one that does not build.

use super::error::Wrong;
use super::reader::Field;

/// One thing that is not built yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotBuilt {
    Cache,
    CircuitBreaker,
    CredentialHmac,
    CredentialOauth2,
    HonoursIdempotencyKey,
    Idempotency,
    IdempotencyField,
    LeakGuardBody,
    OnUnknown,
    Retry,
    TenantJson,
}

impl NotBuilt {
    /// Its name in the policy, and what to write until it is there.
    pub(super) const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Cache => ("`cache = \"tenant\"`", "leave it out: answers are not stored"),
            Self::CircuitBreaker => ("`circuit_breaker`", "leave it out: every request is tried"),
            Self::CredentialHmac => ("`type = \"hmac\"`", "use header, basic or query"),
            Self::CredentialOauth2 => {
                ("`type = \"oauth2_client_credentials\"`", "use header, basic or query")
            }
            Self::HonoursIdempotencyKey => {
                ("`honours_idempotency_key = true`", "leave it out: nothing is sent twice")
            }
            Self::Idempotency => {
                ("`idempotency` other than \"off\"", "leave it out: it is off for every method")
            }
            Self::IdempotencyField => ("`idempotency_field`", "leave it out"),
            Self::LeakGuardBody => ("`leak_guard = \"body\"`", "use \"headers\""),
            Self::OnUnknown => ("`on_unknown`", "leave it out"),
            Self::Retry => ("`retry`", "leave it out: every request is sent once"),
            Self::TenantJson => ("`json`", "use header, query or param"),
        }
    }

    /// Refuses the field that asks for it.
    pub(super) fn refuse(self, field: &Field<'_>) {
        let (name, until_then) = self.told();
        field.wrong(Wrong::help(format!("{name} is not built yet"), until_then));
    }
}
