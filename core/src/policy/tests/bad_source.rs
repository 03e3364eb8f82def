//! What can be wrong with `[[source]]`, and what a good one comes to.

use core::num::NonZeroU32;

use serde_json::{Value as Json, json};

use super::super::{Delivery, Queue, SourceScheme};
use super::{check, edited, good, judge};
use crate::delivery::Schedule;
use crate::time::{Millis, UnixMillis};

/// A good one, with these changes; `null` takes a field away.
fn source(changes: &Json) -> Json {
    let mut source = json!({
        "name": "shop", "path": "/hooks/shop", "scheme": "stripe", "secrets": ["${secret:SHOP}"],
        "upstream": "billing",
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Json::Null => source.as_object_mut().unwrap().remove(name),
            value => source.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    source
}

#[test]
fn fields_of_a_source() {
    let one = |changes: &Json| vec![("source[0]", source(changes))];
    for (reason, changes, expected) in [
        ("nothing is wrong", json!({}), vec![]),
        (
            "it lacks everything",
            json!({"name": null, "path": null, "scheme": "strip", "secrets": null, "upstream": null}),
            vec![
                ("source[0].name", "is missing"),
                ("source[0].path", "is missing"),
                ("source[0].scheme", "\"strip\" is unknown"),
                ("source[0].secrets", "is missing"),
                ("source[0].upstream", "is missing"),
            ],
        ),
        (
            "a scheme for looking at signatures by hand",
            json!({"scheme": "rfc9421-hmac-sha256"}),
            vec![("source[0].scheme", "\"rfc9421-hmac-sha256\" is unknown")],
        ),
        (
            "a scheme of its own, undescribed",
            json!({"scheme": "hmac", "secrets": []}),
            vec![("source[0].hmac", "is missing"), ("source[0].secrets", "names no secret")],
        ),
        (
            "one that is described wrongly",
            json!({"scheme": "hmac", "hmac": {"header": "x sig", "algorithm": "md5", "body": "x",
                   "encoding": "hex", "template": "{timestamp}"}}),
            vec![
                ("source[0].hmac.body", "unknown field"),
                ("source[0].hmac.header", "is no header's name"),
                ("source[0].hmac.algorithm", "is none of sha256, sha512, sha1"),
                ("source[0].hmac.template", "has no {body}: anyone could send another one"),
                ("source[0].hmac.timestamp", "is missing: the template has {timestamp}"),
            ],
        ),
        (
            "one that is described for nothing",
            json!({"hmac": {}}),
            vec![("source[0].hmac", "is for `scheme = \"hmac\"` only")],
        ),
        (
            "secrets that stand in the policy, one that is the gate's own, one that is empty",
            json!({"secrets": ["plain", "${secret:KEY_PEPPER}", ""], "sign": "whsec_abc"}),
            vec![
                (
                    "source[0].secrets[0]",
                    "has no secret in it: what stands in a policy can be read by many",
                ),
                ("source[0].secrets[1]", "`KEY_PEPPER` belongs to the gate itself"),
                ("source[0].secrets[2]", "must not be empty"),
                (
                    "source[0].sign",
                    "has no secret in it: what stands in a policy can be read by many",
                ),
            ],
        ),
        (
            "too many of them",
            json!({
                "secrets": (0..9).map(|n| format!("${{secret:S{n}}}")).collect::<Vec<_>>(),
                "sign": ["${secret:A}", "${secret:B}", "${secret:C}"],
            }),
            vec![
                ("source[0].secrets", "names more than 8 secrets"),
                ("source[0].sign", "names one secret, or the present one and the one before it"),
            ],
        ),
        (
            "a path that is not one",
            json!({"path": "/hooks/{id}", "rewrite": "/in/{id}"}),
            vec![
                ("source[0].path", "a source has one path: no parameter such as `{id}`"),
                ("source[0].rewrite", "no parameter can stand here, such as `{id}`"),
            ],
        ),
        (
            "the path of the gate itself",
            json!({"path": "/_tollgate/hooks"}),
            vec![("source[0].path", "paths below /_tollgate belong to the gate itself")],
        ),
        (
            "the path of a route",
            json!({"path": "/v1/prices"}),
            vec![("source[0].path", "route \"prices\" has this path")],
        ),
        (
            "an upstream that is nowhere",
            json!({"upstream": "billings"}),
            vec![("source[0].upstream", "there is no upstream \"billings\"")],
        ),
        (
            "the public URL is signed, and nowhere said",
            json!({"scheme": "square"}),
            vec![
                (
                    "source[0]",
                    "has no `url` in environment \"dev\": the scheme signs the address that the \
                     provider was given",
                ),
                (
                    "source[0]",
                    "has no `url` in environment \"production\": the scheme signs the address \
                     that the provider was given",
                ),
            ],
        ),
        (
            "numbers and sizes out of range",
            json!({"delivery_concurrency": 0, "retry_speed": 1_000_001, "shards": 17,
                   "keep_delivered": "31d", "store_limit": "9GiB", "body_limit": "2MiB"}),
            vec![
                ("source[0].delivery_concurrency", "must be from 1 to 256"),
                ("source[0].retry_speed", "must be from 1 to 1000000"),
                ("source[0].shards", "must be from 1 to 16"),
                ("source[0].keep_delivered", "must be from 0s to 30d, not 31d"),
                ("source[0].store_limit", "must be at most 8GiB"),
                ("source[0].body_limit", "must be at most 1MiB"),
            ],
        ),
        (
            "a faster schedule in production",
            json!({"retry_speed": 2}),
            vec![(
                "source[0].retry_speed",
                "not in production: a backend that is down would be asked without a pause",
            )],
        ),
        (
            "what belongs to an inbox, without one",
            json!({"delivery": "forward", "delivery_concurrency": 1, "retry_speed": 1,
                   "keep_delivered": "1h", "store_limit": "1GiB", "body_limit": "32MiB",
                   "shards": 2}),
            vec![
                ("source[0].delivery_concurrency", "is for `delivery = \"queue\"` only"),
                ("source[0].retry_speed", "is for `delivery = \"queue\"` only"),
                ("source[0].keep_delivered", "is for `delivery = \"queue\"` only"),
                ("source[0].store_limit", "is for `delivery = \"queue\"` only"),
            ],
        ),
        (
            "words and lists",
            json!({"delivery": "later", "dedupe": "none", "addresses": ["1.2.3"],
                   "tenant": "Acme", "url": "api.example.com"}),
            vec![
                ("source[0].delivery", "\"later\" is unknown"),
                ("source[0].dedupe", "\"none\" is unknown"),
                (
                    "source[0].addresses[0]",
                    "this is no address: write 192.0.2.0/24, 2001:db8::/32, or one address",
                ),
                ("source[0].tenant", "\"Acme\" is not the name of a tenant"),
                ("source[0].url", "must begin with https:// or http://"),
            ],
        ),
        (
            "no scheme whose events have the same bytes can be strict",
            json!({"scheme": "dropbox", "dedupe": "strict"}),
            vec![(
                "source[0].dedupe",
                "is for schemes whose events differ: here two that are not the same have the same \
                 bytes",
            )],
        ),
        ("it can be what it is", json!({"scheme": "dropbox", "dedupe": "normal"}), vec![]),
        (
            "one secret for two purposes",
            json!({"sign": ["${secret:NEW}", "whsec_${secret:SHOP}"]}),
            vec![("source[0].sign", "`SHOP` is among the `secrets` of a source")],
        ),
        (
            "something else than signatures in shadow",
            json!({"shadow": {"checks": ["addresses"], "until": "2026-06-15"}}),
            vec![("source[0].shadow.checks[0]", "\"addresses\" is unknown")],
        ),
    ] {
        judge(&[(reason, &one(&changes), &expected)]);
    }
}

#[test]
fn two_sources_and_their_environments() {
    let second = source(&json!({"scheme": "github"}));
    judge(&[
        (
            "one name and one path for two",
            &[("source[0]", source(&json!({}))), ("source[1]", second)],
            &[
                ("source[1].name", "another source has this name"),
                ("source[1].path", "source \"shop\" has this path"),
            ],
        ),
        (
            "one source's secret signs for another one",
            &[
                ("source[0]", source(&json!({"sign": "${secret:OTHER}"}))),
                (
                    "source[1]",
                    source(&json!({"name": "other", "path": "/hooks/other",
                                   "secrets": ["${secret:MORE}", "${secret:OTHER}"],
                                   "sign": "${secret:SIGN}"})),
                ),
            ],
            &[("source[0].sign", "`OTHER` is among the `secrets` of a source")],
        ),
        (
            "an environment without an address for the upstream",
            &[
                ("source[0]", source(&json!({"upstream": "spare"}))),
                ("upstream.spare", json!({})),
                ("environment.dev.upstream.spare", json!("http://127.0.0.1:1")),
            ],
            &[(
                "environment.production",
                "has no address for upstream \"spare\", which source \"shop\" asks",
            )],
        ),
        (
            "an override of no source, and of a field that has none",
            &[
                ("source[0]", source(&json!({}))),
                ("environment.dev.source", json!({"shops": {}, "shop": {"path": "/x"}})),
            ],
            &[
                ("environment.dev.source.shops", "there is no source \"shops\""),
                ("environment.dev.source.shop.path", "unknown field"),
            ],
        ),
        (
            "a faster schedule where it is allowed",
            &[
                ("source[0]", source(&json!({}))),
                ("environment.dev.source.shop.retry_speed", json!(1_000)),
            ],
            &[],
        ),
        (
            "the public URL of each environment",
            &[
                ("source[0]", source(&json!({"scheme": "twilio"}))),
                ("environment.dev.source.shop.url", json!("http://localhost:8787/hooks/shop")),
                (
                    "environment.production.source.shop.url",
                    json!("https://api.example.com/hooks/shop/"),
                ),
            ],
            &[],
        ),
    ]);
}

#[test]
fn what_a_source_says_is_what_holds() {
    let least = good(&[("source[0]", source(&json!({})))], "production");
    let found = least.source_at("/hooks/shop").unwrap();
    assert_eq!(found.scheme, SourceScheme::Named("stripe"));
    assert_eq!(
        found.delivery,
        Delivery::Queue(Queue {
            concurrency: 64,
            schedule: Schedule::STANDARD,
            keep: Millis::hours(24),
            store_limit: 4 << 30,
        })
    );
    assert_eq!((found.body_limit, found.shards, found.strict), (1 << 20, 1, false));
    assert_eq!(found.addresses.0, []);
    assert!(found.addresses.allows(None) && !found.in_shadow(UnixMillis::default()));
    assert!(least.source_at("/hooks/shop/").is_none() && least.source_at("/hooks").is_none());
    assert_eq!(least.source_named("shop").unwrap().path, "/hooks/shop");
    assert_eq!(least.secrets(), ["BILLING_TOKEN", "SHOP"]);

    let whole = json!({
        "tenant": "acme", "rewrite": "/in", "delivery": "queue", "dedupe": "strict",
        "sign": ["${secret:NEW}", "${secret:OLD}"], "addresses": ["192.0.2.0/24"],
        "body_limit": "64KiB", "delivery_concurrency": 2, "keep_delivered": "0s",
        "store_limit": "1MiB", "shards": 16, "url": "https://api.example.com/hooks/shop",
        "shadow": {"checks": ["signatures"], "until": "2026-06-15"},
    });
    let over =
        json!({"shop": {"retry_speed": 1_000, "addresses": [], "url": "http://localhost/x"}});
    let edits = [("source[0]", source(&whole)), ("environment.dev.source", over)];
    let policy = good(&edits, "production");
    let found = policy.source_at("/hooks/shop").unwrap();
    assert_eq!(found.tenant.as_deref(), Some("acme"));
    assert_eq!((found.rewrite.as_deref(), found.strict, found.shards), (Some("/in"), true, 16));
    assert_eq!(
        (found.body_limit, found.url.as_str()),
        (65_536, "https://api.example.com/hooks/shop")
    );
    assert_eq!(found.addresses.0.len(), 1);
    assert_eq!(policy.secrets(), ["BILLING_TOKEN", "NEW", "OLD", "SHOP"]);
    let until = UnixMillis::parse_rfc3339("2026-06-15").unwrap();
    assert!(found.in_shadow(until.minus(Millis::millis(1))) && !found.in_shadow(until));
    let queue = *found.queue().unwrap();
    assert_eq!((queue.concurrency, queue.keep, queue.store_limit), (2, Millis::ZERO, 1 << 20));
    assert_eq!(queue.schedule, Schedule::STANDARD);

    let dev = good(&edits, "dev");
    let found = dev.source_at("/hooks/shop").unwrap();
    assert_eq!((found.addresses.0.len(), found.url.as_str()), (0, "http://localhost/x"));
    let faster = Schedule::faster(NonZeroU32::new(1_000).unwrap());
    assert_eq!(found.queue().unwrap().schedule, faster);

    let forward = good(&[("source[0]", source(&json!({"delivery": "forward"})))], "dev");
    assert_eq!(forward.sources[0].delivery, Delivery::Forward);
    assert!(forward.sources[0].queue().is_none());
}

#[test]
fn every_scheme_of_the_table_is_taken() {
    for scheme in crate::webhook::table::TABLE {
        let with = source(&json!({
            "scheme": scheme.name, "url": "https://api.example.com/hooks/shop",
        }));
        let taken = check(&edited(&[("source[0]", with)])).is_ok();
        assert_eq!(taken, crate::webhook::table::is_for_sources(scheme.name), "{}", scheme.name);
    }
}
