use super::*;

#[test]
fn a_key_scope_covers_exactly_its_own_parts() {
    for (held, asked, covers, why) in [
        ("a:b", "a:b", true, "the same"),
        ("a:b", "a:b:c", false, "two parts are another permission than three"),
        ("a:b:c", "a:b", false, "and the other way round"),
        ("a:*", "a:b", true, "* is one part"),
        ("a:*", "a:b:c", false, "and never two"),
        ("a:b:*", "a:b:c", true, "* as the id"),
        ("a:b:*", "a:b", false, "* is not nothing"),
        ("*:*", "a:b", true, "both parts"),
        ("a:b", "A:b", false, "letters have case"),
        ("a:b", "a:bb", false, "no prefixes"),
        ("a:b", "a:", false, "no empty parts"),
    ] {
        assert_eq!(Scope::parse(held).unwrap().covers(asked), covers, "{held} {asked}: {why}");
    }
}

#[test]
fn scopes_are_two_or_three_plain_parts() {
    for text in ["a:b", "a:b:c", "*:read", "a:*:*", "a-b.c_d:e", "invoices:read:0042"] {
        assert_eq!(Scope::parse(text).unwrap().as_str(), text);
    }
    let long = format!("a:{}", "b".repeat(65));
    for text in ["", "a", "a:b:c:d", ":b", "a:", "a:b:", "a b:c", "a:b*", "a:{id}", "a:é", &long] {
        assert!(Scope::parse(text).is_err(), "{text}");
    }
}

#[test]
fn writes_are_all_actions_but_read_and_list() {
    for (text, write) in [
        ("a:read", false),
        ("a:list", false),
        ("a:read:1", false),
        ("*:read", false),
        ("a:write", true),
        ("a:*", true),
        ("a:delete:1", true),
        ("a:Read", true),
    ] {
        assert_eq!(Scope::parse(text).unwrap().is_write(), write, "{text}");
    }
}

#[test]
fn a_route_scope_takes_values_from_the_path_and_refuses_unfit_ones() {
    let scope = RequiredScope::parse("invoices:read:{id}").unwrap();
    assert_eq!(scope.params().collect::<Vec<_>>(), ["id"]);
    assert_eq!(scope.to_string(), "invoices:read:{id}");
    for (value, concrete) in [
        ("42", Ok("invoices:read:42")),
        ("a b", Ok("invoices:read:a b")),
        ("größe", Ok("invoices:read:größe")),
        ("", Err(UnfitValue)),
        ("*", Err(UnfitValue)),
        (".", Err(UnfitValue)),
        ("..", Err(UnfitValue)),
        ("a/b", Err(UnfitValue)),
        ("a\\b", Err(UnfitValue)),
        ("a:b", Err(UnfitValue)),
        ("a%2f", Err(UnfitValue)),
        ("a\nb", Err(UnfitValue)),
        ("a\u{85}b", Err(UnfitValue)),
    ] {
        let got = scope.concrete(&|name| (name == "id").then_some(value));
        assert_eq!(got.as_deref().map_err(|e| *e), concrete, "{value:?}");
    }
    for text in ["a:*", "a", "a:{}", "a:{b}c", "a:b:c:d", "{a:b}"] {
        assert!(RequiredScope::parse(text).is_err(), "{text}");
    }
}

#[test]
fn all_means_each_and_any_means_one() {
    let scopes = |texts: &[&str]| -> Vec<RequiredScope> {
        texts.iter().map(|text| RequiredScope::parse(text).unwrap()).collect()
    };
    let held = [Scope::parse("a:read").unwrap(), Scope::parse("b:read:*").unwrap()];
    let concrete = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    for (all, texts, satisfied) in [
        (true, vec!["a:read", "b:read:1"], true),
        (true, vec!["a:read", "c:read"], false),
        (true, vec![], true),
        (false, vec!["a:read", "c:read"], true),
        (false, vec!["c:read"], false),
    ] {
        let required =
            if all { Required::All(scopes(&texts)) } else { Required::Any(scopes(&texts)) };
        assert_eq!(required.satisfied(&concrete(&texts), &held), satisfied, "{texts:?}");
    }
}

#[test]
fn one_grants_at_most_what_one_holds() {
    for (held, asked, may) in [
        ("keys:*", "keys:read", true),
        ("keys:read", "keys:*", false),
        ("keys:*", "keys:*", true),
        ("*:*", "keys:*", true),
        ("keys:read", "keys:read", true),
    ] {
        let (held, asked) = (Scope::parse(held).unwrap(), Scope::parse(asked).unwrap());
        assert_eq!(held.includes(&asked), may, "{held} {asked}");
    }
}
