//! The values that name a member in a cookie: today's, and those of every older Traefik. Called
//! by the table when it is built, never on the request path.

use sha2::{Digest, Sha256};

/// The cookie value of a server (its URL as configured) or of a weighted child (its name as
/// written): the first 16 lower-case hex digits of the name's SHA-256, as Traefik since 3.3.4.
#[must_use]
pub fn current_value(name: &str) -> [u8; 16] {
    hex16(current_key(name))
}

/// [`current_value`] as the number that its digits spell.
pub(super) fn current_key(name: &str) -> u64 {
    let digest = Sha256::digest(name.as_bytes());
    digest.iter().take(8).fold(0, |key, &byte| key << 8 | u64::from(byte))
}

/// The number that a current value spells: exactly 16 lower-case hex digits. Inlined into the lookup
/// of every request, which a second caller elsewhere would undo (70 instructions).
#[inline(always)]
pub(super) fn parse_key(value: &[u8]) -> Option<u64> {
    let digits: &[u8; 16] = value.try_into().ok()?;
    let mut key = 0;
    for &digit in digits {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        key = key << 4 | u64::from(nibble);
    }
    Some(key)
}

/// Values that releases before 3.3.4 put into a server's cookie, and those that Traefik accepts
/// today though no release wrote them.
pub(super) fn older_server_values(url: &str) -> impl Iterator<Item = Vec<u8>> {
    let fnv1a = fnv1a_64(url.as_bytes());
    // 2.5 to 2.11 wrote FNV-1a; 3.0.0 to 3.3.3 hashed its zero-padded digits once more.
    let lost = [hex(fnv1a), hex(fnv1_64(&hex16(fnv1a)))];
    older_service_values(url).chain(lost)
}

/// Values that releases before 3.3.4 put into a weighted service's cookie.
pub(super) fn older_service_values(name: &str) -> impl Iterator<Item = Vec<u8>> {
    let once = hex(fnv1_64(name.as_bytes()));
    let twice = hex(fnv1_64(&once));
    [name.as_bytes().to_vec(), once, twice].into_iter()
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

fn fnv1_64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(FNV_OFFSET, |hash, &byte| hash.wrapping_mul(FNV_PRIME) ^ u64::from(byte))
}

fn fnv1a_64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(FNV_OFFSET, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

/// Without leading zeros, as the releases wrote it.
fn hex(number: u64) -> Vec<u8> {
    format!("{number:x}").into_bytes()
}

fn hex16(number: u64) -> [u8; 16] {
    let mut place = 64;
    [(); 16].map(|()| {
        place -= 4;
        match (number >> place & 0xf) as u8 {
            digit @ 0..=9 => b'0' + digit,
            letter => b'a' + (letter - 10),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &[u8]) -> String {
        String::from_utf8(value.to_vec()).unwrap()
    }

    #[test]
    fn current_values_are_those_of_traefik() {
        for (name, want) in [
            ("http://10.0.1.10:8080", "7ada663d74f94374"),
            ("http://10.0.1.11:8080", "07b59cda945c6a18"),
            ("http://10.0.1.12:8080", "8fee2bfd86804a94"),
            ("http://127.0.0.1:8081", "08d5f409490f61fc"),
            ("first", "a7937b64b8caa58f"),
            ("second", "16367aacb67a4a01"),
            ("service1", "e9c34be8fdc0142f"),
            ("foo", "2c26b46b68ffc68f"),
            ("default-whoami-80", "3c7eb0accfc70196"),
        ] {
            assert_eq!(text(&current_value(name)), want, "{name}");
            assert_eq!(parse_key(want.as_bytes()), Some(current_key(name)), "{name}");
        }
    }

    #[test]
    fn older_values_are_those_of_the_releases_that_wrote_them() {
        let server = |url| older_server_values(url).map(|value| text(&value)).collect::<Vec<_>>();
        assert_eq!(
            server("http://10.0.1.10:8080"),
            [
                "http://10.0.1.10:8080",
                "372300e971988868",
                "5d18f8e0b959b629",
                "1389b137344077b6",
                "d363c059199d9e4e"
            ]
        );
        let last = server("http://10.0.1.12:8080").pop();
        assert_eq!(last.as_deref(), Some("6fc3f1eef6ccf04"), "no zero padding");

        let service = |name| older_service_values(name).map(|value| text(&value));
        assert!(service("first").eq(["first", "c0de9a9b8ec0e479", "76819daa37fef449"]));
        assert!(service("second").eq(["second", "972075613189785d", "749ae7de1d6d5a4b"]));
        assert_eq!(service("service1").nth(1).as_deref(), Some("eb73801f39dd3d33"));
    }

    #[test]
    fn only_sixteen_lower_case_hex_digits_are_a_key() {
        assert_eq!(parse_key(b"00000000000000ff"), Some(255));
        for value in [
            &b""[..],
            b"7ada663d74f9437",
            b"7ada663d74f943740",
            b"7ADA663d74f94374",
            b"7ada663d74f9437g",
            b" 7ada663d74f9437",
            b"+7ada663d74f9437",
        ] {
            assert_eq!(parse_key(value), None, "{}", text(value));
        }
    }
}
