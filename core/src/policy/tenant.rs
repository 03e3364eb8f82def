//! `tenant`: where a request tells the upstream the key's tenant. No client's value survives there.

use crate::header::same_name;

use super::error::Wrong;
use super::not_built::NotBuilt;
use super::path::PathTemplate;
use super::reader::{Field, Shape};
use super::upstream::{Credential, header_name, query_name};

pub(super) const TENANT: Shape =
    Shape { at: "route[].tenant[]", fields: &["header", "query", "param", "json"] };

/// One place that is set from the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantPlace {
    /// A header, its name in lower case.
    Header(String),
    /// A parameter of the query.
    Query(String),
    /// A parameter of the route's path.
    Param(String),
}

pub(super) fn read(
    field: &Field<'_>,
    path: Option<&PathTemplate>,
    credential: Option<&Credential>,
) -> Vec<TenantPlace> {
    let mut places = Vec::new();
    for item in field.items().unwrap_or_default() {
        let Some(found) = place(&item, path, credential) else {
            continue;
        };
        if places.contains(&found) {
            item.wrong(Wrong::new("stands in the list twice"));
        }
        places.push(found);
    }
    places
}

fn place(
    field: &Field<'_>,
    path: Option<&PathTemplate>,
    credential: Option<&Credential>,
) -> Option<TenantPlace> {
    let table = field.table(&TENANT)?;
    let json = table.field("json");
    if json.text().is_some() {
        NotBuilt::TenantJson.refuse(&json);
    }
    let header = table.field("header").parsed(|text| {
        let name = header_name(text)?;
        let taken = credential.and_then(Credential::header_name);
        let of_the_client = ["authorization", "cookie", "x-api-key"];
        if of_the_client.into_iter().chain(taken).any(|taken| same_name(taken, &name)) {
            return Err(Wrong::new(format!("`{text}` carries a credential")));
        }
        Ok(TenantPlace::Header(name))
    });
    let query = table.field("query").parsed(|text| {
        let name = query_name(text)?;
        if credential.and_then(Credential::query_name) == Some(text) {
            return Err(Wrong::new(format!("`{text}` carries a credential")));
        }
        Ok(TenantPlace::Query(name))
    });
    let param = table.field("param").parsed(|text| {
        path.map_or(Ok(()), |path| path.check_param(text, true))?;
        Ok(TenantPlace::Param(text.to_owned()))
    });
    let given = ["header", "query", "param", "json"];
    if given.into_iter().filter(|name| table.field(name).is_given()).count() != 1 {
        field.wrong(Wrong::new("names one place: `header`, `query`, `param` or `json`"));
        return None;
    }
    header.or(query).or(param)
}
