//! Pages: about error codes, and the files of `www/`.

use tollgate_core::header::name;
use tollgate_core::manage::{
    Asset, console_policy, error_index, error_index_json, error_json, error_page,
    error_page_policy, page_policy, wants_json,
};
use tollgate_core::problem::Code;

use super::Context;
use super::answer::{Answer, Refused, page};
use crate::house::bindings;

pub(super) fn errors(context: &Context) -> Answer {
    if wants_json(context.header("accept").as_deref()) {
        return Answer::json(200, &error_index_json()).with(name::VARY, "Accept");
    }
    page(error_page_policy().to_owned(), error_index()).with(name::VARY, "Accept")
}

pub(super) fn error(context: &Context, code: Code) -> Answer {
    if wants_json(context.header("accept").as_deref()) {
        return Answer::json(200, &error_json(code)).with(name::VARY, "Accept");
    }
    page(error_page_policy().to_owned(), error_page(code)).with(name::VARY, "Accept")
}

/// A file as it lies in `www/`. The store's own headers are not taken over.
pub(super) async fn file(context: &Context, asset: &Asset) -> Result<Answer, Refused> {
    let found = bindings::fetch_asset(&context.env, &asset.path).await?;
    if !found.ok() {
        return Err(Code::NotFound.into());
    }
    let dev = context.gate.policy.environment.is_dev();
    let cache = if asset.is_page() || dev { "no-store" } else { "public, max-age=60" };
    let answer = Answer::new(200)
        .with("Content-Type", asset.content_type)
        .with(name::CACHE_CONTROL, cache)
        .stream(found.body());
    Ok(if asset.is_page() {
        let policy =
            if asset.is_of_console() { console_policy().to_owned() } else { policy(context) };
        answer.with("Content-Security-Policy", policy).with("Referrer-Policy", "no-referrer")
    } else {
        answer
    })
}

/// What pages here may do: call the API. On a machine of one's own they may do so on every port,
/// and stand in each other's frames, which is how the demo shows a second origin.
fn policy(context: &Context) -> String {
    let hosts = &context.gate.policy.gate.hosts;
    let mut called: Vec<String> = hosts.iter().map(|host| format!("https://{host}")).collect();
    let mut framed = Vec::new();
    let url = context.own.url();
    if context.gate.policy.environment.is_dev() && url.is_loopback() {
        called.push("http://localhost:*".to_owned());
        framed.push(format!("http://{}:*", url.host()));
    }
    page_policy(&called, &framed)
}
