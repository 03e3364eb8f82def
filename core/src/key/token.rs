//! Access tokens: what a server trades its key for, to carry for a few minutes in the key's place
//! (SPEC section 3).
//!
//! `{brand}_{env}_tk_{key's id}_{claims}{mac}{check}`: letters, digits and underscores like a key, so
//! that whatever finds a key finds a token. Nothing of it is stored: the claims say what it is good
//! for, and an HMAC that the gate made them. Whether its key still stands is asked at each use.

use core::fmt;

use data_encoding::{BASE32_DNSSEC, BASE64URL_NOPAD};
use subtle::ConstantTimeEq;

use super::digest::mac;
use super::{CHECK_CHARS, IdSecret, KeyEnvironment, KeyId, KeyTextError, Peppers};
use super::{checksum, is_brand};
use crate::scope::{Scope, joined};
use crate::text::{Secret, is_base62};
use crate::time::{Millis, UnixMillis};

/// Stands where keys have their kind.
pub const TOKEN_KIND: &str = "tk";
/// The longest life of a token (SPEC section 3).
pub const TOKEN_LIFE: Millis = Millis::secs(300);
/// The longest text of a token: proxies in front of a gate take headers of 8 KiB.
pub const MAX_TOKEN: usize = 8 * 1024;
/// Random bytes that make two tokens of one moment differ.
pub const TOKEN_RANDOM: usize = 8;

/// The form of the claims, in front of them.
const FORM: u8 = 1;
/// Characters of an HMAC-SHA256 in base32.
const MAC_CHARS: usize = 52;

/// A token as somebody sent it: copied right, and proven only by [`Token::is_genuine`].
#[derive(Clone, Debug)]
pub struct Token {
    /// The first part of the gate's keys.
    pub brand: String,
    /// Which side of the wall.
    pub environment: KeyEnvironment,
    /// The key that it was traded for.
    pub id: KeyId,
    /// What it says of itself.
    pub claims: Claims,
    /// The version of the pepper that its MAC is under.
    pepper: u32,
    /// Everything before the MAC.
    signed: String,
    mac: Secret,
}

/// What a token says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// When it was made.
    pub issued_at: UnixMillis,
    /// When it ends.
    pub expires_at: UnixMillis,
    /// What it may do, as far as its key still may.
    pub scopes: Vec<Scope>,
}

/// The words before a token's claims.
struct Front<'f> {
    brand: &'f str,
    environment: KeyEnvironment,
    id: &'f KeyId,
}

impl fmt::Display for Front<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { brand, environment, id } = self;
        write!(out, "{brand}_{}_{TOKEN_KIND}_{id}", environment.as_str())
    }
}

impl Claims {
    /// True from its last instant on.
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        now >= self.expires_at
    }

    /// What the holder may do with a key of these scopes: what both allow.
    pub fn narrow(&self, held: &[Scope]) -> Vec<Scope> {
        common(&self.scopes, held)
    }

    fn to_bytes(&self, pepper: u32, random: [u8; TOKEN_RANDOM]) -> Vec<u8> {
        let life = self.expires_at.since(self.issued_at).as_millis();
        let mut bytes = vec![FORM];
        bytes.extend(pepper.to_be_bytes());
        bytes.extend(self.issued_at.as_millis().to_be_bytes());
        bytes.extend(u32::try_from(life).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(random);
        bytes.extend(joined(&self.scopes).into_bytes());
        bytes
    }

    /// The version of the pepper, and the claims.
    fn from_bytes(bytes: &[u8]) -> Option<(u32, Self)> {
        let bytes = bytes.strip_prefix(&[FORM])?;
        let (pepper, bytes) = bytes.split_first_chunk()?;
        let (issued_at, bytes) = bytes.split_first_chunk()?;
        let (life, bytes) = bytes.split_first_chunk()?;
        let (_, scopes) = bytes.split_first_chunk::<TOKEN_RANDOM>()?;
        let issued_at = UnixMillis::from_millis(u64::from_be_bytes(*issued_at));
        let life = Millis::millis(u64::from(u32::from_be_bytes(*life)));
        let scopes = core::str::from_utf8(scopes).ok()?;
        let scopes = scopes.split(' ').filter(|scope| !scope.is_empty()).map(Scope::parse);
        let scopes = scopes.collect::<Result<_, _>>().ok()?;
        let claims = Self { issued_at, expires_at: issued_at.plus(life), scopes };
        Some((u32::from_be_bytes(*pepper), claims))
    }
}

impl Token {
    /// A new token of a key, under the newest pepper. None when its scopes are too many for one.
    pub fn issue(
        (peppers, ids): (&Peppers, &IdSecret),
        (brand, environment): (&str, KeyEnvironment),
        id: &KeyId,
        claims: &Claims,
        random: [u8; TOKEN_RANDOM],
    ) -> Option<Secret> {
        let pepper = peppers.current();
        let front = Front { brand, environment, id };
        let claims = BASE32_DNSSEC.encode(&claims.to_bytes(pepper, random));
        let signed = format!("{front}_{claims}");
        let body = format!("{signed}{}", seal(peppers, ids, pepper, &signed)?);
        let text = format!("{body}{}", checksum(&body));
        (text.len() <= MAX_TOKEN).then(|| Secret::new(text))
    }

    /// Reads a token's text. Looks at nothing but the text.
    ///
    /// # Errors
    /// When it has not the form of one, or was not copied right.
    pub fn parse(text: &str) -> Result<Self, KeyTextError> {
        let (front, claims) = split(text).ok_or(KeyTextError::Form)?;
        let cut = |text: &str, chars: usize| text.len().checked_sub(chars);
        let (body, check) = cut(text, CHECK_CHARS)
            .and_then(|at| text.split_at_checked(at))
            .ok_or(KeyTextError::Form)?;
        let (signed, mac) = cut(body, MAC_CHARS)
            .and_then(|at| body.split_at_checked(at))
            .ok_or(KeyTextError::Form)?;
        if check != checksum(body) {
            return Err(KeyTextError::Check);
        }
        let claims = cut(claims, MAC_CHARS.saturating_add(CHECK_CHARS))
            .and_then(|length| claims.get(..length))
            .and_then(|claims| BASE32_DNSSEC.decode(claims.as_bytes()).ok())
            .and_then(|bytes| Claims::from_bytes(&bytes));
        let (pepper, claims) = claims.ok_or(KeyTextError::Form)?;
        let (brand, environment, id) = front;
        let (signed, mac) = (signed.to_owned(), Secret::new(mac));
        Ok(Self { brand: brand.to_owned(), environment, id, claims, pepper, signed, mac })
    }

    /// True when the gate made it; in constant time.
    pub fn is_genuine(&self, peppers: &Peppers, ids: &IdSecret) -> bool {
        seal(peppers, ids, self.pepper, &self.signed)
            .is_some_and(|made| made.as_bytes().ct_eq(self.mac.expose().as_bytes()).into())
    }
}

/// The scopes that both lists allow, those of `asked` first in their order.
fn common(asked: &[Scope], held: &[Scope]) -> Vec<Scope> {
    let mut both: Vec<Scope> = Vec::new();
    for asked in asked {
        for scope in held.iter().filter_map(|held| asked.common(held)) {
            if !both.contains(&scope) {
                both.push(scope);
            }
        }
    }
    both
}

/// The MAC of what stands before it. Its key comes of two secrets, so that neither of them alone
/// makes a token.
fn seal(peppers: &Peppers, ids: &IdSecret, version: u32, signed: &str) -> Option<String> {
    const LABEL: &str = "tollgate token key";
    let mark = BASE64URL_NOPAD.encode(&ids.derived(LABEL)?);
    let key = mac(peppers.of(version)?, &[LABEL, &mark])?;
    Some(BASE32_DNSSEC.encode(&mac(&key, &["tollgate token", signed])?))
}

/// Takes a token's text apart: brand, environment and id; and all that follows.
fn split(text: &str) -> Option<((&str, KeyEnvironment, KeyId), &str)> {
    let mut parts = Some(text).filter(|text| text.len() <= MAX_TOKEN)?.split('_');
    let brand = parts.next().filter(|brand| is_brand(brand))?;
    let environment = KeyEnvironment::parse(parts.next()?)?;
    parts.next().filter(|kind| *kind == TOKEN_KIND)?;
    let id = KeyId::parse(parts.next()?).ok()?;
    let rest = parts.next().filter(|rest| is_base62(rest))?;
    parts.next().is_none().then_some(((brand, environment, id), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeyKind, KeyPrefix, find_key};

    const ONE: &str = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const TWO: &str = "2:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const ONLY_TWO: &str = "2:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn peppers(text: &str) -> Peppers {
        Peppers::parse(&Secret::new(text)).unwrap()
    }

    fn ids(text: &str) -> IdSecret {
        IdSecret::new(&Secret::new(format!("{text}: a secret of at least 32 bytes"))).unwrap()
    }

    fn scopes(texts: &[&str]) -> Vec<Scope> {
        texts.iter().map(|text| Scope::parse(text).unwrap()).collect()
    }

    fn claims(texts: &[&str]) -> Claims {
        let issued_at = UnixMillis::parse_rfc3339("2026-11-22T00:00:00.123Z").unwrap();
        Claims { issued_at, expires_at: issued_at.plus(TOKEN_LIFE), scopes: scopes(texts) }
    }

    fn issue(under: &str, claims: &Claims) -> Option<Secret> {
        let prefix =
            KeyPrefix { brand: "tg".into(), environment: KeyEnvironment::Prod, kind: KeyKind::Sk };
        let id = ids("a").id(&prefix, "0123456789").unwrap();
        let trust = (&peppers(under), &ids("a"));
        Token::issue(trust, ("tg", KeyEnvironment::Prod), &id, claims, [7; TOKEN_RANDOM])
    }

    #[test]
    fn a_token_is_read_back_as_it_was_made() {
        for held in [vec![], vec!["a:b"], vec!["a:b", "invoices:read:*", "*:list"]] {
            let claims = claims(&held);
            let text = issue(ONE, &claims).unwrap();
            let token = Token::parse(text.expose()).unwrap();
            assert_eq!((token.brand.as_str(), token.environment), ("tg", KeyEnvironment::Prod));
            assert_eq!((&token.claims, token.id.as_str().get(..10)), (&claims, Some("0123456789")));
            assert!(token.is_genuine(&peppers(ONE), &ids("a")));
            assert!(text.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
        }
    }

    #[test]
    fn two_tokens_of_one_moment_differ() {
        let one = issue(ONE, &claims(&["a:b"])).unwrap();
        let prefix = (("tg"), KeyEnvironment::Prod);
        let id = Token::parse(one.expose()).unwrap().id;
        let trust = (&peppers(ONE), &ids("a"));
        let two = Token::issue(trust, prefix, &id, &claims(&["a:b"]), [8; TOKEN_RANDOM]).unwrap();
        assert_ne!(one.expose(), two.expose());
    }

    #[test]
    fn only_who_has_both_secrets_makes_tokens_and_an_old_pepper_still_proves_them() {
        let text = issue(ONE, &claims(&["a:b"])).unwrap();
        let token = Token::parse(text.expose()).unwrap();
        assert!(token.is_genuine(&peppers(TWO), &ids("a")), "after a rotation");
        assert!(!token.is_genuine(&peppers(ONLY_TWO), &ids("a")), "the old pepper is gone");
        assert!(!token.is_genuine(&peppers(ONE), &ids("b")), "another id secret");
        let newer = issue(TWO, &claims(&["a:b"])).unwrap();
        let newer = Token::parse(newer.expose()).unwrap();
        assert!(newer.is_genuine(&peppers(ONLY_TWO), &ids("a")), "made under the newest");
        assert!(!newer.is_genuine(&peppers(ONE), &ids("a")));
    }

    #[test]
    fn every_single_changed_character_is_found() {
        let text = issue(ONE, &claims(&["a:b"])).unwrap().expose().to_owned();
        for at in 0..text.len() {
            for replacement in ["0", "z", "_", "A", "é", ""] {
                let changed = format!("{}{replacement}{}", &text[..at], &text[at + 1..]);
                assert!(changed == text || Token::parse(&changed).is_err(), "{changed}");
            }
        }
    }

    #[test]
    fn what_is_changed_and_has_its_check_right_is_not_genuine() {
        let text = issue(ONE, &claims(&["a:b"])).unwrap().expose().to_owned();
        let whole = text.len() - CHECK_CHARS;
        let mut read = 0;
        for at in 0..whole {
            for replacement in ["0", "1", "a", "v", "V"] {
                let body = format!("{}{replacement}{}", &text[..at], &text[at + 1..whole]);
                let changed = format!("{body}{}", checksum(&body));
                if let Ok(token) = Token::parse(&changed)
                    && changed != text
                {
                    read += 1;
                    assert!(!token.is_genuine(&peppers(ONE), &ids("a")), "{changed}");
                }
            }
        }
        assert!(read > 100, "{read} of them have the form of a token");
    }

    #[test]
    fn texts_that_are_no_tokens() {
        let text = issue(ONE, &claims(&["a:b"])).unwrap().expose().to_owned();
        let whole = |body: &str| format!("{body}{}", checksum(body));
        for (text, error) in [
            (String::new(), KeyTextError::Form),
            ("tg_prod_tk".into(), KeyTextError::Form),
            (text.replace("_tk_", "_sk_"), KeyTextError::Form),
            (text.replace("prod", "live"), KeyTextError::Form),
            (text.replace("prod", "dev"), KeyTextError::Check),
            (text.replacen("tg", "th", 1), KeyTextError::Check),
            (format!("{text}_"), KeyTextError::Form),
            (format!("{text}0"), KeyTextError::Check),
            (
                whole(&format!("tg_prod_tk_{}_{}", "a".repeat(16), "0".repeat(52))),
                KeyTextError::Form,
            ),
            (
                whole(&format!("tg_prod_tk_{}_{}", "a".repeat(16), "z".repeat(100))),
                KeyTextError::Form,
            ),
            (
                whole(&format!("tg_prod_tk_{}_{}", "a".repeat(16), "0".repeat(MAX_TOKEN))),
                KeyTextError::Form,
            ),
        ] {
            assert_eq!(Token::parse(&text).err(), Some(error), "{text}");
        }
    }

    #[test]
    fn scopes_that_are_too_many_for_one_token_make_none() {
        let many: Vec<String> = (10..70).map(|i| format!("{}:read:{i}", "r".repeat(60))).collect();
        let all: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(issue(ONE, &claims(&all)).is_some());
        let longer: Vec<String> =
            many.iter().map(|scope| format!("{scope}{}", "0".repeat(30))).collect();
        let all: Vec<&str> = longer.iter().map(String::as_str).collect();
        assert!(issue(ONE, &claims(&all)).is_none());
    }

    #[test]
    fn a_token_does_what_it_and_its_key_both_may() {
        for (token, key, both) in [
            (vec!["a:b"], vec!["a:b", "c:d"], vec!["a:b"]),
            (vec!["a:b"], vec!["c:d"], vec![]),
            (vec!["a:b", "c:d"], vec!["c:d", "a:b"], vec!["a:b", "c:d"]),
            (vec!["a:*"], vec!["a:b", "a:c"], vec!["a:b", "a:c"]),
            (vec!["a:b"], vec!["a:*"], vec!["a:b"]),
            (vec!["a:*:1"], vec!["a:b:*"], vec!["a:b:1"]),
            (vec!["a:b"], vec!["a:b:*"], vec![]),
            (vec!["*:*"], vec!["*:*", "a:b"], vec!["*:*", "a:b"]),
            (vec![], vec!["a:b"], vec![]),
        ] {
            assert_eq!(claims(&token).narrow(&scopes(&key)), scopes(&both), "{token:?} {key:?}");
        }
    }

    #[test]
    fn a_token_is_found_like_a_key_and_shows_itself_nowhere() {
        let text = issue(ONE, &claims(&["a:b"])).unwrap().expose().to_owned();
        assert_eq!(find_key("tg", &format!("/a?t={text}&b")), Some(5..5 + text.len()));
        let mac = &text[text.len() - 40..text.len() - 8];
        assert!(!format!("{:?}", Token::parse(&text).unwrap()).contains(mac));
    }
}
