//! Limits of jobs and tenants as plain data: names, units and defaults. `account` counts, the executors enforce.

use std::time::Duration;

/// What one job may use, in every mode under the same names. A limit that is hit is
/// [`Error::Limit`](crate::Error::Limit) with the limit and the use, never a silent cut (the log is the exception: it
/// is cut and says so). A mode that cannot keep a limit refuses the job with the name of one that can.
///
/// How many sandboxes or workers a job has is its [`parallelism`](crate::JobOptions::parallelism). Rows of a result have
/// no limit of their own: a scalar function gives one for each row, and the host takes no other number; how much is in
/// them is limited by `result`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Memory of one sandbox or worker, in bytes. `None`: 256 MiB in wasm mode, unlimited in process mode.
    /// The user's code gets `MemoryError` first. Thread mode cannot keep it.
    pub memory: Option<u64>,
    /// Memory of the whole job, in bytes: all its sandboxes or workers, and what the host holds for it (source, files,
    /// images, requests and replies on their way). `None`: unlimited, the default. A sandbox counts with its whole memory,
    /// the image included; a worker with its limit, from its start: in process mode this needs `memory`.
    /// The user's code gets `MemoryError` first. Thread mode cannot keep it.
    pub job_memory: Option<u64>,
    /// Wall time of one call (one bundle, a load, a bind). `None`: no deadline. Default: 60 s. Waiting for an idle
    /// executor or for the tenant's turn does not count. User code cannot swallow it in wasm and process mode; in
    /// thread mode it is best effort.
    pub deadline: Option<Duration>,
    /// CPU time of all calls of the job together. `None`: unlimited, the default. The call that uses it up is ended as
    /// by a deadline; later calls do not start. Thread mode cannot keep it; process mode counts the worker, not
    /// processes that it started.
    pub cpu: Option<Duration>,
    /// Bytes of one result (a column as the guest sends it). Default: 1 GiB. The user's code sees nothing of it.
    pub result: usize,
    /// Bytes of a job's captured output (stdout and stderr) that are kept. Default: 64 KiB. What exceeds it is counted
    /// ([`JobLog::dropped_bytes`](crate::JobLog::dropped_bytes)) and dropped; the user's code sees nothing of it.
    pub log: usize,
    /// Bytes of the job's source and files together. Default: 256 MiB. A job beyond it does not start.
    pub source: usize,
    /// Bytes of a sandbox's copy, without what it shares with the interpreter's image. Default: 256 MiB. A
    /// [fork](crate::Job::fork) beyond it is refused. The copy from which a job's own further sandboxes start saves them
    /// the loading and nothing else: one beyond the limit is not kept, and they load the source again. The user's code
    /// sees nothing of it. The other modes copy nothing.
    pub checkpoint: u64,
    /// Stack of a worker's threads, in bytes, 1 MiB at least. `None`: what the system gives a process. Process mode only:
    /// a sandbox has [`wasm::STACK`](crate::wasm::STACK) bytes, because wasmtime bounds the stack of compiled code for all
    /// sandboxes of a process, and the threads of thread mode are the host's. The user's code gets `RecursionError`
    /// first, where its interpreter counts; what gets past that is [`Limit::Stack`](crate::Limit::Stack) in wasm mode and
    /// the worker's death in process mode.
    pub stack: Option<u64>,
}

impl Limits {
    /// Memory of a wasm sandbox when the job names none: 256 MiB.
    pub const DEFAULT_WASM_MEMORY: u64 = 256 << 20;

    /// Sets the memory of one sandbox or worker, in bytes.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Sets the memory of the whole job, in bytes.
    pub fn job_memory(mut self, bytes: u64) -> Self {
        self.job_memory = Some(bytes);
        self
    }

    /// Sets the wall time of one call; `None` is no deadline.
    pub fn deadline(mut self, deadline: impl Into<Option<Duration>>) -> Self {
        self.deadline = deadline.into();
        self
    }

    /// Sets the CPU time of all calls together.
    pub fn cpu(mut self, budget: Duration) -> Self {
        self.cpu = Some(budget);
        self
    }

    /// Sets the bytes of one result.
    pub fn result(mut self, bytes: usize) -> Self {
        self.result = bytes;
        self
    }

    /// Sets the bytes of output that are kept.
    pub fn log(mut self, bytes: usize) -> Self {
        self.log = bytes;
        self
    }

    /// Sets the bytes of source and files.
    pub fn source(mut self, bytes: usize) -> Self {
        self.source = bytes;
        self
    }

    /// Sets the bytes of a sandbox's copy.
    pub fn checkpoint(mut self, bytes: u64) -> Self {
        self.checkpoint = bytes;
        self
    }

    /// Sets the stack of a worker's threads, in bytes.
    pub fn stack(mut self, bytes: u64) -> Self {
        self.stack = Some(bytes);
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory: None,
            job_memory: None,
            deadline: Some(Duration::from_secs(60)),
            cpu: None,
            result: 1 << 30,
            log: 64 << 10,
            source: 256 << 20,
            checkpoint: 256 << 20,
            stack: None,
        }
    }
}

/// What all jobs of one tenant together may use. Default: no limits, weight 1.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TenantLimits {
    /// Memory of all its jobs, in bytes, counted as [`Limits::job_memory`] is. Thread mode cannot keep it.
    pub memory: Option<u64>,
    /// Sandboxes and workers that may live at once, idle ones included.
    pub executors: Option<u64>,
    /// CPU time of all calls of all its jobs together, counted as [`Limits::cpu`] is.
    pub cpu: Option<Duration>,
    /// Its share of the host's threads beside other tenants that want them. Default: 1; 0 counts as 1.
    pub weight: u32,
}

impl TenantLimits {
    /// Sets the memory of all its jobs, in bytes.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Sets how many sandboxes and workers may live at once.
    pub fn executors(mut self, executors: u64) -> Self {
        self.executors = Some(executors);
        self
    }

    /// Sets the CPU time of all its calls together.
    pub fn cpu(mut self, budget: Duration) -> Self {
        self.cpu = Some(budget);
        self
    }

    /// Sets its share of the host's threads.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }
}

impl Default for TenantLimits {
    fn default() -> Self {
        TenantLimits { memory: None, executors: None, cpu: None, weight: 1 }
    }
}
