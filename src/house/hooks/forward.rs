//! `delivery = "forward"`: passed through while the sender waits.

use tollgate_core::delivery::{Came, Fault as NoAnswer, Meaning};
use tollgate_core::inbox::{InboxReply, InboxRequest, shard_of};
use tollgate_core::policy::Source;
use tollgate_core::problem::Code;
use tollgate_core::road::source::Outcome;
use tollgate_core::webhook::{Identity, Scheme, Sighting};
use web_sys::Response;

use super::send::send;
use super::{Answer, Body, Event, Hook, Refused, ask};
use crate::house::bindings::{aborted_after, aborter, any_of};
use crate::platform::now;

impl Hook {
    pub(super) async fn forwarded(
        &self,
        source: &Source,
        scheme: &Scheme<'_>,
        mut event: Event,
    ) -> Result<Answer, Refused> {
        let shard = shard_of(&event.identity.name, source.shards);
        let Identity { name, content, .. } = event.identity.clone();
        let asked = InboxRequest::Sighting { name, content };
        let reply = ask(&self.env, source, shard, &asked, None).await?;
        let InboxReply::Sighting(sighting) = reply else {
            return Err(Code::AdmissionUnavailable.into());
        };
        match sighting {
            Sighting::Duplicate => {
                let mut answer = self.acknowledged(scheme, "duplicate");
                answer.outcome = Outcome { webhook: Some("duplicate"), ..event.outcome };
                return Ok(answer);
            }
            Sighting::IdReused => event.received.id_reused = true,
            Sighting::New => {}
        }
        let sent_at = now();
        let id = signed_id(&event.identity, self.webhook.request_id());
        let request = self.gate.webhook_request(source, &event.received, &id, &event.body, sent_at);
        let request = request.map_err(|_| Refused::from(Code::UpstreamCredentialUnavailable))?;
        let (first_byte, whole) = (aborter(request.timeout), aborted_after(request.max_stream));
        let sent = send(&request, &event.bytes, &any_of(&first_byte.signal(), &whole)).await;
        first_byte.settle();
        let outcome = Outcome {
            webhook: Some(if event.received.id_reused { "id_reused" } else { "forwarded" }),
            upstream: Some(now().since(sent_at)),
            ..event.outcome
        };
        let response = match sent {
            Ok(response) => response,
            Err(fault) => {
                let code = match fault {
                    NoAnswer::TimedOut => Code::UpstreamTimeout,
                    _ => Code::UpstreamUnreachable,
                };
                return Err(Refused { outcome, ..code.into() });
            }
        };
        if Came::Status(response.status()).meaning() == Meaning::Delivered {
            let Identity { name, content, remember } = event.identity;
            let remember = InboxRequest::Remember { name, content, remember };
            // It has arrived: that it may arrive once more is no reason to say that it did not.
            if let Err(fault) = ask(&self.env, source, shard, &remember, None).await {
                worker::console_error!("{{\"fault\":{:?}}}", fault.0);
            }
        }
        self.relayed(source, &response, outcome)
    }

    fn relayed(
        &self,
        source: &Source,
        response: &Response,
        outcome: Outcome,
    ) -> Result<Answer, Refused> {
        let status = response.status();
        let own = self.webhook.url().base();
        let Some(mut headers) = self.gate.relayed(source, pairs(response), &own) else {
            return Err(Refused { outcome, ..Code::SecretLeakBlocked.into() });
        };
        // What no answer of the platform's can be made of.
        if !(200..=599).contains(&status) {
            return Err(Refused { outcome, ..Code::UpstreamUnreachable.into() });
        }
        let stamp = self.webhook.stamp();
        headers
            .retain(|(header, _)| !stamp.iter().any(|(name, _)| name.eq_ignore_ascii_case(header)));
        headers.extend(stamp.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let body = response.body().map_or(Body::None, Body::Stream);
        Ok(Answer { status, headers, body, code: None, outcome })
    }
}

/// The id that the gate signs: the same when the provider sends the event again, as far as it says
/// which one it is.
fn signed_id(identity: &Identity, request_id: &str) -> String {
    match identity.name.split_once(':') {
        Some((kind @ ("i" | "d"), hash)) => format!("{kind}_{hash}"),
        _ => request_id.to_owned(),
    }
}

fn pairs(response: &Response) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for entry in response.headers().entries() {
        let Ok(entry) = entry else { break };
        let entry = js_sys::Array::from(&entry);
        pairs.extend(entry.get(0).as_string().zip(entry.get(1).as_string()));
    }
    pairs
}
