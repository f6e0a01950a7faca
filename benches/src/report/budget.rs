//! The time that a report may take. What is left of it is divided among all that is still to be measured, in proportion
//! to the estimates: a slow machine makes fewer rounds everywhere, and not none at the end.

use std::time::{Duration, Instant};

/// When measuring must be over.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    end: Instant,
}

impl Budget {
    /// So long from now.
    pub fn new(length: Duration) -> Budget {
        Budget { end: Instant::now() + length }
    }

    /// Until when a step may last that begins at `now` and is estimated to take `running` seconds, before others that
    /// take `later` seconds.
    pub fn until(&self, now: Instant, running: f64, later: f64) -> Instant {
        let left = self.end.saturating_duration_since(now);
        let share = running / (running + later).max(f64::MIN_POSITIVE);
        now + left.mul_f64(share.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_divided_by_the_estimates() {
        let budget = Budget::new(Duration::from_secs(100));
        let begin = budget.end - Duration::from_secs(100);
        let after = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(budget.until(begin, 10.0, 40.0), after(20));
        // The machine is slow: 60 s are gone, and 40 s are there for what should take 80.
        assert_eq!(budget.until(after(60), 20.0, 60.0), after(70));
        assert_eq!(budget.until(after(90), 5.0, 0.0), after(100));
        assert_eq!(budget.until(after(130), 5.0, 5.0), after(130));
    }
}
