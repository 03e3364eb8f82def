//! Step 5: may a page of this origin call this route at all? Preflights end here, before any key,
//! limit or backend is asked (Fetch section 3.3.5: they never carry credentials).

use super::arrive::Routed;
use super::isolate::Isolate;
use super::refusal::Answer;
use super::walk::{Step, Walk};
use super::{Ask, Next, ObjectClass, Supplied};
use crate::cors::{AllowedOrigins, Arrival, CorsRefusal, classify};
use crate::header::name;
use crate::policy::Auth;
use crate::problem::{Code, Problem};
use crate::request::Head;
use crate::time::UnixMillis;

/// The object that knows the keys of all tenants.
pub const REGISTRY_OF_ALL: &str = "*";
/// Its answer to this is every origin that a live key lists.
pub const ORIGINS_MESSAGE: &str = r#""origins""#;

/// How step 5 ends.
#[derive(Debug)]
pub(super) enum Origin {
    /// A granted preflight: 204.
    Preflight(Box<Answer>),
    /// The origins of live keys are needed.
    Ask(Ask, AwaitOrigins),
    /// The origin may call, or there is none.
    Cleared(Cleared),
}

/// A request whose origin the route allows, or that has none.
#[derive(Debug)]
pub struct Cleared {
    pub(super) walk: Walk,
    pub(super) undeclared: bool,
}

/// Waits for the origins that live keys list.
#[derive(Debug)]
pub(super) struct AwaitOrigins {
    routed: Routed,
    preflight: Option<(String, Option<String>)>,
}

impl Routed {
    /// Step 5.
    pub(super) fn origin(
        self,
        isolate: &mut Isolate,
        head: &dyn Head,
        now: UnixMillis,
    ) -> Next<Origin> {
        // Only an OPTIONS request can be a preflight: for all others nothing more is read.
        let asked_method = (self.walk.method == "OPTIONS")
            .then(|| head.header(name::ACCESS_CONTROL_REQUEST_METHOD))
            .flatten();
        let (method, origin) = (&self.walk.method, self.walk.origin.as_deref());
        let preflight = match classify(method, origin, asked_method.as_deref(), None) {
            Arrival::Preflight { method, .. } => {
                let headers = head.header(name::ACCESS_CONTROL_REQUEST_HEADERS);
                Some((method.to_owned(), headers))
            }
            Arrival::NoOrigin | Arrival::Actual { .. } => None,
        };
        let by_keys =
            self.walk.route().is_some_and(|route| *route.cors.origins() == AllowedOrigins::Keys);
        let asked = self.walk.origin.as_ref().filter(|_| by_keys);
        let listed = asked.map(|origin| isolate.listed_by_a_key(origin, now));
        if listed == Some(None) {
            let ask = Ask::Object {
                class: ObjectClass::Tenant,
                name: REGISTRY_OF_ALL.to_owned(),
                message: ORIGINS_MESSAGE.to_owned(),
            };
            return Ok(Origin::Ask(ask, AwaitOrigins { routed: self, preflight }));
        }
        decide(self, preflight.as_ref(), listed.flatten().unwrap_or(false))
    }
}

impl AwaitOrigins {
    pub(super) fn supplied(
        self,
        isolate: &mut Isolate,
        supplied: &Supplied,
        now: UnixMillis,
    ) -> Next<Origin> {
        let known = match supplied {
            Supplied::Object(text) => isolate.set_origins(text, now),
            Supplied::Cached(_) | Supplied::Failed => false,
        };
        if !known {
            // Without the list nobody is granted anything: the gate stays shut.
            return Err(self.routed.walk.refuse(Step::Origin, Code::AdmissionUnavailable));
        }
        let origin = self.routed.walk.origin.clone().unwrap_or_default();
        let listed = isolate.listed_by_a_key(&origin, now).unwrap_or(false);
        decide(self.routed, self.preflight.as_ref(), listed)
    }
}

fn decide(
    routed: Routed,
    preflight: Option<&(String, Option<String>)>,
    listed: bool,
) -> Next<Origin> {
    let Routed { mut walk, too_large, undeclared } = routed;
    let Some(route) = walk.route() else {
        return Err(walk.refuse(Step::Origin, Code::InternalError));
    };
    let cors = &route.cors;
    let origin_route = matches!(route.auth, Auth::Origin { .. });
    let by_keys = *cors.origins() == AllowedOrigins::Keys;
    let decision = match (&walk.origin, preflight) {
        (Some(origin), Some((method, headers))) => {
            cors.preflight(origin, method, headers.as_deref(), listed).map(|grant| (grant, true))
        }
        (Some(origin), None) => match cors.actual(origin, listed) {
            Ok(grant) => Ok((grant, false)),
            // The list of all keys' origins may be a minute old. The key itself says in step 8
            // whether it lists this one; until then nothing is granted.
            Err(CorsRefusal::Origin) if by_keys => Ok((cors.refused(), false)),
            Err(refusal) => Err(refusal),
        },
        (None, _) => {
            let same_origin = walk.site.as_deref() == Some("same-origin");
            if origin_route && !same_origin {
                Err(CorsRefusal::Origin)
            } else {
                Ok((cors.without_origin(), false))
            }
        }
    };
    match decision {
        Ok((grant, true)) => {
            walk.cors = grant.headers;
            walk.passed(Step::Origin, |walk| {
                format!("preflight granted to {}", walk.origin.as_deref().unwrap_or_default())
            });
            let headers = walk.stamp();
            Ok(Origin::Preflight(Box::new(Answer::new(204, headers, String::new(), None, walk))))
        }
        Ok((grant, false)) => {
            walk.cors = grant.headers;
            walk.passed(Step::Origin, |walk| match &walk.origin {
                Some(origin) => format!("origin {origin}"),
                None => "no Origin header".to_owned(),
            });
            if too_large {
                return Err(walk.refuse(Step::Route, Code::BodyTooLarge));
            }
            Ok(Origin::Cleared(Cleared { walk, undeclared }))
        }
        Err(refusal) => {
            let headers = cors.refused().headers;
            let code = match refusal {
                CorsRefusal::Origin => Code::OriginNotAllowed,
                CorsRefusal::Method | CorsRefusal::Header(_) => Code::HeaderNotAllowed,
            };
            let problem = Problem::new(code).detail(refusal.to_string());
            Err(walk.refuse_with(Step::Origin, problem, headers))
        }
    }
}
