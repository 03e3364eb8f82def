//! Why webhooks were refused: brought to the source's inbox, for whoever looks for the reason.

use core::cell::RefCell;

use tollgate_core::inbox::{InboxRequest, Noted, Refusal};
use tollgate_core::webhook::Failure;

use super::{Hook, object_name};
use crate::house::bindings;
use crate::platform::now;

thread_local! {
    static NOTED: RefCell<Noted> = const { RefCell::new(Noted::new()) };
}

/// Refusals lie in the first of a source's objects.
pub(crate) const REFUSALS_AT: u8 = 0;

impl Hook {
    /// Keeps why this request failed. Its sender waits for that, but not long, and that it could not
    /// be kept changes nothing for it.
    pub(super) async fn note(&self, failure: &Failure, shadow: bool) {
        let Ok(source) = self.source() else { return };
        let (at, id) = (self.webhook.arrived_at(), self.webhook.request_id());
        let refusal = Refusal::new(at, id, failure, shadow);
        let next =
            NOTED.with(|noted| noted.try_borrow_mut().ok()?.next(&source.name, refusal, now()));
        let Some(refusal) = next else { return };
        let object = object_name(&source.name, REFUSALS_AT);
        let Ok(keep) = serde_json::to_string(&InboxRequest::Refused(refusal)) else { return };
        let told = bindings::tell_object(&self.env, bindings::INBOX, &object, &keep).await;
        if let Err(fault) = told {
            worker::console_error!("{{\"fault\":{:?}}}", fault.0);
        }
    }
}
