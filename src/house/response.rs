//! The platform's answer, out of the house's own.

use wasm_bindgen::JsValue;
use web_sys::{Headers, ReadableStream, Response, ResponseInit};

/// The body of an answer.
pub(super) enum Body {
    None,
    Text(String),
    Stream(ReadableStream),
}

/// Makes it.
pub(super) fn response(status: u16, headers: &Headers, body: Body) -> Result<Response, JsValue> {
    let init = ResponseInit::new();
    init.set_status(status);
    init.set_headers(headers);
    match body {
        Body::None => Response::new_with_opt_str_and_init(None, &init),
        Body::Text(text) => Response::new_with_opt_str_and_init(Some(&text), &init),
        Body::Stream(stream) => {
            Response::new_with_opt_readable_stream_and_init(Some(&stream), &init)
        }
    }
}
