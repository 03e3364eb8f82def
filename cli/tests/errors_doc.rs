//! `docs/errors.md` says what the one table of codes says, and nothing else.
//!
//! To write it anew: `UPDATE_DOCS=1 cargo test -p tollgate-cli --test errors_doc`
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::{env, fs};

use tollgate_core::problem::{Code, Retry};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
const REGENERATE: &str = "UPDATE_DOCS=1 cargo test -p tollgate-cli --test errors_doc";

const INTRODUCTION: &str = "# Error codes

Every refusal of the gate is a problem document (RFC 9457, `application/problem+json`) with one of
these codes. A code has one meaning and one status; titles and texts may change. `type` in the
document is the address of the same page on the gate itself, `/_tollgate/errors/{code}`, which is
JSON for a caller that sends `Accept: application/json`. `correlationId` is the value of
`X-Request-Id`: it finds the request in the log.

```json
{
  \"type\": \"https://api.example.com/_tollgate/errors/insufficient_scope\",
  \"title\": \"The key lacks a scope\",
  \"status\": 403,
  \"detail\": \"The key does not have a permission that the route requires: see required_scopes.\",
  \"code\": \"insufficient_scope\",
  \"correlationId\": \"0VbfsOCvQ1mYx8aT4Zk\",
  \"required_scopes\": [\"invoices:write\"]
}
```

Where it fits, a document also has `required_scopes`, `retry_after` (seconds), `violated-policies`
(names of limits), `errors` (one entry for each wrong field of a management call), or `version` (the
present one, after a conflict). An error of the backend is not one of these: it passes as the
backend sent it.

The codes stand in the order in which a request meets them. Some belong to parts that are
[not built yet](not-built.md).
";

/// One word for the table; the sections have the whole sentence.
const fn retry_word(retry: Retry) -> &'static str {
    match retry {
        Retry::Never => "no",
        Retry::After => "after `Retry-After`",
        Retry::Backoff => "with backoff",
    }
}

fn row(code: Code) -> String {
    let (name, status, title) = (code.as_str(), code.status(), code.title());
    format!("| {status} | [`{name}`](#{name}) | {title} | {} |\n", retry_word(code.retry()))
}

fn section(code: Code) -> String {
    format!(
        "\n## {}\n\n**{} · {}.** {}\n\nFix: {}\n\nRetry: {}\n",
        code.as_str(),
        code.status(),
        code.title(),
        code.cause(),
        code.fix(),
        code.retry().advice(),
    )
}

fn page() -> String {
    let notice = format!("<!-- Made from core/src/problem.rs: {REGENERATE} -->\n\n");
    let head = "\n| status | code | meaning | send it again? |\n|---|---|---|---|\n".to_owned();
    let rows = Code::ALL.iter().map(|code| row(*code));
    let sections = Code::ALL.iter().map(|code| section(*code));
    let parts = [notice, INTRODUCTION.to_owned(), head].into_iter();
    parts.chain(rows).chain(sections).collect()
}

#[test]
fn the_page_is_the_table() {
    let (path, expected) = (Path::new(PAGE), page());
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, &expected).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(found == expected, "docs/errors.md is not what the table says. Run: {REGENERATE}");
}
