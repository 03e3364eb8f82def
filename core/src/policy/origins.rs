//! `origins` and `cors`: which pages may call a route, and what they may send and read.

use crate::cors::{AllowedOrigins, CorsConfig, CorsPolicy};
use crate::origin::{OriginPattern, PublicSuffixes};
use crate::time::Millis;

use super::error::{Spot, Wrong};
use super::reader::{Field, Shape, Table};
use super::route::Auth;

pub(super) const CORS: Shape =
    Shape { at: "route[].cors", fields: &["credentials", "headers", "expose", "max_age"] };

/// `origins` as written: of a route, or of its override in one environment.
#[derive(Debug)]
pub(super) struct OriginsDraft<'a> {
    pub(super) field: Field<'a>,
    /// None if anything is wrong with it.
    allowed: Option<AllowedOrigins>,
    /// Where the patterns for pages on the visitor's own machine stand.
    loopback: Vec<Spot>,
}

impl<'a> OriginsDraft<'a> {
    pub(super) fn read(field: Field<'a>, suffixes: &dyn PublicSuffixes) -> Self {
        let word = match field.word() {
            Some("*") => Some(AllowedOrigins::Any),
            Some("keys") => Some(AllowedOrigins::Keys),
            Some(_) => {
                let suggestion = "a list of origins, or \"keys\" for those that a key lists";
                field.wrong(Wrong::help("must be a list", suggestion));
                return Self { field, allowed: None, loopback: Vec::new() };
            }
            None if !field.is_given() => Some(AllowedOrigins::None),
            None => None,
        };
        if word.is_some() {
            return Self { field, allowed: word, loopback: Vec::new() };
        }
        let items = field.items().unwrap_or_default();
        if items.len() == 1 && items.iter().any(|item| item.word() == Some("*")) {
            return Self { field, allowed: Some(AllowedOrigins::Any), loopback: Vec::new() };
        }
        let read = |text: &str| match text {
            "*" => Err(Wrong::new("`*` stands for every origin: write it alone")),
            "keys" => Err(Wrong::help("\"keys\" is no origin", "write origins = \"keys\"")),
            _ => OriginPattern::parse(text, suffixes).map_err(Wrong::told),
        };
        let patterns = field.list(read);
        let loopback = items.iter().filter(|item| {
            let pattern = item.word().map(|text| OriginPattern::parse(text, suffixes));
            matches!(pattern, Some(Ok(pattern)) if pattern.is_loopback())
        });
        let loopback = loopback.map(|item| item.spot().clone()).collect();
        Self { allowed: patterns.map(AllowedOrigins::List), field, loopback }
    }

    /// What the route lets in, held against who it is for and where it stands.
    pub(super) fn resolve(
        &self,
        auth: Option<&Auth>,
        in_production: bool,
    ) -> Option<AllowedOrigins> {
        let allowed = self.allowed.clone()?;
        if in_production {
            let errors = self.field.errors();
            let message = "not in production: such a page is on the visitor's own machine";
            self.loopback.iter().for_each(|spot| errors.push(spot, Wrong::new(message)));
        }
        match (&allowed, auth?) {
            (AllowedOrigins::Any, Auth::Key | Auth::Origin { .. }) => {
                let message = "`*` is for `auth = \"public\"` only";
                self.field.wrong(Wrong::help(message, "name the origins"));
            }
            (AllowedOrigins::Keys, Auth::Origin { .. } | Auth::Public) => {
                let message = "\"keys\" is for `auth = \"key\"` only: nobody else has a key";
                self.field.wrong(Wrong::help(message, "name the origins"));
            }
            (AllowedOrigins::None, Auth::Origin { .. }) => {
                let message = "is missing: `auth = \"origin\"` lets listed origins in";
                self.field.wrong(Wrong::new(message));
            }
            _ => {}
        }
        Some(allowed)
    }
}

/// `cors` as written, with the places of what [`CorsPolicy::build`] judges.
#[derive(Debug)]
pub(super) struct CorsDraft<'a> {
    pub(super) field: Field<'a>,
    config: CorsConfig,
    table: Option<Table<'a>>,
}

impl<'a> CorsDraft<'a> {
    pub(super) fn read(field: Field<'a>) -> Self {
        let Some(table) = field.table(&CORS) else {
            return Self { field, config: CorsConfig::default(), table: None };
        };
        let config = CorsConfig {
            credentials: table.field("credentials").boolean().unwrap_or(false),
            headers: names(&table.field("headers")),
            expose: names(&table.field("expose")),
            max_age: table.field("max_age").parsed(|text| Millis::parse(text).map_err(Wrong::told)),
        };
        Self { field, config, table: Some(table) }
    }

    /// The route's CORS in one environment. `implicit` are the headers that the gate itself reads.
    pub(super) fn resolve(
        &self,
        origins: AllowedOrigins,
        origins_at: &Field<'_>,
        methods: Vec<String>,
        methods_at: &Field<'_>,
        implicit: &[&str],
    ) -> Option<CorsPolicy> {
        let wrong = match CorsPolicy::build(origins, methods, self.config.clone(), implicit) {
            Ok(policy) => return Some(policy),
            Err(wrong) => wrong,
        };
        for error in wrong {
            let in_table = |name| self.table.as_ref().map(|table| table.field(name));
            let at = match error.field {
                "origins" => Some(origins_at.clone()),
                "methods" => Some(methods_at.clone()),
                "credentials" => in_table("credentials"),
                "headers" => in_table("headers"),
                "expose" => in_table("expose"),
                _ => in_table("max_age"),
            };
            at.unwrap_or_else(|| self.field.clone()).wrong(Wrong::told(error));
        }
        None
    }
}

/// Names of headers; what a name is, is judged with the rest. The one text `*` is short for its
/// list.
fn names(field: &Field<'_>) -> Vec<String> {
    if field.word() == Some("*") {
        return vec!["*".to_owned()];
    }
    field.list(|text| Ok(text.to_owned())).unwrap_or_default()
}
