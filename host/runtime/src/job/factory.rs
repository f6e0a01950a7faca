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

    /// Called when the job's `cancelled` flag has been set, for modes whose running calls do not look at it themselves.
    fn cancel(&self) {}
}

/// The factory of the job's mode.
pub(super) fn factory(options: &JobOptions, log: &Arc<JobLog>, account: &Account) -> Result<Arc<dyn Factory>, Error> {
    let factory = match options.mode {
        #[cfg(feature = "process")]
        ExecutionMode::Process => crate::process::factory(options, log, account),
        #[cfg(feature = "thread")]
        ExecutionMode::Thread => crate::thread::factory(options, log, account),
        #[cfg(feature = "wasm")]
        ExecutionMode::Wasm => crate::wasm::factory(options, log, account),
        #[allow(unreachable_patterns, reason = "which arms there are depends on the features")]
        mode => Err(not_compiled_in(mode)),
    };
    factory.map(Arc::from)
}

/// The error for a mode whose cargo feature is off.
pub(crate) fn not_compiled_in(mode: ExecutionMode) -> Error {
    Error::missing(format!("this build has no {mode} mode"), format!("build with the cargo feature '{mode}'"))
}
