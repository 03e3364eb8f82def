//! `tollgate usage` and `tollgate keys usage`: how much keys are used.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::Value;
use tollgate_core::time::Millis;

use crate::client::{Answer, Client, GateArgs, member, with_query};
use crate::clock;
use crate::table::{self, text};

/// Show how much a tenant's keys are used: requests, errors, latency.
///
/// Exits with 0 when the gate answered, with 1 when it refused, and with 2 when the request makes no
/// sense or the gate cannot be reached.
#[derive(Args, Clone, Debug)]
pub(crate) struct UsageArgs {
    #[command(flatten)]
    gate: GateArgs,
    /// Of this tenant; for operators of all together if left out.
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    frame: FrameArgs,
    /// Print the gate's answer as JSON.
    #[arg(long)]
    json: bool,
}

/// Over which time.
#[derive(Args, Clone, Debug)]
pub(crate) struct FrameArgs {
    /// How long a line stands for: hours are kept for 30 days, days for a year.
    #[arg(long, value_enum)]
    by: Option<By>,
    /// Since then: a time such as 2030-01-31T12:00:00Z, or how long ago, such as 7d.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Until then, in the same way.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Show it again every 2 seconds, until Ctrl-C. Where the output is no terminal: a line for each
    /// change.
    #[arg(long)]
    watch: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    Hour,
    Day,
}

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// The top of the terminal, with nothing below it (ECMA-48 CUP, ED).
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";
/// The columns of keys that nobody uses.
const STALE: [&str; 5] = ["id", "tenant", "owner", "last_used_at", "name"];
/// The longest bar, in characters.
const BAR: u64 = 32;

pub(crate) fn run(args: &UsageArgs) -> Result<ExitCode> {
    let client = args.gate.client()?;
    show(&client, "usage", args.tenant.as_deref(), &args.frame, args.json)
}

/// Shows the usage at `path`, once or again and again.
pub(crate) fn show(
    client: &Client,
    path: &str,
    tenant: Option<&str>,
    frame: &FrameArgs,
    as_json: bool,
) -> Result<ExitCode> {
    let ask = || client.call("GET", &with_query(path, &frame.query(tenant).pairs()), None);
    if !frame.watch {
        return ask()?.tell(as_json, shown);
    }
    let mut last = String::new();
    loop {
        let answer = ask()?;
        if !answer.is_success() {
            return answer.tell(as_json, |_| String::new());
        }
        let told = watched(&answer, as_json)?;
        if told != last {
            let mut out = io::stdout().lock();
            if out.write_all(told.as_bytes()).and_then(|()| out.flush()).is_err() {
                // Nobody reads any more.
                return Ok(ExitCode::SUCCESS);
            }
            last = told;
        }
        sleep(PAUSE);
    }
}

/// What stands there until the next look.
fn watched(answer: &Answer, as_json: bool) -> Result<String> {
    if as_json {
        return Ok(format!("{}\n", serde_json::to_string(&answer.body)?));
    }
    let on_terminal = io::stdout().is_terminal();
    Ok(if on_terminal { format!("{CLEAR}{}", shown(&answer.body)) } else { line(&answer.body) })
}

/// The query of a frame; what is said as a span ago is a time by now.
struct Query<'a> {
    tenant: Option<&'a str>,
    by: Option<&'static str>,
    from: Option<String>,
    to: Option<String>,
}

impl Query<'_> {
    fn pairs(&self) -> [(&'static str, Option<&str>); 4] {
        [
            ("tenant", self.tenant),
            ("by", self.by),
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
        ]
    }
}

impl FrameArgs {
    fn query<'a>(&self, tenant: Option<&'a str>) -> Query<'a> {
        let time = |text: &String| match Millis::parse(text) {
            Ok(ago) => clock::now().minus(ago).to_rfc3339(),
            // What is no time either, the gate says.
            Err(_) => text.clone(),
        };
        let by = self.by.map(|by| match by {
            By::Hour => "hour",
            By::Day => "day",
        });
        Query { tenant, by, from: self.from.as_ref().map(time), to: self.to.as_ref().map(time) }
    }
}

fn shown(body: &Value) -> String {
    let usage = member(body, "usage");
    let of = |name: &str| text(member(usage, name));
    let latency = member(usage, "latency");
    let mut told = String::new();
    let mut say = |name: &str, value: String| {
        if !value.is_empty() {
            // Writing to a text does not fail.
            let _ = writeln!(told, "{name:<10} {value}");
        }
    };
    say("from", format!("{} to {}", of("from"), of("to")));
    say(
        "requests",
        format!("{} ({} admitted, {} refused)", of("requests"), of("admitted"), of("refused")),
    );
    say("errors", counts(member(usage, "errors")));
    say("statuses", counts(member(usage, "statuses")));
    if number(latency, "count") > 0 {
        say("latency", format!("{}; {}", percentiles(latency), text(member(latency, "error"))));
    }
    say("last used", of("last_used"));
    let stale = member(body, "stale");
    let unused = items(stale, "keys");
    if !unused.is_empty() {
        let since = text(member(stale, "unused_since"));
        say("stale", format!("{} active, not used since {since}", number(stale, "count")));
        told.push('\n');
        told.push_str(&table::columns(&STALE, unused));
    }
    let tenants = items(body, "tenants");
    if !tenants.is_empty() {
        told.push('\n');
        told.push_str(&table::columns(&["tenant", "requests", "admitted", "refused"], tenants));
    }
    told.push('\n');
    told.push_str(&buckets(usage));
    told
}

/// A line for each bucket, with a bar of its requests.
fn buckets(usage: &Value) -> String {
    let buckets = items(usage, "buckets");
    let most = buckets.iter().map(|bucket| number(bucket, "requests")).max().unwrap_or(0);
    let heading =
        ["AT", "REQUESTS", "REFUSED", "P50", "P95", "P99", ""].map(str::to_owned).to_vec();
    let row = |bucket: &Value| {
        let latency = member(bucket, "latency");
        vec![
            text(member(bucket, "at")),
            text(member(bucket, "requests")),
            text(member(bucket, "refused")),
            text(member(latency, "p50")),
            text(member(latency, "p95")),
            text(member(latency, "p99")),
            bar(number(bucket, "requests"), most),
        ]
    };
    let rows: Vec<_> = core::iter::once(heading).chain(buckets.iter().map(row)).collect();
    table::rows(&rows)
}

/// As long as `count` is of `most`; what is not nothing is seen.
fn bar(count: u64, most: u64) -> String {
    let eighths = u128::from(count).saturating_mul(u128::from(BAR).saturating_mul(8));
    let eighths = eighths.checked_div(most.into()).unwrap_or(0);
    let eighths = usize::try_from(eighths).unwrap_or(0).max(usize::from(count > 0));
    let rest =
        ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"].get(eighths % 8).copied().unwrap_or_default();
    format!("{}{rest}", "█".repeat(eighths / 8))
}

/// All of it in one line.
fn line(body: &Value) -> String {
    let usage = member(body, "usage");
    let of = |name: &str| text(member(usage, name));
    let latency = percentiles(member(usage, "latency"));
    let errors = counts(member(usage, "errors"));
    let (requests, admitted, refused) = (of("requests"), of("admitted"), of("refused"));
    let now = clock::now().to_rfc3339();
    let told =
        format!("{requests} requests, {admitted} admitted, {refused} refused; {latency}; {errors}");
    format!("{now} {}\n", told.trim_end_matches([';', ' ']))
}

fn percentiles(latency: &Value) -> String {
    let of = |name: &str| member(latency, name).as_u64().map(|ms| format!("{name} {ms} ms"));
    let told: Vec<String> = ["p50", "p95", "p99"].into_iter().filter_map(of).collect();
    told.join(", ")
}

/// `rate_limited 3, key_invalid 1`, the largest first.
fn counts(counts: &Value) -> String {
    let members = counts.as_object().into_iter().flatten();
    let mut named: Vec<(&String, u64)> =
        members.filter_map(|(name, count)| Some((name, count.as_u64()?))).collect();
    named.sort_by_key(|(_, count)| core::cmp::Reverse(*count));
    let each = named.into_iter().map(|(name, count)| format!("{} {count}", table::printable(name)));
    each.collect::<Vec<_>>().join(", ")
}

fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    member(value, name).as_array().map_or(&[], Vec::as_slice)
}

fn number(value: &Value, name: &str) -> u64 {
    member(value, name).as_u64().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body() -> Value {
        let latency =
            json!({ "count": 30, "p50": 3, "p95": 9, "p99": 65, "error": "exact below 64 ms" });
        let empty = json!({ "count": 0, "p50": null, "p95": null, "p99": null });
        json!({ "usage": {
            "from": "2026-11-22T09:00:00Z", "to": "2026-11-22T12:00:00Z", "by": "hour",
            "requests": 40, "admitted": 30, "refused": 10,
            "errors": { "key_invalid": 1, "rate_limited": 9 }, "statuses": { "2xx": 30, "4xx": 10 },
            "latency": latency,
            "last_used": { "at": "2026-11-22T10:00:07Z", "country": "DE" },
            "buckets": [
                { "at": "2026-11-22T09:00:00Z", "requests": 32, "admitted": 30, "refused": 2, "errors": {}, "latency": latency },
                { "at": "2026-11-22T10:00:00Z", "requests": 8, "admitted": 0, "refused": 8, "errors": {}, "latency": empty },
                { "at": "2026-11-22T11:00:00Z", "requests": 0, "admitted": 0, "refused": 0, "errors": {}, "latency": empty },
            ],
        },
            "tenants": [{ "tenant": "acme", "requests": 40, "admitted": 30, "refused": 10, "errors": {} }],
            "stale": { "unused_since": "2026-08-24T10:00:00Z", "count": 1, "keys": [
                { "id": "abcdefghij012345", "tenant": "acme", "owner": null, "name": "old", "last_used_at": null },
            ] },
        })
    }

    #[test]
    fn people_see_what_there_is_and_a_bar_for_each_bucket() {
        let bars = ["█".repeat(32), "█".repeat(8)];
        assert_eq!(
            shown(&body()),
            format!(
                "from       2026-11-22T09:00:00Z to 2026-11-22T12:00:00Z\n\
                 requests   40 (30 admitted, 10 refused)\n\
                 errors     rate_limited 9, key_invalid 1\n\
                 statuses   2xx 30, 4xx 10\n\
                 latency    p50 3 ms, p95 9 ms, p99 65 ms; exact below 64 ms\n\
                 last used  at 2026-11-22T10:00:07Z country DE\n\
                 stale      1 active, not used since 2026-08-24T10:00:00Z\n\
                 \n\
                 ID                TENANT  OWNER  LAST USED AT  NAME\n\
                 abcdefghij012345  acme                         old\n\
                 \n\
                 TENANT  REQUESTS  ADMITTED  REFUSED\n\
                 acme    40        30        10\n\
                 \n\
                 AT                    REQUESTS  REFUSED  P50  P95  P99\n\
                 2026-11-22T09:00:00Z  32        2        3    9    65   {}\n\
                 2026-11-22T10:00:00Z  8         8                       {}\n\
                 2026-11-22T11:00:00Z  0         0\n",
                bars[0], bars[1]
            )
        );
    }

    #[test]
    fn a_script_sees_one_line() {
        let told = line(&body());
        let (time, rest) = told.split_once(' ').unwrap();
        assert!(time.ends_with('Z'));
        assert_eq!(
            rest,
            "40 requests, 30 admitted, 10 refused; p50 3 ms, p95 9 ms, p99 65 ms; rate_limited 9, key_invalid 1\n"
        );
        let nothing = json!({ "usage": { "requests": 0, "admitted": 0, "refused": 0, "errors": {}, "latency": {} } });
        assert!(line(&nothing).ends_with(" 0 requests, 0 admitted, 0 refused\n"));
    }

    #[test]
    fn a_bar_shows_what_there_is() {
        for (count, most, bar_is) in
            [(0, 0, ""), (0, 9, ""), (1, 1_000_000, "▏"), (1, 2, "████████████████"), (3, 64, "█▌")]
        {
            assert_eq!(bar(count, most), bar_is, "{count} of {most}");
        }
    }

    #[test]
    fn a_time_is_said_as_it_is_or_as_how_long_ago() {
        let frame = FrameArgs {
            by: Some(By::Day),
            from: Some("7d".to_owned()),
            to: Some("2026-11-22T00:00:00Z".to_owned()),
            watch: false,
        };
        let query = frame.query(Some("acme"));
        let [tenant, by, (_, from), to] = query.pairs();
        assert_eq!((tenant, by), (("tenant", Some("acme")), ("by", Some("day"))));
        assert!(from.unwrap().ends_with('Z'));
        assert_eq!(to, ("to", Some("2026-11-22T00:00:00Z")));
    }
}
