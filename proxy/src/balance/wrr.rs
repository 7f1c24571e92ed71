//! Weighted round robin by earliest deadline, pick for pick that of Traefik (`wrr.go`): a binary
//! heap with the order of Go's `container/heap`, ties included, and deadlines in `f64`.
//!
//! One scheduler per service and worker. It does not know which members are up: the caller says
//! so at every pick.

/// The scheduler's position: who is due when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wrr {
    /// A heap by deadline, laid out as Go's.
    heap: Vec<Turn>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Turn {
    /// Virtual time at which the member is due.
    deadline: f64,
    /// Virtual time between two of its turns: 1 / weight.
    period: f64,
    member: u16,
    weight: u32,
}

/// Turns of ineligible members that one pick takes one by one, as Traefik does, before it moves
/// them on by arithmetic. A down server of weight a billion must not stop the worker.
const SKIPS_MAX: usize = 1024;

impl Wrr {
    /// A scheduler at its start. `weights` is (member, weight) in the order in which ties are
    /// broken; a weight of 0 takes part in no pick.
    pub fn new(weights: impl IntoIterator<Item = (u16, u32)>) -> Self {
        let mut wrr = Self::default();
        for (member, weight) in weights {
            if weight > 0 {
                let period = 1.0 / f64::from(weight);
                wrr.push(Turn { deadline: period, period, member, weight });
            }
        }
        wrr
    }

    /// Makes `picks` picks with everyone eligible: workers start at different offsets, so that
    /// they do not all begin with the same member.
    pub fn advance(&mut self, picks: usize) {
        for _ in 0..picks {
            self.next(|_| true);
        }
    }

    /// The next member for which `eligible` holds, or `None` when it holds for none.
    ///
    /// Ineligible members are passed over but lose their turns, as in Traefik: one that comes back
    /// does not catch up. Never allocates.
    pub fn next(&mut self, mut eligible: impl FnMut(u16) -> bool) -> Option<u16> {
        // Traefik loops for ever here when its own guards miss a case.
        if !self.heap.iter().any(|turn| eligible(turn.member)) {
            return None;
        }
        for _ in 0..SKIPS_MAX {
            let member = self.take_turn()?;
            if eligible(member) {
                return Some(member);
            }
        }
        self.skip_to_first(&mut eligible);
        self.take_turn()
    }

    /// Takes over the position of `previous`, a scheduler of the same service before a reload.
    ///
    /// `same` says which member of this one a member of `previous` is now. Unless exactly the same
    /// members with the same weights take part in both, nothing changes and false is returned: a
    /// position means nothing among other members.
    pub fn carry_over(&mut self, previous: &Self, same: impl Fn(u16) -> Option<u16>) -> bool {
        let renamed = previous.heap.iter().map(|turn| {
            let member = same(turn.member)?;
            Some(Turn { member, ..*turn })
        });
        let Some(heap) = renamed.collect::<Option<Vec<Turn>>>() else { return false };
        let shares = |heap: &[Turn]| {
            let mut shares = heap.iter().map(|turn| (turn.member, turn.weight)).collect::<Vec<_>>();
            shares.sort_unstable();
            shares
        };
        if shares(&heap) != shares(&self.heap) {
            return false;
        }
        self.heap = heap;
        true
    }

    /// Moves every ineligible member past the earliest eligible one, as taking their turns one by
    /// one would.
    fn skip_to_first(&mut self, eligible: &mut impl FnMut(u16) -> bool) {
        let due = self.heap.iter().filter(|turn| eligible(turn.member)).map(|turn| turn.deadline);
        let due = due.fold(f64::INFINITY, f64::min);
        if due.is_infinite() {
            return;
        }
        for turn in &mut self.heap {
            if turn.deadline <= due && !eligible(turn.member) {
                let turns = ((due - turn.deadline) / turn.period).floor() + 1.0;
                // Rounding must not leave it due: periods can be smaller than a step of `f64`.
                turn.deadline = (turn.deadline + turns * turn.period).max(due.next_up());
            }
        }
        for start in (0..self.heap.len() / 2).rev() {
            self.sift_down(start, self.heap.len());
        }
    }

    /// Pops the earliest turn and pushes the member's next one.
    fn take_turn(&mut self) -> Option<u16> {
        let last = self.heap.len().checked_sub(1)?;
        self.heap.swap(0, last);
        self.sift_down(0, last);
        let turn = self.heap.pop()?;
        self.push(Turn { deadline: turn.deadline + turn.period, ..turn });
        Some(turn.member)
    }

    /// `heap.Push`.
    fn push(&mut self, turn: Turn) {
        let mut child = self.heap.len();
        self.heap.push(turn);
        while let Some(above) = child.checked_sub(1) {
            let parent = above / 2;
            if !self.is_earlier(child, parent) {
                break;
            }
            self.heap.swap(parent, child);
            child = parent;
        }
    }

    /// `container/heap`'s `down` over the first `len` turns.
    fn sift_down(&mut self, start: usize, len: usize) {
        let mut parent = start;
        loop {
            let left = 2 * parent + 1;
            if left >= len {
                break;
            }
            let right = left + 1;
            let child = if right < len && self.is_earlier(right, left) { right } else { left };
            if !self.is_earlier(child, parent) {
                break;
            }
            self.heap.swap(parent, child);
            parent = child;
        }
    }

    fn is_earlier(&self, one: usize, other: usize) -> bool {
        match (self.heap.get(one), self.heap.get(other)) {
            (Some(one), Some(other)) => one.deadline < other.deadline,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
