//! From what was written to what holds in one environment.

use crate::header::name::{AUTHORIZATION, X_API_KEY};
use crate::limit::{Kind, Limit, LimitBy, Measure, Mode};

use super::Policy;
use super::anomalies::Anomalies;
use super::environment::{Environment, EnvironmentDraft};
use super::error::Wrong;
use super::gate::GateDraft;
use super::limits::LimitDraft;
use super::reader::{Field, unknown_name};
use super::route::{Auth, Route, RouteDraft, Target};
use super::router::Router;
use super::source::{Source, SourceDraft};
use super::upstream::{Upstream, UpstreamDraft};

/// Everything of the file as far as it could be read.
#[derive(Debug)]
pub(super) struct Drafts<'a> {
    pub(super) gate: Option<GateDraft<'a>>,
    pub(super) anomalies: Anomalies,
    pub(super) upstreams: Vec<UpstreamDraft<'a>>,
    pub(super) limits: Vec<LimitDraft<'a>>,
    pub(super) routes: Vec<RouteDraft<'a>>,
    pub(super) sources: Vec<SourceDraft<'a>>,
    pub(super) environments: Vec<EnvironmentDraft<'a>>,
    pub(super) router: Router,
}

impl<'a> Drafts<'a> {
    /// The policy of every environment. A None in it means that something was told to be wrong.
    pub(super) fn resolve(&self) -> Vec<Option<Policy>> {
        let policies = self.environments.iter().map(|environment| self.policy(environment));
        let policies: Vec<Option<Policy>> = policies.collect();
        self.routes.iter().for_each(|route| self.check_cors_has_origins(route));
        policies
    }

    fn policy(&self, environment: &EnvironmentDraft<'a>) -> Option<Policy> {
        let in_production = environment.in_production();
        let gate = self.gate.as_ref().and_then(|gate| {
            gate.resolve(environment.gate.as_ref(), &environment.field, in_production)
        });
        let mut upstreams = Vec::new();
        // All routes are looked at, whatever is wrong with one of them.
        let routes: Vec<Option<Route>> = self
            .routes
            .iter()
            .map(|route| self.route(route, environment, &mut upstreams))
            .collect();
        let sources: Vec<Option<Source>> = self
            .sources
            .iter()
            .map(|source| {
                let asker = ("source", source.name);
                let upstream = source
                    .upstream
                    .and_then(|at| self.upstream(at, asker, environment, &mut upstreams));
                let over = environment.source(source.name);
                source.resolve(over, upstream, &environment.field, in_production)
            })
            .collect();
        Some(Policy {
            environment: Environment {
                name: environment.name.to_owned(),
                class: environment.class(),
            },
            gate: gate?,
            anomalies: self.anomalies.clone(),
            upstreams,
            limits: self.limits.iter().filter_map(|draft| draft.limit.clone()).collect(),
            routes: routes.into_iter().collect::<Option<_>>()?,
            sources: sources.into_iter().collect::<Option<_>>()?,
            router: self.router.clone(),
        })
    }

    fn route(
        &self,
        draft: &RouteDraft<'_>,
        environment: &EnvironmentDraft<'_>,
        upstreams: &mut Vec<Upstream>,
    ) -> Option<Route> {
        let over = environment.route(draft.name);
        let target = self.target(draft, environment, upstreams);

        let origins = over.map(|over| &over.origins).filter(|origins| origins.field.is_given());
        let origins = origins.unwrap_or(&draft.origins);
        let allowed = origins.resolve(draft.auth.as_ref(), environment.in_production());
        let implicit: &[&str] = match draft.auth {
            Some(Auth::Key) => &[AUTHORIZATION, X_API_KEY],
            _ => &[],
        };
        let cors = draft.methods.as_ref().zip(allowed).and_then(|(methods, allowed)| {
            let methods_at = draft.table.field("methods");
            draft.cors.resolve(allowed, &origins.field, methods.names(), &methods_at, implicit)
        });

        let limits = over.map(|over| &over.limits).filter(|limits| limits.is_given());
        let limits = self.limits_of(limits.unwrap_or(&draft.limits), draft);
        Some(Route {
            index: draft.index,
            name: draft.name?.to_owned(),
            path: draft.path.clone()?,
            methods: draft.methods.clone()?,
            target: target?,
            rewrite: draft.rewrite.clone().or_else(|| draft.path_with_the_tenant()),
            auth: draft.auth?,
            scopes: draft.scopes.clone(),
            cors: cors?,
            limits: limits?,
            cost: draft.cost,
            body_limit: draft.body_limit,
            tenant: draft.tenant.clone(),
            passthrough_authorization: draft.passthrough_authorization,
            keep_cookies: draft.keep_cookies,
            deprecated: draft.deprecated.clone(),
            shadow: draft.shadow.clone(),
        })
    }

    fn target(
        &self,
        draft: &RouteDraft<'_>,
        environment: &EnvironmentDraft<'_>,
        upstreams: &mut Vec<Upstream>,
    ) -> Option<Target> {
        let over = environment.route(draft.name).and_then(|over| over.mock.as_ref());
        if let Some(mock) = over.or(draft.mock.as_ref()) {
            return Some(Target::Mock(mock.clone()));
        }
        let field = |name| draft.table.field(name);
        if !field("upstream").is_given() && !field("mock").is_given() {
            draft.table.wrong(Wrong::new("needs an `upstream` or a `mock`"));
        }
        let asker = ("route", draft.name);
        self.upstream(draft.upstream?, asker, environment, upstreams).map(Target::Upstream)
    }

    /// The index of an upstream among those that this environment asks. `asker`: what asks for it, and
    /// its name.
    fn upstream(
        &self,
        at: usize,
        (what, name): (&str, Option<&str>),
        environment: &EnvironmentDraft<'_>,
        upstreams: &mut Vec<Upstream>,
    ) -> Option<usize> {
        let upstream = self.upstreams.get(at)?;
        if !environment.names(upstream.name) {
            let message = format!(
                "has no address for upstream {:?}, which {what} {:?} asks",
                upstream.name,
                name.unwrap_or_default(),
            );
            let suggestion = format!("upstream.{} = \"https://…\"", upstream.name);
            environment.field.wrong(Wrong::help(message, suggestion));
        }
        let base = environment.base(upstream.name)?;
        let known = upstreams.iter().position(|known| known.name == upstream.name);
        if known.is_none() {
            upstreams.push(upstream.at(base.clone()));
        }
        Some(known.unwrap_or_else(|| upstreams.len().saturating_sub(1)))
    }

    fn limits_of(&self, field: &Field<'_>, draft: &RouteDraft<'_>) -> Option<Vec<Limit>> {
        let known: Vec<&str> = self.limits.iter().map(|limit| limit.name).collect();
        let drafts = field.list(|text| {
            let found = self.limits.iter().find(|limit| limit.name == text);
            let found = found.ok_or_else(|| unknown_name("limit", text, &known))?;
            match found.limit.as_ref().zip(draft.auth.as_ref()) {
                Some((limit, auth)) => check_limit(limit, *auth, draft).map(|()| found),
                None => Ok(found),
            }
        })?;
        let limits = drafts.into_iter().map(|draft| draft.limit.clone());
        let limits: Vec<Limit> = limits.collect::<Option<_>>()?;
        let of_an_address =
            |limit: &Limit| *limit.by() == LimitBy::Address && counts_requests(limit);
        if matches!(draft.auth, Some(Auth::Origin { .. })) && !limits.iter().any(of_an_address) {
            let message = "`auth = \"origin\"` needs a limit by address: an `Origin` can be forged";
            let suggestion =
                "limits = [\"…\"], one with by = \"address\" and a rate, bucket or quota";
            field.wrong(Wrong::help(message, suggestion));
        }
        check_none_leased_beside_concurrency(&limits, field);
        Some(limits)
    }

    /// `cors` without origins would promise pages something and let none in.
    fn check_cors_has_origins(&self, draft: &RouteDraft<'_>) {
        let mut overrides = self.environments.iter().filter_map(|it| it.route(draft.name));
        let anywhere =
            draft.origins.field.is_given() || overrides.any(|over| over.origins.field.is_given());
        if draft.cors.field.is_given() && !anywhere {
            let message = "lets no page in: the route has no `origins`";
            draft.cors.field.wrong(Wrong::new(message));
        }
    }
}

fn check_limit(limit: &Limit, auth: Auth, draft: &RouteDraft<'_>) -> Result<(), Wrong> {
    let name = limit.name();
    match (limit.by(), auth) {
        (
            by @ (LimitBy::Key | LimitBy::KeyAddress | LimitBy::KeyParam(_) | LimitBy::Tenant),
            Auth::Origin { .. } | Auth::Public,
        ) => {
            let by = if *by == LimitBy::Tenant { "tenant" } else { "key" };
            let message = format!("limit {name:?} counts by {by}: here are none");
            let suggestion = "a limit with by = \"address\" or by = \"route\"";
            return Err(Wrong::help(message, suggestion));
        }
        (LimitBy::KeyParam(param), Auth::Key) => {
            draft.path.as_ref().map_or(Ok(()), |path| path.check_param(param, true))?;
        }
        _ => {}
    }
    check_cost(limit, draft.cost)
}

/// A request that costs more than a limit ever gives would never pass.
fn check_cost(limit: &Limit, cost: u32) -> Result<(), Wrong> {
    let leased = limit.mode() == Mode::Leased;
    let counted = limit.measures().iter().filter(|measure| measure.kind() != Kind::Concurrency);
    let most = counted.map(|it| if leased { it.most_leased() } else { it.most() }).min();
    match most {
        Some(most) if cost > most => {
            let name = limit.name();
            let leased = if leased { ", leased," } else { "" };
            let message = format!(
                "limit {name:?}{leased} gives {most} at the most, and a request of this route \
                 costs {cost}"
            );
            Err(Wrong::help(message, "a lower `cost`, or a larger limit"))
        }
        _ => Ok(()),
    }
}

/// True when it bounds how many requests come, not only how many are there at once.
fn counts_requests(limit: &Limit) -> bool {
    !limit.measures().iter().all(|measure| matches!(measure, Measure::Concurrency(_)))
}

/// Where requests in flight are counted each request has to ask, so nothing is given ahead
/// (SPEC section 4).
fn check_none_leased_beside_concurrency(limits: &[Limit], field: &Field<'_>) {
    let in_flight =
        |limit: &&Limit| limit.measures().iter().any(|measure| measure.kind() == Kind::Concurrency);
    let leased = limits.iter().find(|limit| limit.mode() == Mode::Leased);
    if let Some((leased, in_flight)) = leased.zip(limits.iter().find(in_flight)) {
        let message = format!(
            "limit {:?} is leased, and {:?} counts requests in flight: each of them has to ask",
            leased.name(),
            in_flight.name(),
        );
        field.wrong(Wrong::help(message, "an exact limit in the place of the leased one"));
    }
}
