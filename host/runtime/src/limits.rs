//! Limits of a job as plain data: names, units and defaults. Enforcing them is the executors' business.

use std::time::Duration;

/// What one job may use. A limit that is hit is [`Error::Limit`](crate::Error::Limit), never a silent cut (the log is
/// the exception: it is cut and says so).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Memory of one sandbox or worker, in bytes. `None`: 256 MiB in wasm mode, unlimited in process mode.
    /// The user's code gets `MemoryError` first. Thread mode cannot keep it: asking for it there is refused.
    pub memory: Option<u64>,
    /// Wall time of one call (one bundle, a load, a bind). `None`: no deadline. Default: 60 s.
    /// User code cannot swallow it in wasm and process mode; in thread mode it is best effort.
    pub deadline: Option<Duration>,
    /// Bytes of a job's captured output that are kept. Default: 64 KiB. What exceeds it is counted and dropped.
    pub log: usize,
    /// Bytes of one reply (a result column as the guest sends it). Default: 1 GiB.
    pub reply: usize,
}

impl Limits {
    /// Memory of a wasm sandbox when the job names none: 256 MiB.
    pub const DEFAULT_WASM_MEMORY: u64 = 256 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory: None, deadline: Some(Duration::from_secs(60)), log: 64 << 10, reply: 1 << 30 }
    }
}
