//! The body of a webhook: all of it, and no more than it may have.

use js_sys::Uint8Array;
use tollgate_core::header::name;
use tollgate_core::problem::{Code, Problem};
use wasm_bindgen_futures::JsFuture;

use super::Refused;
use crate::house::manage::collect;

/// The body, as the platform has it and as Rust has it. Nothing is hashed before it is known to be
/// within `most` bytes: a declared length was looked at on the road, any other is counted while
/// reading.
pub(super) async fn read(
    request: &web_sys::Request,
    headers: &[(String, String)],
    most: u64,
) -> Result<(Uint8Array, Vec<u8>), Refused> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let declared = headers.iter().any(|(header, _)| header == name::CONTENT_LENGTH);
    if declared {
        // Whoever sends slowly waits for nobody but themselves: no timer is set for each.
        let whole = request.array_buffer().map_err(|_| cut_off())?;
        let whole = JsFuture::from(whole).await.map_err(|_| cut_off())?;
        let bytes = Uint8Array::new(&whole);
        let body = bytes.to_vec();
        return if body.len() > most { Err(Code::BodyTooLarge.into()) } else { Ok((bytes, body)) };
    }
    let body = match request.body() {
        Some(stream) => collect(stream, most).await.map_err(|refused| Refused {
            problem: refused.into_problem(),
            ..Code::BodyTooLarge.into()
        })?,
        None => Vec::new(),
    };
    Ok((Uint8Array::from(body.as_slice()), body))
}

fn cut_off() -> Refused {
    let problem =
        Problem::new(Code::MalformedRequest).detail("The body ended before it was whole.");
    Refused { problem, ..Code::MalformedRequest.into() }
}
