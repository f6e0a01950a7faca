//! What other programs took of the machine while something was measured, by the kernel's own account.

use std::time::Duration;

use super::clock;

/// CPU time at one moment.
#[derive(Debug, Clone, Copy)]
struct Moment {
    /// Of all CPUs, used and idle.
    all: Duration,
    /// Used by anyone, the machine's own host included, where it says so.
    used: Duration,
    /// Used by this process and all below it.
    ours: Duration,
}

/// The share that others take, over several stretches of time.
#[derive(Debug, Default)]
pub struct Others {
    all: Duration,
    taken: Duration,
}

impl Others {
    /// Runs `work` and counts what others took meanwhile.
    pub fn beside<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let begin = now();
        let result = work();
        if let Some((begin, end)) = begin.zip(now()) {
            let ours = end.ours.saturating_sub(begin.ours);
            self.all += end.all.saturating_sub(begin.all);
            self.taken += end.used.saturating_sub(begin.used).saturating_sub(ours);
        }
        result
    }

    /// The share of all CPU time that others took, 0 to 1.
    pub fn share(&self) -> f64 {
        if self.all.is_zero() { 0.0 } else { self.taken.as_secs_f64() / self.all.as_secs_f64() }
    }
}

fn now() -> Option<Moment> {
    let (all, used) = parse(&std::fs::read_to_string("/proc/stat").ok()?)?;
    Some(Moment { all, used, ours: clock::cpu_of_all() })
}

/// All and used time, from the line of all CPUs: user, nice, system, idle, iowait, irq, softirq, steal.
fn parse(stat: &str) -> Option<(Duration, Duration)> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let ticks: Vec<u64> = fields.take(8).map_while(|field| field.parse().ok()).collect();
    let time = |ticks: u64| Duration::from_secs_f64(ticks as f64 / clock::ticks_per_second());
    let (all, idle): (u64, u64) = (ticks.iter().sum(), ticks.get(3)? + ticks.get(4)?);
    Some((time(all), time(all - idle)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_used_or_idle() {
        let (all, used) = parse("cpu  100 0 50 800 50 0 0 0 7 0\ncpu0 1 1 1 1\n").expect("a line");
        assert_eq!(used.as_secs_f64() / all.as_secs_f64(), 0.15);
        assert_eq!(parse("intr 1 2\n"), None);
    }

    #[test]
    fn shares_are_those_of_all_stretches() {
        let mut others = Others::default();
        assert_eq!((others.beside(|| 7), others.share() <= 1.0), (7, true));
        let seconds = Duration::from_secs;
        let others = Others { all: seconds(10), taken: seconds(2) };
        assert_eq!(others.share(), 0.2);
    }
}
