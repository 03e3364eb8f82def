//! The two forms in which other people write what belongs to ECDSA on P-256, read strictly: one
//! spelling each, and anything else is nothing.

use data_encoding::BASE64;

/// Bytes of one number of a signature.
const NUMBER: usize = 32;
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// `SubjectPublicKeyInfo` of a point on P-256 that is not compressed, up to the point (RFC 5480).
const P256_POINT: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// A signature in DER (RFC 3279 section 2.2.3) as its two numbers, 32 bytes each.
pub fn p256_signature(der: &[u8]) -> Option<[u8; 2 * NUMBER]> {
    let (numbers, []) = element(SEQUENCE, der)? else { return None };
    let (r, rest) = number(numbers)?;
    let (s, []) = number(rest)? else { return None };
    [r, s].concat().try_into().ok()
}

/// A public key in PEM (RFC 7468) as the DER that is in it; None for another curve or form.
pub fn p256_key(pem: &str) -> Option<Vec<u8>> {
    let body = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?;
    let body = body.strip_suffix("-----END PUBLIC KEY-----")?;
    let base64: String = body.lines().map(str::trim).collect();
    let der = BASE64.decode(base64.as_bytes()).ok()?;
    let point = der.strip_prefix(&P256_POINT)?;
    (point.len() == 2 * NUMBER).then_some(der)
}

/// What an element of this tag holds, and what follows it. Lengths over 127 have another form, and
/// no signature on P-256 is so long.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let [first, length, rest @ ..] = der else { return None };
    let short = *first == tag && *length < 0x80;
    rest.split_at_checked(usize::from(*length)).filter(|_| short)
}

/// A number that is positive, written as short as it can be, and not over 32 bytes.
fn number(der: &[u8]) -> Option<([u8; NUMBER], &[u8])> {
    let (written, rest) = element(INTEGER, der)?;
    let bytes = match written {
        [0, next, ..] if *next < 0x80 => return None,
        [0, positive @ ..] => positive,
        [first, ..] if *first >= 0x80 => return None,
        positive => positive,
    };
    let missing = NUMBER.checked_sub(bytes.len()).filter(|_| !bytes.is_empty())?;
    let mut number = [0; NUMBER];
    number.get_mut(missing..)?.copy_from_slice(bytes);
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The public example of GitHub's documentation: `r` has its high bit set, `s` is a byte short.
    const EXAMPLE: &str = "MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz/BgZyt7AIfXt9fErtRS4XaeSt/AO1RtBY66YcAdxjji410VQV4xg==";

    fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
        let number =
            |bytes: &[u8]| [&[INTEGER, u8::try_from(bytes.len()).unwrap()], bytes].concat();
        let both = [number(r), number(s)].concat();
        [vec![SEQUENCE, u8::try_from(both.len()).unwrap()], both].concat()
    }

    #[test]
    fn a_signature_is_two_numbers_of_32_bytes() {
        let raw = p256_signature(&BASE64.decode(EXAMPLE.as_bytes()).unwrap()).unwrap();
        assert_eq!(&raw[..4], [0xda, 0x30, 0xaa, 0xab]);
        assert_eq!(&raw[31..36], [0xec, 0x00, 0x5e, 0xdf, 0x5f], "the short one is filled up");
        let raw = p256_signature(&der(&[1], &[0, 0x80])).unwrap();
        assert_eq!((&raw[..31], raw[31], raw[62], raw[63]), (&[0; 31][..], 1, 0, 0x80));
    }

    #[test]
    fn a_signature_has_one_spelling() {
        let (low, high) =
            ([vec![0x7f], vec![1; 31]].concat(), [vec![0, 0xff], vec![1; 31]].concat());
        assert!(p256_signature(&der(&low, &high)).is_some());
        let whole = der(&low, &high);
        for (why, bad) in [
            ("nothing", vec![]),
            ("no tag", vec![SEQUENCE]),
            ("nothing in it", vec![SEQUENCE, 0]),
            ("one number", der(&low, &high)[..35].to_vec()),
            ("cut short", whole[..whole.len() - 1].to_vec()),
            ("something behind it", [whole.clone(), vec![0]].concat()),
            ("another tag", [vec![0x31], whole[1..].to_vec()].concat()),
            ("a longer form of its length", [vec![SEQUENCE, 0x81], whole[1..].to_vec()].concat()),
            ("a negative number", der(&[0x80], &low)),
            ("a zero in front", der(&[0, 1], &low)),
            ("two zeros in front", der(&[0, 0, 0x80], &low)),
            ("zero", der(&[0], &low)),
            ("an empty number", der(&[], &low)),
            ("33 bytes", der(&[vec![1], vec![1; 32]].concat(), &low)),
            ("a third number", {
                let three = [&whole[2..], &[INTEGER, 1, 1]].concat();
                [vec![SEQUENCE, u8::try_from(three.len()).unwrap()], three].concat()
            }),
        ] {
            assert_eq!(p256_signature(&bad), None, "{why}");
        }
    }

    #[test]
    fn a_key_is_a_point_on_p256_in_pem() {
        let der = [&P256_POINT[..], &[9; 64]].concat();
        let pem = |label: &str, der: &[u8]| {
            let text = BASE64.encode(der);
            let (one, two) = text.split_at(text.len().min(64));
            format!("-----BEGIN {label}-----\n{one}\n{two}\n-----END {label}-----\n")
        };
        let good = pem("PUBLIC KEY", &der);
        assert_eq!(p256_key(&good).as_deref(), Some(&der[..]));
        assert_eq!(p256_key(&good.replace('\n', "\r\n")).as_deref(), Some(&der[..]));
        let mut p384 = der.clone();
        p384[22] = 0x22;
        let mut compressed = der.clone();
        compressed[26] = 0x02;
        for bad in [
            String::new(),
            good.replace("PUBLIC", "PRIVATE"),
            good.replace("END", "THE END"),
            pem("PUBLIC KEY", &p384),
            pem("PUBLIC KEY", &compressed),
            pem("PUBLIC KEY", &der[..90]),
            pem("PUBLIC KEY", &[&der[..], &[0]].concat()),
            pem("PUBLIC KEY", &[]),
            good.replace('C', "!"),
        ] {
            assert_eq!(p256_key(&bad), None, "{bad}");
        }
    }
}
