//! Texts over secrets: `Bearer ${secret:BILLING_TOKEN}`. The policy holds the name, the Worker the
//! value, and only the request to the upstream ever holds the filled text.

use crate::text::Secret;

use super::error::Wrong;

/// A text with the names of secrets in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Secret(String),
}

/// What the environment of the Worker holds for the gate itself: bindings, variables, and the
/// secrets that no backend may ever see.
const OWN_NAMES: [&str; 12] = [
    "ASSETS",
    "COUNTER",
    "ENVIRONMENT",
    "INBOX",
    "KEY",
    "KEYS",
    "KEY_ID_SECRET",
    "KEY_PEPPER",
    "ROOT_TOKEN",
    "STORE_KEY",
    "TENANT",
    "UPSTREAM",
];

/// The longest name of a secret.
const NAME_LEN: usize = 64;

impl Template {
    /// Reads a template. Its literal text is what a header can carry: printable ASCII.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            push_literal(&mut parts, before)?;
            let (inside, after) =
                after.split_once('}').ok_or_else(|| Wrong::new("a `${` has no `}`"))?;
            let name = inside.strip_prefix("secret:").ok_or_else(|| {
                let message = format!("`${{{inside}}}` is not known here");
                Wrong::help(message, "write ${secret:NAME}, with the name of a Worker secret")
            })?;
            secret_name(name)?;
            parts.push(Part::Secret(name.to_owned()));
            rest = after;
        }
        push_literal(&mut parts, rest)?;
        match text {
            "" => Err(Wrong::new("must not be empty")),
            _ if text.trim_matches(' ') == text => Ok(Self { parts }),
            // Blanks at the ends of a field's value are not part of it (RFC 9110 section 5.5), so
            // the leak guard would look for a text that was never sent.
            _ => Err(Wrong::new("must not begin or end with a blank")),
        }
    }

    /// Reads a template that stands for a credential: without a secret it would be none.
    pub(super) fn parse_secret(text: &str) -> Result<Self, Wrong> {
        let template = Self::parse(text)?;
        if template.secrets().next().is_some() {
            return Ok(template);
        }
        let message = "has no secret in it: what stands in a policy can be read by many";
        Err(Wrong::help(message, "name a Worker secret: ${secret:NAME}"))
    }

    /// A template for tests elsewhere.
    #[cfg(test)]
    pub(crate) fn of_secret(text: &str) -> Option<Self> {
        Self::parse_secret(text).ok()
    }

    /// The names of the secrets in it, in their order; one that is used twice comes twice.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Secret(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// True if `sign` stands in it outside the secrets.
    pub(super) fn has_literal(&self, sign: char) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Literal(text) if text.contains(sign)))
    }

    /// The text with every secret in its place; none if `look` lacks one of them.
    pub fn fill<'s>(&self, look: &dyn Fn(&str) -> Option<&'s Secret>) -> Option<Secret> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => filled.push_str(text),
                Part::Secret(name) => filled.push_str(look(name)?.expose()),
            }
        }
        Some(Secret::new(filled))
    }

    /// The text as it stands in the policy, for explanations and logs.
    pub fn redacted(&self) -> String {
        let shown = self.parts.iter().map(|part| match part {
            Part::Literal(text) => text.clone(),
            Part::Secret(name) => format!("${{secret:{name}}}"),
        });
        shown.collect()
    }
}

fn push_literal(parts: &mut Vec<Part>, text: &str) -> Result<(), Wrong> {
    if !text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return Err(Wrong::new("must be printable ASCII"));
    }
    if !text.is_empty() {
        parts.push(Part::Literal(text.to_owned()));
    }
    Ok(())
}

fn secret_name(name: &str) -> Result<(), Wrong> {
    let of_a_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let good = name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.bytes().all(of_a_name)
        && name.len() <= NAME_LEN;
    if !good {
        let upper = name.to_ascii_uppercase().replace(['-', '.', ' '], "_");
        let message = format!("{name:?} is not the name of a secret");
        return Err(if upper == name {
            Wrong::help(message, "capital letters, digits and `_`, a letter first")
        } else {
            Wrong::help(message, format!("write ${{secret:{upper}}}"))
        });
    }
    if OWN_NAMES.contains(&name) {
        let message = format!("`{name}` belongs to the gate itself");
        return Err(Wrong::help(message, "give the upstream a secret of its own"));
    }
    Ok(())
}
