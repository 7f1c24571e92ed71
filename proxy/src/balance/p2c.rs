//! Power of two choices (`p2c.go`): two members at random, the one with less in flight takes the
//! request. Keeps no state of its own; weights do not matter.

use super::Random;

/// Draws that may meet an ineligible member before the eligible ones are counted: with most of
/// them up a draw or two will do, whatever their number.
const DRAWS_MAX: usize = 8;

/// One of `members` for which `eligible` holds, or `None` when it holds for none.
///
/// Both draws are uniform and independent; if they meet, the second is the next eligible member
/// behind the first. Of two with as much in flight the first is taken.
pub fn choose(
    members: &[u16],
    random: &mut Random,
    eligible: impl Fn(u16) -> bool,
    in_flight: impl Fn(u16) -> u32,
) -> Option<u16> {
    let (place, first) = draw(members, random, &eligible)?;
    let (_, mut second) = draw(members, random, &eligible)?;
    if first == second {
        let behind = members.get(place + 1..).unwrap_or(&[]).iter().chain(members);
        second = behind.copied().find(|member| eligible(*member))?;
    }
    Some(if in_flight(second) < in_flight(first) { second } else { first })
}

/// An eligible member and its place.
fn draw(
    members: &[u16],
    random: &mut Random,
    eligible: &impl Fn(u16) -> bool,
) -> Option<(usize, u16)> {
    for _ in 0..DRAWS_MAX {
        let place = random.below(members.len());
        let member = *members.get(place)?;
        if eligible(member) {
            return Some((place, member));
        }
    }
    let all = || members.iter().copied().enumerate().filter(|(_, member)| eligible(*member));
    let rank = random.below(all().count());
    all().nth(rank)
}

#[cfg(test)]
mod tests;
