//! The one tokio runtime of the process: for asynchronous callers and for the worker server. No guest code runs on its
//! asynchronous threads, only on its blocking ones, whose stacks are large enough for every mode.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

use crate::Error;

/// Room for a guest's stack and the host's own beside it.
const STACK: usize = 16 << 20;

/// The runtime, started on first use.
pub(crate) fn runtime() -> Result<&'static Runtime, Error> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("cloister")
                .thread_stack_size(STACK)
                .enable_all()
                .build()
                .map_err(|error| error.to_string())
        })
        .as_ref()
        .map_err(|error| Error::Internal(format!("the runtime's threads cannot be started: {error}")))
}

/// Runs `work` on a blocking thread and gives its result to the awaiting task, whatever executor that task is on.
pub(crate) async fn spawn<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, Error> + Send + 'static,
) -> Result<R, Error> {
    runtime()?
        .spawn_blocking(work)
        .await
        .map_err(|error| Error::Internal(format!("the call's thread failed: {error}")))?
}
