//! What a run did and used: the summary for people on stderr, and the same as JSON for `--stats`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use cloister::{Error, ExecutionMode, JobStats};
use serde::Serialize;

use crate::progress::Progress;
use crate::table;
use crate::units::{human_count, human_size, human_time};

/// The figures of one run. The names are those of the JSON; times are in seconds, sizes in bytes.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether the run came to its end.
    pub completed: bool,
    /// Why it did not.
    pub error: Option<String>,
    /// The mode that ran.
    pub mode: ExecutionMode,
    /// Whether its sandboxes ran in worker processes.
    pub in_worker: bool,
    /// The function's name.
    pub function: String,
    /// Its signature.
    pub signature: String,
    /// Calls side by side.
    pub parallelism: usize,
    /// Rows of a bundle, at most.
    pub batch_size: usize,
    /// Rows that were written or counted.
    pub rows: u64,
    /// From the first row read to the output complete.
    pub seconds: f64,
    /// Rows by these seconds.
    pub rows_per_second: f64,
    /// From the program's start to its end.
    pub total_seconds: f64,
    /// Where the time of `seconds` went: each is the work of its threads, and they ran side by side.
    pub reading_seconds: f64,
    /// Calls of the function, of all workers: Arrow to Python, the function, Python to Arrow.
    pub calling_seconds: f64,
    /// Writing the output.
    pub writing_seconds: f64,
    /// User and system time of this process and its workers, from the start.
    pub cpu_seconds: f64,
    /// Calls.
    pub bundles: u64,
    /// Failed calls, and rows that failed and were made NULL.
    pub errors: u64,
    /// Rows that failed and were made NULL.
    pub nulled_rows: u64,
    /// The first of these failures.
    pub first_row_error: Option<String>,
    /// Sandboxes or workers that were started.
    pub executors: u64,
    /// The most that one sandbox or worker held; 0 where the mode cannot tell.
    pub peak_memory_bytes: u64,
    /// The most that this process held resident.
    pub host_peak_memory_bytes: u64,
    /// Bytes that the function printed beyond the limit of the log.
    pub log_dropped_bytes: u64,
}

/// What is counted while rows go through.
#[derive(Debug, Default)]
pub struct Counts {
    /// Rows.
    pub rows: u64,
    /// Bundles.
    pub bundles: u64,
    /// Rows that were made NULL.
    pub nulled: u64,
    /// Why the first of them was.
    pub first_error: Option<Error>,
    /// Time in the writer.
    pub writing: Duration,
}

impl Report {
    /// Tells the figures to people.
    pub fn summarise(&self, output: Option<&Path>, stats: &JobStats, progress: &Progress) {
        if progress.is_quiet() {
            return;
        }
        let executor = match self.mode {
            ExecutionMode::Wasm => "sandbox",
            ExecutionMode::Process => "worker",
            ExecutionMode::Thread => "interpreter",
        };
        let plural = if stats.executors == 1 {
            ""
        } else if self.mode == ExecutionMode::Wasm {
            "es"
        } else {
            "s"
        };
        let place = match (self.in_worker, stats.executors) {
            (false, _) => "",
            (true, 1) => " in a worker",
            (true, _) => " in workers",
        };
        let memory = match self.peak_memory_bytes {
            0 => String::new(),
            bytes => format!(", peak memory of one {}", human_size(bytes)),
        };
        progress.line(&format!(
            "{} rows in {} ({} rows/s): {}, {} mode, {} {executor}{plural}{place}{memory}",
            human_count(self.rows),
            human_time(self.seconds),
            human_count(self.rows_per_second as u64),
            self.function,
            self.mode,
            stats.executors,
        ));
        if self.nulled_rows > 0 {
            let first = self.first_row_error.as_deref().unwrap_or("unknown");
            progress.line(&format!("{} rows failed and are NULL; the first: {first}", human_count(self.nulled_rows),));
        }
        if let Some(path) = output.filter(|path| *path != Path::new("-")) {
            progress.line(&format!("wrote {}", path.display()));
        }
    }

    /// Writes the figures as JSON.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        table::write_whole(path, text.as_bytes()).with_context(|| format!("--stats {}", path.display()))
    }
}
