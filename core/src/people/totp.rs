//! Time-based one-time passwords (RFC 6238): SHA-1, six digits, steps of 30 s, which is what every
//! authenticator app can do.

use core::fmt;

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use crate::text::Secret;
use crate::time::UnixMillis;

/// Bytes of a seed: as many as HMAC-SHA-1 puts out (RFC 4226 section 4, R6).
pub const SEED_BYTES: usize = 20;
const STEP_MILLIS: u64 = 30_000;
const DIGITS: usize = 6;
const MODULUS: u32 = 1_000_000;

/// What an authenticator app and the gate share.
#[derive(Clone)]
pub struct Seed([u8; SEED_BYTES]);

impl fmt::Debug for Seed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Seed(..)")
    }
}

impl Seed {
    /// A seed of fresh random bytes.
    pub const fn new(random: [u8; SEED_BYTES]) -> Self {
        Self(random)
    }

    /// Reads what [`Self::to_base32`] wrote.
    pub fn from_base32(text: &str) -> Option<Self> {
        BASE32_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    /// The seed as people type it into an app that cannot see the picture.
    pub fn to_base32(&self) -> Secret {
        Secret::new(BASE32_NOPAD.encode(&self.0))
    }

    /// What the picture says: `otpauth://totp/ISSUER:ACCOUNT?secret=…`.
    pub fn uri(&self, issuer: &str, account: &str) -> Secret {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (issuer, account) = (encode(issuer), encode(account));
        let seed = self.to_base32();
        Secret::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6\
             &period=30",
            seed.expose()
        ))
    }

    /// The code of a step.
    pub fn code(&self, step: u64) -> Option<String> {
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.0).ok()?;
        mac.update(&step.to_be_bytes());
        let mac = mac.finalize().into_bytes();
        // Dynamic truncation (RFC 4226 section 5.3).
        let at = usize::from(mac.last()? & 0x0f);
        let word: [u8; 4] = mac.get(at..)?.get(..4)?.try_into().ok()?;
        let number = (u32::from_be_bytes(word) & 0x7fff_ffff) % MODULUS;
        Some(format!("{number:0DIGITS$}"))
    }

    /// The step whose code this is: of now, the one before or the one after, and none up to
    /// `last`, whose codes are used up.
    pub fn accepts(&self, typed: &str, now: UnixMillis, last: Option<u64>) -> Option<u64> {
        let typed: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
        let present = step_at(now);
        let mut found = None;
        for step in [present.checked_sub(1), Some(present), present.checked_add(1)] {
            let step = step.filter(|step| last.is_none_or(|last| *step > last));
            let Some((step, code)) = step.and_then(|step| Some((step, self.code(step)?))) else {
                continue;
            };
            let fits: bool = code.as_bytes().ct_eq(typed.as_bytes()).into();
            if fits && found.is_none() {
                found = Some(step);
            }
        }
        found
    }
}

/// The step of a moment.
pub fn step_at(now: UnixMillis) -> u64 {
    now.as_millis() / STEP_MILLIS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> Seed {
        Seed::new(*b"12345678901234567890")
    }

    fn at(secs: u64) -> UnixMillis {
        UnixMillis::from_millis(secs * 1_000)
    }

    #[test]
    fn codes_are_those_of_rfc_6238_appendix_b() {
        // The RFC shows eight digits; six are the last six of them.
        for (secs, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(seed().code(step_at(at(secs))).as_deref(), Some(&code[2..]), "{secs}");
        }
    }

    #[test]
    fn codes_are_those_of_rfc_4226_appendix_d() {
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (step, code) in (0..).zip(codes) {
            assert_eq!(seed().code(step).as_deref(), Some(code), "{step}");
        }
    }

    #[test]
    fn one_step_either_way_fits_and_no_more() {
        let now = at(1_111_111_111);
        let present = step_at(now);
        for (step, fits) in [
            (present - 2, false),
            (present - 1, true),
            (present, true),
            (present + 1, true),
            (present + 2, false),
        ] {
            let code = seed().code(step).unwrap();
            assert_eq!(seed().accepts(&code, now, None), fits.then_some(step), "{step}");
        }
    }

    #[test]
    fn a_used_step_and_those_before_it_are_used_up() {
        let now = at(1_111_111_111);
        let present = step_at(now);
        let code = |step| seed().code(step).unwrap();
        for (step, last, fits) in [
            (present, present - 1, true),
            (present, present, false),
            (present - 1, present, false),
            (present + 1, present, true),
            (present + 1, present + 1, false),
        ] {
            let found = seed().accepts(&code(step), now, Some(last)).is_some();
            assert_eq!(found, fits, "{step} after {last}");
        }
    }

    #[test]
    fn what_is_typed_may_have_blanks_and_nothing_else() {
        let now = at(59);
        for (typed, fits) in [
            ("287082", true),
            ("287 082", true),
            (" 287082\n", true),
            ("", false),
            ("28708", false),
            ("2870820", false),
            ("0287082", false),
            ("94287082", false),
            ("٢٨٧٠٨٢", false),
            ("287-082", false),
            ("287083", false),
        ] {
            assert_eq!(seed().accepts(typed, now, None).is_some(), fits, "{typed:?}");
        }
        // The first steps of all have none before them.
        let first = seed().code(0).unwrap();
        assert_eq!(seed().accepts(&first, at(0), None), Some(0));
    }

    #[test]
    fn a_seed_is_written_in_base32_and_shows_itself_nowhere() {
        let written = seed().to_base32();
        assert_eq!(written.expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(Seed::from_base32(written.expose()).unwrap().code(1), seed().code(1));
        for bad in ["", "GEZDGNBVGY3TQOJQ", "gezdgnbvgy3tqojqgezdgnbvgy3tqojq"] {
            assert!(Seed::from_base32(bad).is_none(), "{bad}");
        }
        assert_eq!(format!("{:?}", seed()), "Seed(..)");
    }

    #[test]
    fn the_picture_says_who_and_where() {
        assert_eq!(
            seed().uri("Acme & Söhne", "ops: anna").expose(),
            "otpauth://totp/Acme%20%26%20S%C3%B6hne:ops%3A%20anna\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme%20%26%20S%C3%B6hne\
             &algorithm=SHA1&digits=6&period=30"
        );
    }
}
