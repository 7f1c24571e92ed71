use proptest::prelude::*;

use super::*;

fn counts(members: &[u16], down: &[u16], load: impl Fn(u16) -> u32, picks: usize) -> Vec<usize> {
    let mut random = Random::new(1);
    let mut counts = vec![0; usize::from(members.iter().max().unwrap() + 1)];
    for _ in 0..picks {
        let picked = choose(members, &mut random, |member| !down.contains(&member), &load);
        counts[usize::from(picked.unwrap())] += 1;
    }
    counts
}

#[test]
fn nobody_eligible_is_nobody_picked() {
    let mut random = Random::new(1);
    assert_eq!(choose(&[], &mut random, |_| true, |_| 0), None);
    assert_eq!(choose(&[0, 1], &mut random, |_| false, |_| 0), None);
}

#[test]
fn equal_members_share_equally() {
    let even = counts(&[0, 1, 2, 3], &[], |_| 5, 40_000);
    assert!(even.iter().all(|count| (9_600..10_400).contains(count)), "{even:?}");
    let of_two_up = counts(&[0, 1, 2, 3], &[0, 2], |_| 5, 40_000);
    assert_eq!((of_two_up[0], of_two_up[2]), (0, 0));
    assert!((19_500..20_500).contains(&of_two_up[1]), "{of_two_up:?}");
}

#[test]
fn the_busiest_is_picked_only_where_both_draws_could_not_be_another() {
    // Two different members are always compared, so the busier one of two gets nothing.
    assert_eq!(counts(&[0, 1], &[], |member| u32::from(member == 0), 1_000), [0, 1_000]);
    // Of four, the busiest loses every comparison; of the others each wins as often.
    let of_four = counts(&[0, 1, 2, 3], &[], |member| u32::from(member == 0), 40_000);
    assert_eq!(of_four[0], 0);
    assert!(of_four.iter().skip(1).all(|count| *count > 11_000), "{of_four:?}");
}

#[test]
fn members_that_do_not_take_part_are_never_picked() {
    let picked = counts(&[1, 3], &[], |_| 0, 1_000);
    assert_eq!((picked[0], picked[2], picked[1] + picked[3]), (0, 0, 1_000));
}

#[test]
fn one_up_of_many_is_found() {
    let members: Vec<u16> = (0..2_000).collect();
    let mut random = Random::new(1);
    for up in [0, 999, 1_999] {
        assert_eq!(choose(&members, &mut random, |member| member == up, |_| 0), Some(up));
    }
}

proptest! {
    #[test]
    fn a_pick_is_eligible_and_is_made_while_somebody_is(
        seed: u64,
        up in prop::collection::vec(any::<bool>(), 1..40),
        load in prop::collection::vec(0u32..4, 40),
    ) {
        let members: Vec<u16> = (0..u16::try_from(up.len()).unwrap()).collect();
        let is_up = |member: u16| up[usize::from(member)];
        let picked =
            choose(&members, &mut Random::new(seed), is_up, |member| load[usize::from(member)]);
        prop_assert_eq!(picked.is_some(), up.contains(&true));
        prop_assert!(picked.is_none_or(is_up));
    }
}
