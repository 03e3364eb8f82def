//! What is wrong with a policy, and the list that collects all of it.

use core::cell::RefCell;
use core::fmt;

use serde::Serialize;

use super::node::{Node, Place, Value};

/// One thing that is wrong with a policy: where, what, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyError {
    /// Where in the file.
    #[serde(flatten)]
    pub place: Place,
    /// Where in the tree, for programs: `route[2].origins[0]`; empty for the whole file.
    pub path: String,
    /// The same for people: `route "invoice", origins[0]`.
    #[serde(skip)]
    pub subject: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl PolicyError {
    /// An error of the file as a whole, or of its syntax.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            path: String::new(),
            subject: String::new(),
            message: message.into(),
            suggestion: None,
        }
    }

    /// The error as a compiler would print it, the suggestion on a line of its own:
    /// `tollgate.toml:12:9: route "invoice", origins[0]: …`.
    pub fn in_file(&self, file: &str) -> String {
        match self.place {
            Place { line: 0, .. } => format!("{file}: {self}"),
            Place { line, column } => format!("{file}:{line}:{column}: {self}"),
        }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.subject.is_empty() {
            write!(out, "{}: ", self.subject)?;
        }
        out.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(out, "\n  help: {suggestion}"),
            None => Ok(()),
        }
    }
}

/// Why a text is not what a field takes, from the parser that knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), suggestion: None }
    }

    pub(super) fn help(message: impl Into<String>, suggestion: impl Into<String>) -> Self {
        Self { message: message.into(), suggestion: Some(suggestion.into()) }
    }

    /// For the errors of other modules, whose Display is meant for the writer of a policy.
    pub(super) fn told(error: impl fmt::Display) -> Self {
        Self::new(error.to_string())
    }
}

/// A place in the file and its path in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) place: Place,
    pub(super) path: String,
}

/// Everything found wrong so far. Checks go on after an error, so that all are shown at once.
#[derive(Debug, Default)]
pub(super) struct Errors {
    found: RefCell<Vec<PolicyError>>,
}

impl Errors {
    pub(super) fn push(&self, spot: &Spot, wrong: Wrong) {
        let error = PolicyError {
            place: spot.place,
            path: spot.path.clone(),
            subject: String::new(),
            message: wrong.message,
            suggestion: wrong.suggestion,
        };
        let mut found = self.found.borrow_mut();
        // A value that all environments share is judged once for each of them.
        if !found.contains(&error) {
            found.push(error);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// In the order of the file, each with its subject in the words of people.
    pub(super) fn into_list(self, root: &Node) -> Vec<PolicyError> {
        let mut list = self.found.into_inner();
        list.sort_by_key(|error| error.place);
        for error in &mut list {
            error.subject = subject(&error.path, root);
        }
        list
    }
}

/// `route[2].origins[0]` is told as `route "invoice", origins[0]` where the route has a name.
fn subject(path: &str, root: &Node) -> String {
    let named = || {
        let (list, rest) = path.split_once('[')?;
        let (index, rest) = rest.split_once(']')?;
        let Value::Array(items) = &root.get(list)?.node.value else {
            return None;
        };
        let Value::Text(name) = &items.get(index.parse::<usize>().ok()?)?.get("name")?.node.value
        else {
            return None;
        };
        Some(match rest.strip_prefix('.') {
            Some(rest) => format!("{list} {name:?}, {rest}"),
            None => format!("{list} {name:?}"),
        })
    };
    named().unwrap_or_else(|| path.to_owned())
}
