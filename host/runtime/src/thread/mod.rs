//! Thread mode: CPython inside the host process, through pyo3. **For trusted code only.**
//!
//! The mode with the lowest latency, and the one that promises least. All jobs of the process share one interpreter:
//! each has a module of its own, but its code can reach everything else (other jobs' modules, the host's files,
//! network, environment and memory), a crash of a C extension ends the host, memory cannot be limited, and deadlines
//! and cancellation are best effort (see `watch`). One call runs Python at a time, because the interpreter has one
//! lock; parallelism helps functions that wait or that run C code which gives the lock up.
//!
//! A host that runs Python of its own shares the interpreter with the jobs, and must not be attached to it while it
//! calls into this library: a call may wait for another one, which needs the interpreter.
//!
//! `interpreter` (the one of the process), `executor` (one harness in it), `direct` (Arrow columns to Python objects
//! and back without a frame), `output` (whose log `print` goes to), `watch` (deadlines), `ffi` (the unsafe edge).

mod direct;
mod executor;
mod ffi;
mod interpreter;
mod output;
mod watch;

use std::sync::Arc;

use crate::account::Account;
use crate::executor::{CallContext, Executor};
use crate::job::{Factory, JobOptions};
use crate::log::JobLog;
use crate::{Error, ExecutionMode, ModeReport, frames_only};

use interpreter::Interpreter;

/// What thread mode needs: the standard library of the Python that it is linked with. Starts the interpreter.
pub(crate) fn report() -> ModeReport {
    let mut report = ModeReport::new(ExecutionMode::Thread);
    match Interpreter::shared() {
        Ok(interpreter) => {
            report.fact("embedded Python", &interpreter.version);
            report.fact("prefix", &interpreter.prefix);
        }
        Err(error) => report.problems.push(error),
    }
    report
}

pub(crate) fn factory(options: &JobOptions, log: &Arc<JobLog>, account: &Account) -> Result<Box<dyn Factory>, Error> {
    let refuse = |reason: &str| Err(Error::refused(ExecutionMode::Thread, reason));
    if options.interpreter.is_some() {
        return refuse("runs the interpreter that the host is linked with: choose process mode for another one");
    }
    if options.limits.memory.is_some() || account.limits_memory() {
        return refuse("cannot keep a memory limit: choose process or wasm mode");
    }
    if account.limits_cpu() {
        return refuse("cannot keep a CPU limit: choose process or wasm mode");
    }
    if options.limits.stack.is_some() {
        return refuse("cannot limit a stack, the threads are the host's: choose process mode");
    }
    Ok(Box::new(ThreadFactory {
        interpreter: Interpreter::shared()?,
        log: log.clone(),
        reply_limit: options.limits.result,
        frames_only: frames_only::is_on(),
    }))
}

struct ThreadFactory {
    interpreter: &'static Interpreter,
    log: Arc<JobLog>,
    reply_limit: usize,
    frames_only: bool,
}

impl Factory for ThreadFactory {
    fn start(&self, context: &CallContext<'_>) -> Result<Box<dyn Executor>, Error> {
        let (log, limit) = (self.log.clone(), self.reply_limit);
        Ok(Box::new(executor::Embedded::new(self.interpreter, log, limit, self.frames_only, context)?))
    }
}
