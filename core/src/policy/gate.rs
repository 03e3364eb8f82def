//! `[gate]`: what holds for the whole gate, and the part of it that may differ by environment.

use crate::address::ClientIpSource;
use crate::key;
use crate::limit::Rate;
use crate::time::Millis;

use super::access::{self, Access, LeakIntake};
use super::error::Wrong;
use super::host;
use super::rate;
use super::reader::{Field, Shape, Table};

pub(super) const GATE: Shape = Shape {
    at: "gate",
    fields: &[
        "realm",
        "key_brand",
        "hosts",
        "admin_host",
        "platform",
        "client_ip",
        "failures",
        "max_key_lifetime",
        "rotate_after",
        "access",
        "leak_intake",
    ],
};

pub(super) const FAILURES: Shape = Shape { at: "gate.failures", fields: &["requests", "window"] };

pub(super) const GATE_OVERRIDE: Shape = Shape {
    at: "environment.*.gate",
    fields: &["hosts", "admin_host", "platform", "client_ip", "access", "leak_intake"],
};

/// The age at which a key's holder is reminded to rotate it, unless the policy says otherwise.
const ROTATE_AFTER: Millis = Millis::days(90);
/// What turns the reminder off.
const OFF: &str = "off";

/// What holds for the whole gate in one environment.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The realm of `WWW-Authenticate`: printable ASCII without quotes and backslashes.
    pub realm: String,
    /// The first part of every key.
    pub key_brand: String,
    /// The served hosts in lower case, without ports; loopback goes without saying outside
    /// production ([`super::Policy::host`]).
    pub hosts: Vec<String>,
    /// The host of the console and the management API; it serves no routes.
    pub admin_host: Option<String>,
    /// What the gate runs on.
    pub platform: Platform,
    /// Where the client's address is read from.
    pub client_ip: ClientIpSource,
    /// Failed credentials that one address may present (SPEC section 1).
    pub failures: Rate,
    /// The longest time from a key's making to its end, for rotations too; none is no bound.
    pub max_key_lifetime: Option<Millis>,
    /// The age at which a key's holder is reminded to rotate it; none is no reminder.
    pub rotate_after: Option<Millis>,
    /// Whose tokens stand for a second factor.
    pub access: Option<Access>,
    /// Who may report leaked keys; nobody if it is none.
    pub leak_intake: Option<LeakIntake>,
}

/// What the gate runs on: it decides whom the gate believes about a client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Cloudflare's network, which sets `CF-Connecting-IP` itself.
    Cloudflare,
    /// Bare workerd, where that header is whatever the client sent.
    Workerd,
}

/// Cloudflare's limit of connections of one invocation that wait for the head of an answer
/// (Workers, "Simultaneous open connections"). What is beyond waits inside the platform, while its time
/// runs out unsent.
pub const CLOUDFLARE_CONNECTIONS: u32 = 6;

impl Platform {
    /// So many requests of one object may wait for their answers at a time.
    pub const fn connections(self) -> u32 {
        match self {
            Self::Cloudflare => CLOUDFLARE_CONNECTIONS,
            Self::Workerd => u32::MAX,
        }
    }

    const fn client_ip(self) -> ClientIpSource {
        match self {
            Self::Cloudflare => ClientIpSource::CfConnectingIp,
            Self::Workerd => ClientIpSource::Socket,
        }
    }
}

/// `[gate]` as far as it could be read.
#[derive(Debug)]
pub(super) struct GateDraft<'a> {
    realm: Option<String>,
    key_brand: String,
    failures: Option<Rate>,
    max_key_lifetime: Option<Millis>,
    rotate_after: Option<Millis>,
    addresses: Addresses<'a>,
}

/// The fields that `[environment.NAME.gate]` may override, each with its place.
#[derive(Debug)]
pub(super) struct Addresses<'a> {
    hosts: (Field<'a>, Option<Vec<String>>),
    admin_host: (Field<'a>, Option<String>),
    platform: (Field<'a>, Option<Platform>),
    client_ip: (Field<'a>, Option<ClientIpSource>),
    access: (Field<'a>, Option<Access>),
    leak_intake: (Field<'a>, Option<LeakIntake>),
}

impl<'a> GateDraft<'a> {
    pub(super) fn read(field: &Field<'a>) -> Option<Self> {
        let table = field.table(&GATE)?;
        let failures = table.field("failures");
        Some(Self {
            realm: table.field("realm").required().parsed(realm),
            key_brand: table.field("key_brand").parsed(brand).unwrap_or_else(|| "tg".to_owned()),
            failures: if failures.is_given() {
                rate::read(&failures, &FAILURES)
            } else {
                Rate::new(20, Millis::minutes(1)).ok()
            },
            max_key_lifetime: table
                .field("max_key_lifetime")
                .duration(&(Millis::minutes(1)..=Millis::days(3_650))),
            rotate_after: rotate_after(&table.field("rotate_after")),
            addresses: Addresses::read(&table, &access::ACCESS, &access::LEAK_INTAKE),
        })
    }

    /// The gate as it is in one environment. `environment` is the field that stands for it.
    pub(super) fn resolve(
        &self,
        over: Option<&Addresses<'a>>,
        environment: &Field<'a>,
        in_production: bool,
    ) -> Option<Gate> {
        let base = &self.addresses;
        // Where both an override and a general field take part in an error, the override is the
        // one to mend.
        let hosts_differ = over.is_some_and(|over| over.hosts.0.is_given());
        let platform_differs = over.is_some_and(|over| over.platform.0.is_given());
        let over = over.unwrap_or(base);
        let (hosts_at, hosts) = first_given(&over.hosts, &base.hosts);
        let (admin_at, admin_host) = first_given(&over.admin_host, &base.admin_host);
        let (platform_at, platform) = first_given(&over.platform, &base.platform);
        let (client_ip_at, client_ip) = first_given(&over.client_ip, &base.client_ip);
        let (access_at, access) = first_given(&over.access, &base.access);
        let (leak_intake_at, leak_intake) = first_given(&over.leak_intake, &base.leak_intake);

        if in_production && hosts.as_ref().is_some_and(Vec::is_empty) {
            let message = "production needs `hosts`";
            environment.wrong(Wrong::help(message, "hosts = [\"api.example.com\"]"));
        }
        if in_production && !admin_at.is_given() {
            let message = "production needs an `admin_host`";
            environment.wrong(Wrong::help(message, "admin_host = \"gate.example.com\""));
        }
        if in_production {
            let fits = access.as_ref().map_or(Ok(()), Access::fits_production);
            fits.unwrap_or_else(|wrong| access_at.wrong(wrong));
            let fits = leak_intake.as_ref().map_or(Ok(()), LeakIntake::fits_production);
            fits.unwrap_or_else(|wrong| leak_intake_at.wrong(wrong));
        }
        let served = |host: &&String| hosts.as_ref().is_some_and(|hosts| hosts.contains(host));
        if let Some(host) = admin_host.as_ref().filter(served) {
            let message = format!("{host:?} is among `hosts`: the admin host serves no routes");
            let at = if hosts_differ { hosts_at } else { admin_at };
            at.wrong(Wrong::help(message, "give it a name of its own"));
        }
        // What was given and is wrong has been told: nothing is concluded from it.
        let platform = if platform_at.is_given() { (*platform)? } else { Platform::Cloudflare };
        let client_ip = if client_ip_at.is_given() { (*client_ip)? } else { platform.client_ip() };
        let at = if platform_differs { platform_at } else { client_ip_at };
        match (platform, client_ip) {
            (Platform::Workerd, ClientIpSource::CfConnectingIp) => at.wrong(Wrong::help(
                "\"cf-connecting-ip\" is what the client says it is, unless Cloudflare sets it",
                "client_ip = \"socket\", or \"x-forwarded-for:1\" behind one proxy of your own",
            )),
            (Platform::Cloudflare, ClientIpSource::Socket) => at.wrong(Wrong::help(
                "on Cloudflare the socket is Cloudflare's own",
                "client_ip = \"cf-connecting-ip\"",
            )),
            _ => {}
        }
        Some(Gate {
            realm: self.realm.clone()?,
            key_brand: self.key_brand.clone(),
            hosts: hosts.clone()?,
            admin_host: admin_host.clone(),
            platform,
            client_ip,
            failures: self.failures?,
            max_key_lifetime: self.max_key_lifetime,
            rotate_after: self.rotate_after,
            access: access.clone(),
            leak_intake: leak_intake.clone(),
        })
    }
}

impl<'a> Addresses<'a> {
    pub(super) fn read_override(field: &Field<'a>) -> Option<Self> {
        let (access, leak_intake) = (&access::ACCESS_OVERRIDE, &access::LEAK_INTAKE_OVERRIDE);
        field.table(&GATE_OVERRIDE).map(|table| Self::read(&table, access, leak_intake))
    }

    fn read(
        table: &Table<'a>,
        access_shape: &'static Shape,
        leak_intake_shape: &'static Shape,
    ) -> Self {
        let hosts = table.field("hosts");
        let admin_host = table.field("admin_host");
        let platform = table.field("platform");
        let client_ip = table.field("client_ip");
        let access = table.field("access");
        let leak_intake = table.field("leak_intake");
        let source = |text: &str| text.parse::<ClientIpSource>().map_err(Wrong::told);
        let platforms = [("cloudflare", Platform::Cloudflare), ("workerd", Platform::Workerd)];
        Self {
            hosts: (hosts.clone(), hosts.list(host_name)),
            admin_host: (admin_host.clone(), admin_host.parsed(host_name)),
            platform: (platform.clone(), platform.choice(&platforms)),
            client_ip: (client_ip.clone(), client_ip.parsed(source)),
            access: (access.clone(), access::read_access(&access, access_shape)),
            leak_intake: (
                leak_intake.clone(),
                access::read_leak_intake(&leak_intake, leak_intake_shape),
            ),
        }
    }
}

/// The override where it is given, else what holds everywhere.
fn first_given<'r, 'a, T>(
    over: &'r (Field<'a>, T),
    base: &'r (Field<'a>, T),
) -> (&'r Field<'a>, &'r T) {
    let (field, value) = if over.0.is_given() { over } else { base };
    (field, value)
}

/// A duration, or `"off"`.
fn rotate_after(field: &Field<'_>) -> Option<Millis> {
    if !field.is_given() {
        return Some(ROTATE_AFTER);
    }
    if field.word() == Some(OFF) {
        return None;
    }
    field.duration(&(Millis::days(1)..=Millis::days(3_650)))
}

fn host_name(text: &str) -> Result<String, Wrong> {
    host::check(text).map(|()| text.to_owned())
}

/// A quoted string (RFC 9110 section 5.6.4) that needs no escaping.
fn realm(text: &str) -> Result<String, Wrong> {
    let plain = |byte: u8| matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\';
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new("must be 1 to 64 characters of printable ASCII without `\"` and `\\`"))
}

fn brand(text: &str) -> Result<String, Wrong> {
    if key::is_brand(text) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new("must be 1 to 12 lower-case letters and digits, a letter first"))
}
