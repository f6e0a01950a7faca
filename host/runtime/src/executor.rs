//! The trait that the three modes share. An executor holds one harness (a sandbox, a worker, an embedded module) and
//! carries request frames to it and replies back. It knows no function, type or column; `job` does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::array::ArrayRef;

use crate::account::Account;
use crate::cancel::CancelToken;
use crate::error::{Error, Limit};
use crate::function::{Argument, Binding};
use crate::log::JobLog;

/// What holds for one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallContext<'a> {
    /// When the call must have ended, and the limit that this comes from (for the error).
    pub deadline: Option<(Instant, Duration)>,
    /// Set when the host wants the job's calls to stop.
    pub cancelled: &'a Arc<AtomicBool>,
    /// Set when the host wants this call to stop.
    pub token: Option<&'a CancelToken>,
    /// What the job and its tenant use: a call ends when their CPU time is used up.
    pub account: &'a Arc<Account>,
}

impl CallContext<'_> {
    /// The error with which the call must end now, if it must.
    pub fn interruption(&self) -> Option<Error> {
        if self.cancelled.load(Ordering::Relaxed) || self.token.is_some_and(CancelToken::is_cancelled) {
            return Some(Error::Cancelled);
        }
        if let Some((at, limit)) = self.deadline {
            let now = Instant::now();
            if now >= at {
                return Some(Error::Limit(Limit::Deadline { limit, used: limit + (now - at) }));
            }
        }
        self.account.cpu_exhausted().map(Error::Limit)
    }
}

/// Called once with the reply's bytes, which it must treat as hostile.
pub(crate) type ReadReply<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Error>;

/// One running harness of one job.
pub(crate) trait Executor: Send {
    /// Carries `request` to the harness and hands the reply to `read`.
    ///
    /// # Errors
    /// Those of `read`; a limit, a death or a cancellation. After an error of the executor's own, [`Self::is_alive`]
    /// tells whether the harness can be used again.
    fn request(&mut self, request: &[u8], context: &CallContext<'_>, read: ReadReply<'_>) -> Result<(), Error>;

    /// Evaluates a bound scalar function without a frame, where the mode has a faster way for these types. `None`
    /// means: no such way, use [`Self::request`].
    fn evaluate(
        &mut self,
        _binding: &Binding,
        _arguments: &[Argument],
        _rows: usize,
        _context: &CallContext<'_>,
    ) -> Option<Result<ArrayRef, Error>> {
        None
    }

    /// Whether the harness can take another request. A dead executor is dropped and replaced.
    fn is_alive(&self) -> bool;

    /// The most memory that the harness has held so far, in bytes; 0 where the mode cannot tell.
    fn peak_memory(&self) -> u64;

    /// The limit because of which memory was denied to the harness, where the mode can tell.
    fn denied_memory(&self) -> Option<Limit> {
        None
    }

    /// Whether [`Self::snapshot`] can be asked for.
    fn can_be_copied(&self) -> bool {
        false
    }

    /// The harness's whole state at this moment, to start others from, in at most `_most` bytes.
    fn snapshot(&mut self, _most: u64) -> Result<Arc<dyn Snapshot>, Error> {
        Err(Error::internal("a copy of a harness that cannot be copied"))
    }
}

/// A harness at one moment between two requests. Does not change when the harness goes on or ends.
pub(crate) trait Snapshot: Send + Sync {
    /// A harness with this state, which belongs to the job of `log` and `context`.
    fn start(&self, log: &Arc<JobLog>, context: &CallContext<'_>) -> Result<Box<dyn Executor>, Error>;

    /// Does now what can be done of the next start.
    fn prepare(&self);

    /// Memory that the snapshot holds, in bytes.
    fn bytes(&self) -> u64;
}
