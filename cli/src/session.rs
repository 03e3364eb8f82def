//! `tollgate session`: an admin key and a code for fifteen minutes in which one may write.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use tollgate_core::people::Qr;

use crate::client::{Answer, Client, GateArgs, member};
use crate::table::{self, text};

/// The lines of one session.
const FIELDS: [&str; 7] =
    ["kind", "key", "name", "tenant", "scopes", "second_factor", "expires_at"];

/// Trade an admin key and a code for a session of fifteen minutes, as which the other commands may
/// write.
///
/// The key comes from `TOLLGATE_TOKEN`, `--token-stdin`, or a prompt. Codes are asked for on a
/// terminal, and else read from the next line of standard input.
///
/// Exits with 0 when the gate did it, with 1 when it refused, and with 2 when the request makes no
/// sense or the gate cannot be reached.
#[derive(Args, Clone, Debug)]
pub(crate) struct SessionArgs {
    #[command(flatten)]
    gate: GateArgs,
    /// Print the gate's answers as JSON, one a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: SessionCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum SessionCommand {
    /// Open a session and print its token, for `TOLLGATE_SESSION`.
    Open {
        /// The code that the authenticator app shows; asked for if left out.
        #[arg(long, value_name = "DIGITS")]
        code: Option<String>,
        /// A recovery code in its place.
        #[arg(long, value_name = "CODE", conflicts_with = "code")]
        recovery_code: Option<String>,
        /// Print a line for a shell: `eval "$(tollgate session open --export)"`.
        #[arg(long, conflicts_with = "json")]
        export: bool,
    },
    /// Show whose credential this is, and when it ends.
    Show,
    /// End the session.
    Close,
    /// Set up a second factor for an admin key, with the code from whoever made it.
    Enrol {
        /// The enrolment code; asked for if left out.
        #[arg(long, value_name = "CODE")]
        enrolment_code: Option<String>,
    },
}

pub(crate) fn run(args: &SessionArgs) -> Result<ExitCode> {
    match &args.command {
        SessionCommand::Open { code, recovery_code, export } => {
            let client = args.gate.key_client()?;
            let shown = match (code, recovery_code) {
                (_, Some(recovery)) => Some(("recovery_code", recovery.clone())),
                (Some(code), None) => Some(("code", code.clone())),
                (None, None) => ask("Code (empty for a key without a second factor): ")?
                    .map(|code| ("code", code)),
            };
            open(&client, shown, args.json, *export)
        }
        SessionCommand::Show => {
            let answer = args.gate.client()?.call("GET", "session", None)?;
            answer.tell(args.json, |body| lines(member(body, "session")))
        }
        SessionCommand::Close => {
            let answer = args.gate.client()?.call("DELETE", "session", None)?;
            answer.tell(args.json, |_| "The session is ended.\n".to_owned())
        }
        SessionCommand::Enrol { enrolment_code } => {
            let client = args.gate.key_client()?;
            let code = match enrolment_code {
                Some(code) => code.clone(),
                None => ask("Enrolment code: ")?.context("there is no enrolment code")?,
            };
            enrol(&client, &code, args.json)
        }
    }
}

fn open(
    client: &Client,
    shown: Option<(&str, String)>,
    as_json: bool,
    export: bool,
) -> Result<ExitCode> {
    let mut body = Map::from_iter([("kind".to_owned(), json!("cli"))]);
    body.extend(shown.map(|(name, code)| (name.to_owned(), json!(code))));
    let answer = client.call("POST", "session", Some(&body.into()))?;
    if answer.is_success() && !as_json {
        let session = member(&answer.body, "session");
        let told = |name| text(member(session, name));
        // What a script takes is on standard output alone.
        eprintln!("A session of {} until {}.", told("key"), told("expires_at"));
        if !export {
            eprintln!("Set TOLLGATE_SESSION to this:");
        }
    }
    answer.tell(as_json, |body| {
        let token = text(member(body, "token"));
        if export { format!("export TOLLGATE_SESSION='{token}'\n") } else { format!("{token}\n") }
    })
}

fn enrol(client: &Client, code: &str, as_json: bool) -> Result<ExitCode> {
    let begun = client.call("POST", "session/enrol", Some(&json!({ "enrolment_code": code })))?;
    if !begun.is_success() {
        return begun.tell(as_json, |_| String::new());
    }
    begun.tell(as_json, picture)?;
    let code = ask("The code that the app shows now: ")?.context("there is no code")?;
    confirm(client, &code)?.tell(as_json, |body| {
        let codes = member(body, "recovery_codes").as_array();
        let codes = codes.into_iter().flatten().map(|code| format!("{}\n", text(code)));
        format!(
            "\nThe second factor is set up. Keep these recovery codes: each gets you in once when \
             the app is gone, and they are never shown again.\n\n{}\nThe next code of the app \
             opens a session: tollgate session open\n",
            codes.collect::<String>()
        )
    })
}

/// A mistyped code is asked for again, where somebody is there to ask.
fn confirm(client: &Client, code: &str) -> Result<Answer> {
    let mut code = code.to_owned();
    loop {
        let body = json!({ "code": code });
        let answer = client.call("POST", "session/enrol/confirm", Some(&body))?;
        let wrong = answer.text("code") == Some("second_factor_invalid");
        if !wrong || !io::stdin().is_terminal() {
            return Ok(answer);
        }
        eprint!("{}", table::problem(&answer));
        match ask("The next code that the app shows: ")? {
            Some(next) => code = next,
            None => return Ok(answer),
        }
    }
}

/// What the app takes: a picture on a terminal, and a text everywhere.
fn picture(body: &Value) -> String {
    let uri = text(member(body, "otpauth_uri"));
    let drawn = if io::stdout().is_terminal() { Qr::of(&uri) } else { None };
    let drawn = drawn.map(|qr| format!("{}\n", qr.blocks())).unwrap_or_default();
    let secret = text(member(body, "secret"));
    format!(
        "{drawn}Scan this with an authenticator app, or type this into it:\n\n{secret}\n{uri}\n\n"
    )
}

fn lines(session: &Value) -> String {
    let rows = FIELDS.map(|name| vec![name.replace('_', " "), text(member(session, name))]);
    table::rows(&rows)
}

/// What somebody types, or the next line of standard input; None for nothing. A code is good for
/// once, so that it may be seen while it is typed.
fn ask(what: &str) -> Result<Option<String>> {
    if io::stdin().is_terminal() {
        eprint!("{what}");
        io::stderr().flush().context("cannot write to standard error")?;
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("cannot read standard input")?;
    let line = line.trim();
    Ok((!line.is_empty()).then(|| line.to_owned()))
}
