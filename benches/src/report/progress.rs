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
    /// Where the running section begins, and how long it is.
    section: (f64, f64),
    /// Steps of the running section that are done, and all of them.
    steps: (u64, u64),
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
        Progress { bar, quiet, start: Instant::now(), total, section: (0.0, 0.0), steps: (0, 1) }
    }

    /// A section begins that is estimated to take `seconds`, in `steps` steps.
    pub fn section(&mut self, seconds: f64, steps: u64) {
        self.section = (self.section.0 + self.section.1, seconds);
        self.steps = (0, steps.max(1));
    }

    /// What is measured next.
    pub fn step(&mut self, message: &str) {
        if self.bar.is_hidden() && !self.quiet {
            eprintln!("{message}");
        }
        self.steps.0 = (self.steps.0 + 1).min(self.steps.1);
        self.show(message, 0.0);
    }

    /// `share` (0 to 1) of the running step is done.
    pub fn within(&self, message: &str, share: f64) {
        self.show(message, share);
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

    fn show(&self, message: &str, share: f64) {
        let (done, steps) = self.steps;
        let in_section = (done.saturating_sub(1) as f64 + share) / steps as f64;
        let at = self.section.0 + self.section.1 * in_section;
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
}
