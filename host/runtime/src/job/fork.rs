//! Forks: a job that starts as a copy of another, Python state and all, and then goes its own way.

use std::sync::{Arc, PoisonError};

use super::copy::{Copies, Origin};
use super::{Job, JobInner};
use crate::account::Account;
use crate::function::CallOptions;
use crate::log::JobLog;
use crate::pool::Pool;
use crate::{Error, ExecutionMode};

impl Job {
    /// A new job with this one's state: what its code imported, its global variables, what its calls have left behind,
    /// its bindings. From here on neither sees what the other does, and each can outlive the other. Wasm mode only.
    ///
    /// The fork has the limits and the parallelism of this job, and a log, counters and a cancellation of its own.
    /// Functions of the fork are asked for with [`Job::function`] again; `open()` does not run again for those that
    /// this job has called. Randomness is never shared: `random` is seeded anew in the fork even if the code has
    /// seeded it, as `os.fork` does; a `random.Random` that the code made is copied as it is.
    ///
    /// Of a job with several executors one that is idle is copied, the one used last if that is idle. If all are busy
    /// the call waits; if none is there, because a call has ended the last one, a new one is loaded and copied. Every
    /// executor of the fork starts from the copied state.
    ///
    /// # Errors
    /// [`Error::Refused`] in the other modes and of a job with [`JobOptions::worker`](crate::JobOptions::worker),
    /// [`Error::Cancelled`] when the job is cancelled, [`Error::Missing`] when the system has no memory for the copy,
    /// [`Limit::CheckpointSize`](crate::Limit::CheckpointSize) when the copy is larger than the job's limit.
    pub fn fork(&self) -> Result<Job, Error> {
        let parent = &self.inner;
        if parent.mode != ExecutionMode::Wasm {
            let reason = "cannot fork a job: its state cannot be copied; choose wasm mode".into();
            return Err(Error::Refused { mode: parent.mode, reason });
        }
        if parent.factory.in_worker() {
            let reason = "cannot fork a job whose sandboxes run in worker processes: leave that option out".into();
            return Err(Error::Refused { mode: parent.mode, reason });
        }
        let (origin, binds) = parent.with_slot(CallOptions::NONE, |slot, context| {
            let origin = match &slot.copied {
                Some(origin) => origin.clone(),
                None => {
                    let origin = Origin::of(slot, context, parent.limits.checkpoint, true)?;
                    slot.copied.insert(Arc::new(origin)).clone()
                }
            };
            let mut binds = parent.binds.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // Another thread may have bound something since this executor followed.
            binds.truncate(slot.bound);
            Ok((origin, binds))
        })?;
        let tenant = parent.membership.tenant();
        let account = Account::of_job(&parent.limits, tenant.account());
        let inner = JobInner {
            mode: parent.mode,
            limits: parent.limits.clone(),
            factory: parent.factory.clone(),
            pool: Pool::new(parent.pool.capacity()),
            setup: Vec::new(),
            copies: Copies::from(origin, parent.limits.checkpoint),
            binds: binds.into(),
            log: Arc::new(JobLog::new(parent.limits.log)),
            cancelled: Arc::default(),
            counters: Default::default(),
            _held: account.memory(),
            account,
            membership: tenant.join(),
        };
        Ok(Job { inner: Arc::new(inner), functions: self.functions.clone(), refusal: self.refusal.clone() })
    }
}

#[cfg(all(test, feature = "wasm"))]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;
    use crate::{JobOptions, Session};

    fn bindings(job: &Job) -> usize {
        job.inner.binds.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    #[test]
    fn what_was_bound_is_not_bound_again() {
        let options = JobOptions::new(ExecutionMode::Wasm).source("udf.py", "def f(x: int) -> int: return x + 1\n");
        let parent = Session::new().job(options).expect("a job");
        let call = |job: &Job| {
            let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
            job.function("f").expect("f").call(&[column], 1).expect("a result");
        };
        call(&parent);
        call(&parent);
        assert_eq!(bindings(&parent), 1, "another handle of the function has its binding");
        let child = parent.fork().expect("a fork");
        call(&child);
        assert_eq!(bindings(&child), 1, "a fork has its origin's bindings");
    }
}
