//! `/_tollgate/v1/anomalies`.

use serde_json::{Map, Value, json};
use tollgate_core::anomaly::{Anomaly, AnomalyRequest, Cursor, Page};
use tollgate_core::manage::{ALL_TENANTS, Caller, RegistryRequest, anomaly_query};

use super::Context;
use super::answer::{Answer, Refused};
use super::objects::ask_registry;

/// `GET anomalies`
pub(super) async fn list(
    context: &Context,
    caller: &Caller,
    query: &Map<String, Value>,
) -> Result<Answer, Refused> {
    let query = anomaly_query(query, caller)?;
    let keeper = caller.tenant().unwrap_or(ALL_TENANTS);
    let request = RegistryRequest::Anomaly(AnomalyRequest::List(query));
    let page: Page = ask_registry(context, keeper, &request).await?;
    let anomalies: Vec<Value> = page.anomalies.iter().map(Anomaly::resource).collect();
    let next = page.next.as_ref().map(Cursor::to_text);
    Ok(Answer::json(200, &json!({ "anomalies": anomalies, "nextCursor": next })))
}
