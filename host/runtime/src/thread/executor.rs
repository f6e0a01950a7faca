//! One harness in the embedded interpreter, and how requests reach it. Knows no column: `direct` does.

use std::sync::Arc;

use arrow::array::ArrayRef;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::ffi::attach::attached;
use super::interpreter::Interpreter;
use super::watch::Slot;
use super::{direct, output};
use crate::Error;
use crate::executor::{CallContext, Executor, ReadReply};
use crate::function::{Argument, Binding};
use crate::log::JobLog;

/// A harness. Dead after a call that was interrupted: whatever the exception hit is in the middle of something.
pub(super) struct Embedded {
    harness: Py<PyAny>,
    /// Its method `handle`.
    handle: Py<PyAny>,
    /// What bound functions call for each row, by handle.
    callables: Vec<Option<Py<PyAny>>>,
    /// The job's log, except during a call: it is with the thread then.
    log: Option<Arc<JobLog>>,
    slot: Arc<Slot>,
    /// The most bytes of a result.
    reply_limit: usize,
    frames_only: bool,
    alive: bool,
}

impl Embedded {
    pub fn new(
        interpreter: &Interpreter,
        log: Arc<JobLog>,
        reply_limit: usize,
        frames_only: bool,
        context: &CallContext<'_>,
    ) -> Result<Embedded, Error> {
        let (harness, handle) = attached(|py| {
            let harness = interpreter.harness.bind(py).call0()?;
            let handle = harness.getattr("handle")?;
            Ok((harness.unbind(), handle.unbind()))
        })
        .map_err(|error: PyErr| fault(&error))?;
        Ok(Embedded {
            harness,
            handle,
            callables: Vec::new(),
            log: Some(log),
            slot: Slot::new(context.cancelled.clone()),
            reply_limit,
            frames_only,
            alive: true,
        })
    }

    /// Runs `run` as a call: attached, with its output going to the job's log, watched.
    fn call<R>(
        &mut self,
        context: &CallContext<'_>,
        run: impl for<'py> FnOnce(&mut Self, Python<'py>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        if !self.alive {
            return Err(Error::internal("a dead executor was called"));
        }
        attached(|py| {
            // A panic on the way leaves the call open: dead until proven otherwise.
            self.alive = false;
            let previous = output::replace(self.log.take());
            self.slot.begin(py, context);
            let result = run(self, py);
            let interrupted = self.slot.end(py);
            self.log = output::replace(previous);
            if interrupted {
                return Err(context.interruption().unwrap_or_else(|| Error::internal("a call was interrupted")));
            }
            self.alive = true;
            result
        })
    }

    /// What the bound function `handle` calls for each row.
    fn callable<'py>(&mut self, py: Python<'py>, handle: i64) -> Result<Bound<'py, PyAny>, Error> {
        let index = usize::try_from(handle).map_err(|_| Error::internal("a handle that was not bound"))?;
        if let Some(Some(callable)) = self.callables.get(index) {
            return Ok(callable.bind(py).clone());
        }
        let callable = self.harness.bind(py).call_method1("callable", (handle,)).map_err(|error| fault(&error))?;
        if self.callables.len() <= index {
            self.callables.resize_with(index + 1, || None);
        }
        self.callables[index] = Some(callable.clone().unbind());
        Ok(callable)
    }
}

impl Executor for Embedded {
    fn request(&mut self, request: &[u8], context: &CallContext<'_>, read: ReadReply<'_>) -> Result<(), Error> {
        self.call(context, |this, py| {
            let reply = this.handle.bind(py).call1((PyBytes::new(py, request),)).map_err(|error| fault(&error))?;
            let reply = reply.cast::<PyBytes>().map_err(|_| Error::internal("the harness gave no bytes"))?;
            read(reply.as_bytes())
        })
    }

    fn evaluate(
        &mut self,
        binding: &Binding,
        arguments: &[Argument],
        rows: usize,
        context: &CallContext<'_>,
    ) -> Option<Result<ArrayRef, Error>> {
        if self.frames_only {
            return None;
        }
        let columns = direct::columns(arguments)?;
        let evaluate = direct::evaluator(&binding.result)?;
        Some(self.call(context, |this, py| {
            let function = this.callable(py, binding.handle)?;
            let harness = this.harness.bind(py);
            let bound = direct::Bound { function, harness, handle: binding.handle, reply_limit: this.reply_limit };
            evaluate(&bound, &columns, rows)
        }))
    }

    fn is_alive(&self) -> bool {
        self.alive
    }

    /// The memory is the host's: nobody can tell whose.
    fn peak_memory(&self) -> u64 {
        0
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.slot.remove();
        attached(|py| {
            // The interpreter goes on without this job: its modules and importers must not stay. What the job's own
            // destructors print or raise is its own.
            let previous = output::replace(self.log.take());
            let _ = self.harness.bind(py).call_method0("_forget");
            self.callables.clear();
            self.handle = py.None();
            self.harness = py.None();
            output::set(previous);
        });
    }
}

/// An exception that the harness let through: it never does, but for an interruption, which the caller knows of.
pub(super) fn fault(error: &PyErr) -> Error {
    Error::internal(format!("the harness raised {error}"))
}
