//! What a job has done so far: the counters, and the copy of them that is handed out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::ExecutionMode;
use crate::account::Account;

/// What a job has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobStats {
    /// The mode that runs the job.
    pub mode: ExecutionMode,
    /// Whether its sandboxes run in worker processes: see [`JobOptions::worker`](crate::JobOptions::worker).
    pub in_worker: bool,
    /// Bundles evaluated, failed ones included.
    pub bundles: u64,
    /// Rows of the bundles that succeeded.
    pub rows: u64,
    /// Bundles that failed, and rows that were made NULL.
    pub errors: u64,
    /// Executors (sandboxes, workers) started, replacements included.
    pub executors: u64,
    /// The most memory that one executor has held, in bytes; 0 where the mode cannot tell.
    pub peak_memory_bytes: u64,
    /// Memory that is charged to the job now, in bytes: see [`Limits::job_memory`](crate::Limits::job_memory).
    pub memory_bytes: u64,
    /// CPU time of the job's calls. Worker processes are measured always, wasm mode only for jobs and tenants with a limit
    /// on it (it would cost a short call a tenth of its time), thread mode never: zero then.
    pub cpu: Duration,
}

/// The counters behind [`JobStats`].
#[derive(Default)]
pub(super) struct Counters {
    pub bundles: AtomicU64,
    pub rows: AtomicU64,
    pub errors: AtomicU64,
    pub executors: AtomicU64,
    pub peak_memory: AtomicU64,
}

impl Counters {
    pub fn read(&self, mode: ExecutionMode, in_worker: bool, account: &Account) -> JobStats {
        JobStats {
            mode,
            in_worker,
            bundles: self.bundles.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            executors: self.executors.load(Ordering::Relaxed),
            peak_memory_bytes: self.peak_memory.load(Ordering::Relaxed),
            memory_bytes: account.memory_used().0,
            cpu: account.cpu_used(),
        }
    }
}
