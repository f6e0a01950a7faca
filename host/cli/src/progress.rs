//! What moves while the program works: a spinner while something is being prepared, a bar while rows go through. On a
//! terminal only; in a pipe what takes long is one line each, and there is no bar. Everything goes to stderr.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::failure::eprint_line;
use crate::units::human_count;

/// Where messages and bars go.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: ProgressBar,
    quiet: bool,
}

/// How far a run can be measured.
#[derive(Debug, Clone, Copy)]
pub enum Scale {
    /// The number of rows is known.
    Rows(u64),
    /// The size of the input is known, in bytes.
    Bytes(u64),
    /// Nothing is known.
    Unknown,
}

impl Scale {
    /// The scale of at most `limit` rows.
    pub fn up_to(self, limit: Option<u64>) -> Scale {
        match (self, limit) {
            (Scale::Rows(rows), Some(limit)) => Scale::Rows(rows.min(limit)),
            (_, Some(limit)) => Scale::Rows(limit),
            (scale, None) => scale,
        }
    }
}

const TICK: Duration = Duration::from_millis(100);

impl Progress {
    /// Silent with `quiet`; messages only when stderr is no terminal.
    pub fn new(quiet: bool) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Progress { bar: ProgressBar::with_draw_target(None, target), quiet }
    }

    /// Something that takes long begins or has ended.
    pub fn preparing(&self, message: &str) {
        if self.quiet {
            return;
        }
        if self.bar.is_hidden() {
            return eprint_line(message);
        }
        self.bar.set_style(style("{spinner} {msg} {elapsed}"));
        self.bar.enable_steady_tick(TICK);
        self.bar.set_message(message.to_owned());
    }

    /// Rows begin to go through.
    pub fn rows(&self, scale: Scale) {
        let (length, template) = match scale {
            Scale::Rows(rows) => (Some(rows), "{wide_bar} {human_pos}/{human_len} rows  {msg}  {eta}"),
            Scale::Bytes(bytes) => (Some(bytes), "{wide_bar} {bytes}/{total_bytes}  {msg}  {eta}"),
            Scale::Unknown => (None, "{spinner} {msg}  {elapsed}"),
        };
        self.bar.disable_steady_tick();
        // The style before the rest: each of these draws.
        self.bar.set_style(style(template));
        self.bar.set_message("");
        if let Some(length) = length {
            self.bar.set_length(length);
        }
        self.bar.reset();
    }

    /// `rows` rows are through, and the input was read up to `position` of its scale.
    pub fn moved(&self, scale: Scale, rows: u64, position: u64) {
        if self.bar.is_hidden() {
            return;
        }
        let rate = human_count((rows as f64 / self.bar.elapsed().as_secs_f64().max(1e-3)) as u64);
        match scale {
            Scale::Rows(_) => {
                self.bar.set_message(format!("{rate} rows/s"));
                self.bar.set_position(rows);
            }
            Scale::Bytes(_) | Scale::Unknown => {
                self.bar.set_message(format!("{} rows, {rate} rows/s", human_count(rows)));
                self.bar.set_position(position);
            }
        }
    }

    /// Cases begin to be run.
    pub fn cases(&self, cases: usize) {
        self.bar.disable_steady_tick();
        self.bar.set_style(style("{wide_bar} {pos}/{len} cases  {msg}  {elapsed}"));
        self.bar.set_message("");
        self.bar.set_length(cases as u64);
        self.bar.reset();
    }

    /// A case is through.
    pub fn case_done(&self, message: &str) {
        self.bar.set_message(message.to_owned());
        self.bar.inc(1);
    }

    /// A line of its own on stderr, not torn by the bar.
    pub fn line(&self, text: &str) {
        if self.bar.is_hidden() { eprint_line(text) } else { self.bar.suspend(|| eprint_line(text)) }
    }

    /// Whether there is nothing to say but errors.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Removes what moves.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file; a wrong one would only look plain.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
