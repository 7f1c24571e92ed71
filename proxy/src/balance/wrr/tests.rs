use proptest::prelude::*;

use super::*;

fn wrr(weights: &[u32]) -> Wrr {
    Wrr::new((0..).zip(weights.iter().copied()))
}

fn picks(wrr: &mut Wrr, count: usize, down: &[u16]) -> String {
    (0..count)
        .map(|_| match wrr.next(|member| !down.contains(&member)) {
            Some(member) => char::from(b'A' + u8::try_from(member).unwrap()),
            None => '-',
        })
        .collect()
}

#[test]
fn sequences_are_those_of_traefik() {
    for (weights, down, want) in [
        (&[11, 3][..], &[][..], "AAABAAAABAAABA"),
        (&[3, 1], &[], "AABAAAABAABA"),
        (&[5, 3, 2], &[], "ABACABABACABACABABAC"),
        (&[1, 1, 1], &[], "ACBCBABACACB"),
        (&[1, 1, 1, 1], &[], "ADBCBCADADBCBCAD"),
        (&[1, 1, 1], &[1], "ACCAACAC"),
        (&[7], &[], "AAA"),
        (&[0, 2, 0], &[], "BBB"),
    ] {
        assert_eq!(picks(&mut wrr(weights), want.len(), down), want, "{weights:?} {down:?}");
    }
}

#[test]
fn nobody_eligible_is_nobody_picked() {
    assert_eq!(picks(&mut wrr(&[]), 2, &[]), "--");
    assert_eq!(picks(&mut wrr(&[0, 0]), 2, &[]), "--");
    assert_eq!(picks(&mut wrr(&[1, 2]), 2, &[0, 1]), "--");
    // Traefik's two hangs: the only one that is up has no share, or only some are up and drained.
    assert_eq!(picks(&mut wrr(&[0, 1]), 2, &[1]), "--");
    let mut all_down = wrr(&[1, 1, 1]);
    let before = all_down.clone();
    assert_eq!(picks(&mut all_down, 9, &[0, 1, 2]), "---------");
    assert_eq!(all_down, before, "a refused pick moves nobody");
}

#[test]
fn one_that_was_down_does_not_catch_up() {
    let mut wrr = wrr(&[1, 1]);
    picks(&mut wrr, 100, &[1]);
    let after = picks(&mut wrr, 20, &[]);
    assert_eq!(after.matches('B').count(), 10, "{after}");
}

#[test]
fn a_down_member_of_huge_weight_does_not_hold_up_the_pick() {
    let mut wrr = wrr(&[u32::MAX, 1, 1]);
    let start = picks(&mut wrr, 4, &[0]);
    assert_eq!(start.matches('B').count(), 2, "{start}");
    assert_eq!(start.matches('C').count(), 2, "{start}");
    assert_eq!(picks(&mut wrr, 3, &[]), "AAA", "it is back at once");
}

#[test]
fn advance_is_that_many_picks() {
    let (mut advanced, mut picked) = (wrr(&[5, 3, 2]), wrr(&[5, 3, 2]));
    advanced.advance(7);
    picks(&mut picked, 7, &[]);
    assert_eq!(advanced, picked);
}

#[test]
fn a_reload_that_keeps_the_members_keeps_the_position() {
    let mut old = wrr(&[5, 3, 2]);
    old.advance(4);
    let mut same = wrr(&[5, 3, 2]);
    assert!(same.carry_over(&old, Some));
    assert_eq!(picks(&mut same, 16, &[]), picks(&mut old.clone(), 16, &[]));

    // The file lists them in another order: A is C now, and so on.
    let mut turned = wrr(&[2, 3, 5]);
    assert!(turned.carry_over(&old, |member| Some(2 - member)));
    let renamed = picks(&mut old.clone(), 16, &[]).replace('A', "x").replace('C', "A");
    assert_eq!(picks(&mut turned, 16, &[]), renamed.replace('x', "C"));
}

#[test]
fn a_reload_that_changes_members_or_weights_starts_anew() {
    let mut old = wrr(&[5, 3, 2]);
    old.advance(4);
    for weights in [&[5, 3][..], &[5, 3, 2, 1], &[5, 3, 1], &[5, 3, 0]] {
        let mut new = wrr(weights);
        assert!(!new.carry_over(&old, |member| (member < 3).then_some(member)), "{weights:?}");
        assert_eq!(new, wrr(weights));
    }
    let mut two_into_one = wrr(&[5, 3, 2]);
    assert!(!two_into_one.carry_over(&old, |_| Some(0)));
    let mut one_left = wrr(&[5, 3, 2]);
    assert!(!one_left.carry_over(&old, |member| (member > 0).then_some(member)));
}

proptest! {
    #[test]
    fn every_cycle_of_picks_holds_the_shares_exactly(
        weights in prop::collection::vec(0u32..40, 1..12),
        cycles in 1usize..4,
    ) {
        let cycle = weights.iter().sum::<u32>() as usize;
        let mut wrr = wrr(&weights);
        for _ in 0..cycles {
            let mut counts = vec![0; weights.len()];
            for _ in 0..cycle {
                counts[usize::from(wrr.next(|_| true).unwrap())] += 1;
            }
            prop_assert_eq!(&counts, &weights);
        }
    }

    #[test]
    fn a_pick_ends_and_is_eligible(
        weights in prop::collection::vec(prop_oneof![0u32..5, any::<u32>()], 0..12),
        downs in prop::collection::vec(any::<u16>(), 1..40),
    ) {
        let mut wrr = wrr(&weights);
        for down in downs {
            let is_up = |member: u16| down >> member & 1 == 0;
            let mut takes_part = (0..).zip(&weights).filter(|&(_, &weight)| weight > 0);
            let expects_one = takes_part.any(|(member, _)| is_up(member));
            let picked = wrr.next(is_up);
            prop_assert_eq!(picked.is_some(), expects_one);
            prop_assert!(picked.is_none_or(is_up));
        }
    }

    #[test]
    fn skipping_by_arithmetic_is_skipping_one_by_one(
        weights in prop::collection::vec(1u32..64, 2..6),
        down in 0u16..31,
    ) {
        let is_up = |member: u16| down >> member & 1 == 0;
        let mut by_arithmetic = wrr(&weights);
        by_arithmetic.skip_to_first(&mut { is_up });
        let mut one_by_one = wrr(&weights);
        if one_by_one.next(is_up).is_none() {
            return Ok(());
        }
        // Ties apart, the next turn is an eligible member's, due when the other's pick was.
        let due = by_arithmetic.heap[0];
        prop_assert!(is_up(due.member));
        for turn in &by_arithmetic.heap {
            let other = one_by_one.heap.iter().find(|it| it.member == turn.member).unwrap();
            let apart = (turn.deadline - other.deadline).abs();
            prop_assert!(apart <= turn.period * 1.001, "{turn:?} {other:?}");
        }
    }
}
