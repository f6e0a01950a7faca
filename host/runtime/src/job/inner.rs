//! The running part of a job: its executors, what they have been told, and how a call goes through one of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::Factory;
use super::copy::Copies;
use super::slot::Slot;
use super::stats::Counters;
use crate::account::{Account, MemoryCharge};
use crate::cancel::CancelToken;
use crate::error::Scope;
use crate::executor::{CallContext, Executor};
use crate::function::{Argument, Binding, CallOptions, Evaluation, OnError};
use crate::log::JobLog;
use crate::pool::Pool;
use crate::protocol::{self, EvalFailure, Evaluated};
use crate::schedule::Turn;
use crate::tenant::Membership;
use crate::{Error, ExecutionMode, Limit, Limits};

/// What a job's handle and its functions share.
pub(crate) struct JobInner {
    pub(super) mode: ExecutionMode,
    pub(super) limits: Limits,
    pub(super) factory: Arc<dyn Factory>,
    pub(super) pool: Pool<Slot>,
    /// The requests that bring a new harness to the job's state before any binding: files, then the source.
    pub(super) setup: Vec<Vec<u8>>,
    /// What further executors start from, once there is something.
    pub(super) copies: Copies,
    /// In order of their handles.
    pub(super) binds: Mutex<Vec<Bound>>,
    pub(super) log: Arc<JobLog>,
    pub(super) cancelled: Arc<AtomicBool>,
    pub(super) counters: Counters,
    pub(super) account: Arc<Account>,
    /// For the setup, which stays in memory.
    pub(super) _held: MemoryCharge,
    pub(super) membership: Membership,
}

/// A binding of a job, and the request that makes it in a harness.
#[derive(Clone)]
pub(super) struct Bound {
    binding: Arc<Binding>,
    request: Arc<Vec<u8>>,
}

impl std::fmt::Debug for JobInner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// A request buffer larger than this is not kept between calls.
const KEPT_BUFFER: usize = 4 << 20;

/// Requests and replies up to this size are not charged to the job's memory.
const UNCOUNTED: usize = 64 << 10;

impl JobInner {
    /// What holds for a call that starts now.
    pub(super) fn context<'a>(&'a self, options: &'a CallOptions) -> CallContext<'a> {
        let deadline = [self.limits.deadline, options.deadline].into_iter().flatten().min();
        CallContext {
            // A deadline beyond what the clock can hold is none.
            deadline: deadline.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit))),
            cancelled: &self.cancelled,
            token: options.cancel.as_ref(),
            account: &self.account,
        }
    }

    pub(super) fn start_slot(
        &self,
        context: &CallContext<'_>,
        mut loaded: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<Slot, Error> {
        let _turn = self.turn(context.token)?;
        let context = &CallContext { token: context.token, ..self.context(CallOptions::NONE) };
        let place = self.account.executor()?;
        let memory = self.account.hold(self.factory.memory_in_advance())?;
        let executors = self.counters.executors.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(origin) = self.copies.newest() {
            let executor = origin.start(&self.log, context)?;
            return Ok(Slot::new(executor, place, memory, origin.bound()));
        }
        if executors > 1 {
            self.copies.want();
        }
        let mut executor = self.factory.start(context)?;
        // A deadline is for the user's code: what starting took is not taken from it.
        let context = &CallContext { token: context.token, ..self.context(CallOptions::NONE) };
        let started = Instant::now();
        let (load, files) = self.setup.split_last().ok_or_else(|| Error::internal("a job without a source"))?;
        for request in files {
            executor.request(request, context, &mut |reply| protocol::read_done(reply))?;
        }
        executor
            .request(load, context, &mut |reply| loaded(reply))
            .map_err(|error| self.complete(error, executor.as_ref()))?;
        self.copies.loaded_in(started.elapsed());
        Ok(Slot::new(executor, place, memory, 0))
    }

    /// [`Error::Cancelled`] if the job is cancelled, or the call with this token.
    fn cancellation(&self, token: Option<&CancelToken>) -> Option<Error> {
        let cancelled = self.cancelled.load(Ordering::Relaxed) || token.is_some_and(CancelToken::is_cancelled);
        cancelled.then_some(Error::Cancelled)
    }

    /// Waits for the tenant's turn, in the modes whose calls are scheduled.
    pub(super) fn turn(&self, token: Option<&CancelToken>) -> Result<Option<Turn<'_>>, Error> {
        if self.mode == ExecutionMode::Thread {
            return Ok(None);
        }
        self.membership.tenant().lane().turn(&|| self.cancellation(token))
    }

    /// Lends a slot that has loaded the source and follows every binding.
    pub(super) fn with_slot<R>(
        &self,
        options: &CallOptions,
        run: impl FnOnce(&mut Slot, &CallContext<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let cancelled = || self.cancellation(options.cancel.as_ref());
        if let Some(error) = cancelled() {
            return Err(error);
        }
        if let Some(limit) = self.account.cpu_exhausted() {
            return Err(limit.into());
        }
        self.pool.with(
            options.cancel.as_ref().map(|_| &cancelled as &dyn Fn() -> Option<Error>),
            // A start has a deadline of its own: it may take longer than the call.
            || self.start_slot(&self.context(options), |reply| protocol::read_text(reply).map(drop)),
            Slot::is_usable,
            |slot| {
                let _turn = self.turn(options.cancel.as_ref())?;
                // The deadline begins when the call does: waiting is not the code's fault.
                let context = self.context(options);
                let result = self.follow(slot, &context).and_then(|()| run(slot, &context));
                self.counters.peak_memory.fetch_max(slot.executor.peak_memory(), Ordering::Relaxed);
                slot.broken |= matches!(result, Err(Error::Internal(_)));
                result.map_err(|error| self.complete(error, slot.executor.as_ref()))
            },
        )
    }

    /// Sends the bindings that this harness has not seen.
    fn follow(&self, slot: &mut Slot, context: &CallContext<'_>) -> Result<(), Error> {
        loop {
            let Some(next) = self.binds.lock().unwrap_or_else(PoisonError::into_inner).get(slot.bound).cloned() else {
                return Ok(());
            };
            slot.bind(&next.request, context)?;
        }
    }

    /// The job's binding that is like this one. A new one is tried in one harness first: if that fails, it leaves
    /// nothing behind.
    pub fn bind(&self, mut binding: Binding, options: &CallOptions) -> Result<Arc<Binding>, Error> {
        if let Some(known) = known(&self.binds.lock().unwrap_or_else(PoisonError::into_inner), &binding) {
            return Ok(known);
        }
        self.with_slot(options, |slot, context| {
            let mut binds = self.binds.lock().unwrap_or_else(PoisonError::into_inner);
            // Another thread may have bound something since this slot followed.
            while slot.bound < binds.len() {
                slot.bind(&binds[slot.bound].request, context)?;
            }
            if let Some(known) = known(&binds, &binding) {
                return Ok(known);
            }
            binding.handle = binds.len() as i64;
            let request = protocol::bind(&binding)?;
            slot.bind(&request, context)?;
            let binding = Arc::new(binding);
            binds.push(Bound { binding: binding.clone(), request: Arc::new(request) });
            Ok(binding)
        })
    }

    /// Evaluates one bundle.
    pub fn evaluate(
        &self,
        binding: &Binding,
        arguments: &[Argument],
        rows: usize,
        options: &CallOptions,
    ) -> Result<Evaluation, Error> {
        let counters = &self.counters;
        counters.bundles.fetch_add(1, Ordering::Relaxed);
        let result = if rows == 0 {
            let column = arrow::array::new_empty_array(&binding.result);
            Ok(Evaluated { column, nulled: None })
        } else {
            self.with_slot(options, |slot, context| self.evaluate_in(slot, context, binding, arguments, rows))
        };
        match result {
            Ok(evaluated) => {
                counters.rows.fetch_add(rows as u64, Ordering::Relaxed);
                let (nulled, first_error) = match evaluated.nulled {
                    Some((count, error)) => (count, Some(error)),
                    None => (0, None),
                };
                counters.errors.fetch_add(nulled, Ordering::Relaxed);
                Ok(Evaluation { column: evaluated.column, nulled, first_error, mode: self.mode })
            }
            Err(error) => {
                counters.errors.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    fn evaluate_in(
        &self,
        slot: &mut Slot,
        context: &CallContext<'_>,
        binding: &Binding,
        arguments: &[Argument],
        rows: usize,
    ) -> Result<Evaluated, Error> {
        if slot.pristine {
            self.copies.keep(slot, context);
            slot.pristine = false;
        }
        slot.copied = None;
        if binding.on_error == OnError::Fail
            && let Some(result) = slot.executor.evaluate(binding, arguments, rows, context)
        {
            return result.map(|column| Evaluated { column, nulled: None });
        }
        protocol::eval(&mut slot.buffer, binding, arguments, rows)?;
        let _request = self.hold(slot.buffer.len())?;
        let outcome = self.read_evaluated(slot.executor.as_mut(), &slot.buffer, context, binding, rows);
        if slot.buffer.capacity() > KEPT_BUFFER {
            slot.buffer = Vec::new();
        }
        match outcome? {
            Ok(evaluated) => Ok(evaluated),
            Err(EvalFailure::Error(error)) => Err(error),
            Err(EvalFailure::Ambiguous(first)) => {
                let request = protocol::explain(binding);
                match self.read_evaluated(slot.executor.as_mut(), &request, context, binding, rows)? {
                    Ok(evaluated) => Ok(evaluated),
                    Err(EvalFailure::Error(error)) => Err(error),
                    Err(EvalFailure::Ambiguous(_)) => Err(first),
                }
            }
        }
    }

    /// The outer error is the executor's, the inner one the reply's.
    fn read_evaluated(
        &self,
        executor: &mut dyn Executor,
        request: &[u8],
        context: &CallContext<'_>,
        binding: &Binding,
        rows: usize,
    ) -> Result<Result<Evaluated, EvalFailure>, Error> {
        let mut outcome = None;
        executor.request(request, context, &mut |reply| {
            if reply.len() > self.limits.result {
                return Err(Limit::ResultSize { limit: self.limits.result as u64, used: reply.len() as u64 }.into());
            }
            let _reply = self.hold(reply.len())?;
            outcome = Some(protocol::read_eval(reply, binding, rows));
            Ok(())
        })?;
        outcome.ok_or_else(|| Error::internal("the executor gave no reply"))
    }

    /// Charges a request or a reply while it is on its way. Small ones are not worth counting.
    fn hold(&self, bytes: usize) -> Result<Option<MemoryCharge>, Limit> {
        (bytes > UNCOUNTED).then(|| self.account.hold(bytes as u64)).transpose()
    }

    /// Fills in what only the host knows: the harness reports its `MemoryError` without the limit.
    fn complete(&self, error: Error, executor: &dyn Executor) -> Error {
        match error {
            Error::Limit(Limit::Memory { limit: 0, .. }) => executor.denied_memory().map_or_else(
                || {
                    let default = if self.mode == ExecutionMode::Wasm { Limits::DEFAULT_WASM_MEMORY } else { 0 };
                    let used = Some(executor.peak_memory()).filter(|used| *used > 0);
                    let limit = self.limits.memory.unwrap_or(default);
                    Error::Limit(Limit::Memory { limit, used, scope: Scope::Executor })
                },
                Error::Limit,
            ),
            other => other,
        }
    }
}

/// The binding among these that is for the same thing.
fn known(binds: &[Bound], binding: &Binding) -> Option<Arc<Binding>> {
    binds.iter().find(|bound| bound.binding.is_for(binding)).map(|bound| bound.binding.clone())
}
