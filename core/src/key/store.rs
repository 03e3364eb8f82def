//! `STORE_KEY`: what secrets that must be read again are kept under (SPEC section 3), and the text
//! that they are kept as. Encrypting is the edge's, because `WebCrypto` does not answer at once.

use core::fmt;

use data_encoding::BASE64URL_NOPAD;

use super::digest::versions;
use crate::text::Secret;

/// Bytes of an AES-256 key.
const KEY_BYTES: usize = 32;
/// Bytes of the nonce of AES-GCM.
pub const NONCE_BYTES: usize = 12;
/// The form of the text, in front of it.
const FORM: &str = "1";

/// The Worker secret `STORE_KEY` in all the versions that are still in use, newest first.
#[derive(Clone)]
pub struct StoreKeys(Vec<(u32, [u8; KEY_BYTES])>);

/// Why `STORE_KEY` cannot be used. Never tells any of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("STORE_KEY is not a list such as `2:BASE64,1:BASE64`, newest first, of 32 bytes each")]
pub struct StoreKeysError;

impl fmt::Debug for StoreKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.0.iter().map(|(version, _)| version)).finish()
    }
}

impl StoreKeys {
    /// Reads `2:BASE64,1:BASE64`: versions from 1 on, each once, newest first.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(secret: &Secret) -> Result<Self, StoreKeysError> {
        let listed = versions(secret).ok_or(StoreKeysError)?;
        let keys = listed.into_iter().map(|(version, bytes)| {
            bytes.try_into().map(|key| (version, key)).map_err(|_| StoreKeysError)
        });
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// The version that is written with, and its key.
    pub fn newest(&self) -> Option<(u32, &[u8; KEY_BYTES])> {
        self.0.first().map(|(version, key)| (*version, key))
    }

    /// The key of a version.
    pub fn of(&self, version: u32) -> Option<&[u8; KEY_BYTES]> {
        self.0.iter().find(|(known, _)| *known == version).map(|(_, key)| key)
    }
}

/// A text under AES-256-GCM, as it is stored: `1.{version}.{nonce}.{what is hidden}`, the version
/// being that of the key, or 0 for a key that is not [`StoreKeys`]'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The version of the key.
    pub version: u32,
    /// Never used twice with one key.
    pub nonce: [u8; NONCE_BYTES],
    /// The text, hidden, and the tag behind it.
    pub hidden: Vec<u8>,
}

impl Sealed {
    /// The text that is stored.
    pub fn to_text(&self) -> String {
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        format!("{FORM}.{}.{}.{}", self.version, encode(&self.nonce), encode(&self.hidden))
    }

    /// Reads it back; None for what this gate never wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let version =
            parts.next().filter(|form| *form == FORM).and(parts.next())?.parse::<u32>().ok()?;
        let mut decoded = || BASE64URL_NOPAD.decode(parts.next()?.as_bytes()).ok();
        let (nonce, hidden) = (decoded()?.try_into().ok()?, decoded()?);
        parts.next().is_none().then_some(Self { version, nonce, hidden })
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;

    use super::*;

    #[test]
    fn keys_are_read_newest_first_and_of_one_length() {
        let key = |byte: u8, length: usize| BASE64.encode(&vec![byte; length]);
        let parse = |text: &str| StoreKeys::parse(&Secret::new(text));
        let both = parse(&format!("2:{},1:{}", key(7, 32), key(5, 32))).unwrap();
        assert_eq!(both.newest(), Some((2, &[7; 32])));
        assert_eq!((both.of(1), both.of(3)), (Some(&[5; 32]), None));
        assert_eq!(format!("{both:?}"), "[2, 1]");
        for bad in [
            String::new(),
            key(7, 32),
            format!("1:{}", key(7, 31)),
            format!("1:{}", key(7, 33)),
            format!("0:{}", key(7, 32)),
            format!("1:{},2:{}", key(7, 32), key(5, 32)),
            format!("1:{},", key(7, 32)),
        ] {
            assert_eq!(parse(&bad).err(), Some(StoreKeysError), "{bad}");
        }
    }

    #[test]
    fn a_sealed_text_reads_back_as_it_was_and_nothing_else_does() {
        let sealed = Sealed { version: 3, nonce: [1; 12], hidden: vec![1, 2, 3] };
        let text = sealed.to_text();
        assert_eq!(text, "1.3.AQEBAQEBAQEBAQEB.AQID");
        assert_eq!(Sealed::parse(&text), Some(sealed));
        for bad in [
            "",
            "1.3.AQEBAQEBAQEBAQEB",
            "2.3.AQEBAQEBAQEBAQEB.AQID",
            "1.x.AQEBAQEBAQEBAQEB.AQID",
            "1.3.AQEBAQEBAQEBAQ.AQID",
            "1.3.AQEBAQEBAQEBAQEB.AQID.",
            "1.3.AQEBAQEBAQEBAQEB.AQI=",
        ] {
            assert_eq!(Sealed::parse(bad), None, "{bad}");
        }
    }
}
