//! What the sections share: the plan, the progress, the time that is left, and the report that they fill.

use std::time::Instant;

use super::budget::Budget;
use super::interrupt;
use super::measure::rounds::{Runner, interleave};
use super::peers::Peers;
use super::plan::Plan;
use super::progress::Progress;
use super::results::{Group, Report, Series};
use super::variant::Variant;

/// The state of a report that is being made.
pub struct Context {
    /// How much is measured.
    pub plan: Plan,
    /// Shown to the user.
    pub progress: Progress,
    /// When all must be over.
    pub budget: Budget,
    /// When the running step should be over.
    pub until: Instant,
    /// What is there so far.
    pub report: Report,
    /// Peers, if they are wanted.
    pub peers: Peers,
}

/// The runners of a group.
pub type Runners<'a> = Vec<(Variant, Box<dyn Runner + 'a>)>;

impl Context {
    /// Goes on to the next step.
    pub fn step(&mut self, message: &str) {
        self.progress.step(message);
        let (running, later) = self.progress.running_and_later();
        self.until = self.budget.until(Instant::now(), running, later);
    }

    /// Whether the running step should be over.
    pub fn late(&self) -> bool {
        Instant::now() > self.until
    }

    /// Keeps what could be made, and notes what could not.
    pub fn keep<T>(&mut self, what: &str, made: anyhow::Result<T>) -> Option<T> {
        made.map_err(|error| self.leave_out(format!("{what}: {error:#}"))).ok()
    }

    /// Notes what is missing in the report, once.
    pub fn leave_out(&mut self, line: String) {
        if !self.report.left_out.contains(&line) {
            self.progress.line(&format!("left out: {line}"));
            self.report.left_out.push(line);
        }
    }

    /// Measures a group in interleaved rounds and adds it to the report.
    pub fn measure(&mut self, rounds: usize, group: Group, runners: Runners<'_>) {
        let title = group.title();
        let (variants, mut boxes): (Vec<Variant>, Vec<_>) = runners.into_iter().unzip();
        let (all, mut done) = ((rounds * boxes.len()).max(1), 0);
        let outcome = interleave(rounds, self.until, &mut boxes, || {
            done += 1;
            self.progress.within(&title, f64::from(done) / all as f64);
        });
        let made = outcome.iter().map(|(samples, _)| samples.len()).max().unwrap_or_default();
        if (1..rounds).contains(&made) && !self.stopped() {
            self.leave_out(format!("{title}: {made} of {rounds} rounds were made, to end in time"));
        }
        let mut series = Vec::new();
        for (variant, (samples, error)) in variants.into_iter().zip(outcome) {
            if let Some(error) = error {
                self.leave_out(format!("{title}, {variant}: {error:#}"));
            }
            series.extend(Series::new(variant, samples));
        }
        if !series.is_empty() {
            self.report.groups.push(Group { series, ..group });
        }
    }

    /// Whether the user wants the measuring to end.
    pub fn stopped(&self) -> bool {
        interrupt::requested()
    }
}
