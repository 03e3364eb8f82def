//! Pages: about error codes, and the files of `www/`.

use tollgate_core::header::name;
use tollgate_core::manage::{
    Asset, error_index, error_index_json, error_json, error_page, error_page_policy, page_policy,
    settings_origins, wants_json,
};
use tollgate_core::problem::Code;

use super::Context;
use super::answer::{Answer, Refused, page};
use crate::bindings;

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

/// What the demo page is told: only where a development environment set it.
pub(super) fn demo_settings(context: &Context) -> Result<Answer, Refused> {
    let settings = settings(context).ok_or(Code::NotFound)?;
    Ok(Answer::new(200).with("Content-Type", "application/json").text(settings))
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
        answer
            .with("Content-Security-Policy", page_policy(&callable(context)))
            .with("Referrer-Policy", "no-referrer")
    } else {
        answer
    })
}

/// The origins that pages here may call: the API's, and in development this machine's.
fn callable(context: &Context) -> Vec<String> {
    let hosts = &context.gate.policy.gate.hosts;
    let mut origins: Vec<String> = hosts.iter().map(|host| format!("https://{host}")).collect();
    let url = context.own.url();
    if context.gate.policy.environment.is_dev() && url.is_loopback() {
        origins.push(url.base().replacen(url.host(), "localhost", 1));
    }
    for origin in settings(context).map(|settings| settings_origins(&settings)).unwrap_or_default()
    {
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    origins
}

fn settings(context: &Context) -> Option<String> {
    let dev = context.gate.policy.environment.is_dev();
    bindings::text(&context.env, bindings::DEMO_SETTINGS).filter(|_| dev)
}
