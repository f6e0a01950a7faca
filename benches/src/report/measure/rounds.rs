//! Rounds: every variant once a round, in an order that turns, so that what disturbs the machine for longer than a
//! sample disturbs all variants alike.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::clock::{Cost, cost};
use crate::report::interrupt;

/// Something that is sampled once a round.
pub trait Runner {
    /// Does some work and says what it took.
    ///
    /// # Errors
    /// When the work fails; the variant is then left out of what follows.
    fn sample(&mut self) -> Result<Cost>;

    /// In how many rounds it takes part, from the first: few where a sample takes long.
    fn most(&self) -> usize {
        usize::MAX
    }
}

/// Work in this process and its workers that is repeated for as long as a sample lasts.
pub struct Passes<F> {
    pass: F,
    count: u64,
    repeats: u64,
}

impl<F: FnMut() -> Result<()>> Passes<F> {
    /// A runner whose `pass` does `count` rows. Runs it until it is warm, to find how often it fits into `length`.
    ///
    /// # Errors
    /// Those of the first passes.
    pub fn new(mut pass: F, count: u64, length: Duration) -> Result<Self> {
        pass()?;
        let (mut repeats, start) = (0, Instant::now());
        while start.elapsed() < length / 2 && !interrupt::requested() {
            pass()?;
            repeats += 1;
        }
        let each = start.elapsed().as_secs_f64() / f64::from(repeats.max(1));
        let repeats = (length.as_secs_f64() / each.max(1e-9)).ceil().clamp(1.0, 1e9) as u64;
        Ok(Passes { pass, count, repeats })
    }
}

impl<F: FnMut() -> Result<()>> Runner for Passes<F> {
    fn sample(&mut self) -> Result<Cost> {
        cost(self.count * self.repeats, || (0..self.repeats).try_for_each(|_| (self.pass)()))
    }
}

/// Work that measures itself.
pub struct Measured<F> {
    /// The work.
    pub run: F,
    /// See [`Runner::most`].
    pub most: usize,
}

impl<F: FnMut() -> Result<Cost>> Runner for Measured<F> {
    fn sample(&mut self) -> Result<Cost> {
        (self.run)()
    }

    fn most(&self) -> usize {
        self.most
    }
}

/// What the rounds gave: for each runner its costs, one a round, and the error that ended it if one did.
pub type Outcome = Vec<(Vec<Cost>, Option<anyhow::Error>)>;

/// No comparison has fewer rounds, however late it is.
pub const FEWEST_ROUNDS: usize = 3;

/// Samples every runner once a round. Ends early when the user interrupts, and when a further round would not end
/// `until` then; `done` hears of every sample.
pub fn interleave(
    rounds: usize,
    until: Instant,
    runners: &mut [Box<dyn Runner + '_>],
    mut done: impl FnMut(),
) -> Outcome {
    let mut outcome: Outcome = runners.iter().map(|_| (Vec::with_capacity(rounds), None)).collect();
    let (mut begin, mut last) = (Instant::now(), Duration::ZERO);
    for round in 0..rounds {
        if round > 0 {
            last = begin.elapsed();
            begin = Instant::now();
        }
        if round >= FEWEST_ROUNDS && begin + last > until {
            return outcome;
        }
        for place in 0..runners.len() {
            if interrupt::requested() {
                return outcome;
            }
            let turn = (place + round) % runners.len();
            let (costs, error) = &mut outcome[turn];
            if error.is_none() && round < runners[turn].most() {
                match runners[turn].sample() {
                    Ok(cost) => costs.push(cost),
                    Err(problem) => *error = Some(problem),
                }
            }
            done();
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn the_order_turns_and_a_failure_ends_one_runner_only() {
        let order = RefCell::new(String::new());
        let runner = |name: char, fails_after: usize| {
            let (order, mut left) = (&order, fails_after);
            let run = move || {
                order.borrow_mut().push(name);
                anyhow::ensure!(left > 0, "{name} fails");
                left -= 1;
                Ok(Cost { count: 1, wall: 1.0, cpu: 1.0 })
            };
            // The third takes part in two rounds.
            Box::new(Measured { run, most: if name == 'c' { 2 } else { usize::MAX } }) as Box<dyn Runner>
        };
        let mut heard = 0;
        let later = Instant::now() + Duration::from_secs(3_600);
        let outcome = interleave(3, later, &mut [runner('a', 9), runner('b', 1), runner('c', 9)], || heard += 1);
        assert_eq!(*order.borrow(), "abcbcaa");
        let counts: Vec<usize> = outcome.iter().map(|(costs, _)| costs.len()).collect();
        assert_eq!((counts, heard), (vec![3, 1, 2], 9));
        assert_eq!(outcome[1].1.as_ref().expect("an error").to_string(), "b fails");
    }

    #[test]
    fn what_is_late_has_the_fewest_rounds() {
        let run = || Ok(Cost { count: 1, wall: 1.0, cpu: 1.0 });
        let mut runners: [Box<dyn Runner>; 1] = [Box::new(Measured { run, most: usize::MAX })];
        let mut made = |until: Instant| interleave(9, until, &mut runners, || {})[0].0.len();
        assert_eq!(made(Instant::now()), FEWEST_ROUNDS);
        assert_eq!(made(Instant::now() + Duration::from_secs(3_600)), 9);
    }

    #[test]
    fn passes_fill_a_sample() {
        let mut passes = 0;
        let mut runner = Passes::new(
            || {
                passes += 1;
                std::thread::sleep(Duration::from_millis(1));
                Ok(())
            },
            10,
            Duration::from_millis(20),
        )
        .expect("a runner");
        let cost = runner.sample().expect("a cost");
        assert!((10..=300).contains(&cost.count) && cost.count % 10 == 0, "{cost:?}");
        assert!(cost.wall > 0.001, "{cost:?}");
    }
}
