//! Pages: about each error code, made from the one table; and which files of `www/` are served.

use serde_json::{Value, json};

use crate::problem::{Code, ERROR_PAGES};

/// What the pages about errors may do: be styled, and nothing else.
const ERROR_PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The content security policy of the pages about errors.
pub const fn error_page_policy() -> &'static str {
    ERROR_PAGE_POLICY
}

/// What the console may do: call its own host, where its session is believed. It stands in nobody's
/// frame, and makes no markup of texts.
const CONSOLE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The content security policy of the console's pages.
pub const fn console_policy() -> &'static str {
    CONSOLE_POLICY
}

/// The content security policy of the other pages in `www/`. `called`: origins that a page may call
/// besides its own, which are the API's hosts. `framed`: origins of pages that may stand in each
/// other's frames.
pub fn page_policy(called: &[String], framed: &[String]) -> String {
    let list = |origins: &[String]| -> String {
        origins.iter().flat_map(|origin| [" ", origin]).collect()
    };
    let (called, framed) = (list(called), list(framed));
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'{called}; frame-src 'self'{framed}; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'self'{framed}"
    )
}

/// True when a caller that sends this `Accept` is a program rather than a browser.
pub fn wants_json(accept: Option<&str>) -> bool {
    accept.is_some_and(|accept| accept.contains("json") && !accept.contains("text/html"))
}

/// The page of one code.
pub fn error_page(code: Code) -> String {
    let heading = format!("{} {}", code.status(), code.as_str());
    let main = format!(
        "<main class=\"page error-page\">\n\
         <p class=\"code-line\"><code>{heading}</code></p>\n\
         <h1>{title}</h1>\n\
         <dl>\n<dt>Cause</dt><dd>{cause}</dd>\n<dt>Fix</dt><dd>{fix}</dd>\n\
         <dt>Retry</dt><dd>{retry}</dd>\n</dl>\n\
         <p><a href=\"{ERROR_PAGES}\">All codes</a></p>\n</main>",
        title = escaped(code.title()),
        cause = escaped(code.cause()),
        fix = escaped(code.fix()),
        retry = escaped(code.retry().advice()),
    );
    document(&heading, &main)
}

/// The page that lists every code.
pub fn error_index() -> String {
    let rows: Vec<String> = Code::ALL.iter().map(|code| index_row(*code)).collect();
    let rows = rows.concat();
    let main = format!(
        "<main class=\"page error-page\">\n<h1>Error codes</h1>\n\
         <p>Every refusal of the gate carries one of these codes. A code has one meaning, \
         whatever its words.</p>\n\
         <table>\n<thead><tr><th scope=\"col\">Status</th><th scope=\"col\">Code</th>\
         <th scope=\"col\">Meaning</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</main>"
    );
    document("Error codes", &main)
}

fn index_row(code: Code) -> String {
    let (name, status, title) = (code.as_str(), code.status(), escaped(code.title()));
    format!(
        "<tr><td>{status}</td><td><a href=\"{ERROR_PAGES}{name}\"><code>{name}</code></a></td>\
         <td>{title}</td></tr>\n"
    )
}

/// What the page of one code says, for programs.
pub fn error_json(code: Code) -> Value {
    json!({
        "code": code,
        "status": code.status(),
        "title": code.title(),
        "cause": code.cause(),
        "fix": code.fix(),
        "retry": code.retry().advice(),
    })
}

/// Every code, for programs.
pub fn error_index_json() -> Value {
    json!({ "codes": Code::ALL.iter().map(|code| error_json(*code)).collect::<Vec<_>>() })
}

fn document(title: &str, main: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title} · Tollgate</title>\n\
         <link rel=\"icon\" href=\"/_tollgate/favicon.svg\">\n\
         <link rel=\"stylesheet\" href=\"/_tollgate/style.css\">\n\
         </head>\n<body>\n{main}\n</body>\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A file of `www/` that may be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Its path in `www/`, with a leading slash.
    pub path: String,
    /// What it is served as: stores do not say.
    pub content_type: &'static str,
}

impl Asset {
    /// True for the pages that a session is used from.
    pub fn is_of_console(&self) -> bool {
        self.path.starts_with("/console/")
    }

    /// True for what a person opens: it gets a content security policy.
    pub fn is_page(&self) -> bool {
        self.content_type.starts_with("text/html")
    }
}

/// What files are served as, by their extension. Others are not served.
const TYPES: [(&str, &str); 11] = [
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("wasm", "application/wasm"),
    ("webmanifest", "application/manifest+json"),
    ("woff2", "font/woff2"),
];

/// Files that pages on every host need.
const EVERYWHERE: [&str; 2] = ["/style.css", "/favicon.svg"];

/// The file that a path below `/_tollgate` means: `/demo/` is `/demo/index.html`. On hosts other
/// than the admin host only what the pages about errors need.
pub fn asset(path: &str, on_admin_host: bool) -> Option<Asset> {
    let file = match path.strip_suffix('/') {
        Some(folder) if !folder.is_empty() => format!("{folder}/index.html"),
        _ => path.to_owned(),
    };
    let name = file.rsplit('/').next()?;
    let (_, extension) = name.rsplit_once('.')?;
    let (_, content_type) = TYPES.iter().find(|(known, _)| *known == extension)?;
    let plain = file.strip_prefix('/')?.split('/').all(is_plain);
    let here = on_admin_host || EVERYWHERE.contains(&file.as_str());
    (plain && here).then_some(Asset { path: file, content_type })
}

/// A name that means the same to every file system: no dot in front, nothing encoded.
fn is_plain(segment: &str) -> bool {
    !segment.is_empty()
        && !segment.starts_with('.')
        && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_with_its_whole_row() {
        for code in Code::ALL {
            let page = error_page(*code);
            for part in [
                format!("<code>{} {}</code>", code.status(), code.as_str()),
                format!("<h1>{}</h1>", escaped(code.title())),
                format!("<dt>Cause</dt><dd>{}</dd>", escaped(code.cause())),
                format!("<dt>Fix</dt><dd>{}</dd>", escaped(code.fix())),
                format!("<dt>Retry</dt><dd>{}</dd>", code.retry().advice()),
            ] {
                assert!(page.contains(&part), "{part}");
            }
            let link = format!("href=\"/_tollgate/errors/{}\"", code.as_str());
            assert!(error_index().contains(&link), "{link}");
        }
    }

    #[test]
    fn only_plain_files_of_known_types_are_served() {
        for (path, admin, file, reason) in [
            ("/demo/", true, Some("/demo/index.html"), "a folder's page"),
            ("/demo/demo.js", true, Some("/demo/demo.js"), "a script"),
            ("/style.css", true, Some("/style.css"), "the style"),
            ("/style.css", false, Some("/style.css"), "error pages on API hosts"),
            ("/favicon.svg", false, Some("/favicon.svg"), "error pages on API hosts"),
            ("/demo/", false, None, "pages are on the admin host"),
            ("/demo", true, None, "no extension"),
            ("/", true, None, "no folder"),
            ("", true, None, "nothing"),
            ("style.css", true, None, "no leading slash"),
            ("/demo/../secrets.json", true, None, "a dot segment"),
            ("/demo/.env.json", true, None, "a hidden file"),
            ("/demo/a%2fb.js", true, None, "encoded"),
            ("/demo//a.js", true, None, "an empty segment"),
            ("/demo/a\\b.js", true, None, "a backslash"),
            ("/demo/a.toml", true, None, "an unknown type"),
            ("/demo/a.JS", true, None, "an unknown type"),
        ] {
            let got = asset(path, admin).map(|asset| asset.path);
            assert_eq!(got.as_deref(), file, "{path}: {reason}");
        }
    }

    #[test]
    fn programs_get_json_and_browsers_pages() {
        for (accept, json) in [
            (None, false),
            (Some("*/*"), false),
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), false),
            (Some("text/html, application/json"), false),
            (Some("application/json"), true),
            (Some("application/problem+json"), true),
        ] {
            assert_eq!(wants_json(accept), json, "{accept:?}");
        }
    }

    #[test]
    fn a_page_may_call_the_api_and_nobody_else() {
        let framed = ["http://gate.localhost:*".to_owned()];
        assert_eq!(
            page_policy(&["https://api.example.com".to_owned()], &[]),
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             connect-src 'self' https://api.example.com; frame-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'self'"
        );
        let with_frames = page_policy(&[], &framed);
        for part in ["connect-src 'self';", "frame-src 'self' http://gate.localhost:*;"] {
            assert!(with_frames.contains(part), "{with_frames}");
        }
    }
}
