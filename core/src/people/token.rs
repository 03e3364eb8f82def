//! What a session is shown with: `{brand}_{env}_ss_{id}_{secret}{check}`, a key's form with a kind
//! of its own, so that logs redact it and scanners find it like a key.

use core::fmt;

use crate::key::{
    CHECK_CHARS, Digest, KeyEnvironment, KeyId, Peppers, SECRET_CHARS, SESSION_KIND, checksum,
    is_brand,
};
use crate::people::SessionKind;
use crate::text::{Secret, is_base62};

/// A session's token: the id of its key, and a secret.
#[derive(Clone)]
pub struct SessionToken {
    /// The first part.
    pub brand: String,
    /// Which side of the wall.
    pub environment: KeyEnvironment,
    /// The key that the session is of.
    pub key: KeyId,
    secret: Secret,
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SessionToken(of {})", self.key)
    }
}

impl SessionToken {
    /// A token for a new session, from 32 fresh random base62 characters.
    pub fn new(brand: &str, environment: KeyEnvironment, key: KeyId, secret: Secret) -> Self {
        Self { brand: brand.to_owned(), environment, key, secret }
    }

    /// Reads a token whose check agrees. Looks at nothing but the text.
    pub fn parse(text: &str) -> Option<Self> {
        let (body, check) = text.split_at_checked(text.len().checked_sub(CHECK_CHARS)?)?;
        if checksum(body) != check {
            return None;
        }
        let mut parts = body.split('_');
        let brand = parts.next().filter(|brand| is_brand(brand))?.to_owned();
        let environment = match parts.next()? {
            "dev" => KeyEnvironment::Dev,
            "prod" => KeyEnvironment::Prod,
            _ => return None,
        };
        let key = parts.next().filter(|kind| *kind == SESSION_KIND).and(parts.next())?;
        let key = KeyId::parse(key).ok()?;
        let secret = parts.next().filter(|text| text.len() == SECRET_CHARS && is_base62(text))?;
        let secret = Secret::new(secret);
        parts.next().is_none().then_some(Self { brand, environment, key, secret })
    }

    /// The whole token: for its holder alone.
    pub fn text(&self) -> Secret {
        let (environment, secret) = (self.environment.as_str(), self.secret.expose());
        let body = format!("{}_{environment}_{SESSION_KIND}_{}_{secret}", self.brand, self.key);
        let check = checksum(&body);
        Secret::new(body + &check)
    }

    /// What is kept of it.
    pub fn digest(&self, kind: SessionKind, peppers: &Peppers) -> Option<Digest> {
        peppers.mark(&self.parts(kind))
    }

    /// What may be kept of it, under each pepper that is in use.
    pub fn digests(&self, kind: SessionKind, peppers: &Peppers) -> Vec<Digest> {
        peppers.marks(&self.parts(kind))
    }

    /// A cookie's token is none for the command line, and the other way round.
    fn parts(&self, kind: SessionKind) -> [&str; 4] {
        ["tollgate session", kind.as_str(), self.key.as_str(), self.secret.expose()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::find_key;

    fn token() -> SessionToken {
        let key = KeyId::parse("abcdefghij012345").unwrap();
        let secret = Secret::new("0123456789ABCDEFGHIJKLMNOPQRSTUV");
        SessionToken::new("tg", KeyEnvironment::Dev, key, secret)
    }

    #[test]
    fn a_token_reads_back_and_nothing_like_it_does() {
        let text = token().text();
        let text = text.expose();
        assert!(text.starts_with("tg_dev_ss_abcdefghij012345_0123456789ABCDEFGHIJKLMNOPQRSTUV"));
        let read = SessionToken::parse(text).unwrap();
        assert_eq!(read.text().expose(), text);
        assert_eq!(format!("{read:?}"), "SessionToken(of abcdefghij012345)");
        let again = |body: &str| format!("{body}{}", checksum(body));
        let body = &text[..text.len() - CHECK_CHARS];
        for bad in [
            String::new(),
            "short".to_owned(),
            body.to_owned(),
            format!("{text}x"),
            text.replace("012345_", "012346_"),
            again(&body.replace("_ss_", "_ak_")),
            again(&body.replace("_dev_", "_test_")),
            again(&body.replace("tg_", "TG_")),
            again(&format!("{body}_x")),
            again(&body[..body.len() - 1]),
            again(&body.replace("UV", "U-")),
        ] {
            assert!(SessionToken::parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn logs_find_it_as_they_find_a_key() {
        let text = token().text();
        let found = find_key("tg", &format!("/a?t={}&b", text.expose()));
        assert_eq!(found, Some(5..5 + text.expose().len()));
    }

    #[test]
    fn what_is_kept_of_it_says_which_kind_of_session_it_is() {
        let peppers = |text: &str| Peppers::parse(&Secret::new(text)).unwrap();
        let old = format!("1:{}", data_encoding::BASE64.encode(&[1; 32]));
        let new = format!("2:{}", data_encoding::BASE64.encode(&[2; 32]));
        let kept = token().digest(SessionKind::Console, &peppers(&old)).unwrap();
        let later = peppers(&format!("{new},{old}"));
        let fits = |kind| token().digests(kind, &later).iter().any(|digest| digest.same(&kept));
        assert!(fits(SessionKind::Console));
        assert!(!fits(SessionKind::Cli));
        assert_eq!(token().digests(SessionKind::Console, &peppers(&new)).len(), 1);
    }
}
