//! From a job's options to what starts its executors: the one place where a mode's name becomes its code.

use std::sync::Arc;

use super::JobOptions;
use crate::account::Account;
use crate::executor::{CallContext, Executor};
use crate::log::JobLog;
use crate::{Error, ExecutionMode};

/// Starts executors of one job. Each mode has one.
pub(crate) trait Factory: Send + Sync {
    /// A new harness, with nothing loaded.
    fn start(&self, context: &CallContext<'_>) -> Result<Box<dyn Executor>, Error>;

    /// Memory of one executor that is charged from its start, in bytes: for modes that cannot charge it as it is used.
    fn memory_in_advance(&self) -> u64 {
        0
    }

    /// Whether its executors are sandboxes in worker processes.
    fn in_worker(&self) -> bool {
        false
    }

    /// Called when the job's `cancelled` flag has been set, for modes whose running calls do not look at it themselves.
    fn cancel(&self) {}
}

/// The factory of the job's mode.
pub(super) fn factory(options: &JobOptions, log: &Arc<JobLog>, account: &Account) -> Result<Arc<dyn Factory>, Error> {
    let factory = match (options.mode, &options.worker) {
        (ExecutionMode::Wasm, Some(_)) => in_workers(options, log, account),
        (mode, Some(_)) => Err(Error::Refused {
            mode,
            reason: "has no sandboxes to put into worker processes: choose wasm mode, or leave that option out".into(),
        }),
        #[cfg(feature = "process")]
        (ExecutionMode::Process, None) => crate::process::factory(options, log, account),
        #[cfg(feature = "thread")]
        (ExecutionMode::Thread, None) => crate::thread::factory(options, log, account),
        #[cfg(feature = "wasm")]
        (ExecutionMode::Wasm, None) => crate::wasm::factory(options, log, account),
        #[allow(unreachable_patterns, reason = "which arms there are depends on the features")]
        (mode, None) => Err(not_compiled_in(mode)),
    };
    factory.map(Arc::from)
}

/// The factory of a job of wasm mode whose sandboxes run in worker processes.
#[cfg(all(feature = "process", feature = "wasm"))]
fn in_workers(options: &JobOptions, log: &Arc<JobLog>, account: &Account) -> Result<Box<dyn Factory>, Error> {
    crate::worker::factory(options, log, account)
}

#[cfg(not(all(feature = "process", feature = "wasm")))]
fn in_workers(_: &JobOptions, _: &Arc<JobLog>, _: &Account) -> Result<Box<dyn Factory>, Error> {
    Err(no_workers())
}

/// The error for sandboxes in worker processes when a cargo feature that they need is off.
#[cfg(not(all(feature = "process", feature = "wasm")))]
pub(crate) fn no_workers() -> Error {
    not_compiled_in(if cfg!(feature = "wasm") { ExecutionMode::Process } else { ExecutionMode::Wasm })
}

/// The error for a mode whose cargo feature is off.
pub(crate) fn not_compiled_in(mode: ExecutionMode) -> Error {
    Error::missing(format!("this build has no {mode} mode"), format!("build with the cargo feature '{mode}'"))
}
