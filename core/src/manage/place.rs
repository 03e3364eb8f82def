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
    /// A file of `www/`.
    File(Asset),
    /// A folder without its slash: to be opened with it.
    Folder(String),
    /// Nothing.
    Nowhere,
}

impl Place {
    /// The place of a path in its one form. Management and pages are on the admin host alone.
    pub fn of(path: &str, on_admin_host: bool) -> Self {
        match path {
            "/_tollgate/health" => Self::Health,
            "/_tollgate/ready" => Self::Ready,
            ERROR_PAGES => Self::Errors,
            _ => Self::below(path, on_admin_host),
        }
    }

    fn below(path: &str, on_admin_host: bool) -> Self {
        if let Some(code) = path.strip_prefix(ERROR_PAGES) {
            return Code::parse(code).map_or(Self::Nowhere, Self::Error);
        }
        if path.starts_with(BASE) {
            return if on_admin_host { Self::Api } else { Self::Nowhere };
        }
        let Some(file) = path.strip_prefix("/_tollgate") else { return Self::Nowhere };
        if let Some(asset) = asset(file, on_admin_host) {
            return Self::File(asset);
        }
        let folder = format!("{file}/");
        match file.rsplit('/').next() {
            Some(name) if !name.is_empty() && !name.contains('.') => asset(&folder, on_admin_host)
                .map_or(Self::Nowhere, |_| Self::Folder(format!("{path}/"))),
            _ => Self::Nowhere,
        }
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
            ("/_tollgate/v1/keys", true, Place::Api),
            ("/_tollgate/v1/keys", false, Place::Nowhere),
            ("/_tollgate/demo/settings.json", true, file("/demo/settings.json")),
            ("/_tollgate/demo/settings.json", false, Place::Nowhere),
            ("/_tollgate/demo/", true, file("/demo/")),
            ("/_tollgate/demo", true, Place::Folder("/_tollgate/demo/".into())),
            ("/_tollgate/demo", false, Place::Nowhere),
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
