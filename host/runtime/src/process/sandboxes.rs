//! Starts the executors of a job whose sandboxes run in workers. A worker that has lost no more than its sandbox (a
//! deadline, a denied allocation, an exhausted stack) is kept for the job's next sandbox, and is never given to another
//! job. Knows nothing of what a sandbox is.

use std::sync::{Arc, Mutex, PoisonError};

use super::executor::{ProcessExecutor, Start};
use crate::Error;
use crate::error::Limit;
use crate::executor::{CallContext, Executor, ReadReply};
use crate::job::Factory;

/// Workers without a sandbox. There are never more than the job has had executors at once.
type Spares = Mutex<Vec<ProcessExecutor>>;

/// The factory of one job.
pub struct SandboxFactory {
    start: Start,
    spares: Arc<Spares>,
}

impl SandboxFactory {
    pub fn new(start: Start) -> Self {
        SandboxFactory { start, spares: Arc::default() }
    }
}

impl Factory for SandboxFactory {
    fn start(&self, context: &CallContext<'_>) -> Result<Box<dyn Executor>, Error> {
        let worker = loop {
            match take(&self.spares) {
                Some(mut worker) if worker.can_begin_again() => {
                    worker.begin_again();
                    break worker;
                }
                // It died while it waited.
                Some(_) => {}
                None => break ProcessExecutor::start(&self.start, context)?,
            }
        };
        Ok(Box::new(SandboxExecutor { worker: Some(worker), spares: self.spares.clone() }))
    }

    fn memory_in_advance(&self) -> u64 {
        self.start.program.sandbox.as_ref().map_or(0, |terms| terms.memory)
    }

    fn in_worker(&self) -> bool {
        true
    }
}

/// Its own function: the lock must not be held while a worker is dropped.
fn take(spares: &Spares) -> Option<ProcessExecutor> {
    spares.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

/// One sandbox in its worker, which outlives it if it can.
struct SandboxExecutor {
    /// `None` only while it is dropped.
    worker: Option<ProcessExecutor>,
    spares: Arc<Spares>,
}

impl Executor for SandboxExecutor {
    fn request(&mut self, request: &[u8], context: &CallContext<'_>, read: ReadReply<'_>) -> Result<(), Error> {
        match &mut self.worker {
            Some(worker) => worker.request(request, context, read),
            None => Err(Error::internal("a sandbox without a worker")),
        }
    }

    fn is_alive(&self) -> bool {
        self.worker.as_ref().is_some_and(ProcessExecutor::is_alive)
    }

    fn peak_memory(&self) -> u64 {
        self.worker.as_ref().map_or(0, ProcessExecutor::peak_memory)
    }

    fn denied_memory(&self) -> Option<Limit> {
        self.worker.as_ref().and_then(ProcessExecutor::denied_memory)
    }
}

impl Drop for SandboxExecutor {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take()
            && worker.can_begin_again()
        {
            self.spares.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        }
    }
}
