use proptest::prelude::*;

use super::*;

fn leasttime(weights: &[u32]) -> LeastTime {
    LeastTime::new((0..).zip(weights.iter().copied()))
}

/// Picks with these averages and nothing in flight.
fn picks(choice: &mut LeastTime, averages_ms: &[f64], down: &[u16], count: usize) -> String {
    let load = |member: u16| Load { average_ms: averages_ms[usize::from(member)], in_flight: 0 };
    (0..count)
        .map(|_| match choice.choose(|member| !down.contains(&member), load) {
            Some(member) => char::from(b'A' + u8::try_from(member).unwrap()),
            None => '-',
        })
        .collect()
}

#[test]
fn an_average_is_that_of_the_last_hundred() {
    let mut times = ResponseTimes::default();
    assert_eq!(times.average_ms(), 0.0);
    times.note(10);
    times.note(15);
    assert_eq!(times.average_ms(), 12.5);
    (0..100).for_each(|_| times.note(3));
    assert_eq!(times.average_ms(), 3.0);
    times.note(103);
    assert_eq!(times.average_ms(), 4.0);
}

#[test]
fn the_quickest_takes_the_request() {
    assert_eq!(picks(&mut leasttime(&[1, 1, 1]), &[20.0, 5.0, 6.0], &[], 4), "BBBB");
    assert_eq!(picks(&mut leasttime(&[1, 1, 1]), &[20.0, 5.0, 6.0], &[1], 4), "CCCC");
    // Four times the share is worth four times the time.
    assert_eq!(picks(&mut leasttime(&[5, 1, 1]), &[20.0, 5.0, 6.0], &[], 4), "AAAA");
    assert_eq!(picks(&mut leasttime(&[1, 1]), &[7.0, 0.0], &[], 3), "BBB", "a new one is tried");
}

#[test]
fn what_is_in_flight_counts_as_if_it_had_to_be_waited_for() {
    let mut choice = leasttime(&[1, 1]);
    let load = |member: u16| match member {
        0 => Load { average_ms: 5.0, in_flight: 2 },
        _ => Load { average_ms: 14.0, in_flight: 0 },
    };
    assert_eq!(choice.choose(|_| true, load), Some(1), "15 against 14");
}

#[test]
fn equals_take_turns_by_their_weights() {
    // Traefik looks for the first of the earliest, so its order is not that of its round robin.
    assert_eq!(picks(&mut leasttime(&[1, 1, 1]), &[0.0; 3], &[], 7), "ABCABCA");
    assert_eq!(picks(&mut leasttime(&[3, 1]), &[0.0; 2], &[], 8), "AAABAAAB");
    assert_eq!(picks(&mut leasttime(&[0, 2, 1]), &[0.0; 3], &[], 6), "BBCBBC");
}

#[test]
fn one_that_was_slower_for_a_while_gets_no_flood() {
    let mut choice = leasttime(&[1, 1]);
    assert_eq!(picks(&mut choice, &[0.0, 9.0], &[], 50), "A".repeat(50));
    assert_eq!(picks(&mut choice, &[0.0, 0.0], &[], 6).matches('B').count(), 3);
}

#[test]
fn nobody_eligible_is_nobody_picked() {
    assert_eq!(picks(&mut leasttime(&[]), &[], &[], 1), "-");
    assert_eq!(picks(&mut leasttime(&[1, 0]), &[0.0; 2], &[0], 1), "-");
}

#[test]
fn a_reload_that_keeps_members_and_weights_keeps_the_turns() {
    let mut old = leasttime(&[1, 1, 1]);
    old.advance(5);
    let mut same = leasttime(&[1, 1, 1]);
    assert!(same.carry_over(&old, Some));
    assert_eq!(picks(&mut same, &[0.0; 3], &[], 4), "CABC");
    // Listed in another order: C, whose turn it is, is the first now.
    let mut turned = leasttime(&[1, 1, 1]);
    assert!(turned.carry_over(&old, |member| Some(2 - member)));
    assert_eq!(picks(&mut turned, &[0.0; 3], &[], 4), "AABC");
    for weights in [&[1, 1][..], &[1, 1, 2], &[1, 1, 1, 1]] {
        let mut new = leasttime(weights);
        assert!(!new.carry_over(&old, |member| (member < 3).then_some(member)), "{weights:?}");
        assert_eq!(new, leasttime(weights));
    }
}

proptest! {
    #[test]
    fn every_cycle_among_equals_holds_the_shares(
        weights in prop::collection::vec(1u32..20, 1..8),
    ) {
        let cycle = weights.iter().sum::<u32>();
        let mut choice = leasttime(&weights);
        let mut counts = vec![0_u32; weights.len()];
        for _ in 0..cycle * 10 {
            let load = |_| Load { average_ms: 0.0, in_flight: 0 };
            counts[usize::from(choice.choose(|_| true, load).unwrap())] += 1;
        }
        for (count, weight) in counts.iter().zip(&weights) {
            prop_assert!(count.abs_diff(weight * 10) <= 1, "{counts:?} {weights:?}");
        }
    }
}
