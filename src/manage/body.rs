//! Reading a request's body, and no more of it than it may have.

use js_sys::{Reflect, Uint8Array};
use tollgate_core::header::name;
use tollgate_core::manage::MAX_BODY;
use tollgate_core::problem::{Code, Problem};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::ReadableStreamDefaultReader;

use super::Context;
use super::answer::Refused;

/// The body, which is JSON or empty.
pub(super) async fn read(context: &Context) -> Result<Vec<u8>, Refused> {
    let declared = context.header(name::CONTENT_LENGTH).and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|length| length > MAX_BODY) {
        return Err(Code::BodyTooLarge.into());
    }
    let body = bytes(context).await?;
    let media = context.header(name::CONTENT_TYPE).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !body.is_empty() && !media.eq_ignore_ascii_case("application/json") {
        let detail = "The body has to be JSON, with Content-Type: application/json.";
        return Err(Problem::new(Code::MalformedRequest).detail(detail).into());
    }
    Ok(body)
}

async fn bytes(context: &Context) -> Result<Vec<u8>, Refused> {
    let Some(stream) = context.request.body() else { return Ok(Vec::new()) };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunk(&reader).await.map_err(|_| cut_off())? {
        bytes.extend(chunk);
        if bytes.len() > MAX_BODY {
            // The rest is not wanted; whether the sender hears of it does not matter.
            let _ = reader.cancel();
            return Err(Code::BodyTooLarge.into());
        }
    }
    Ok(bytes)
}

async fn chunk(reader: &ReadableStreamDefaultReader) -> Result<Option<Vec<u8>>, JsValue> {
    let read = JsFuture::from(reader.read()).await?;
    if Reflect::get(&read, &"done".into())?.is_truthy() {
        return Ok(None);
    }
    let chunk: Uint8Array = Reflect::get(&read, &"value".into())?.dyn_into()?;
    Ok(Some(chunk.to_vec()))
}

fn cut_off() -> Refused {
    Problem::new(Code::MalformedRequest).detail("The body ended before it was whole.").into()
}
