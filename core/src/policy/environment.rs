//! `[environment.NAME]`: what differs between development, staging and production.

use crate::key::KeyEnvironment;
use crate::origin::PublicSuffixes;

use super::base::{Scheme, UpstreamBase};
use super::error::Wrong;
use super::gate::Addresses;
use super::mock::{self, MOCK_OVERRIDE, Mock};
use super::origins::OriginsDraft;
use super::reader::{Field, Shape, name, unknown_name};
use super::route::RouteDraft;
use super::source::{SourceDraft, SourceOverride};
use super::upstream::UpstreamDraft;

pub(super) const ENVIRONMENT: Shape =
    Shape { at: "environment.*", fields: &["upstream", "gate", "route", "source"] };
pub(super) const ROUTE_OVERRIDE: Shape =
    Shape { at: "environment.*.route.*", fields: &["origins", "limits", "mock"] };

/// Which environment a policy was chosen for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its name in the policy, the value of the variable `ENVIRONMENT`.
    pub name: String,
    /// The side its keys are on: `production` is prod, every other name dev.
    pub class: KeyEnvironment,
}

impl Environment {
    /// True outside production: loopback hosts are served, also over plain HTTP.
    pub fn is_dev(&self) -> bool {
        self.class == KeyEnvironment::Dev
    }
}

/// An environment as far as it could be read.
#[derive(Debug)]
pub(super) struct EnvironmentDraft<'a> {
    pub(super) name: &'a str,
    pub(super) field: Field<'a>,
    pub(super) gate: Option<Addresses<'a>>,
    /// By upstream; without an address where that is wrong.
    bases: Vec<(&'a str, Option<UpstreamBase>)>,
    routes: Vec<(&'a str, RouteOverride<'a>)>,
    sources: Vec<(&'a str, SourceOverride<'a>)>,
}

/// What an environment may say something about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'k, 'a> {
    pub(super) upstreams: &'k [UpstreamDraft<'a>],
    pub(super) routes: &'k [RouteDraft<'a>],
    pub(super) sources: &'k [SourceDraft<'a>],
}

/// `[environment.NAME.route.ROUTE]`.
#[derive(Debug)]
pub(super) struct RouteOverride<'a> {
    pub(super) origins: OriginsDraft<'a>,
    pub(super) limits: Field<'a>,
    pub(super) mock: Option<Mock>,
}

impl<'a> EnvironmentDraft<'a> {
    /// Reads `[environment]`, all of it.
    pub(super) fn read_all(
        field: &Field<'a>,
        known: &Known<'_, 'a>,
        suffixes: &dyn PublicSuffixes,
    ) -> Vec<Self> {
        let named = field.named(name);
        if field.is_given() && named.is_empty() {
            field.wrong(Wrong::help("describes no environment", "[environment.dev]"));
        }
        let read = |(name, field)| Self::read(name, field, known, suffixes);
        named.into_iter().filter_map(read).collect()
    }

    fn read(
        name: &'a str,
        field: Field<'a>,
        known: &Known<'_, 'a>,
        suffixes: &dyn PublicSuffixes,
    ) -> Option<Self> {
        let Known { upstreams, routes, sources } = known;
        let table = field.table(&ENVIRONMENT)?;
        let in_production = KeyEnvironment::of(name) == KeyEnvironment::Prod;
        let known: Vec<&str> = upstreams.iter().map(|upstream| upstream.name).collect();
        let mut bases = Vec::new();
        for (name, field) in table.field("upstream").named(super::reader::name) {
            if !known.contains(&name) {
                field.wrong(unknown_name("upstream", name, &known));
            }
            let base = field.parsed(|text| {
                let base = UpstreamBase::parse(text)?;
                if in_production && base.scheme() == Scheme::Http {
                    let message = "not in production: http shows the credential to the network";
                    return Err(Wrong::help(message, "write https://"));
                }
                Ok(base)
            });
            bases.push((name, base));
        }
        let gate = Addresses::read_override(&table.field("gate"));
        let known: Vec<&str> = routes.iter().filter_map(|route| route.name).collect();
        let mut overrides = Vec::new();
        for (name, field) in table.field("route").named(super::reader::name) {
            if !known.contains(&name) {
                field.wrong(unknown_name("route", name, &known));
            }
            let Some(table) = field.table(&ROUTE_OVERRIDE) else {
                continue;
            };
            let over = RouteOverride {
                origins: OriginsDraft::read(table.field("origins"), suffixes),
                limits: table.field("limits"),
                mock: mock::read(&table.field("mock"), &MOCK_OVERRIDE),
            };
            overrides.push((name, over));
        }
        let known: Vec<&str> = sources.iter().filter_map(|source| source.name).collect();
        let mut of_sources = Vec::new();
        for (name, field) in table.field("source").named(super::reader::name) {
            if !known.contains(&name) {
                field.wrong(unknown_name("source", name, &known));
            }
            of_sources.extend(SourceOverride::read(&field).map(|over| (name, over)));
        }
        Some(Self { name, field, gate, bases, routes: overrides, sources: of_sources })
    }

    pub(super) fn class(&self) -> KeyEnvironment {
        KeyEnvironment::of(self.name)
    }

    pub(super) fn in_production(&self) -> bool {
        self.class() == KeyEnvironment::Prod
    }

    /// True if it is said where an upstream is reached, right or wrong.
    pub(super) fn names(&self, upstream: &str) -> bool {
        self.bases.iter().any(|(name, _)| *name == upstream)
    }

    /// Where an upstream is reached.
    pub(super) fn base(&self, upstream: &str) -> Option<&UpstreamBase> {
        self.bases.iter().find(|(name, _)| *name == upstream)?.1.as_ref()
    }

    pub(super) fn route(&self, name: Option<&str>) -> Option<&RouteOverride<'a>> {
        let name = name?;
        self.routes.iter().find(|(route, _)| *route == name).map(|(_, over)| over)
    }

    pub(super) fn source(&self, name: Option<&str>) -> Option<&SourceOverride<'a>> {
        let name = name?;
        self.sources.iter().find(|(source, _)| *source == name).map(|(_, over)| over)
    }
}
