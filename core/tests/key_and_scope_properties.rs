//! Keys and scopes hold for all texts, not only for those that somebody thought of.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, clippy::unwrap_used)]

use proptest::prelude::*;
use tollgate_core::key::{
    IdSecret, Key, KeyEnvironment, KeyKind, KeyPrefix, Peppers, Presented, find_key,
};
use tollgate_core::scope::{RequiredScope, Scope};
use tollgate_core::text::Secret;

fn ids() -> IdSecret {
    IdSecret::new(&Secret::new("an id secret of at least 32 bytes")).unwrap()
}

fn peppers() -> Peppers {
    Peppers::parse(&Secret::new("1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")).unwrap()
}

fn keys() -> impl Strategy<Value = Key> {
    let kinds = prop::sample::select(KeyKind::ALL.to_vec());
    let environments = prop::sample::select(vec![KeyEnvironment::Dev, KeyEnvironment::Prod]);
    (kinds, environments, "[a-z][a-z0-9]{0,11}", "[0-9A-Za-z]{10}", "[0-9A-Za-z]{32}").prop_map(
        |(kind, environment, brand, random, secret)| {
            let prefix = KeyPrefix { brand, environment, kind };
            let id = ids().id(&prefix, &random).unwrap();
            Key::assemble(prefix, id, Secret::new(secret))
        },
    )
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-c]{1,2}", 1 => Just("*".to_owned())]
}

fn scopes() -> impl Strategy<Value = Scope> {
    prop::collection::vec(part(), 2..=3).prop_map(|parts| Scope::parse(&parts.join(":")).unwrap())
}

proptest! {
    #[test]
    fn every_key_is_read_back_and_found(key in keys(), before in "[ -~]{0,20}", after in "[^0-9A-Za-z]{0,20}") {
        let text = key.text().expose().to_owned();
        let read = Key::parse(&text).unwrap();
        prop_assert_eq!(&read.prefix, &key.prefix);
        prop_assert_eq!(&read.id, &key.id);
        prop_assert!(read.secret.matches(key.secret.expose()));
        prop_assert!(ids().made(&read.prefix, &read.id));
        let url = format!("{before}{text}{after}");
        prop_assert!(find_key(&key.prefix.brand, &url).is_some());
    }

    #[test]
    fn a_key_with_one_other_character_is_no_key(key in keys(), at in 0_usize..66, other in any::<char>()) {
        let text = key.text().expose().to_owned();
        let mut characters: Vec<char> = text.chars().collect();
        prop_assume!(characters.get(at).is_some_and(|character| *character != other));
        if let Some(character) = characters.get_mut(at) {
            *character = other;
        }
        let changed: String = characters.into_iter().collect();
        prop_assert!(Key::parse(&changed).is_err(), "{}", changed);
    }

    #[test]
    fn a_digest_fits_its_own_key_and_no_other(one in keys(), other in keys()) {
        let digest = peppers().digest(&one).unwrap();
        prop_assert!(peppers().verify(&one, &digest));
        let same = one.id == other.id && one.secret.matches(other.secret.expose());
        prop_assert_eq!(peppers().verify(&other, &digest), same);
    }

    #[test]
    fn any_text_is_a_key_or_an_error(text in any::<String>(), header in ".{0,80}") {
        let _ = Key::parse(&text);
        let _ = find_key("tg", &text);
        prop_assert!(Presented::read(Some(&header), None).is_ok());
        prop_assert_eq!(Presented::read(None, Some(&header)).is_ok(), !header.contains(','));
        prop_assert!(Presented::read(Some(&header), Some(&text)).is_err());
    }

    /// Against the rule itself: as many parts, each the same or `*` on the key's side.
    #[test]
    fn a_scope_covers_part_by_part(held in scopes(), asked in prop::collection::vec("[a-c]{1,2}", 1..=4)) {
        let parts: Vec<&str> = held.as_str().split(':').collect();
        let expected = parts.len() == asked.len()
            && parts.iter().zip(&asked).all(|(held, asked)| *held == "*" || held == asked);
        prop_assert_eq!(held.covers(&asked.join(":")), expected);
    }

    /// Granting on never widens: what the granted scope covers, the granting one covers too.
    #[test]
    fn what_is_granted_is_never_wider(
        one in scopes(), other in scopes(), asked in prop::collection::vec("[a-c]{1,2}", 2..=3)
    ) {
        let asked = asked.join(":");
        if one.includes(&other) && other.covers(&asked) {
            prop_assert!(one.covers(&asked), "{} {} {}", one, other, asked);
        }
        if one.includes(&other) && other.is_write() {
            prop_assert!(one.is_write());
        }
    }

    /// However a path value is spelled, it stays one part: the permission has the route's own parts.
    #[test]
    fn a_path_value_is_one_part_or_refused(value in ".{0,12}") {
        let required = RequiredScope::parse("invoices:read:{id}").unwrap();
        if let Ok(concrete) = required.concrete(&|_| Some(&value)) {
            prop_assert_eq!(concrete.split(':').count(), 3);
            prop_assert!(concrete.ends_with(&value));
            prop_assert!(!Scope::parse("invoices:read").unwrap().covers(&concrete));
            prop_assert!(Scope::parse("invoices:read:*").unwrap().covers(&concrete));
        }
    }

    #[test]
    fn any_text_is_a_scope_or_an_error(text in any::<String>()) {
        if let Ok(scope) = Scope::parse(&text) {
            prop_assert_eq!(scope.as_str(), &text);
        }
        let _ = RequiredScope::parse(&text);
    }
}
