//! What the function prints, as lines on stderr: `[stdout] …`. Never on our stdout, which is the program's output.

use cloister::{Job, LogStream};

use crate::progress::Progress;
use crate::units::human_count;

/// Prints a job's log line by line. A line that is not whole yet waits for its rest.
pub struct LogPrinter {
    progress: Progress,
    stdout: String,
    stderr: String,
}

impl LogPrinter {
    /// Prints through `progress`, and nothing if that is quiet.
    pub fn new(progress: &Progress) -> Self {
        LogPrinter { progress: progress.clone(), stdout: String::new(), stderr: String::new() }
    }

    /// Prints the whole lines since the last call.
    pub fn print(&mut self, job: &Job) {
        for (stream, text) in job.log().take() {
            let (pending, prefix) = match stream {
                LogStream::Stdout => (&mut self.stdout, "[stdout] "),
                LogStream::Stderr => (&mut self.stderr, "[stderr] "),
            };
            pending.push_str(&text);
            if let Some(end) = pending.rfind('\n') {
                let whole: String = pending.drain(..=end).collect();
                whole.lines().for_each(|line| print(&self.progress, prefix, line));
            }
        }
    }

    /// Prints what is left, and how much was dropped.
    pub fn finish(mut self, job: &Job) {
        self.print(job);
        for (pending, prefix) in [(&self.stdout, "[stdout] "), (&self.stderr, "[stderr] ")] {
            if !pending.is_empty() {
                print(&self.progress, prefix, pending);
            }
        }
        let dropped = job.log().dropped_bytes();
        if dropped > 0 {
            print(&self.progress, "[log] ", &format!("full: {} further bytes were dropped", human_count(dropped)));
        }
    }
}

fn print(progress: &Progress, prefix: &str, line: &str) {
    if !progress.is_quiet() {
        progress.line(&format!("{prefix}{line}"));
    }
}
