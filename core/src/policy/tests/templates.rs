//! Templates over secrets and paths.

use super::super::path::{PathTemplate, RewriteTemplate};
use super::super::template::Template;
use crate::text::Secret;

#[test]
fn a_template_is_filled_or_shown_by_the_names_of_its_secrets() {
    let template = Template::parse("Bearer ${secret:A}-${secret:B_2}$").unwrap();
    assert_eq!(template.secrets().collect::<Vec<_>>(), ["A", "B_2"]);
    assert_eq!(template.redacted(), "Bearer ${secret:A}-${secret:B_2}$");
    let (a, b) = (Secret::new("one"), Secret::new("two"));
    let all = |name: &str| if name == "A" { Some(&a) } else { Some(&b) };
    assert_eq!(template.fill(&all).unwrap().expose(), "Bearer one-two$");
    let one = |name: &str| (name == "A").then_some(&a);
    assert!(template.fill(&one).is_none(), "a template is filled as a whole or not at all");
    assert!(!format!("{template:?}").contains("one"));
}

#[test]
fn a_template_is_what_a_header_can_carry() {
    for (text, message) in [
        ("", "must not be empty"),
        ("${secret:A", "a `${` has no `}`"),
        ("${env:A}", "`${env:A}` is not known here"),
        ("${A}", "`${A}` is not known here"),
        ("${secret:}", "\"\" is not the name of a secret"),
        ("${secret:a}", "\"a\" is not the name of a secret"),
        ("${secret:A-B}", "\"A-B\" is not the name of a secret"),
        ("${secret:_A}", "\"_A\" is not the name of a secret"),
        ("${secret:ROOT_TOKEN}", "`ROOT_TOKEN` belongs to the gate itself"),
        ("${secret:A} ", "must not begin or end with a blank"),
        ("a\r\nX-Evil: ${secret:A}", "must be printable ASCII"),
        ("é${secret:A}", "must be printable ASCII"),
    ] {
        assert_eq!(Template::parse(text).unwrap_err().message, message, "{text:?}");
    }
    let suggestion = Template::parse("${secret:billing-token}").unwrap_err().suggestion;
    assert_eq!(suggestion.as_deref(), Some("write ${secret:BILLING_TOKEN}"));
}

#[test]
fn paths_are_written_as_they_arrive() {
    for (path, params, tail) in [
        ("/", &[][..], None),
        ("/v1/invoices", &[], None),
        ("/v1/invoices/", &[], None),
        ("/v1/invoices/{id}", &["id"], None),
        ("/{a}/b/{c_2}", &["a", "c_2"], None),
        ("/img-{id}.png", &["id"], None),
        ("/files/{*rest}", &["rest"], Some("rest")),
        ("/caf%C3%A9/a:b@c;d=e,f!$&'()*+~", &[], None),
        ("/a%20b", &[], None),
    ] {
        let template = PathTemplate::parse(path).unwrap();
        assert_eq!(template.params().collect::<Vec<_>>(), params, "{path}");
        assert_eq!((template.tail(), template.as_str()), (tail, path));
        // What is accepted here must be what the router takes.
        matchit::Router::new().insert(template.matcher(), ()).unwrap();
    }
    for (path, message) in [
        ("", "a path begins with `/`"),
        ("v1", "a path begins with `/`"),
        ("//", "an empty segment: `//`"),
        ("/v1//a", "an empty segment: `//`"),
        ("/.", "a dot segment: `.`"),
        ("/v1/..", "a dot segment: `..`"),
        ("/v1?x=1", "`v1?x=1` is not how it arrives"),
        ("/a b", "`a b` is not how it arrives"),
        ("/café", "`café` is not how it arrives"),
        ("/caf%c3%a9", "`caf%c3%a9` is not how it arrives"),
        ("/%61", "`%61` is not how it arrives"),
        ("/%2E%2E", "`%2E%2E` is not how it arrives"),
        ("/a%2Fb", "`a%2Fb` never arrives: the gate refuses it"),
        ("/a\\b", "`a\\b` never arrives: the gate refuses it"),
        ("/a%00", "`a%00` never arrives: the gate refuses it"),
        ("/a%", "`a%`: a `%` is followed by two digits of 0-9 and A-F"),
        ("/%FF", "`%FF`: a `%` is followed by two digits of 0-9 and A-F"),
        ("/{id", "`{id` has a `{` without a `}`"),
        ("/id}", "`id}` is not how it arrives"),
        ("/{}", "\"\" is not the name of a parameter"),
        ("/{Id}", "\"Id\" is not the name of a parameter"),
        ("/{a-b}", "\"a-b\" is not the name of a parameter"),
        ("/{a}{b}", "`{a}{b}` has two parameters: one is the most"),
        ("/{a}/{a}", "`{a}` stands in it twice"),
        ("/{*a}/b", "`{*a}` must be the whole last segment"),
        ("/x{*a}", "`{*a}` must be the whole last segment"),
        ("/{*}", "\"\" is not the name of a parameter"),
        ("/_tollgate", "paths below /_tollgate belong to the gate itself"),
        ("/_tollgate/x", "paths below /_tollgate belong to the gate itself"),
    ] {
        assert_eq!(PathTemplate::parse(path).unwrap_err().message, message, "{path:?}");
    }
}

#[test]
fn a_rewrite_is_filled_and_never_climbs() {
    let path = PathTemplate::parse("/v1/{id}/{*rest}").unwrap();
    let rewrite = RewriteTemplate::parse("/x/.{id}/{*rest}", Some(&path)).unwrap();
    for (id, rest, filled) in [
        ("7", "a/b", Some("/x/.7/a/b")),
        ("a%20b", "c", Some("/x/.a%20b/c")),
        (".", "a", None),
        ("7", "..", None),
        ("7", "a/../b", None),
    ] {
        let value = |name: &str| Some(if name == "id" { id.to_owned() } else { rest.to_owned() });
        assert_eq!(rewrite.fill(&value).as_deref(), filled, "{id} {rest}");
    }
    assert_eq!(rewrite.fill(&|_| None), None);
    for (text, message) in [
        ("/{name}", "the path has no parameter `{name}`"),
        ("/{*id}", "`{*id}` is `{id}` in the path"),
        ("/{rest}", "`{rest}` is `{*rest}` in the path"),
        ("x/{id}", "a path begins with `/`"),
        ("/x?y={id}", "`x?y=` is not how it arrives"),
    ] {
        let error = RewriteTemplate::parse(text, Some(&path)).unwrap_err();
        assert_eq!(error.message, message, "{text}");
    }
}
