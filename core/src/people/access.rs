//! Tokens of Cloudflare Access, which stand for a code where the policy says so (SPEC section 8):
//! JSON Web Tokens (RFC 7519) signed with RS256 by the team's keys. The signature is checked at the
//! edge; everything else here.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use crate::policy::Access;
use crate::time::{Millis, UnixMillis};

/// By how much two clocks may differ, where a token begins.
const LEEWAY: Millis = Millis::secs(60);
/// The longest token that is looked at, in bytes; real ones have about one thousand.
const MAX_TOKEN: usize = 8 * 1024;
/// The shortest modulus of a key, in bytes: 2048 bits (RFC 7518 section 3.3).
const MIN_MODULUS: usize = 256;
/// The most characters of a person's name that are told; an e-mail address has at most 254.
const MAX_PERSON: usize = 254;
/// Keys of a team that are kept: it has two at a time.
const MAX_KEYS: usize = 16;
/// How long the keys are believed without asking again.
const FRESH: Millis = Millis::hours(1);
/// How long they are when the team cannot be reached.
const USABLE: Millis = Millis::hours(24);
/// The shortest time between two questions.
const BETWEEN: Millis = Millis::minutes(1);

/// A token that has the right form. Nothing of it is to be believed before its signature was found
/// good.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// Which of the team's keys signed it.
    pub key_id: String,
    /// What was signed.
    pub signed: String,
    /// The signature.
    pub signature: Vec<u8>,
    claims: Claims,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    exp: u64,
    iat: u64,
    #[serde(default)]
    nbf: Option<u64>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    sub: Option<String>,
}

/// RFC 7519 section 4.1.3: one, or a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl AccessToken {
    /// Takes a token apart. None for what is no token, or signed in another way than RS256: what
    /// it says itself about how to check it is not followed.
    pub fn read(text: &str) -> Option<Self> {
        if text.len() > MAX_TOKEN {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (head, claims) = signed.split_once('.')?;
        let decode = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).ok();
        let head: Head = serde_json::from_slice(&decode(head)?).ok()?;
        if head.alg != "RS256" {
            return None;
        }
        let claims = serde_json::from_slice(&decode(claims)?).ok()?;
        let signature = decode(signature)?;
        Some(Self { key_id: head.kid, signed: signed.to_owned(), signature, claims })
    }

    /// True when a token with these claims is of this team, for this gate, and good now.
    pub fn is_for(&self, access: &Access, now: UnixMillis) -> bool {
        let Claims { iss, aud, exp, iat, nbf, .. } = &self.claims;
        let audience = match aud {
            Audience::One(one) => *one == access.audience,
            Audience::Many(many) => many.contains(&access.audience),
        };
        let late = now.plus(LEEWAY);
        *iss == access.team_url
            && audience
            && UnixMillis::from_secs(*exp) > now
            && UnixMillis::from_secs(*iat) <= late
            && nbf.is_none_or(|nbf| UnixMillis::from_secs(nbf) <= late)
    }

    /// Whom the team says it is: for the audit. None for a token of a machine, which Access calls a
    /// service token and gives neither address nor subject.
    pub fn person(&self) -> Option<String> {
        let Claims { email, sub, .. } = &self.claims;
        let told = [email, sub].into_iter().flatten().map(|name| name.trim());
        let name = told.into_iter().find(|name| !name.is_empty())?;
        Some(name.chars().take(MAX_PERSON).collect())
    }

    /// When it ends.
    pub fn ends_at(&self) -> UnixMillis {
        UnixMillis::from_secs(self.claims.exp)
    }
}

/// A public key of a team (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AccessKey {
    /// Its name.
    pub kid: String,
    kty: String,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    /// The modulus.
    #[serde(default)]
    pub n: String,
    /// The exponent.
    #[serde(default)]
    pub e: String,
}

impl AccessKey {
    fn is_usable(&self) -> bool {
        let modulus = BASE64URL_NOPAD.decode(self.n.as_bytes());
        self.kty == "RSA"
            && self.alg.as_deref().is_none_or(|alg| alg == "RS256")
            && self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && modulus.is_ok_and(|modulus| modulus.len() >= MIN_MODULUS)
            && !self.e.is_empty()
    }
}

/// The keys of a team, as far as they are known.
#[derive(Clone, Debug, Default)]
pub struct AccessKeys {
    keys: Vec<AccessKey>,
    fetched_at: Option<UnixMillis>,
    asked_at: Option<UnixMillis>,
}

impl AccessKeys {
    /// Where a team shows its keys.
    pub fn address(access: &Access) -> String {
        format!("{}/cdn-cgi/access/certs", access.team_url)
    }

    /// True when the team is to be asked before a token of this key is checked. That it is asked is
    /// noted, so that many tokens with made-up names ask once a minute.
    pub fn ask_for(&mut self, key_id: &str, now: UnixMillis) -> bool {
        let stale = self.fetched_at.is_none_or(|at| now >= at.plus(FRESH));
        let wanted = stale || !self.keys.iter().any(|key| key.kid == key_id);
        let free = self.asked_at.is_none_or(|at| now >= at.plus(BETWEEN));
        if wanted && free {
            self.asked_at = Some(now);
        }
        wanted && free
    }

    /// Takes what the team showed; what makes no sense is passed over. False when no key is left:
    /// then what was known before still is.
    pub fn learn(&mut self, shown: &str, now: UnixMillis) -> bool {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let Ok(set) = serde_json::from_str::<Set>(shown) else { return false };
        let read = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        let keys: Vec<AccessKey> = read.filter(AccessKey::is_usable).take(MAX_KEYS).collect();
        if keys.is_empty() {
            return false;
        }
        self.keys = keys;
        self.fetched_at = Some(now);
        true
    }

    /// True while what is known says which names there are.
    pub fn is_usable(&self, now: UnixMillis) -> bool {
        self.fetched_at.is_some_and(|at| now < at.plus(USABLE))
    }

    /// The key of this name.
    pub fn find(&self, key_id: &str, now: UnixMillis) -> Option<&AccessKey> {
        self.keys.iter().find(|key| key.kid == key_id && self.is_usable(now))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: UnixMillis = UnixMillis::from_secs(1_790_000_000);

    fn access() -> Access {
        let team_url = "https://acme.cloudflareaccess.com".to_owned();
        Access { team_url, audience: "a".repeat(64) }
    }

    fn token(head: &Value, claims: &Value) -> String {
        let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        format!("{}.{}.{}", encode(head), encode(claims), BASE64URL_NOPAD.encode(b"signature"))
    }

    fn head() -> Value {
        json!({ "alg": "RS256", "kid": "k1", "typ": "JWT" })
    }

    fn claims(with: &Value) -> Value {
        let mut claims = json!({
            "iss": access().team_url, "aud": [access().audience], "email": "anna@example.com",
            "exp": 1_790_000_600, "iat": 1_789_999_990, "nbf": 1_789_999_990, "sub": "7335",
        });
        for (name, value) in with.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    #[test]
    fn a_token_is_taken_apart() {
        let text = token(&head(), &claims(&json!({})));
        let read = AccessToken::read(&text).unwrap();
        assert_eq!(read.key_id, "k1");
        assert_eq!(read.signature, b"signature");
        assert_eq!(read.signed, text.rsplit_once('.').unwrap().0);
        assert_eq!(read.person().as_deref(), Some("anna@example.com"));
        assert_eq!(read.ends_at(), UnixMillis::from_secs(1_790_000_600));
        assert!(read.is_for(&access(), NOW));
    }

    #[test]
    fn only_rs256_is_looked_at() {
        let claims = claims(&json!({}));
        for head in [
            json!({ "alg": "none", "kid": "k1" }),
            json!({ "alg": "HS256", "kid": "k1" }),
            json!({ "alg": "RS512", "kid": "k1" }),
            json!({ "alg": "rs256", "kid": "k1" }),
            json!({ "alg": "ES256", "kid": "k1" }),
            json!({ "kid": "k1" }),
            json!({ "alg": "RS256" }),
            json!([]),
        ] {
            assert!(AccessToken::read(&token(&head, &claims)).is_none(), "{head}");
        }
    }

    #[test]
    fn what_is_no_token_is_none() {
        let good = token(&head(), &claims(&json!({})));
        for bad in [
            String::new(),
            "..".to_owned(),
            good.replace('.', ""),
            format!("{good}.x"),
            format!("{good}="),
            format!(".{good}"),
            token(&head(), &json!({})),
            token(&head(), &claims(&json!({ "exp": "1790000600" }))),
            token(&head(), &claims(&json!({ "exp": -1 }))),
            token(&head(), &claims(&json!({ "aud": 1 }))),
            token(&head(), &claims(&json!({ "sub": "x".repeat(9_000) }))),
        ] {
            assert!(AccessToken::read(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn each_claim_counts() {
        let other = "b".repeat(64);
        let secs = NOW.as_secs();
        for (with, good) in [
            (json!({ "iss": "https://evil.cloudflareaccess.com" }), false),
            (json!({ "iss": "https://acme.cloudflareaccess.com/" }), false),
            (json!({ "aud": other }), false),
            (json!({ "aud": [other] }), false),
            (json!({ "aud": [] }), false),
            (json!({ "aud": [other, access().audience] }), true),
            (json!({ "aud": access().audience }), true),
            (json!({ "exp": secs + 1 }), true),
            (json!({ "exp": secs }), false),
            (json!({ "exp": 0 }), false),
            (json!({ "iat": secs + 60 }), true),
            (json!({ "iat": secs + 61 }), false),
            (json!({ "nbf": secs + 60 }), true),
            (json!({ "nbf": secs + 61 }), false),
            (json!({ "nbf": null }), true),
        ] {
            let read = AccessToken::read(&token(&head(), &claims(&with))).unwrap();
            assert_eq!(read.is_for(&access(), NOW), good, "{with}");
        }
    }

    #[test]
    fn whoever_has_no_name_is_no_person() {
        let long = "é".repeat(300);
        let cut = "é".repeat(254);
        for (with, person) in [
            (json!({}), Some("anna@example.com")),
            (json!({ "email": null }), Some("7335")),
            (json!({ "email": "" }), Some("7335")),
            (json!({ "email": " ", "sub": " x " }), Some("x")),
            (json!({ "email": long }), Some(cut.as_str())),
            (json!({ "email": null, "sub": null }), None),
            (json!({ "email": null, "sub": "", "common_name": "robot.access" }), None),
            (json!({ "email": "", "sub": "\t" }), None),
        ] {
            let read = AccessToken::read(&token(&head(), &claims(&with))).unwrap();
            assert_eq!(read.person().as_deref(), person, "{with}");
        }
    }

    fn shown(keys: &Value) -> String {
        json!({ "keys": keys, "public_cert": {} }).to_string()
    }

    fn rsa(kid: &str) -> Value {
        let n = BASE64URL_NOPAD.encode(&[0xc3; 256]);
        json!({ "kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig", "e": "AQAB", "n": n })
    }

    #[test]
    fn keys_that_are_no_strong_rsa_keys_for_signatures_are_passed_over() {
        let with = |name: &str, value: Value| {
            let mut key = rsa("k1");
            key[name] = value;
            key
        };
        for (key, usable) in [
            (rsa("k1"), true),
            (with("alg", json!(null)), true),
            (with("alg", json!("RS512")), false),
            (with("use", json!("enc")), false),
            (with("kty", json!("EC")), false),
            (with("e", json!("")), false),
            (with("n", json!(BASE64URL_NOPAD.encode(&[0xc3; 128]))), false),
            (with("n", json!("*")), false),
            (json!("k1"), false),
        ] {
            let mut keys = AccessKeys::default();
            keys.learn(&shown(&json!([key, rsa("k2")])), NOW);
            assert_eq!(keys.find("k1", NOW).is_some(), usable, "{key}");
            assert!(keys.find("k2", NOW).is_some(), "{key}");
        }
    }

    #[test]
    fn a_team_is_asked_once_a_minute_at_most() {
        let mut keys = AccessKeys::default();
        let at = |secs| NOW.plus(Millis::secs(secs));
        assert!(keys.ask_for("k1", at(0)));
        assert!(!keys.ask_for("k1", at(59)), "the answer is under way, or there was none");
        assert!(!keys.learn("nonsense", at(59)));
        assert!(keys.find("k1", at(59)).is_none());
        assert!(keys.ask_for("k1", at(60)));
        assert!(keys.learn(&shown(&json!([rsa("k1")])), at(60)));
        assert!(!keys.ask_for("k1", at(3_000)), "known and fresh");
        assert!(keys.ask_for("k2", at(3_000)), "not known");
        assert!(!keys.ask_for("k3", at(3_059)), "asked just now");
        assert!(keys.ask_for("k1", at(3_660)), "known an hour ago");
        for nothing in ["nonsense", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kid":"k1"}]}"#] {
            assert!(!keys.learn(nothing, at(3_660)), "{nothing}");
        }
        assert!(keys.find("k1", at(86_459)).is_some());
        assert!(keys.find("k1", at(86_460)).is_none(), "too long ago");
    }
}
