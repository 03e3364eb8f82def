//! `GET /_tollgate/key-pattern.json`: what keys of this gate look like, for whoever scans for them.

use serde_json::{Value, json};

use super::credential::Ground;
use crate::key::{
    CHECK_CHARS, ID_RANDOM, ID_TAG, Key, KeyEnvironment, KeyId, KeyKind, KeyPrefix, SECRET_CHARS,
    SESSION_KIND, TOKEN_KIND,
};
use crate::text::{BASE62, Secret};

/// All but the last character of an id that nobody has.
const EXAMPLE: &str = "EXAMPLEexample0";
const EXAMPLE_SECRET: &str = "EXAMPLEexampleEXAMPLEexample0000";

/// The description. `intake`: the path that takes reports of leaked keys, where there is one.
pub fn key_pattern(ground: Ground<'_>, intake: Option<&str>) -> Value {
    let brand = ground.brand;
    let id = ID_RANDOM.saturating_add(ID_TAG);
    let kind = |(kind, title, secret, rest): (&str, &str, bool, String)| {
        json!({
            "kind": kind,
            "title": title,
            "secret": secret,
            "pattern": format!("{brand}_(?:dev|prod)_{kind}_[0-9A-Za-z]{{{id}}}_{rest}"),
        })
    };
    let of_keys = format!("[0-9A-Za-z]{{{}}}", SECRET_CHARS.saturating_add(CHECK_CHARS));
    let kinds = [
        ("pk", "publishable key", false, of_keys.clone()),
        ("sk", "secret key", true, of_keys.clone()),
        ("rk", "restricted key", true, of_keys.clone()),
        ("ak", "admin key", true, of_keys.clone()),
        (TOKEN_KIND, "access token of at most 300 seconds", true, "[0-9A-Za-z]{98,}".to_owned()),
        (SESSION_KIND, "session of an admin", true, of_keys),
    ];
    let alphabet: String = BASE62.iter().copied().map(char::from).collect();
    json!({
        "brand": brand,
        "environment": KeyEnvironment::of(ground.environment).as_str(),
        "environments": [KeyEnvironment::Dev.as_str(), KeyEnvironment::Prod.as_str()],
        "kinds": kinds.map(kind),
        "checksum": {
            "algorithm": "CRC-32",
            "parameters": "as in gzip and PNG: polynomial 0xEDB88320 reflected, initial value and final XOR 0xFFFFFFFF",
            "over": "every character before the last six, as ASCII",
            "encoding": "base62 of the number, most significant digit first, filled up with 0 to six characters",
            "alphabet": alphabet,
            "characters": CHECK_CHARS,
        },
        "example": example(ground).as_ref().map(Secret::expose),
        "report_to": intake,
    })
}

/// A whole key that opens nothing: its id is none that the gate made.
fn example(ground: Ground<'_>) -> Option<Secret> {
    let environment = KeyEnvironment::of(ground.environment);
    let prefix = KeyPrefix { brand: ground.brand.to_owned(), environment, kind: KeyKind::Sk };
    let ids = (0..10).filter_map(|last| KeyId::parse(&format!("{EXAMPLE}{last}")).ok());
    let id = ids.into_iter().find(|id| !ground.made(id))?;
    Some(Key::assemble(prefix, id, Secret::new(EXAMPLE_SECRET)).text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manage::credential::tests::trust;
    use crate::road::Trust;

    fn ground(trust: &Trust) -> Ground<'_> {
        Ground { brand: "tg", environment: "dev", trust }
    }

    #[test]
    fn the_example_is_a_whole_key_that_the_gate_never_made() {
        let trust = trust();
        let told = key_pattern(ground(&trust), Some("/_tollgate/leaks"));
        let key = Key::parse(told["example"].as_str().unwrap()).unwrap();
        assert_eq!(key.prefix.kind, KeyKind::Sk);
        assert!(!ground(&trust).made(&key.id));
        assert_eq!(told["report_to"], "/_tollgate/leaks");
        assert_eq!(key_pattern(ground(&trust), None)["report_to"], Value::Null);
    }

    #[test]
    fn every_kind_has_its_pattern() {
        let trust = trust();
        let told = key_pattern(ground(&trust), None);
        let kinds = told["kinds"].as_array().unwrap();
        let known: Vec<&str> = kinds.iter().map(|kind| kind["kind"].as_str().unwrap()).collect();
        assert_eq!(known, ["pk", "sk", "rk", "ak", "tk", "ss"]);
        for kind in kinds {
            let start =
                format!("tg_(?:dev|prod)_{}_[0-9A-Za-z]{{16}}_", kind["kind"].as_str().unwrap());
            assert!(kind["pattern"].as_str().unwrap().starts_with(&start), "{kind}");
        }
    }
}
