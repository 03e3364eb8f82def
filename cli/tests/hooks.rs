//! `tollgate hooks` as a script sees it: exit code, standard output, standard error.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};
use tollgate_core::webhook::table::TABLE;

const BIN: &str = env!("CARGO_BIN_EXE_tollgate");
const SECRET: &str = "TOLLGATE_HOOK_SECRET";

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{} {}", self.out, self.err))
    }
}

fn run_with(secret: Option<&str>, args: &[&str], input: &[u8]) -> Ran {
    let mut command = Command::new(BIN);
    command.arg("hooks").args(args).env_remove(SECRET);
    if let Some(secret) = secret {
        command.env(SECRET, secret);
    }
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // A command that reads no input closes it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let ended = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: ended.status.code().unwrap(), out: text(ended.stdout), err: text(ended.stderr) }
}

fn run(args: &[&str], input: &[u8]) -> Ran {
    run_with(None, args, input)
}

/// Published: GitHub docs, validating webhook deliveries.
const GITHUB: [&str; 9] = [
    "--scheme",
    "github",
    "--header",
    "X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    "--header",
    "x-github-delivery:  72d3162e ",
    "--body",
    "-",
    "--json",
];
const GITHUB_SECRET: &str = "It's a Secret to Everybody";
const GITHUB_BODY: &[u8] = b"Hello, World!";

fn github(more: &[&str], input: &[u8]) -> Ran {
    run(&[&["verify"], &GITHUB[..], more].concat(), input)
}

#[test]
fn what_is_valid_is_told_with_its_id() {
    let ran = github(&["--secret", "old", "--secret", GITHUB_SECRET], GITHUB_BODY);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(
        ran.json(),
        json!({ "valid": true, "id": "72d3162e", "id_signed": false, "timestamp": null, "secret": 2,
            "covers": "body" })
    );
    // The secrets of the environment, one in each line, are in no other process's sight.
    let args = [&["verify"], &GITHUB[..]].concat();
    let ran = run_with(Some(&format!("old\n{GITHUB_SECRET}")), &args, GITHUB_BODY);
    assert_eq!((ran.code, &ran.json()["secret"]), (0, &json!(2)));
    let human: Vec<&str> = args.iter().filter(|arg| **arg != "--json").copied().collect();
    let ran = run_with(Some(GITHUB_SECRET), &human, GITHUB_BODY);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (
            0,
            "valid, by secret 1\nid         72d3162e (not signed)\n\
             signed at  not told: it can be sent again at any time\n"
        )
    );
}

#[test]
fn what_is_not_valid_is_told_by_its_step_and_without_a_signature() {
    let slack = ["verify", "--scheme", "slack", "--secret", "8f742231b10e8888abcd99yyyzzz85a5"];
    let slack = [&slack[..], &["--body", "-", "--json"]].concat();
    for (args, input, reason, step) in [
        (
            [&["verify"], &GITHUB[..], &["--secret", GITHUB_SECRET]].concat(),
            &b"Hello, World?"[..],
            "signature_mismatch",
            "signature",
        ),
        (
            vec!["verify", "--scheme", "github", "--secret", "s", "--body", "-", "--json"],
            GITHUB_BODY,
            "signature_missing",
            "header",
        ),
        (
            [&slack[..], &["--header", "X-Slack-Signature: v1=00"]].concat(),
            b"",
            "malformed",
            "encoding",
        ),
        (
            vec![
                "verify",
                "--scheme",
                "stripe",
                "--secret",
                "whsec_abc",
                "--now",
                "1700000301",
                "--header",
                STRIPE,
                "--body",
                "-",
                "--json",
            ],
            b"{\"id\":\"evt_1\",\"type\":\"test\"}",
            "timestamp_out_of_range",
            "time",
        ),
    ] {
        let ran = run(&args, input);
        let told = ran.json();
        assert_eq!((ran.code, ran.err.as_str()), (1, ""), "{told}");
        assert_eq!(
            (&told["valid"], &told["reason"], &told["step"]),
            (&json!(false), &json!(reason), &json!(step)),
            "{told}"
        );
        assert!(!ran.out.contains("757107ea"), "{told}");
    }
}

/// Computed with Python's `hmac`, at 1700000000.
const STRIPE: &str = concat!(
    "Stripe-Signature: t=1700000000,",
    "v1=4b2a970f8e75a561b93e18412cc53744c7b745f536f789365be6d660f94842aa"
);

#[test]
fn wrong_usage_is_told_apart_from_a_no() {
    for (args, told) in [
        (&["verify", "--scheme", "gitlab", "--secret", "s", "--body", "-"][..], "possible values"),
        (&["verify", "--scheme", "github", "--body", "-"], "--secret"),
        (&["verify", "--scheme", "github", "--secret", "", "--body", "-"], "secret 1 is empty"),
        (
            &["verify", "--scheme", "standard-webhooks", "--secret", "whsec_", "--body", "-"],
            "secret 1 is empty",
        ),
        (
            &["verify", "--scheme", "svix", "--secret", "whsec_AAAA", "--body", "-"],
            "secret 1 is nothing but zero bytes",
        ),
        (
            &["verify", "--scheme", "svix", "--secret", "hunter2!", "--body", "-"],
            "secret 1 is not base64",
        ),
        (&["verify", "--scheme", "github", "--secret", "s", "--body", "/no/such"], "cannot read"),
        (&["verify", "--scheme", "square", "--secret", "s", "--body", "-"], "say --url"),
        (
            &[
                "verify", "--scheme", "github", "--secret", "s", "--body", "-", "--header",
                "no colon",
            ],
            "NAME: VALUE",
        ),
        (
            &["verify", "--scheme", "hmac", "--secret", "s", "--body", "-", "--hmac", "header=a b"],
            "header is no header's name; --hmac algorithm is missing",
        ),
        (
            &["verify", "--scheme", "github", "--secret", "s", "--body", "-", "--hmac", "header=a"],
            "for --scheme hmac only",
        ),
        (&["sign", "--scheme", "twilio", "--secret", "s"], "public URL"),
        (&["sign", "--scheme", "discord", "--secret", "s"], "Ed25519"),
        (&["send", "not-a-url", "--scheme", "github", "--secret", "s"], "no http(s) address"),
        (&["send", "http://127.0.0.1:1/", "--scheme", "github", "--secret", "s"], "cannot send"),
    ] {
        let ran = run(args, b"");
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(told), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    }
    let large = vec![b'a'; (32 << 20) + 1];
    let ran = github(&["--secret", GITHUB_SECRET], &large);
    assert_eq!((ran.code, ran.err.contains("32 MiB")), (2, true), "{}", ran.err);
    // What `forward` takes is looked at.
    let ran = github(&["--secret", GITHUB_SECRET], &large[1..]);
    assert_eq!((ran.code, &ran.json()["reason"]), (1, &json!("signature_mismatch")));
}

/// RFC 8032 section 7.1, test 1: the seed, and its public key.
const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn secret_for(scheme: &str) -> &'static str {
    match scheme {
        "discord" => SEED,
        "adyen" => "00ff",
        "rfc9421" | "rfc9421-hmac-sha256" => "AAAB",
        _ => "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }
}

#[test]
fn what_sign_makes_verify_takes() {
    let hmac = [
        "hmac",
        "--hmac",
        "header=X-Sig",
        "--hmac",
        "algorithm=sha512",
        "--hmac",
        "encoding=base64",
        "--hmac",
        "template={timestamp}.{body}",
        "--hmac",
        "timestamp=X-Time",
    ];
    let mut schemes: Vec<Vec<&str>> = TABLE.iter().map(|scheme| vec![scheme.name]).collect();
    schemes.push(hmac.to_vec());
    for scheme in schemes {
        let name = scheme[0];
        let common = [&["--scheme"], &scheme[..], &["--now", "1700000000", "--json"]].concat();
        let url = ["--url", "https://api.example.com/hooks?a=b"];
        let sign = [&["sign"], &common[..], &url, &["--secret", secret_for(name)]].concat();
        let signed = run(&sign, b"").json();
        let body = signed["body"].as_str().unwrap();
        let mut verify = [&["verify"], &common[..], &["--body", "-"]].concat();
        let key = signed["public_key"].as_str().unwrap_or_else(|| secret_for(name));
        let (headers, url) = (header_lines(&signed), signed["url"].as_str().unwrap());
        verify.extend(headers.iter().flat_map(|line| ["--header", line.as_str()]));
        verify.extend(["--url", url, "--secret", key]);
        let ran = run(&verify, body.as_bytes());
        assert_eq!(ran.code, 0, "{name}: {} {}", ran.out, ran.err);
        assert_eq!(ran.json()["valid"], json!(true), "{name}");
    }
    let signed = run(&["sign", "--scheme", "discord", "--secret", SEED, "--json"], b"").json();
    assert_eq!(signed["public_key"], json!(PUBLIC));
}

fn header_lines(signed: &Value) -> Vec<String> {
    let pairs = signed["headers"].as_array().unwrap().iter();
    pairs
        .map(|pair| format!("{}: {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
        .collect()
}

#[test]
fn sign_prints_the_request() {
    let ran = run(
        &[
            "sign",
            "--scheme",
            "stripe",
            "--secret",
            "whsec_abc",
            "--now",
            "1700000000",
            "--body",
            "-",
            "--header",
            "Content-Type: application/json",
        ],
        b"{\"id\":\"evt_1\",\"type\":\"test\"}",
    );
    let expected = format!(
        "POST\nContent-Type: application/json\n{STRIPE}\n\n{{\"id\":\"evt_1\",\"type\":\"test\"}}\n"
    );
    assert_eq!((ran.code, ran.out), (0, expected));
    // Each event is a new one.
    let fresh = || run(&["sign", "--scheme", "svix", "--secret", "AAAB", "--json"], b"").json();
    assert_ne!(fresh()["headers"][2], fresh()["headers"][2]);
    let binary =
        run(&["sign", "--scheme", "github", "--secret", "s", "--body", "-", "--json"], &[255]);
    assert_eq!(binary.json()["body_base64"], json!("/w=="));
}

#[test]
fn a_challenge_is_told_with_its_answer() {
    let body = br#"{"type":"url_verification","challenge":"abc"}"#;
    let common =
        ["--scheme", "slack", "--secret", "s", "--now", "1700000000", "--body", "-", "--json"];
    let signed = run(&[&["sign"], &common[..]].concat(), body).json();
    let lines = header_lines(&signed);
    let mut verify = [&["verify"], &common[..]].concat();
    verify.extend(lines.iter().flat_map(|line| ["--header", line.as_str()]));
    let answer = run(&verify, body).json()["challenge"].clone();
    assert_eq!((&answer["status"], &answer["body"]), (&json!(200), &json!("abc")));
    let open = [
        "verify",
        "--scheme",
        "dropbox",
        "--secret",
        "s",
        "--method",
        "GET",
        "--body",
        "-",
        "--json",
        "--url",
        "https://api.example.com/?challenge=abc",
    ];
    let ran = run(&open, b"");
    let told = ran.json();
    assert_eq!((ran.code, &told["valid"]), (1, &json!(false)));
    assert_eq!(told["challenge"]["body"], json!("abc"));
}

/// A receiver that answers one request with `status`, and tells what came.
fn receiver(status: &'static str) -> (String, thread::JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heard = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).unwrap();
        }
        let length = head.to_ascii_lowercase();
        let length = length.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        let answer =
            format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\nLocation: /other\r\n\r\nheard");
        reader.into_inner().write_all(answer.as_bytes()).unwrap();
        (head, body)
    });
    (address, heard)
}

#[test]
fn send_sends_what_verifies_and_tells_the_answer() {
    for (status, code) in [("202 Accepted", 0), ("401 Unauthorized", 1), ("302 Found", 1)] {
        let (address, receiver) = receiver(status);
        let to = format!("http://hooks.localhost:{}/in?a=b", address.split(':').nth(1).unwrap());
        let public = "https://api.example.com/in?a=b";
        let ran = run(
            &[
                "send",
                &to,
                "--url",
                public,
                "--scheme",
                "twilio",
                "--secret",
                "12345",
                "--json",
                "--header",
                "Content-Type: application/json",
                "--body",
                "-",
            ],
            b"{}",
        );
        let told = ran.json();
        assert_eq!((ran.code, &told["body"]), (code, &json!("heard")), "{told}");
        assert_eq!(Some(told["status"].to_string().as_str()), status.split(' ').next());
        let (head, body) = receiver.join().unwrap();
        // What the scheme added to the URL that it signed stands in the one that was asked.
        let asked = head.lines().next().unwrap().split(' ').nth(1).unwrap().to_owned();
        let signed = told["request"]["url"].as_str().unwrap();
        assert_eq!(signed.replace("https://api.example.com", ""), asked);
        assert!(asked.starts_with("/in?a=b&bodySHA256="), "{asked}");
        assert!(head.to_ascii_lowercase().contains("host: hooks.localhost:"), "{head}");
        let header = |name: &str| {
            let wanted = format!("{name}: ");
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&wanted));
            line.map(str::to_owned).unwrap_or_default()
        };
        let verified = run(
            &[
                "verify",
                "--scheme",
                "twilio",
                "--secret",
                "12345",
                "--url",
                signed,
                "--header",
                &header("x-twilio-signature"),
                "--header",
                &header("content-type"),
                "--body",
                "-",
            ],
            &body,
        );
        assert_eq!(verified.code, 0, "{} {}", verified.out, verified.err);
    }
}
