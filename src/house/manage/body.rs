//! Reading a request's body, and no more of it than it may have.

use js_sys::{Reflect, Uint8Array};
use tollgate_core::header::name;
use tollgate_core::manage::MAX_BODY;
use tollgate_core::problem::{Code, Problem};
use tollgate_core::road::Fault;
use tollgate_core::time::{Millis, UnixMillis};
use wasm_bindgen::JsCast;
use web_sys::{ReadableStream, ReadableStreamDefaultReader};

use super::Context;
use super::answer::Refused;
use crate::house::bindings::{fault, settle};
use crate::platform::now;

/// The longest that a body may take to arrive, from when it is first waited for.
const PATIENCE: Millis = Millis::secs(10);

/// The body, which is JSON or empty.
pub(super) async fn read(context: &Context) -> Result<Vec<u8>, Refused> {
    let body = bytes(context, MAX_BODY).await?;
    let media = context.header(name::CONTENT_TYPE).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !body.is_empty() && !media.eq_ignore_ascii_case("application/json") {
        let detail = "The body has to be JSON, with Content-Type: application/json.";
        return Err(Problem::new(Code::MalformedRequest).detail(detail).into());
    }
    Ok(body)
}

/// The body, of at most so many bytes.
pub(super) async fn bytes(context: &Context, most: usize) -> Result<Vec<u8>, Refused> {
    let declared = context.header(name::CONTENT_LENGTH).and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|length| length > most) {
        return Err(Code::BodyTooLarge.into());
    }
    match context.request.body() {
        Some(stream) => collect(stream, most).await,
        None => Ok(Vec::new()),
    }
}

/// All of a stream, which has at most so many bytes.
pub(in crate::house) async fn collect(
    stream: ReadableStream,
    most: usize,
) -> Result<Vec<u8>, Refused> {
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let until = now().plus(PATIENCE);
    let mut bytes = Vec::new();
    loop {
        match chunk(&reader, until).await {
            Ok(Some(chunk)) => bytes.extend(chunk),
            Ok(None) => return Ok(bytes),
            Err(_) => return Err(given_up(&reader, cut_off(until))),
        }
        if bytes.len() > most {
            return Err(given_up(&reader, Code::BodyTooLarge.into()));
        }
    }
}

async fn chunk(
    reader: &ReadableStreamDefaultReader,
    until: UnixMillis,
) -> Result<Option<Vec<u8>>, Fault> {
    let left = i32::try_from(until.since(now()).as_millis()).unwrap_or(i32::MAX);
    let read = settle(Ok(reader.read().into()), left).await?;
    let member = |name: &str| Reflect::get(&read, &name.into()).map_err(|error| fault(&error));
    if member("done")?.is_truthy() {
        return Ok(None);
    }
    let chunk: Uint8Array = member("value")?.dyn_into().map_err(|error| fault(&error))?;
    Ok(Some(chunk.to_vec()))
}

/// The rest is not wanted; whether the sender hears of it does not matter.
fn given_up(reader: &ReadableStreamDefaultReader, problem: Problem) -> Refused {
    let _ = reader.cancel();
    problem.into()
}

fn cut_off(until: UnixMillis) -> Problem {
    let detail = if now() < until {
        "The body ended before it was whole.".to_owned()
    } else {
        format!("The body did not come within {PATIENCE}.")
    };
    Problem::new(Code::MalformedRequest).detail(detail)
}
