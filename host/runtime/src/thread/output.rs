//! Which job's log this thread's Python output belongs to. What a job prints never goes to the host's own streams.

use std::cell::Cell;
use std::sync::Arc;

use crate::log::{JobLog, LogStream};

thread_local! {
    static CURRENT: Cell<Option<Arc<JobLog>>> = const { Cell::new(None) };
}

/// Sets this thread's log and gives the one before.
#[inline]
pub(super) fn replace(log: Option<Arc<JobLog>>) -> Option<Arc<JobLog>> {
    // Fails only while the thread ends, and then nothing will be written any more.
    CURRENT.try_with(|current| current.replace(log)).ok().flatten()
}

/// Sets this thread's log.
pub(super) fn set(log: Option<Arc<JobLog>>) {
    drop(replace(log));
}

/// This thread's log.
pub(super) fn current() -> Option<Arc<JobLog>> {
    let log = replace(None);
    set(log.clone());
    log
}

/// Writes to this thread's log, and says whether there is one.
pub(super) fn write(stream: LogStream, bytes: &[u8]) -> bool {
    let log = current();
    if let Some(log) = &log {
        log.write(stream, bytes);
    }
    log.is_some()
}
