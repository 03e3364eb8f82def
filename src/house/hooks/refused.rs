//! Why webhooks were refused: brought to the source's inbox, for whoever looks for the reason.

use core::cell::RefCell;

use tollgate_core::inbox::{InboxRequest, Noted, Refusal};
use tollgate_core::webhook::Failure;

use super::{Hook, ask};
use crate::platform::now;

thread_local! {
    static NOTED: RefCell<Noted> = const { RefCell::new(Noted::new()) };
}

/// Refusals lie in the first of a source's objects.
pub(crate) const REFUSALS_AT: u8 = 0;

impl Hook {
    /// Keeps why this request failed. That it could not be kept changes nothing for the sender.
    pub(super) async fn note(&self, failure: &Failure, shadow: bool) {
        let Ok(source) = self.source() else { return };
        let (at, id) = (self.webhook.arrived_at(), self.webhook.request_id());
        let refusal = Refusal::new(at, id, failure, shadow);
        let next =
            NOTED.with(|noted| noted.try_borrow_mut().ok()?.next(&source.name, refusal, now()));
        let Some(refusal) = next else { return };
        let keep = InboxRequest::Refused(refusal);
        if let Err(fault) = ask(&self.env, source, REFUSALS_AT, &keep, None).await {
            worker::console_error!("{{\"fault\":{:?}}}", fault.0);
        }
    }
}
