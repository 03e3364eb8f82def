//! One operation of the document: what belongs to it alone, and what the tables say of every one.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tollgate_core::manage::CallRow;
use tollgate_core::problem::Code;

use crate::shape::{put, reference};

/// Refusals of every operation that asks who calls.
pub(crate) const OF_EVERYBODY: &[Code] = &[
    Code::HttpsRequired,
    Code::MalformedRequest,
    Code::CredentialInUrl,
    Code::KeyMissing,
    Code::KeyInvalid,
    Code::WrongEnvironment,
    Code::WrongKind,
    Code::KeyExpired,
    Code::KeyRevoked,
    Code::KeyDisabled,
    Code::TokenExpired,
    Code::IpNotAllowed,
    Code::SecretKeyInBrowser,
    Code::OriginNotAllowed,
    Code::InsufficientScope,
    Code::RateLimited,
    Code::QuotaExceeded,
    Code::TooManyFailures,
    Code::AdmissionUnavailable,
    Code::InvalidField,
    Code::InternalError,
];
/// Refusals of every operation that changes something.
const OF_WRITES: &[Code] = &[
    Code::SecondFactorRequired,
    Code::IdempotencyInProgress,
    Code::IdempotencyMismatch,
    Code::IdempotencyOutcomeUnknown,
    Code::IdempotencyResultNotKept,
];
/// Refusals of operations that ask nobody.
pub(crate) const OF_STRANGERS: &[Code] =
    &[Code::HttpsRequired, Code::MalformedRequest, Code::CredentialInUrl, Code::InternalError];

/// Headers of every answer of the gate's own.
pub(crate) const STAMP: [&str; 4] =
    ["X-Request-Id", "Strict-Transport-Security", "X-Content-Type-Options", "Cache-Control"];
/// What an admin key's limits say, on answers that it paid for.
const LIMITS: [&str; 5] = [
    "RateLimit-Policy",
    "RateLimit",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
];

/// What is said of one operation by hand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    /// Below `BASE` for a call, whole for anything else.
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) about: &'static str,
    pub(crate) parameters: Vec<Value>,
    pub(crate) body: Option<Body>,
    pub(crate) answers: Vec<Answer>,
    /// Refusals of its own.
    pub(crate) codes: &'static [Code],
    /// Of an operation that is no call of the table: ways to show who calls; an empty one: none.
    pub(crate) security: &'static [&'static str],
}

#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) media: &'static str,
    pub(crate) schema: Value,
    /// False where no body is as good as an empty object.
    pub(crate) required: bool,
    pub(crate) examples: Vec<(&'static str, Value)>,
}

/// An answer that is no refusal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) about: &'static str,
    /// Media types with their schemas; none: there is no body.
    pub(crate) content: Vec<(&'static str, Value)>,
    /// Headers besides those of every answer, with whether they are always there.
    pub(crate) headers: Vec<(&'static str, bool)>,
    pub(crate) links: Map<String, Value>,
}

impl Body {
    /// A JSON object.
    pub(crate) fn json(schema: Value, required: bool, examples: &[(&'static str, Value)]) -> Self {
        Self { media: "application/json", schema, required, examples: examples.to_vec() }
    }
}

impl Answer {
    /// 200 and JSON.
    pub(crate) fn ok(about: &'static str, schema: Value) -> Self {
        Self::json(200, about, schema)
    }

    pub(crate) fn json(status: u16, about: &'static str, schema: Value) -> Self {
        Self { status, about, content: vec![("application/json", schema)], ..Self::default() }
    }

    pub(crate) fn with_header(mut self, name: &'static str, always: bool) -> Self {
        self.headers.push((name, always));
        self
    }

    /// The link `name` also says which version was seen.
    pub(crate) fn with_version(mut self, name: &str, expression: &str) -> Self {
        let link = self.links.get_mut(name).unwrap();
        put(link, "requestBody", json!({ "version": expression }));
        self
    }

    /// `expression` gives the value of the parameter `parameter` of `operation`.
    pub(crate) fn with_link(
        mut self,
        name: &str,
        operation: &str,
        parameter: &str,
        expression: &str,
    ) -> Self {
        let link = json!({ "operationId": operation, "parameters": { parameter: expression } });
        self.links.insert(name.to_owned(), link);
        self
    }
}

/// The operation of a call of the table.
pub(crate) fn of_call(row: &CallRow, operation: &Operation, parameters: Vec<Value>) -> Value {
    let mut codes = OF_EVERYBODY.to_vec();
    if row.writes {
        codes.extend(OF_WRITES);
    }
    if operation.body.is_some() {
        codes.push(Code::BodyTooLarge);
    }
    if row.path.contains('{') {
        codes.push(Code::NotFound);
    }
    codes.extend(operation.codes);
    let mut all = parameters;
    all.extend(operation.parameters.clone());
    if row.writes {
        all.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
    }
    let mut value = written(operation, all, &codes, row.writes, &LIMITS);
    put(&mut value, "security", security(row));
    value
}

/// An operation that is none of the management API's calls.
pub(crate) fn of_its_own(operation: &Operation, codes: &[Code]) -> Value {
    let mut all = codes.to_vec();
    all.extend(operation.codes);
    let mut value = written(operation, operation.parameters.clone(), &all, false, &[]);
    let way = |scheme: &&str| match *scheme {
        "" => json!({}),
        scheme => json!({ scheme: [] }),
    };
    put(&mut value, "security", operation.security.iter().map(way).collect());
    value
}

/// Any credential, with any of the rights.
fn security(row: &CallRow) -> Value {
    let scopes: Vec<Vec<&str>> = if row.rights.is_empty() {
        vec![Vec::new()]
    } else {
        row.rights.iter().map(|right| vec![right.scope()]).collect()
    };
    let schemes = ["bearer", "apiKey", "basic", "session"];
    let all = schemes.iter().flat_map(|scheme| scopes.iter().map(move |of| json!({ *scheme: of })));
    Value::Array(all.collect())
}

fn written(
    operation: &Operation,
    parameters: Vec<Value>,
    codes: &[Code],
    repeats: bool,
    limits: &[&str],
) -> Value {
    let mut value = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.about,
        "responses": {},
    });
    if !parameters.is_empty() {
        put(&mut value, "parameters", Value::Array(parameters));
    }
    if let Some(body) = &operation.body {
        put(&mut value, "requestBody", request_body(body));
    }
    let mut responses = Map::new();
    for answer in &operation.answers {
        responses.insert(answer.status.to_string(), success(answer, repeats, limits));
    }
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in Code::ALL.iter().filter(|code| codes.contains(code)) {
        by_status.entry(code.status()).or_default().push(*code);
    }
    for (status, codes) in by_status {
        let response = refusal(status, &codes, repeats, limits);
        match responses.get_mut(&status.to_string()) {
            // A status that has an answer of its own too (`ready`).
            Some(both) => {
                let problem = response["content"]["application/problem+json"].clone();
                put(&mut both["content"], "application/problem+json", problem);
            }
            None => {
                responses.insert(status.to_string(), response);
            }
        }
    }
    put(&mut value, "responses", Value::Object(responses));
    value
}

fn request_body(body: &Body) -> Value {
    let mut content = json!({ "schema": body.schema });
    if !body.examples.is_empty() {
        let examples: Map<String, Value> = body
            .examples
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!({ "value": value })))
            .collect();
        put(&mut content, "examples", Value::Object(examples));
    }
    json!({ "required": body.required, "content": { body.media: content } })
}

fn success(answer: &Answer, repeats: bool, limits: &[&str]) -> Value {
    let mut headers = header_map(&STAMP, true);
    headers.extend(header_map(limits, false));
    if repeats {
        headers.extend(header_map(&["Idempotency-Replayed"], false));
    }
    for (name, always) in &answer.headers {
        headers.extend(header_map(&[name], *always));
    }
    let mut value = json!({ "description": answer.about, "headers": headers });
    if !answer.content.is_empty() {
        let content: Map<String, Value> = answer
            .content
            .iter()
            .map(|(media, schema)| ((*media).to_owned(), json!({ "schema": schema })))
            .collect();
        put(&mut value, "content", Value::Object(content));
    }
    if !answer.links.is_empty() {
        put(&mut value, "links", Value::Object(answer.links.clone()));
    }
    value
}

fn refusal(status: u16, codes: &[Code], repeats: bool, limits: &[&str]) -> Value {
    let mut headers = header_map(&STAMP, true);
    headers.extend(header_map(limits, false));
    if repeats {
        headers.extend(header_map(&["Idempotency-Replayed"], false));
    }
    if codes.iter().any(|code| code.status() == 401) {
        headers.extend(header_map(&["WWW-Authenticate"], true));
    }
    if codes.contains(&Code::InsufficientScope) {
        headers.extend(header_map(&["WWW-Authenticate"], false));
    }
    let after = |code: &Code| code.retry() == tollgate_core::problem::Retry::After;
    if codes.iter().any(after) {
        headers.extend(header_map(&["Retry-After"], codes.iter().all(after)));
    }
    let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let told: Vec<String> =
        codes.iter().map(|code| format!("`{}`: {}", code.as_str(), code.title())).collect();
    let schema = json!({
        "allOf": [
            reference("Problem"),
            { "properties": { "code": { "enum": names }, "status": { "const": status } } },
        ],
    });
    json!({
        "description": format!("{}.", told.join(". ")),
        "headers": headers,
        "content": { "application/problem+json": { "schema": schema } },
    })
}

fn header_map(names: &[&str], required: bool) -> Map<String, Value> {
    let of = |name: &&str| {
        let component = if required { (*name).to_owned() } else { format!("{name}-if-any") };
        let component = json!({ "$ref": format!("#/components/headers/{component}") });
        ((*name).to_owned(), component)
    };
    names.iter().map(of).collect()
}
