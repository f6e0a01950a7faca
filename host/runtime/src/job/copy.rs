//! Copies of a job's executors. A mode that can take the image of a whole harness (wasm mode) starts further executors
//! of a job from one in which everything is loaded and bound, instead of loading and binding again.
//!
//! The image is taken of a *pristine* harness: files, source and bindings so far, `open()` of bound classes included,
//! and no call. So a job's `open()` runs once for all executors that start from the image, as does its import; what they
//! printed is in the log once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::slot::Slot;
use crate::account::MemoryCharge;
use crate::executor::{CallContext, Executor, Snapshot};
use crate::log::JobLog;
use crate::protocol;
use crate::{Error, Limit};

/// A job that may need only one executor pays for an image when its load took at least so long: the image then costs
/// a small part of it, and saves all of it when the executor must be replaced.
pub(super) const WORTH_AN_IMAGE: Duration = Duration::from_millis(2);

/// A harness to start others from.
pub(super) struct Origin {
    snapshot: Arc<dyn Snapshot>,
    /// For the snapshot, which stays in memory.
    _held: MemoryCharge,
    /// Bindings that it has.
    bound: usize,
    /// Whether a copy has something to renew before its first request, and whether it is a fork's.
    renew: bool,
    fork: bool,
}

impl Origin {
    /// The harness of `slot` as it is now.
    ///
    /// # Errors
    /// [`Limit::CheckpointSize`] when it is larger than `most`; nothing is kept or charged then.
    pub fn of(slot: &mut Slot, context: &CallContext<'_>, most: u64, fork: bool) -> Result<Origin, Error> {
        let mut renew = 0;
        slot.executor.request(&protocol::copying(), context, &mut |reply| {
            renew = protocol::read_int(reply)?;
            Ok(())
        })?;
        let snapshot = slot.executor.snapshot(most)?;
        let held = context.account.hold(snapshot.bytes())?;
        Ok(Origin { snapshot, _held: held, bound: slot.bound, renew: renew != 0, fork })
    }

    /// A new executor in this state.
    pub fn start(&self, log: &Arc<JobLog>, context: &CallContext<'_>) -> Result<Box<dyn Executor>, Error> {
        let mut executor = self.snapshot.start(log, context)?;
        if self.renew {
            executor.request(&protocol::renew(self.fork), context, &mut |reply| protocol::read_done(reply))?;
        }
        Ok(executor)
    }

    /// Bindings that it has.
    pub fn bound(&self) -> usize {
        self.bound
    }
}

/// What a job's further executors start from, and whether the job wants such a thing.
pub(super) struct Copies {
    newest: Mutex<Option<Arc<Origin>>>,
    wanted: AtomicBool,
    /// Loading that takes so long makes one wanted.
    worth: Duration,
    /// The most bytes of one.
    most: u64,
    /// Whether one had more. It would have the next time too.
    too_large: AtomicBool,
}

impl Copies {
    /// For a job of that many executors. Copies may have `most` bytes.
    pub fn new(parallelism: usize, worth: Duration, most: u64) -> Copies {
        let wanted = AtomicBool::new(parallelism > 1);
        Copies { newest: Mutex::default(), wanted, worth, most, too_large: AtomicBool::default() }
    }

    /// For a job whose executors all start from `origin`.
    pub fn from(origin: Arc<Origin>, most: u64) -> Copies {
        let (newest, wanted) = (Mutex::new(Some(origin)), AtomicBool::new(true));
        Copies { newest, wanted, worth: WORTH_AN_IMAGE, most, too_large: AtomicBool::default() }
    }

    pub fn newest(&self) -> Option<Arc<Origin>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An executor has loaded the job, and took so long for it.
    pub fn loaded_in(&self, time: Duration) {
        if time >= self.worth {
            self.wanted.store(true, Ordering::Relaxed);
        }
    }

    /// The job's executor is being replaced, or needs a companion.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Keeps a copy of a pristine harness if the job wants one and has none with as many bindings.
    pub fn keep(&self, slot: &mut Slot, context: &CallContext<'_>) {
        let possible = slot.executor.can_be_copied() && !self.too_large.load(Ordering::Relaxed);
        if !self.wanted.load(Ordering::Relaxed) || !possible {
            return;
        }
        let (known, fork) = self.newest().map_or((None, false), |origin| (Some(origin.bound), origin.fork));
        if known.is_some_and(|bound| bound >= slot.bound) {
            return;
        }
        match Origin::of(slot, context, self.most, fork) {
            Ok(origin) => {
                let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
                if newest.as_ref().is_none_or(|newest| newest.bound < origin.bound) {
                    tracing::debug!("an image of the job: {} kB", origin.snapshot.bytes() >> 10);
                    origin.snapshot.prepare();
                    *newest = Some(Arc::new(origin));
                }
            }
            // The job runs without; whatever is wrong with the executor, the call that follows says.
            Err(error) => {
                tracing::warn!("no image of the job, further executors load it again: {error}");
                let too_large = matches!(error, Error::Limit(Limit::CheckpointSize { .. }));
                self.too_large.store(too_large, Ordering::Relaxed);
                self.wanted.store(false, Ordering::Relaxed);
            }
        }
    }
}
