//! Cancelling single calls from the host.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends the calls that it was given to, and no others: they fail with [`Error::Cancelled`](crate::Error::Cancelled)
/// within milliseconds, whatever the user's code does (best effort in thread mode). Cheap to clone; one token can be
/// given to many calls. What a cancelled call was in the middle of is lost: its sandbox or worker is replaced.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that nobody has cancelled.
    pub fn new() -> Self {
        CancelToken::default()
    }

    /// Ends the calls that have this token, running or waiting; later ones do not start.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
