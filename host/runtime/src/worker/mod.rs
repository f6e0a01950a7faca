//! Sandboxes of wasm mode in worker processes: the wasm boundary with the kernel's confinement of process mode around it.
//!
//! Host side: `program` (which program a worker runs, and what it reads) and `factory` here, which joins wasm mode's checks
//! with process mode's workers. Worker side, in a process of its own: `serve` (the main: one sandbox, one request after
//! the other), `stream` (the connection), `words` (errors and memory as messages), `sys` (its one system call). Stands on
//! `wasm` and `process`, which do not know each other. A worker never trusts its environment alone, does nothing before
//! its host has told it its limits, and ends with its stream.

#[cfg(all(feature = "process", feature = "wasm"))]
mod program;
#[cfg(all(feature = "process", feature = "wasm"))]
mod serve;
#[cfg(all(feature = "process", feature = "wasm"))]
mod stream;
#[cfg(all(feature = "process", feature = "wasm"))]
mod sys;
#[cfg(all(feature = "process", feature = "wasm"))]
mod words;

use std::sync::atomic::{AtomicBool, Ordering};

/// The first argument of a program that is started as a worker. Nobody types it, and no environment can make it.
#[cfg(all(feature = "process", feature = "wasm"))]
const ARGUMENT: &str = "--cloister-sandbox-worker";

/// Whether this program can be started as a worker.
static CALLED: AtomicBool = AtomicBool::new(false);

/// Runs a sandbox worker, and ends the process, if this process was started as one; returns at once otherwise.
///
/// A program that uses [`WorkerProgram::This`](crate::WorkerProgram::This), or that others name as
/// [`WorkerProgram::At`](crate::WorkerProgram::At), calls this first thing in `main`, before it reads its arguments or
/// starts a thread. Does nothing in a build without the cargo features `process` and `wasm`.
///
/// ```no_run
/// // The first line of main.
/// cloister::worker::run_if_asked();
/// ```
pub fn run_if_asked() {
    CALLED.store(true, Ordering::Relaxed);
    #[cfg(all(feature = "process", feature = "wasm"))]
    {
        let mut arguments = std::env::args_os().skip(1);
        match (arguments.next(), arguments.next(), arguments.next()) {
            (Some(first), None, None) if first == ARGUMENT => serve::serve(),
            (Some(first), Some(second), None) if first == ARGUMENT && second == program::DESCRIBE => {
                program::describe();
            }
            _ => {}
        }
    }
}

/// Whether jobs with [`WorkerProgram::This`](crate::WorkerProgram::This) can start here: starts such a worker and ends it,
/// unless the image has not been compiled yet; then only the program is asked.
///
/// # Errors
/// [`Error::Missing`](crate::Error::Missing) with what is missing, and what mends it.
pub fn check() -> Result<(), crate::Error> {
    #[cfg(all(feature = "process", feature = "wasm"))]
    return host::check();
    #[cfg(not(all(feature = "process", feature = "wasm")))]
    Err(crate::job::no_workers())
}

#[cfg(all(feature = "process", feature = "wasm"))]
mod host {
    use std::sync::Arc;

    use super::program;
    use crate::account::Account;
    use crate::cpu::CpuClock;
    use crate::job::{Factory, JobOptions, WorkerProgram};
    use crate::log::JobLog;
    use crate::{Error, ExecutionMode, Limits, process, wasm};

    /// The factory of a job whose sandboxes run in workers.
    pub(crate) fn factory(
        options: &JobOptions,
        log: &Arc<JobLog>,
        account: &Account,
    ) -> Result<Box<dyn Factory>, Error> {
        if account.limits_cpu() && CpuClock::of_process(std::process::id()).is_none() {
            let reason = "cannot measure CPU time on this system: leave the CPU limit out";
            return Err(Error::refused(ExecutionMode::Wasm, reason));
        }
        let terms = terms(wasm::check(options)?, options.limits.log);
        let program = program::find(options.worker.as_ref().unwrap_or(&WorkerProgram::This), terms)?;
        process::sandboxes(program, options, log)
    }

    fn terms(memory: u64, log: usize) -> process::SandboxTerms {
        let (stack, log) = (wasm::STACK as u64, log as u64);
        process::SandboxTerms { memory, stack, log, image: cloister_guest::IMAGE_SHA256 }
    }

    /// See [`super::check`].
    pub(super) fn check() -> Result<(), Error> {
        let program = program::find(&WorkerProgram::This, terms(Limits::DEFAULT_WASM_MEMORY, 0))?;
        if wasm::compiled_image()?.exists() { process::try_sandbox(program) } else { Ok(()) }
    }
}

#[cfg(all(feature = "process", feature = "wasm"))]
pub(crate) use host::factory;
