//! Where on the gate itself a path leads.

use super::call::BASE;
use super::page::{Asset, asset};
use crate::problem::{Code, ERROR_PAGES};

/// A place of the gate's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Is it alive?
    Health,
    /// Is it in order?
    Ready,
    /// The list of codes.
    Errors,
    /// The page of one code.
    Error(Code),
    /// The management API.
    Api,
    /// Tokens for keys.
    Token,
    /// Reports of leaked keys.
    Leaks,
    /// What keys look like.
    KeyPattern,
    /// A file of `www/`.
    File(Asset),
    /// A folder without its slash: to be opened with it.
    Folder(String),
    /// Nothing.
    Nowhere,
}

/// Where leaked keys are reported.
pub const LEAKS: &str = "/_tollgate/leaks";

/// The description of the management API.
const OPENAPI: &str = "/_tollgate/v1/openapi.json";

/// Folders that people may name without their slash.
const FOLDERS: [&str; 3] = ["/_tollgate/console", "/_tollgate/demo", "/_tollgate/errors"];

impl Place {
    /// The place of a path in its one form. Management and pages are on the admin host alone, tokens
    /// where they are used.
    pub fn of(path: &str, on_admin_host: bool) -> Self {
        match path {
            "/_tollgate/health" => Self::Health,
            "/_tollgate/ready" => Self::Ready,
            ERROR_PAGES => Self::Errors,
            "/_tollgate/token" if !on_admin_host => Self::Token,
            LEAKS => Self::Leaks,
            "/_tollgate/key-pattern.json" => Self::KeyPattern,
            _ => Self::below(path, on_admin_host),
        }
    }

    fn below(path: &str, on_admin_host: bool) -> Self {
        if let Some(code) = path.strip_prefix(ERROR_PAGES) {
            return Code::parse(code).map_or(Self::Nowhere, Self::Error);
        }
        if path == OPENAPI && on_admin_host {
            return asset("/openapi.json", on_admin_host).map_or(Self::Nowhere, Self::File);
        }
        if path.starts_with(BASE) {
            return if on_admin_host { Self::Api } else { Self::Nowhere };
        }
        if FOLDERS.contains(&path) {
            let folder = Self::of(&format!("{path}/"), on_admin_host);
            return if folder == Self::Nowhere { folder } else { Self::Folder(format!("{path}/")) };
        }
        let file = path.strip_prefix("/_tollgate").and_then(|file| asset(file, on_admin_host));
        file.map_or(Self::Nowhere, Self::File)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_place() {
        let file = |path: &str| Place::File(asset(path, true).unwrap());
        for (path, admin, place) in [
            ("/_tollgate/health", false, Place::Health),
            ("/_tollgate/ready", true, Place::Ready),
            ("/_tollgate/errors/", false, Place::Errors),
            ("/_tollgate/errors", true, Place::Folder("/_tollgate/errors/".into())),
            ("/_tollgate/errors/key_invalid", false, Place::Error(Code::KeyInvalid)),
            ("/_tollgate/errors/nonsense", false, Place::Nowhere),
            ("/_tollgate/token", false, Place::Token),
            ("/_tollgate/token", true, Place::Nowhere),
            ("/_tollgate/token/", false, Place::Nowhere),
            ("/_tollgate/leaks", false, Place::Leaks),
            ("/_tollgate/leaks", true, Place::Leaks),
            ("/_tollgate/leaks/x", true, Place::Nowhere),
            ("/_tollgate/key-pattern.json", false, Place::KeyPattern),
            ("/_tollgate/key-pattern.json", true, Place::KeyPattern),
            ("/_tollgate/v1/openapi.json", true, file("/openapi.json")),
            ("/_tollgate/v1/openapi.json", false, Place::Nowhere),
            ("/_tollgate/v1/openapi.jsonx", true, Place::Api),
            ("/_tollgate/v1/keys", true, Place::Api),
            ("/_tollgate/v1/keys", false, Place::Nowhere),
            ("/_tollgate/v1", true, Place::Nowhere),
            ("/_tollgate/errors", false, Place::Folder("/_tollgate/errors/".into())),
            ("/_tollgate/demo/settings.json", true, file("/demo/settings.json")),
            ("/_tollgate/demo/settings.json", false, Place::Nowhere),
            ("/_tollgate/demo/", true, file("/demo/")),
            ("/_tollgate/demo", true, Place::Folder("/_tollgate/demo/".into())),
            ("/_tollgate/demo", false, Place::Nowhere),
            ("/_tollgate/console/", true, file("/console/")),
            ("/_tollgate/console", true, Place::Folder("/_tollgate/console/".into())),
            ("/_tollgate/console/console.js", true, file("/console/console.js")),
            ("/_tollgate/console/", false, Place::Nowhere),
            ("/_tollgate/console", false, Place::Nowhere),
            ("/_tollgate/demo/", false, Place::Nowhere),
            ("/_tollgate/style.css", false, file("/style.css")),
            ("/_tollgate/tollgate.js", true, file("/tollgate.js")),
            ("/_tollgate/", true, Place::Nowhere),
            ("/_tollgatex/style.css", true, Place::Nowhere),
            ("/", true, Place::Nowhere),
            ("/style.css", true, Place::Nowhere),
        ] {
            assert_eq!(Place::of(path, admin), place, "{path} {admin}");
        }
    }
}
