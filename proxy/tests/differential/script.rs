//! What one client connection says: mutated requests one behind the other, until one of them ends
//! the connection by the model's word, and a plain request behind it. The seed and the number of
//! the connection decide every byte.

use super::draft::Draft;
use super::model::{Request, Stop, read_connection};
use super::mutate;
use super::random::Random;

/// Mutated requests of a connection at most.
const CASES_MAX: usize = 16;

/// Bytes of a connection after which no further request begins: what sockets hold by themselves.
const BYTES_MAX: usize = 128 * 1024;

/// A connection's worth of bytes, and what the model reads in them.
pub(crate) struct Script {
    pub(crate) bytes: Vec<u8>,
    pub(crate) requests: Vec<Request>,
    /// For each mutated request, the first of `requests` that begins in it.
    pub(crate) cases: Vec<usize>,
    /// What the pieces are cut by.
    pub(crate) random: Random,
}

impl Script {
    /// The connection `number` of `seed`.
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let mut random = Random::new(seed, number);
        let mut bytes = Vec::new();
        let mut cases = Vec::new();
        let mut begun = 0;
        while cases.len() < CASES_MAX && bytes.len() < BYTES_MAX {
            let case = mutate::case(&mut random, &format!("c{number}k{}", cases.len()));
            let (requests, stop) = read_connection(&case);
            bytes.extend_from_slice(&case);
            cases.push(begun);
            begun += requests.len();
            if stop != Stop::End {
                break;
            }
        }
        let last = Draft::new(&mut random, &format!("c{number}z"));
        bytes.extend_from_slice(&last.bytes());
        let (requests, _) = read_connection(&bytes);
        Self { bytes, requests, cases, random }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_the_same_every_time() {
        for number in 0..50 {
            let [one, two] = [0, 1].map(|_| Script::new(9, number));
            assert_eq!((one.bytes, one.cases), (two.bytes, two.cases));
        }
    }

    #[test]
    fn mutations_leave_many_requests_whole_and_break_many() {
        let scripts = (0..2_000).map(|number| Script::new(1, number));
        let (mut cases, mut whole) = (0, 0);
        for script in scripts {
            cases += script.cases.len();
            let is_whole = |&&at: &&usize| script.requests.get(at).is_some_and(|it| it.is_whole);
            whole += script.cases.iter().filter(is_whole).count();
        }
        let percent = whole * 100 / cases;
        assert!((25..=75).contains(&percent), "{percent} % of {cases} are requests");
    }
}
