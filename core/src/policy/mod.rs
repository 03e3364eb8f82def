//! The policy: what `tollgate.toml` may say, and the checked form that every decision reads.
//!
//! Reading never stops at the first mistake: [`Policy::check`] returns all of them, each with its
//! place and, where there is one, a suggestion. What it returns when there is none cannot be
//! wrong any more: nothing after it looks at text again.
//!
//! Scope: SPEC section 2, and what sections 3 to 7 say about its fields as far as it can be judged
//! before a request comes. Out of scope: reading TOML (the command line does), and secrets, which
//! a policy only names.

mod access;
mod anomalies;
mod base;
mod dated;
mod environment;
mod error;
mod gate;
mod host;
mod limits;
mod mock;
mod node;
mod not_built;
mod origins;
mod path;
mod rate;
mod reader;
mod resolve;
mod route;
mod router;
mod size;
mod source;
mod template;
mod tenant;
#[cfg(test)]
mod tests;
mod upstream;

use crate::limit::Limit;
use crate::origin::{PublicSuffixes, SingleLabels};
use crate::time::UnixMillis;

pub use access::{Access, LeakIntake};
pub use anomalies::{Anomalies, Volume};
pub use base::{Scheme, UpstreamBase};
pub use dated::{Deprecation, Shadow, ShadowCheck};
pub use environment::Environment;
pub use error::PolicyError;
pub use gate::{CLOUDFLARE_CONNECTIONS, Gate, Platform};
pub use mock::Mock;
pub use node::{Entry, Node, Place, Value};
pub use path::{PathTemplate, RewriteTemplate};
pub use reader::Shape;
pub use route::{Auth, Methods, Route, Target};
pub use router::PathMatch;
pub use source::{Delivery, MAX_SHARDS, Queue, Source, SourceScheme};
pub use template::Template;
pub use tenant::TenantPlace;
pub use upstream::{Credential, LeakGuardMode, Upstream};

use environment::EnvironmentDraft;
use error::{Errors, Wrong};
use gate::GateDraft;
use reader::Field;
use resolve::Drafts;
use route::RouteDraft;
use router::Router;

const FILE: Shape = Shape {
    at: "",
    fields: &[
        "version",
        "gate",
        "anomalies",
        "environment",
        "upstream",
        "limit",
        "route",
        "source",
    ],
};

/// Every table that a policy may have: what `docs/policy.md` must describe, no more and no less.
pub const SHAPES: &[&Shape] = &[
    &FILE,
    &gate::GATE,
    &gate::FAILURES,
    &access::ACCESS,
    &access::LEAK_INTAKE,
    &anomalies::ANOMALIES,
    &anomalies::REFUSALS,
    &anomalies::VOLUME,
    &environment::ENVIRONMENT,
    &gate::GATE_OVERRIDE,
    &access::ACCESS_OVERRIDE,
    &access::LEAK_INTAKE_OVERRIDE,
    &environment::ROUTE_OVERRIDE,
    &source::SOURCE_OVERRIDE,
    &mock::MOCK_OVERRIDE,
    &upstream::UPSTREAM,
    &upstream::CREDENTIAL_HEADER,
    &upstream::CREDENTIAL_BASIC,
    &upstream::CREDENTIAL_QUERY,
    &upstream::CREDENTIAL_OAUTH2,
    &upstream::CREDENTIAL_HMAC,
    &upstream::RETRY,
    &upstream::CIRCUIT_BREAKER,
    &limits::LIMIT,
    &limits::RATE,
    &limits::BUCKET,
    &limits::BUCKET_RATE,
    &limits::QUOTA,
    &route::ROUTE,
    &origins::CORS,
    &tenant::TENANT,
    &mock::MOCK,
    &dated::DEPRECATED,
    &dated::SHADOW,
    &source::SOURCE,
    &source::SOURCE_HMAC,
    &dated::SOURCE_SHADOW,
];

/// The version of the policy's language.
const VERSION: u64 = 1;

/// A checked policy, as it holds in one environment.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Which environment.
    pub environment: Environment,
    /// What holds for the whole gate.
    pub gate: Gate,
    /// What of a key's use is worth telling somebody.
    pub anomalies: Anomalies,
    /// The upstreams that this environment's routes ask, in no particular order.
    pub upstreams: Vec<Upstream>,
    /// Every limit of the file, used or not.
    pub limits: Vec<Limit>,
    /// In the order of the file.
    pub routes: Vec<Route>,
    /// In the order of the file.
    pub sources: Vec<Source>,
    router: Router,
}

/// A file without an error: a policy for each of its environments.
#[derive(Clone, Debug)]
pub struct CheckedFile {
    policies: Vec<Policy>,
}

/// What a host name means to the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// It serves the routes.
    Api,
    /// It serves the console and the management API.
    Admin,
    /// Neither: `misdirected_request`.
    Unknown,
}

impl Policy {
    /// Checks a whole file, every environment of it.
    ///
    /// `suffixes` says which domains nobody may put a wildcard on; `now` bounds how far ahead
    /// shadow mode may end, so it must be the real time.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file.
    pub fn check(
        root: &Node,
        suffixes: &dyn PublicSuffixes,
        now: UnixMillis,
    ) -> Result<CheckedFile, Vec<PolicyError>> {
        let errors = Errors::default();
        let policies = check(&Field::root(root, &errors), suffixes, now);
        if errors.is_empty() {
            if let Some(policies) = policies.into_iter().collect() {
                return Ok(CheckedFile { policies });
            }
            // Cannot be: what could not be read was told. If it were, the gate must stay shut.
            let message = "the policy cannot be read, and no reason was found";
            return Err(vec![PolicyError::new(Place::default(), message)]);
        }
        Err(errors.into_list(root))
    }

    /// What `host`, the value of `Host` or the authority of a URL, with or without a port, in any
    /// case, means here. Outside production this machine's own names serve the routes too.
    pub fn host(&self, host: &str) -> HostKind {
        let Some(host) = host::of_authority(host) else {
            return HostKind::Unknown;
        };
        if self.gate.admin_host.as_ref() == Some(&host) {
            HostKind::Admin
        } else if self.gate.hosts.contains(&host)
            || self.environment.is_dev() && host::is_loopback(&host)
        {
            HostKind::Api
        } else {
            HostKind::Unknown
        }
    }

    /// The routes that a path leads to, whatever the method. `path` is as it arrived, without the
    /// query, and already known to be in the one form that is forwarded.
    pub fn route_path(&self, path: &str) -> Option<PathMatch<'_>> {
        self.router.find(path, &self.routes)
    }

    /// The source that is sent to this path, if there is one.
    pub fn source_at(&self, path: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.path == path)
    }

    /// The source of this name.
    pub fn source_named(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// The names of the Worker secrets that this environment needs, each once, sorted.
    pub fn secrets(&self) -> Vec<&str> {
        let credentials = self.upstreams.iter().filter_map(|it| it.credential.as_ref());
        let of_sources = self.sources.iter().flat_map(Source::secrets);
        let of_upstreams = credentials.flat_map(Credential::secrets);
        let mut names: Vec<&str> = of_upstreams.chain(of_sources).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl CheckedFile {
    /// The policy of one environment: the only way to have a policy.
    ///
    /// # Errors
    /// For a name that the file does not describe. There is no default: a gate that does not know
    /// where it stands must not open.
    pub fn select(self, environment: &str) -> Result<Policy, PolicyError> {
        let known: Vec<String> = self.environments().map(str::to_owned).collect();
        let mut policies = self.policies.into_iter();
        policies.find(|policy| policy.environment.name == environment).ok_or_else(|| {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let wrong = reader::unknown_name("environment", environment, &known);
            PolicyError {
                suggestion: wrong.suggestion,
                ..PolicyError::new(Place::default(), wrong.message)
            }
        })
    }

    /// The names of the environments, sorted.
    pub fn environments(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(|policy| policy.environment.name.as_str())
    }
}

/// The text of the module that the Worker is deployed with: `root` as JSON, once it was checked.
/// The same file gives the same text, byte for byte.
pub fn write_module(root: &Node) -> String {
    node::write_module(root)
}

/// Reads a built module and checks it again, by the same rules: a module need not come from
/// `tollgate policy build`. Of public suffixes the edge knows only that single labels are some.
///
/// # Errors
/// Everything that is wrong; places are not known any more.
pub fn parse_module(json: &str, now: UnixMillis) -> Result<CheckedFile, Vec<PolicyError>> {
    let root = node::read_module(json)
        .map_err(|message| vec![PolicyError::new(Place::default(), message)])?;
    Policy::check(&root, &SingleLabels, now)
}

fn check(root: &Field<'_>, suffixes: &dyn PublicSuffixes, now: UnixMillis) -> Vec<Option<Policy>> {
    let Some(file) = root.table(&FILE) else {
        return Vec::new();
    };
    let version = file.field("version").required();
    if version.integer(&(0..=u64::MAX)).is_some_and(|version| version != VERSION) {
        version.wrong(Wrong::new(format!("this gate reads version {VERSION}")));
    }
    let gate = GateDraft::read(&file.field("gate").required());
    let anomalies = anomalies::read(&file.field("anomalies"));
    let upstreams = upstream::read(&file.field("upstream"));
    let limits = limits::read(&file.field("limit"));
    let routes = read_routes(&file.field("route"), &upstreams, suffixes, now);
    let sources = source::read(&file.field("source"), &upstreams, &routes, now);
    let environments = file.field("environment").required();
    let known = environment::Known { upstreams: &upstreams, routes: &routes, sources: &sources };
    let environments = EnvironmentDraft::read_all(&environments, &known, suffixes);
    let drafts = Drafts {
        gate,
        anomalies,
        upstreams,
        limits,
        router: Router::build(&routes),
        routes,
        sources,
        environments,
    };
    drafts.resolve()
}

fn read_routes<'a>(
    field: &Field<'a>,
    upstreams: &[upstream::UpstreamDraft<'_>],
    suffixes: &dyn PublicSuffixes,
    now: UnixMillis,
) -> Vec<RouteDraft<'a>> {
    let mut routes: Vec<RouteDraft<'a>> = Vec::new();
    for (index, item) in field.items().unwrap_or_default().iter().enumerate() {
        let draft = RouteDraft::read(index, item, upstreams, suffixes, now);
        let Some(draft) = draft else { continue };
        if draft.name.is_some() && routes.iter().any(|other| other.name == draft.name) {
            let message = "another route has this name";
            draft.table.field("name").wrong(Wrong::new(message));
        }
        routes.push(draft);
    }
    routes
}
