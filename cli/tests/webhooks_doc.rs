//! `docs/webhooks.md` says what the table of schemes says, and nothing else.
//!
//! To write it anew: `UPDATE_DOCS=1 cargo test -p tollgate-cli --test webhooks_doc`
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::{env, fs};

use tollgate_core::webhook::table::{DESCRIBED, TABLE, is_for_sources};
use tollgate_core::webhook::{Answer, Form, KeyForm, KnownBy, Place, Scheme, Signed, Unit};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/webhooks.md");
const REGENERATE: &str = "UPDATE_DOCS=1 cargo test -p tollgate-cli --test webhooks_doc";

/// The page without what comes of the table.
const FRAME: &str = include_str!("webhooks_doc/frame.md");

fn place(place: Place<'_>) -> String {
    match place {
        Place::Header(name) => format!("`{name}`"),
        Place::Numbered(prefix) => format!("`{prefix}1` to `-8`"),
        Place::Entry(tag) => format!("`{tag}` beside the signature"),
        // The path of Adyen's items says nothing that its last word does not.
        Place::Json(path) => {
            let name = path.rsplit('.').next().unwrap_or(path);
            let inner = path.contains("[]");
            format!("`{}` in the body", if inner { name } else { path })
        }
    }
}

/// A column over the forms of a scheme, each text once.
fn of_forms(scheme: &Scheme<'_>, told: impl Fn(&Form<'_>) -> String) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in scheme.forms().map(told) {
        if !text.is_empty() && !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts.join("; or ")
}

fn signature(scheme: &Scheme<'_>) -> String {
    of_forms(scheme, |form| match form.tag {
        "" => place(form.signature),
        tag => format!("{} `{tag}…`", place(form.signature)),
    })
}

fn made(scheme: &Scheme<'_>) -> String {
    format!("{}, {}", scheme.algorithm.as_str(), scheme.encoding.as_str())
}

fn signed(scheme: &Scheme<'_>) -> String {
    of_forms(scheme, |form| match form.signed {
        Signed::Components { .. } => "what `Signature-Input` lists".to_owned(),
        Signed::Template(text) if text.contains("{field:") => "eight fields of the item".to_owned(),
        Signed::Template(text) => format!("`{text}`"),
    })
}

fn time(scheme: &Scheme<'_>) -> String {
    if !scheme.signs_time() {
        return "none".to_owned();
    }
    let unit = match scheme.unit {
        Unit::Seconds => "s",
        Unit::Millis => "ms",
        Unit::Rfc3339 => "RFC 3339",
    };
    let places = of_forms(scheme, |form| form.timestamp.map_or("`created`".to_owned(), place));
    format!("{places} ({unit}), ±{}", scheme.tolerance)
}

fn id(scheme: &Scheme<'_>) -> String {
    let told = of_forms(scheme, |form| {
        let signed = if form.signs_id() { "signed" } else { "not signed" };
        form.id.map_or(String::new(), |id| format!("{}, {signed}", place(id)))
    });
    if told.is_empty() { "none".to_owned() } else { told }
}

fn key(form: KeyForm) -> &'static str {
    match form {
        KeyForm::Text => "as it is",
        KeyForm::Whsec => "base64 behind `whsec_`",
        KeyForm::Base64 => "base64",
        KeyForm::Hex => "hex",
        KeyForm::PublicKey => "public key, hex",
    }
}

fn link(scheme: &Scheme<'_>) -> String {
    format!("[{}]({})", scheme.provider, scheme.docs)
}

fn answers(scheme: &Scheme<'_>) -> String {
    let acknowledgement = scheme.acknowledgement;
    let mut told = acknowledgement.status.to_string();
    if !acknowledgement.body.is_empty() {
        told = format!("{told} `{}`", acknowledgement.body);
    }
    for challenge in scheme.challenges {
        let behind = if challenge.signed { "behind its signature" } else { "never signed" };
        let answer = match challenge.answer {
            Answer::Echo(_) => "its token as plain text".to_owned(),
            Answer::Mac { mac, .. } => format!("its token, and the HMAC of it as `{mac}`"),
            Answer::Fixed(fixed) if fixed.body.is_empty() => {
                let of_type = fixed.content_type.map(|of_type| format!(" as `{of_type}`, empty"));
                format!("{}{}", fixed.status, of_type.unwrap_or_default())
            }
            Answer::Fixed(fixed) => format!("{} `{}`", fixed.status, fixed.body),
        };
        told = format!("{told}; challenge ({behind}): {answer}");
    }
    told
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    [line(&head), rule].into_iter().chain(rows.map(|row| line(&row))).collect()
}

fn names(of: impl Fn(&Scheme<'_>) -> bool) -> String {
    let names = TABLE.iter().filter(|scheme| is_for_sources(scheme.name) && of(scheme));
    names.map(|scheme| format!("`{}`", scheme.name)).collect::<Vec<_>>().join(", ")
}

fn page() -> String {
    let notice = format!("<!-- Made from core/src/webhook/table/: {REGENERATE} -->\n\n");
    let quoted = |scheme: &Scheme<'_>| format!("`{}`", scheme.name);
    let signatures = table(
        &["scheme", "signature", "made with", "over", "secret"],
        TABLE
            .iter()
            .map(|s| vec![quoted(s), signature(s), made(s), signed(s), key(s.key).to_owned()]),
    );
    let rest = table(
        &["scheme", "signed time", "id", "answer"],
        TABLE.iter().map(|s| vec![quoted(s), time(s), id(s), answers(s)]),
    );
    let notes: String = TABLE
        .iter()
        .map(|s| format!("- `{}`: {}. {}", s.name, link(s), s.note).trim_end().to_owned() + "\n")
        .collect();
    FRAME
        .replacen("<!-- signatures -->\n", &signatures, 1)
        .replacen("<!-- answers -->\n", &rest, 1)
        .replacen("<!-- notes -->\n", &notes, 1)
        .replacen("<!-- no signed time -->", &names(|s| !s.signs_time()), 1)
        .replacen("<!-- by request -->", &names(|s| s.known_by == KnownBy::Request), 1)
        .replacen("<!-- described -->", DESCRIBED, 1)
        .replacen("<!-- notice -->\n", &notice, 1)
}

#[test]
fn the_page_is_the_table() {
    let (path, expected) = (Path::new(PAGE), page());
    assert!(!expected.contains("<!-- ") || expected.matches("<!-- ").count() == 1);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, &expected).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(found == expected, "docs/webhooks.md is not what the table says. Run: {REGENERATE}");
}
