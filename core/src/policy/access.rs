//! `gate.access` and `gate.leak_intake`: other people's services that the gate believes, each in
//! what it is named for and in nothing else.

use super::base::{Scheme, UpstreamBase};
use super::error::Wrong;
use super::host;
use super::reader::{Field, Shape};

pub(super) const ACCESS: Shape = Shape { at: "gate.access", fields: &["team", "audience"] };
pub(super) const LEAK_INTAKE: Shape = Shape { at: "gate.leak_intake", fields: &["keys"] };
pub(super) const ACCESS_OVERRIDE: Shape =
    Shape { at: "environment.*.gate.access", fields: &["team", "audience"] };
pub(super) const LEAK_INTAKE_OVERRIDE: Shape =
    Shape { at: "environment.*.gate.leak_intake", fields: &["keys"] };

/// Where Cloudflare Access serves its teams.
const TEAMS: &str = ".cloudflareaccess.com";
/// The longest label of a host name (RFC 1035 section 2.3.4).
const MAX_TEAM: usize = 63;
/// The length of an application's audience tag.
const AUDIENCE: usize = 64;

/// The Cloudflare Access application whose tokens stand for a second factor (SPEC section 8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The team's origin, which its tokens name as their issuer: `https://acme.cloudflareaccess.com`.
    pub team_url: String,
    /// The application's audience tag.
    pub audience: String,
}

/// Who may report keys that were found in the open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeakIntake {
    /// The address of the keys that reports are signed with.
    pub keys: String,
}

/// Reads `access`, in the shape of the place where it stands.
pub(super) fn read_access(field: &Field<'_>, shape: &'static Shape) -> Option<Access> {
    let table = field.table(shape)?;
    let team_url = table.field("team").required().parsed(team);
    let audience = table.field("audience").required().parsed(audience);
    Some(Access { team_url: team_url?, audience: audience? })
}

/// Reads `leak_intake`, in the shape of the place where it stands.
pub(super) fn read_leak_intake(field: &Field<'_>, shape: &'static Shape) -> Option<LeakIntake> {
    let table = field.table(shape)?;
    let keys =
        table.field("keys").required().parsed(|text| address(text).map(|()| text.to_owned()));
    Some(LeakIntake { keys: keys? })
}

impl Access {
    /// Whether production may believe it.
    pub(super) fn fits_production(&self) -> Result<(), Wrong> {
        if self.team_url.ends_with(TEAMS) {
            return Ok(());
        }
        let message = "not in production: its tokens would be made on this very machine";
        Err(Wrong::help(message, "access.team = \"acme\""))
    }
}

impl LeakIntake {
    /// Whether production may believe it.
    pub(super) fn fits_production(&self) -> Result<(), Wrong> {
        if self.keys.starts_with("https://") {
            return Ok(());
        }
        Err(Wrong::help("not in production: anybody could change its keys", "write https://"))
    }
}

/// A bare name, or for tests an address of this machine.
fn team(text: &str) -> Result<String, Wrong> {
    if text.contains("://") {
        let base = loopback(text)?;
        if !base.path_prefix().is_empty() {
            return Err(Wrong::new("must end with its host or port: no path"));
        }
        return Ok(base.origin());
    }
    let of_a_team = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let good = (1..=MAX_TEAM).contains(&text.len())
        && text.bytes().all(of_a_team)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if good {
        return Ok(format!("https://{text}{TEAMS}"));
    }
    let message = format!("{text:?} is not the name of a team");
    Err(Wrong::help(message, format!("what stands in front of {TEAMS:?}")))
}

fn audience(text: &str) -> Result<String, Wrong> {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == AUDIENCE && text.bytes().all(hex) {
        return Ok(text.to_owned());
    }
    let message = format!("must be the application's audience tag: {AUDIENCE} digits and a to f");
    Err(Wrong::new(message))
}

/// An address whose answer can be believed: of a server that proves who it is, or of this machine.
fn address(text: &str) -> Result<(), Wrong> {
    if text.starts_with("http://") {
        return loopback(text).map(|_| ());
    }
    UpstreamBase::parse(text).map(|_| ())
}

/// `http://127.0.0.1:9090` and its like.
fn loopback(text: &str) -> Result<UpstreamBase, Wrong> {
    let base = UpstreamBase::parse(text)?;
    let here = host::of_authority(base.authority()).is_some_and(|host| host::is_loopback(&host));
    if base.scheme() == Scheme::Http && here {
        return Ok(base);
    }
    Err(Wrong::new(format!("{text:?} is not http on this very machine")))
}
