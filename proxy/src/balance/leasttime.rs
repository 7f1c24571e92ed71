//! Least response time (`leasttime.go`): the member whose recent answers began soonest, weighed by
//! what it has in flight and by its share; of equals the one whose turn it is.
//!
//! Knows turns only. `cluster` measures, and says who is eligible.

/// How many answers an average is made of.
const SAMPLES_MAX: usize = 100;

/// When the last answers of one member began, in whole milliseconds from the pick.
#[derive(Clone, Debug, Default)]
pub struct ResponseTimes {
    /// A ring once it is full.
    samples_ms: Vec<u64>,
    next: usize,
    sum_ms: u64,
}

impl ResponseTimes {
    /// The first byte of an answer came after `elapsed_ms`.
    pub fn note(&mut self, elapsed_ms: u64) {
        if self.samples_ms.capacity() == 0 {
            self.samples_ms.reserve_exact(SAMPLES_MAX);
        }
        match self.samples_ms.get_mut(self.next) {
            Some(oldest) => {
                self.sum_ms = self.sum_ms.saturating_sub(*oldest);
                *oldest = elapsed_ms;
            }
            None => self.samples_ms.push(elapsed_ms),
        }
        self.sum_ms = self.sum_ms.saturating_add(elapsed_ms);
        self.next = (self.next + 1) % SAMPLES_MAX;
    }

    /// Their average; 0 before the first, so a new member is tried at once.
    #[must_use]
    pub fn average_ms(&self) -> f64 {
        match self.samples_ms.len() {
            0 => 0.0,
            #[expect(clippy::cast_precision_loss, reason = "an average of milliseconds")]
            count => self.sum_ms as f64 / count as f64,
        }
    }
}

/// What a choice weighs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// [`ResponseTimes::average_ms`].
    pub average_ms: f64,
    /// Requests that it has not answered yet.
    pub in_flight: u32,
}

/// The turns of members whose scores are equal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeastTime {
    turns: Vec<Turn>,
    /// Virtual time of the last turn.
    now: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Turn {
    member: u16,
    weight: u32,
    /// Virtual time at which it is due.
    deadline: f64,
}

impl LeastTime {
    /// `weights` is (member, weight); a weight of 0 takes part in no choice.
    pub fn new(weights: impl IntoIterator<Item = (u16, u32)>) -> Self {
        let taking_part = weights.into_iter().filter(|(_, weight)| *weight > 0);
        let turns = taking_part.map(|(member, weight)| Turn {
            member,
            weight,
            deadline: 1.0 / f64::from(weight),
        });
        Self { turns: turns.collect(), now: 0.0 }
    }

    /// The eligible member with the least `average × (1 + in flight) / weight`, or `None` when
    /// nobody is eligible. Of equals the one that is due first has its turn.
    ///
    /// Servers that answer within a millisecond all score 0, so turns decide among them. Unlike
    /// Traefik's, a member that was slower for a while has not saved up the turns of that time:
    /// a flood would make it slow again.
    pub fn choose(
        &mut self,
        eligible: impl Fn(u16) -> bool,
        load: impl Fn(u16) -> Load,
    ) -> Option<u16> {
        let mut best = None;
        let mut best_rank = (f64::INFINITY, f64::INFINITY);
        for (place, turn) in self.turns.iter().enumerate() {
            if !eligible(turn.member) {
                continue;
            }
            let Load { average_ms, in_flight } = load(turn.member);
            let score = average_ms * (1.0 + f64::from(in_flight)) / f64::from(turn.weight);
            let rank = (score, turn.deadline.max(self.now));
            if rank < best_rank {
                (best, best_rank) = (Some(place), rank);
            }
        }
        let turn = self.turns.get_mut(best?)?;
        self.now = best_rank.1;
        turn.deadline = self.now + 1.0 / f64::from(turn.weight);
        Some(turn.member)
    }

    /// Makes `picks` picks among equals: workers start at different offsets.
    pub fn advance(&mut self, picks: usize) {
        for _ in 0..picks {
            self.choose(|_| true, |_| Load { average_ms: 0.0, in_flight: 0 });
        }
    }

    /// Takes over the turns of `previous`, the choice of the same service before a reload, unless
    /// other members take part now. `same` says which member of this one a member of `previous`
    /// is now.
    pub fn carry_over(&mut self, previous: &Self, same: impl Fn(u16) -> Option<u16>) -> bool {
        let renamed = previous.turns.iter().map(|turn| {
            let member = same(turn.member)?;
            Some(Turn { member, ..*turn })
        });
        let Some(mut turns) = renamed.collect::<Option<Vec<Turn>>>() else { return false };
        let shares = |turns: &[Turn]| {
            turns.iter().map(|turn| (turn.member, turn.weight)).collect::<Vec<_>>()
        };
        turns.sort_unstable_by_key(|turn| turn.member);
        if shares(&turns) != shares(&self.turns) {
            return false;
        }
        *self = Self { turns, now: previous.now };
        true
    }
}

#[cfg(test)]
mod tests;
