//! The processor budget: what is said is shed first, and captured again when there is room.

use std::time::Duration;

/// Seconds over the budget before shedding begins.
const PATIENCE: u32 = 3;
/// Seconds of shedding before it is tried again; doubled each time that this fails, up to the last.
const REST: u32 = 5;
const LONGEST_REST: u32 = 60;

/// What to do after a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// Shed from now on.
    Shed,
    /// Capture again.
    Capture,
}

/// Watches one thread's processor time, second by second.
#[derive(Debug)]
pub(super) struct Budget {
    share: f64,
    over: u32,
    /// Seconds of shedding that are left; 0 = not shedding.
    left: u32,
    rest: u32,
}

impl Budget {
    /// A share of one core, such as 0.1.
    pub(super) fn new(share: f64) -> Self {
        Budget { share, over: 0, left: 0, rest: REST }
    }

    /// One more second, in which so much was used.
    pub(super) fn second(&mut self, used: Duration) -> Change {
        if self.left > 0 {
            self.left -= 1;
            return if self.left == 0 { Change::Capture } else { Change::None };
        }
        if used.as_secs_f64() <= self.share {
            self.over = 0;
            self.rest = (self.rest / 2).max(REST);
            return Change::None;
        }
        self.over += 1;
        if self.over < PATIENCE {
            return Change::None;
        }
        self.over = 0;
        self.left = self.rest;
        self.rest = (self.rest * 2).min(LONGEST_REST);
        Change::Shed
    }

    /// Whether it sheds now.
    pub(super) fn sheds(&self) -> bool {
        self.left > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sheds_after_a_while_and_tries_again_ever_later() {
        let mut b = Budget::new(0.1);
        let (busy, idle) = (Duration::from_millis(200), Duration::from_millis(50));
        assert_eq!([b.second(busy), b.second(idle), b.second(busy), b.second(busy)], [Change::None; 4]);
        assert_eq!(b.second(busy), Change::Shed);
        let until_capture = |b: &mut Budget| (1..100).find(|_| b.second(idle) == Change::Capture).unwrap();
        assert_eq!(until_capture(&mut b), 5);
        assert!(!b.sheds());
        assert_eq!(
            [b.second(busy), b.second(busy), b.second(busy)],
            [Change::None, Change::None, Change::Shed]
        );
        assert_eq!(until_capture(&mut b), 10);
    }
}
