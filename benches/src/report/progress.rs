//! The progress bar, with the time that is left. On a terminal only; in a pipe, one line a step.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How far measuring is, in seconds of the estimate.
pub struct Progress {
    bar: ProgressBar,
    quiet: bool,
    start: Instant,
    total: f64,
    /// Where the running section begins.
    section: f64,
    /// How long each step of the running section is estimated to take.
    steps: Vec<f64>,
    /// How many of them have begun.
    begun: usize,
}

impl Progress {
    /// Nothing is done of what is estimated to take `total` seconds.
    pub fn new(total: f64, quiet: bool) -> Progress {
        let shown = !quiet && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(1_000), target);
        // The template is a constant; a wrong one would only look plain.
        let style = ProgressStyle::with_template("{wide_bar} {percent}%  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress { bar, quiet, start: Instant::now(), total, section: 0.0, steps: Vec::new(), begun: 0 }
    }

    /// A section begins whose steps are estimated to take so many seconds each.
    pub fn section(&mut self, steps: Vec<f64>) {
        self.section += self.steps.iter().sum::<f64>();
        (self.steps, self.begun) = (steps, 0);
    }

    /// What is measured next.
    pub fn step(&mut self, message: &str) {
        if self.bar.is_hidden() && !self.quiet {
            eprintln!("{message}");
        }
        self.begun = (self.begun + 1).min(self.steps.len());
        self.show(message, 0.0);
    }

    /// `share` (0 to 1) of the running step is done.
    pub fn within(&self, message: &str, share: f64) {
        self.show(message, share);
    }

    /// The estimates of the running step and of all that comes after it, in seconds.
    pub fn running_and_later(&self) -> (f64, f64) {
        let running = self.running();
        (running, (self.total - self.at(1.0)).max(0.0))
    }

    /// A line of its own, not torn by the bar.
    pub fn line(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| eprintln!("{text}"));
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn running(&self) -> f64 {
        self.begun.checked_sub(1).and_then(|at| self.steps.get(at)).copied().unwrap_or_default()
    }

    /// Where measuring is when `share` of the running step is done.
    fn at(&self, share: f64) -> f64 {
        let done: f64 = self.steps[..self.begun.saturating_sub(1)].iter().sum();
        self.section + done + share * self.running()
    }

    fn show(&self, message: &str, share: f64) {
        let at = self.at(share);
        let left = left(self.start.elapsed(), at, self.total);
        self.bar.set_position((1_000.0 * at / self.total.max(1e-9)) as u64);
        self.bar.set_message(format!("{message} · {} left", HumanDuration(left)));
    }
}

/// The time that is left: the estimate, corrected by how it held so far.
fn left(elapsed: Duration, at: f64, total: f64) -> Duration {
    // In the first seconds the correction would be noise.
    const TRUST: f64 = 10.0;
    let pace = (elapsed.as_secs_f64() + TRUST) / (at + TRUST);
    Duration::from_secs_f64(((total - at) * pace).max(0.0).round())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_the_pace() {
        assert_eq!(left(Duration::ZERO, 0.0, 100.0), Duration::from_secs(100));
        assert_eq!(left(Duration::from_secs(50), 50.0, 100.0), Duration::from_secs(50));
        assert_eq!(left(Duration::from_secs(110), 50.0, 100.0), Duration::from_secs(100));
        assert_eq!(left(Duration::from_secs(200), 120.0, 100.0), Duration::ZERO);
    }

    #[test]
    fn steps_are_as_long_as_they_are_estimated_to_be() {
        let mut progress = Progress::new(100.0, true);
        progress.section(vec![10.0, 30.0]);
        assert_eq!(progress.running_and_later(), (0.0, 100.0));
        progress.step("short");
        assert_eq!(progress.running_and_later(), (10.0, 90.0));
        progress.step("long");
        assert_eq!((progress.running_and_later(), progress.at(0.5)), ((30.0, 60.0), 25.0));
        // A section whose last steps were not needed is over all the same.
        progress.section(vec![40.0, 20.0]);
        progress.step("next");
        assert_eq!((progress.running_and_later(), progress.at(0.0)), ((40.0, 20.0), 40.0));
    }
}
