//! `[[route]]`: one row of what the gate lets through, to where, for whom.

use crate::cors::{CorsPolicy, forbidden_method};
use crate::limit::{Limit, MAX_REQUESTS};
use crate::origin::PublicSuffixes;
use crate::scope::{Required, RequiredScope};
use crate::time::UnixMillis;

use super::dated::{self, Deprecation, SHADOW, Shadow, ShadowCheck};
use super::error::Wrong;
use super::mock::{self, MOCK, Mock};
use super::not_built::NotBuilt;
use super::origins::{CorsDraft, OriginsDraft};
use super::path::{PathTemplate, RewriteTemplate};
use super::reader::{Field, Shape, Table, name, unknown_name};
use super::tenant::{self, TenantPlace};
use super::upstream::UpstreamDraft;

pub(super) const ROUTE: Shape = Shape {
    at: "route[]",
    fields: &[
        "name",
        "path",
        "methods",
        "upstream",
        "mock",
        "rewrite",
        "auth",
        "allow_unsafe",
        "scopes",
        "any_scopes",
        "origins",
        "cors",
        "limits",
        "cost",
        "body_limit",
        "tenant",
        "passthrough",
        "keep_cookies",
        "deprecated",
        "shadow",
        "idempotency",
        "idempotency_field",
        "on_unknown",
        "cache",
    ],
};

/// 1 MiB.
const BODY_LIMIT: u64 = 1 << 20;
/// 5 GiB: more than any platform in front of the gate lets through.
const MAX_BODY_LIMIT: u64 = 5 << 30;

/// A route, in one environment.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its place in the policy, counted from 0.
    pub index: usize,
    /// Its name, for logs and errors.
    pub name: String,
    /// The paths it answers.
    pub path: PathTemplate,
    /// The methods it answers.
    pub methods: Methods,
    /// Who gives the answer.
    pub target: Target,
    /// The path to ask the upstream for; none is the request's own.
    pub rewrite: Option<RewriteTemplate>,
    /// Who may pass.
    pub auth: Auth,
    /// What a key must be allowed.
    pub scopes: Required,
    /// Which pages may call it.
    pub cors: CorsPolicy,
    /// What is counted besides the key's own limits.
    pub limits: Vec<Limit>,
    /// How many requests one counts for, 1 to 1 000 000; at limits of those in flight always one.
    pub cost: u32,
    /// The most bytes of a request's body, up to 5 GiB.
    pub body_limit: u64,
    /// Where the upstream is told the key's tenant.
    pub tenant: Vec<TenantPlace>,
    /// `Authorization` is the backend's own, and a key is read from `X-Api-Key` alone.
    pub passthrough_authorization: bool,
    /// Whether the client's cookies reach the upstream; the gate's own never do.
    pub keep_cookies: bool,
    /// Told on its answers.
    pub deprecated: Option<Deprecation>,
    /// Checks that only log for now.
    pub shadow: Option<Shadow>,
}

/// The methods of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Methods {
    /// All that a page could send; not CONNECT, TRACE and TRACK.
    Any,
    /// These alone, with their case. GET has HEAD with it.
    List(Vec<String>),
}

impl Methods {
    /// True when the route answers `method`.
    pub fn allows(&self, method: &str) -> bool {
        match self {
            Self::Any => !forbidden_method(method),
            Self::List(methods) => methods.iter().any(|allowed| allowed == method),
        }
    }

    /// The names, or `*` alone.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Any => vec!["*".to_owned()],
            Self::List(methods) => methods.clone(),
        }
    }

    /// A method that both have.
    pub(super) fn common(&self, other: &Self) -> Option<String> {
        match (self, other) {
            (Self::Any, Self::Any) => Some("*".to_owned()),
            (Self::Any, Self::List(methods)) | (Self::List(methods), Self::Any) => {
                methods.first().cloned()
            }
            (Self::List(methods), other) => {
                methods.iter().find(|method| other.allows(method)).cloned()
            }
        }
    }

    /// True for methods that change nothing (RFC 9110 section 9.2.1).
    fn are_safe(&self) -> bool {
        let safe = |method: &String| matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS");
        matches!(self, Self::List(methods) if methods.iter().all(safe))
    }
}

/// Who gives a route's answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The upstream at this index of the policy's.
    Upstream(usize),
    /// The gate itself.
    Mock(Mock),
}

/// Who may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Holders of a key.
    Key,
    /// Pages of a listed origin, without a key.
    Origin {
        /// Whether other methods than GET, HEAD and OPTIONS are meant to be there.
        allow_unsafe: bool,
    },
    /// Everybody.
    Public,
}

/// A route as far as it could be read. None means that what is wrong has been told.
#[derive(Debug)]
pub(super) struct RouteDraft<'a> {
    pub(super) table: Table<'a>,
    pub(super) index: usize,
    pub(super) name: Option<&'a str>,
    pub(super) path: Option<PathTemplate>,
    pub(super) methods: Option<Methods>,
    /// The index of the upstream's draft.
    pub(super) upstream: Option<usize>,
    pub(super) mock: Option<Mock>,
    pub(super) rewrite: Option<RewriteTemplate>,
    pub(super) auth: Option<Auth>,
    pub(super) scopes: Required,
    pub(super) origins: OriginsDraft<'a>,
    pub(super) cors: CorsDraft<'a>,
    pub(super) limits: Field<'a>,
    pub(super) cost: u32,
    pub(super) body_limit: u64,
    pub(super) tenant: Vec<TenantPlace>,
    pub(super) passthrough_authorization: bool,
    pub(super) keep_cookies: bool,
    pub(super) deprecated: Option<Deprecation>,
    pub(super) shadow: Option<Shadow>,
}

impl<'a> RouteDraft<'a> {
    pub(super) fn read(
        index: usize,
        field: &Field<'a>,
        upstreams: &[UpstreamDraft<'_>],
        suffixes: &dyn PublicSuffixes,
        now: UnixMillis,
    ) -> Option<Self> {
        let table = field.table(&ROUTE)?;
        let path = table.field("path").required().parsed(PathTemplate::parse);
        let methods = read_methods(&table.field("methods").required());
        let auth = read_auth(&table, methods.as_ref());
        let upstream = read_upstream(&table.field("upstream"), upstreams);
        let credential = upstream.and_then(|at| upstreams.get(at)?.credential.as_ref());
        let draft = Self {
            index,
            name: read_name(&table.field("name").required()),
            upstream,
            mock: mock::read(&table.field("mock"), &MOCK),
            rewrite: table
                .field("rewrite")
                .parsed(|text| RewriteTemplate::parse(text, path.as_ref())),
            scopes: read_scopes(&table, path.as_ref()),
            origins: OriginsDraft::read(table.field("origins"), suffixes),
            cors: CorsDraft::read(table.field("cors")),
            limits: table.field("limits"),
            cost: read_cost(&table.field("cost")),
            body_limit: table.field("body_limit").size(MAX_BODY_LIMIT).unwrap_or(BODY_LIMIT),
            tenant: tenant::read(&table.field("tenant"), path.as_ref(), credential),
            passthrough_authorization: table
                .field("passthrough")
                .list(passthrough)
                .is_some_and(|names| !names.is_empty()),
            keep_cookies: table.field("keep_cookies").boolean().unwrap_or(false),
            deprecated: dated::read_deprecated(&table.field("deprecated")),
            shadow: read_shadow(&table.field("shadow"), auth, now),
            path,
            methods,
            auth,
            table,
        };
        draft.refuse_what_is_not_built();
        draft.check_target();
        draft.check_needs_of_a_key();
        if let Some(header) = credential.and_then(super::Credential::header_name) {
            draft.check_against_credential(header);
        }
        Some(draft)
    }

    fn refuse_what_is_not_built(&self) {
        let field = |name| self.table.field(name);
        let idempotency = field("idempotency");
        let modes = [("off", false), ("optional", true), ("required", true)];
        if idempotency.choice(&modes) == Some(true) {
            NotBuilt::Idempotency.refuse(&idempotency);
        }
        let idempotency_field = field("idempotency_field");
        if idempotency_field.text().is_some() {
            NotBuilt::IdempotencyField.refuse(&idempotency_field);
        }
        let on_unknown = field("on_unknown");
        if on_unknown.choice(&[("hold", ()), ("retry", ())]).is_some() {
            NotBuilt::OnUnknown.refuse(&on_unknown);
        }
        let cache = field("cache");
        if cache.choice(&[("off", false), ("tenant", true)]) == Some(true) {
            NotBuilt::Cache.refuse(&cache);
        }
    }

    /// The path itself as a template, where the tenant has a place in it: what is forwarded is then
    /// always filled in, and never the client's own text.
    pub(super) fn path_with_the_tenant(&self) -> Option<RewriteTemplate> {
        let in_path = self.tenant.iter().any(|place| matches!(place, TenantPlace::Param(_)));
        self.path.as_ref().filter(|_| in_path).map(RewriteTemplate::of)
    }

    fn check_target(&self) {
        let (upstream, mock) = (self.table.field("upstream"), self.table.field("mock"));
        if upstream.is_given() && mock.is_given() {
            let suggestion = "a mock for one environment stands in [environment.NAME.route.ROUTE]";
            mock.wrong(Wrong::help("a route has an `upstream` or a `mock`, not both", suggestion));
        }
        let rewrite = self.table.field("rewrite");
        if rewrite.is_given() && !upstream.is_given() {
            rewrite.wrong(Wrong::new("needs an `upstream`"));
        }
    }

    /// Fields that say nothing where nobody shows a key.
    fn check_needs_of_a_key(&self) {
        if matches!(self.auth, None | Some(Auth::Key)) {
            return;
        }
        for name in ["scopes", "any_scopes", "tenant", "passthrough"] {
            let field = self.table.field(name);
            if field.is_given() {
                field.wrong(Wrong::new("needs `auth = \"key\"`: here is no key to take it from"));
            }
        }
    }

    /// The upstream's credential is the gate's alone: nothing of the client takes its place.
    fn check_against_credential(&self, header: &str) {
        let clash = |field: Field<'_>, what: &str| {
            let upstream = self.table.field("upstream").text().unwrap_or_default();
            let message = format!("the credential of upstream {upstream:?} is {what} already");
            field.wrong(Wrong::new(message));
        };
        if self.passthrough_authorization && header == "authorization" {
            clash(self.table.field("passthrough"), "in `authorization`");
        }
        if self.keep_cookies && header == "cookie" {
            clash(self.table.field("keep_cookies"), "in `cookie`");
        }
    }
}

fn read_name<'a>(field: &Field<'a>) -> Option<&'a str> {
    field.parsed(name)?;
    field.text()
}

fn read_methods(field: &Field<'_>) -> Option<Methods> {
    if field.word() == Some("*") {
        return Some(Methods::Any);
    }
    let methods = field.is_given().then(|| field.list(method))??;
    Some(match methods.as_slice() {
        [only] if only == "*" => Methods::Any,
        _ => Methods::List(with_head(methods)),
    })
}

/// HEAD is GET without the body (RFC 9110 section 9.3.2): who may do the one may do the other.
fn with_head(mut methods: Vec<String>) -> Vec<String> {
    let has = |wanted: &str| methods.iter().any(|method| method == wanted);
    if has("GET") && !has("HEAD") {
        methods.push("HEAD".to_owned());
    }
    methods
}

/// What a method may be is judged with the rest of CORS; only its case is not.
fn method(text: &str) -> Result<String, Wrong> {
    let upper = text.to_ascii_uppercase();
    if upper == text {
        return Ok(upper);
    }
    Err(Wrong::help("methods are compared with their case", format!("write {upper:?}")))
}

fn read_auth(table: &Table<'_>, methods: Option<&Methods>) -> Option<Auth> {
    let allow = table.field("allow_unsafe");
    let allow_unsafe = allow.boolean();
    let choices = [
        ("key", Auth::Key),
        ("origin", Auth::Origin { allow_unsafe: allow_unsafe.unwrap_or(false) }),
        ("public", Auth::Public),
    ];
    let auth = table.field("auth").required().choice(&choices)?;
    match (auth, allow_unsafe) {
        (Auth::Key | Auth::Public, Some(_)) => {
            allow.wrong(Wrong::new("is for `auth = \"origin\"` only"));
        }
        (Auth::Origin { .. }, None | Some(false)) if methods.is_some_and(|it| !it.are_safe()) => {
            let message = "`auth = \"origin\"` proves little: other methods than GET, HEAD and \
                           OPTIONS must be meant";
            table.field("methods").wrong(Wrong::help(message, "allow_unsafe = true"));
        }
        _ => {}
    }
    Some(auth)
}

/// A limit allows no more requests than this, so no request can cost more.
fn read_cost(field: &Field<'_>) -> u32 {
    let cost = field.integer(&(1..=u64::from(MAX_REQUESTS)));
    cost.and_then(|cost| u32::try_from(cost).ok()).unwrap_or(1)
}

fn read_upstream(field: &Field<'_>, upstreams: &[UpstreamDraft<'_>]) -> Option<usize> {
    field.parsed(|text| {
        upstreams.iter().position(|upstream| upstream.name == text).ok_or_else(|| {
            let names: Vec<&str> = upstreams.iter().map(|upstream| upstream.name).collect();
            unknown_name("upstream", text, &names)
        })
    })
}

fn read_scopes(table: &Table<'_>, path: Option<&PathTemplate>) -> Required {
    let scope = |text: &str| {
        let scope = RequiredScope::parse(text).map_err(Wrong::told)?;
        if let Some(path) = path {
            scope.params().try_for_each(|name| path.check_param(name, true))?;
        }
        Ok(scope)
    };
    let (all, any) = (table.field("scopes"), table.field("any_scopes"));
    let (all_read, any_read) = (all.list(scope), any.list(scope));
    if any.is_given() && all.is_given() {
        any.wrong(Wrong::new("a route has `scopes` or `any_scopes`, not both"));
    }
    if any.is_given() && any_read.as_ref().is_some_and(Vec::is_empty) {
        // Read as "one of none" it would shut the route, read as "none asked" it would open it.
        any.wrong(Wrong::help("names no scope", "leave it out if none is required"));
    }
    match any_read {
        Some(any) if !any.is_empty() => Required::Any(any),
        _ => Required::All(all_read.unwrap_or_default()),
    }
}

fn read_shadow(field: &Field<'_>, auth: Option<Auth>, now: UnixMillis) -> Option<Shadow> {
    // The other checks ask about a key.
    let of_all = |check: &ShadowCheck| *check == ShadowCheck::Limits;
    let keyed = matches!(auth, None | Some(Auth::Key));
    let known = ShadowCheck::ALL.into_iter().filter(|(_, check)| keyed || of_all(check));
    let known: Vec<_> = known.map(|(word, check)| (word, Some(check))).collect();
    dated::read_shadow(field, &SHADOW, &known, now)
}

fn passthrough(text: &str) -> Result<(), Wrong> {
    if text == "authorization" {
        return Ok(());
    }
    Err(Wrong::help(format!("{text:?} is unknown"), "the one header here is \"authorization\""))
}
