use super::*;
use crate::text::random_base62;

fn prefix(kind: KeyKind) -> KeyPrefix {
    KeyPrefix { brand: "tg".into(), environment: KeyEnvironment::Prod, kind }
}

fn id_secret() -> IdSecret {
    IdSecret::new(&Secret::new("an id secret of at least 32 bytes")).unwrap()
}

fn peppers(text: &str) -> Peppers {
    Peppers::parse(&Secret::new(text)).unwrap()
}

const ONE: &str = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const TWO: &str =
    "2:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn key(seed: u8) -> Key {
    let random: Vec<u8> = (0..64).map(|i: u8| i.wrapping_mul(7).wrapping_add(seed) % 248).collect();
    let prefix = prefix(KeyKind::Sk);
    let id = id_secret().id(&prefix, &random_base62(&random, ID_RANDOM).unwrap()).unwrap();
    let secret = random_base62(&random[20..], SECRET_CHARS).unwrap();
    Key::assemble(prefix, id, Secret::new(secret))
}

#[test]
fn a_key_is_read_back_as_it_was_written() {
    let made = key(1);
    let text = made.text();
    assert!(text.expose().starts_with("tg_prod_sk_"));
    assert_eq!(text.expose().len(), "tg_prod_sk_".len() + 16 + 1 + 32 + 6);
    let read = Key::parse(text.expose()).unwrap();
    assert_eq!((&read.prefix, &read.id), (&made.prefix, &made.id));
    assert!(read.secret.matches(made.secret.expose()));
}

#[test]
fn every_single_changed_character_is_found() {
    let text = key(2).text().expose().to_owned();
    for at in 0..text.len() {
        for replacement in ["0", "z", "_", "A", "é", ""] {
            let changed = format!("{}{replacement}{}", &text[..at], &text[at + 1..]);
            if changed != text {
                assert!(Key::parse(&changed).is_err(), "{changed}");
            }
        }
    }
}

#[test]
fn texts_that_are_no_keys() {
    let whole = key(3).text().expose().to_owned();
    for (text, error) in [
        (String::new(), KeyTextError::Form),
        ("tg_prod_sk".into(), KeyTextError::Form),
        (whole.replace("prod", "live"), KeyTextError::Form),
        (whole.replace("_sk_", "_xk_"), KeyTextError::Form),
        (whole.to_uppercase(), KeyTextError::Form),
        (format!("{whole}_"), KeyTextError::Form),
        (format!(" {whole}"), KeyTextError::Form),
        (whole.replace("_sk_", "_pk_"), KeyTextError::Check),
        (whole.replace("prod", "dev"), KeyTextError::Check),
        (whole.replacen("tg", "th", 1), KeyTextError::Check),
    ] {
        assert_eq!(Key::parse(&text).err(), Some(error), "{text}");
    }
}

#[test]
fn an_id_belongs_to_its_prefix_and_its_gate() {
    let made = key(4);
    assert!(id_secret().made(&made.prefix, &made.id));
    assert!(!id_secret().made(&prefix(KeyKind::Pk), &made.id), "another kind");
    let stranger = IdSecret::new(&Secret::new("some other secret of 32 bytes or so")).unwrap();
    assert!(!stranger.made(&made.prefix, &made.id), "another gate");
    assert!(IdSecret::new(&Secret::new("too short")).is_none());
}

#[test]
fn a_digest_fits_one_secret_of_one_id_under_its_pepper() {
    let (one, two) = (peppers(ONE), peppers(TWO));
    let (mine, other) = (key(5), key(6));
    let digest = one.digest(&mine).unwrap();
    assert!(one.verify(&mine, &digest));
    assert!(two.verify(&mine, &digest), "an old pepper still verifies");
    assert_eq!(two.digest(&mine).unwrap().pepper, 2, "new digests are under the newest");
    assert!(!one.verify(&other, &digest), "another secret");
    let moved = Key::assemble(mine.prefix.clone(), other.id.clone(), mine.secret.clone());
    assert!(!one.verify(&moved, &digest), "the same secret under another id");
    assert!(!one.verify(&mine, &two.digest(&mine).unwrap()), "a pepper that is not there");
    assert_eq!(format!("{digest:?} {one:?}"), "Digest(pepper 1) [1]");
}

#[test]
fn peppers_are_a_strict_list() {
    for text in [
        "",
        "AAAA",
        "1:",
        "1:AAAA",
        "0:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "x:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,2:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,",
    ] {
        assert!(Peppers::parse(&Secret::new(text)).is_err(), "{text}");
    }
}

#[test]
fn a_sealed_entry_opens_under_its_own_name_alone() {
    let (one, two) = (peppers(ONE), peppers(TWO));
    let sealed = one.seal("k/abc", r#"{"a":"b.c"}"#).unwrap();
    assert_eq!(two.open("k/abc", &sealed), Some(r#"{"a":"b.c"}"#));
    assert_eq!(one.open("k/abd", &sealed), None, "another entry's name");
    for at in 0..sealed.len() {
        let changed = format!("{}~{}", &sealed[..at], &sealed[at + 1..]);
        assert_eq!(one.open("k/abc", &changed), None, "changed at {at}");
    }
    for text in ["", "1", "1.1", "1.1.", "1.1..", "2.1.AA.x", "1.9.AA.x"] {
        assert_eq!(one.open("k/abc", text), None, "{text}");
    }
}

#[test]
fn credentials_are_read_from_one_place() {
    let text = key(7).text().expose().to_owned();
    let (id, secret) = text.rsplit_once('_').unwrap();
    let basic = data_encoding::BASE64.encode(format!("{id}:{secret}").as_bytes());
    let bearer = format!("Bearer {text}");
    for (authorization, header) in [
        (Some(bearer.clone()), None),
        (Some(format!("bEaReR   {text}")), None),
        (Some(format!("Basic {basic}")), None),
        (None, Some(text.clone())),
    ] {
        let read = Presented::read(authorization.as_deref(), header.as_deref());
        assert!(matches!(read, Ok(Presented::Key(_))), "{authorization:?} {header:?}");
    }
    assert_eq!(Presented::read(Some(&bearer), Some(&text)).err(), Some(PresentedError::Two));
    let twice = format!("{text}, {text}");
    assert_eq!(Presented::read(None, Some(&twice)).err(), Some(PresentedError::Two));
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Digest x",
        "Basic !",
        "Basic /w==",
        "Basic YQ==",
        &text,
    ] {
        let read = Presented::read(Some(value), None);
        assert!(matches!(read, Ok(Presented::NoKey(_))), "{value}");
    }
    assert!(matches!(Presented::read(None, None), Ok(Presented::Nothing)));
    assert!(matches!(Presented::read(Some("Bearer x"), None), Ok(Presented::NoKey(_))));
    assert!(matches!(Presented::read(None, Some("")), Ok(Presented::NoKey(_))));
}

#[test]
fn keys_are_found_in_urls() {
    let text = key(8).text().expose().to_owned();
    let cut = &text[..text.len() - 20];
    for (url, found) in [
        (format!("/a?key={text}&b=1"), Some(7..7 + text.len())),
        (format!("/tg/tg_tg/{text}"), Some(10..10 + text.len())),
        (format!("/a?key={cut}"), Some(7..7 + cut.len())),
        ("/a?key=tg_prod_sk_short".into(), None),
        (format!("/{}", text.replacen("tg", "xx", 1)), None),
        ("/é/tg_prod_sk_ééééééééééééé_".into(), None),
    ] {
        assert_eq!(find_key("tg", &url), found, "{url}");
    }
    let twice = text.replacen("tg", "aa", 1);
    assert_eq!(find_key("aa", &format!("/a{twice}")), Some(2..2 + twice.len()), "within itself");
}
