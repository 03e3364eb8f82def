//! What a failure, a log line or a debugger must never show.

use proptest::prelude::*;

use super::*;

/// A text that stands in none of the gate's own.
const MARK: &str = "qzxjq";

#[test]
fn no_task_and_no_result_shows_a_key_or_a_mac() {
    for right in RIGHT.iter() {
        let sent = Sent::of(right);
        let (keys, request) = (sent.keys().unwrap(), sent.request());
        let pending = prepare(sent.scheme, &keys, &request, BODY_LIMIT).unwrap();
        for task in pending.tasks() {
            let done = Ring.run(task);
            let shown = format!("{task:?} {done:?}");
            let expected = match (task, &done) {
                (Task::Mac { algorithm, .. }, Done::Mac(_)) => {
                    format!("Mac({}) Mac", algorithm.as_str())
                }
                (_, done) => format!("Ed25519 Fits({})", *done == Done::Fits(true)),
            };
            assert_eq!(shown, expected, "{}", right.scheme);
        }
    }
    assert_eq!(format!("{:?}", Done::Failed), "Failed");
}

/// A value of a header as its scheme has it, with the mark somewhere in it.
fn marked(value: &str, at: usize, case: bool) -> String {
    let mark = if case { MARK.to_uppercase() } else { MARK.to_owned() };
    let at = (0..=at.min(value.len())).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
    let (before, after) = value.split_at(at);
    format!("{before}{mark}{after}")
}

/// Inputs of message signatures: names, labels and parameters are the sender's.
fn inputs() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        format!("sig1=(\"@method\" \"@target-uri\" \"{MARK}\");created=1700000000"),
        format!("sig1=(\"@{MARK}\");created=1700000000"),
        format!("{MARK}=(\"@method\");created=1700000000"),
        format!("sig1=(\"@method\" \"{MARK}\" \"{MARK}\");created=1700000000"),
        format!("sig1=(\"@method\");{MARK};created=1700000000"),
        format!("sig1=(\"@method\");created={MARK}"),
        format!("sig1=(\"@method\");created=1700000000;expires=\"{MARK}\""),
        format!("sig1=(\"@method\");created=1700000000;alg=\"{MARK}\""),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_failure_repeats_what_the_sender_chose(
        right in prop::sample::select((0..RIGHT.len()).collect::<Vec<_>>()),
        which in any::<prop::sample::Index>(), at in 0..200_usize, place in 0..6_u8,
        case in any::<bool>(), input in inputs(), late in any::<bool>()
    ) {
        let mut sent = Sent::of(&RIGHT[right]);
        let of_components = matches!(sent.scheme.form.signed, Signed::Components { .. });
        match place {
            0 if !sent.headers.is_empty() => {
                let (_, value) = &mut sent.headers[which.index(RIGHT[right].headers.len())];
                *value = marked(value, at, case);
            }
            1 => {
                sent.body = marked(&String::from_utf8_lossy(&sent.body), at, case).into_bytes();
            }
            2 => sent.url = format!("{}?{MARK}={MARK}&{MARK}", sent.url),
            3 => sent.method = MARK.to_owned(),
            4 if of_components => sent = sent.with("Signature-Input", &input),
            _ => {
                // Everything at once, and nothing that is right.
                for (_, value) in &mut sent.headers {
                    *value = format!("{MARK}{value}");
                }
                sent.headers.push((MARK.to_owned(), MARK.to_owned()));
                sent.body = MARK.repeat(3).into_bytes();
            }
        }
        if late {
            sent.now += 86_400_000;
        }
        let told = |failure: &Failure| format!("{failure} {failure:?}").to_lowercase();
        if let Err(failure) = sent.verify() {
            prop_assert!(!told(&failure).contains(MARK), "{failure:?}");
        }
        if let Some(Err(failure)) = unsigned(sent.scheme, &sent.request()) {
            prop_assert!(!told(&failure).contains(MARK), "{failure:?}");
        }
        // What is signed fails later, at its time, its body or its challenge.
        if of_components {
            let signed = signing::components_again(&sent, input.trim_start_matches("sig1="));
            if let Err(failure) = signed.verify() {
                prop_assert!(!told(&failure).contains(MARK), "{failure:?}");
            }
        }
    }
}
