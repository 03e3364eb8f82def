//! What can be wrong with a route's `origins` and `cors`.

use serde_json::json;

use super::judge;
use crate::origin::{OriginPattern, SingleLabels};

#[test]
fn origins_and_cors() {
    let told = |text| OriginPattern::parse(text, &SingleLabels).unwrap_err().to_string();
    let (no_scheme, of_strangers) = (told("app.example.com"), told("https://*.com"));
    judge(&[
        (
            "no origin in the list",
            &[("route[0].origins", json!([]))],
            &[(
                "route[0].origins",
                "an empty list lets no page in: name an origin, or leave `origins` out to refuse \
                 every browser",
            )],
        ),
        (
            "what no browser sends, and a wildcard over strangers",
            &[("route[0].origins", json!(["app.example.com", "https://*.com"]))],
            &[
                ("route[0].origins[0]", no_scheme.as_str()),
                ("route[0].origins[1]", of_strangers.as_str()),
            ],
        ),
        (
            "every origin, beside one",
            &[("route[2].origins", json!(["*", "https://app.example.com"]))],
            &[("route[2].origins[0]", "`*` stands for every origin: write it alone")],
        ),
        (
            "every origin where something is protected",
            &[("route[0].origins", json!(["*"])), ("route[1].origins", json!("*"))],
            &[
                ("route[0].origins", "`*` is for `auth = \"public\"` only"),
                ("route[1].origins", "`*` is for `auth = \"public\"` only"),
            ],
        ),
        (
            "the origins of keys where there are none",
            &[("route[1].origins", json!("keys"))],
            &[("route[1].origins", "\"keys\" is for `auth = \"key\"` only: nobody else has a key")],
        ),
        (
            "\"keys\" as an origin, an origin as a word",
            &[
                ("route[0].origins", json!(["keys"])),
                ("route[1].origins", json!("https://a.example")),
            ],
            &[
                ("route[0].origins[0]", "\"keys\" is no origin"),
                ("route[1].origins", "must be a list"),
            ],
        ),
        (
            "CORS without origins",
            &[("route[3].cors", json!({"credentials": true}))],
            &[("route[3].cors", "lets no page in: the route has no `origins`")],
        ),
        (
            "CORS with origins in one environment is no error",
            &[
                ("route[3].cors", json!({"credentials": true})),
                ("environment.dev.route.file.origins", json!(["https://app.example.com"])),
            ],
            &[],
        ),
        (
            "headers that no page can send or read, and an age that no browser keeps",
            &[(
                "route[0].cors",
                json!({"headers": ["", "Sec-Foo"], "expose": ["set-cookie"], "max_age": "25h"}),
            )],
            &[
                ("route[0].cors.headers", "\"\" is no header name"),
                ("route[0].cors.headers", "no page can set the header `Sec-Foo`: leave it out"),
                ("route[0].cors.expose", "no page can read the header `set-cookie`: leave it out"),
                (
                    "route[0].cors.max_age",
                    "browsers keep no preflight longer than a day: write 24h or less",
                ),
            ],
        ),
        (
            "credentials for everybody",
            &[("route[2].cors", json!({"credentials": true, "headers": "*"}))],
            &[
                (
                    "route[2].cors.credentials",
                    "credentials are not for every origin: name the origins, or leave \
                     `credentials` out",
                ),
                (
                    "route[2].cors.headers",
                    "`*` has no meaning together with `credentials = true`: name each",
                ),
            ],
        ),
    ]);
}
