//! Which routes a path leads to. By path first and by method second: an OPTIONS preflight is
//! about the routes of its path (SPEC section 1, step 4).

use core::fmt;

use super::error::Wrong;
use super::path::PathTemplate;
use super::route::{Methods, Route, RouteDraft};

/// Every path template of the policy, each with the routes that share it.
#[derive(Clone, Default)]
pub(super) struct Router {
    tree: matchit::Router<usize>,
    groups: Vec<Group>,
}

#[derive(Clone, Debug)]
struct Group {
    /// The template, its parameters numbered.
    matcher: String,
    routes: Vec<usize>,
}

/// The routes of one path, and the values of its parameters.
#[derive(Clone, Debug)]
pub struct PathMatch<'p> {
    routes: Vec<&'p Route>,
    values: Vec<String>,
}

impl<'p> PathMatch<'p> {
    /// The routes of the path in the order of the policy: at least one.
    pub fn routes(&self) -> impl Iterator<Item = &'p Route> {
        self.routes.iter().copied()
    }

    /// The value of `Allow`: every method of the path, in the order of the policy.
    pub fn allow(&self) -> String {
        let methods: Vec<String> = self.routes().flat_map(|route| route.methods.names()).collect();
        methods.join(", ")
    }

    /// Every parameter of `route`, one of these routes, with its value as it stands in the path:
    /// percent-encoded.
    pub fn params<'s>(&'s self, route: &'s Route) -> impl Iterator<Item = (&'s str, &'s str)> {
        route.path.params().zip(self.values.iter().map(String::as_str))
    }
}

impl Router {
    /// Puts the paths of all routes together. A path that no request could be told apart on is an
    /// error of the later route.
    pub(super) fn build(drafts: &[RouteDraft<'_>]) -> Self {
        let mut router = Self::default();
        for draft in drafts {
            let (Some(path), Some(methods)) = (&draft.path, &draft.methods) else {
                continue;
            };
            if let Err(wrong) = router.insert(draft.index, path, methods, drafts) {
                draft.table.field("path").wrong(wrong);
            }
        }
        router
    }

    fn insert(
        &mut self,
        index: usize,
        path: &PathTemplate,
        methods: &Methods,
        drafts: &[RouteDraft<'_>],
    ) -> Result<(), Wrong> {
        let matcher = path.matcher();
        let known = self.groups.iter_mut().find(|group| group.matcher == matcher);
        let Some(group) = known else {
            return self.insert_group(index, matcher, drafts);
        };
        let overlap = group.routes.iter().find_map(|at| {
            let other = drafts.iter().find(|draft| draft.index == *at)?;
            Some((methods.common(other.methods.as_ref()?)?, other))
        });
        if let Some((method, other)) = overlap {
            let message = match method.as_str() {
                "*" => format!("every request here goes to {} already", told(other)),
                _ => format!("{method} here goes to {} already", told(other)),
            };
            return Err(Wrong::help(message, "a path has each method once"));
        }
        group.routes.push(index);
        Ok(())
    }

    fn insert_group(
        &mut self,
        index: usize,
        matcher: String,
        drafts: &[RouteDraft<'_>],
    ) -> Result<(), Wrong> {
        if let Err(error) = self.tree.insert(matcher.as_str(), self.groups.len()) {
            // matchit names the path it ran into by its first child, which may be another route.
            let conflicts = |group: &&Group| {
                let mut pair = matchit::Router::new();
                pair.insert(group.matcher.as_str(), ()).is_ok()
                    && pair.insert(matcher.as_str(), ()).is_err()
            };
            let other = self.groups.iter().find(conflicts).and_then(|group| group.routes.first());
            let other = other.and_then(|at| drafts.iter().find(|draft| draft.index == *at));
            let suggestion = "at one place a path has one kind of parameter";
            return Err(match other {
                Some(other) => Wrong::help(format!("collides with {}", told(other)), suggestion),
                None => Wrong::help(error.to_string(), suggestion),
            });
        }
        self.groups.push(Group { matcher, routes: vec![index] });
        Ok(())
    }

    /// The routes of a path, literal segments before parameters.
    pub(super) fn find<'p>(&self, path: &str, routes: &'p [Route]) -> Option<PathMatch<'p>> {
        let found = self.tree.at(path).ok()?;
        let group = self.groups.get(*found.value)?;
        let routes = group.routes.iter().filter_map(|at| routes.get(*at)).collect();
        let values = found.params.iter().map(|(_, value)| value.to_owned()).collect();
        Some(PathMatch { routes, values })
    }
}

/// A route as another one's error names it.
fn told(draft: &RouteDraft<'_>) -> String {
    let path = draft.path.as_ref().map(PathTemplate::as_str).unwrap_or_default();
    format!("route {:?} ({path})", draft.name.unwrap_or_default())
}

impl fmt::Debug for Router {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(&self.groups).finish()
    }
}
