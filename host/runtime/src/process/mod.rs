//! Process mode: one Python worker process for each executor, reached over gRPC on a Unix socket. The same workers, with
//! the same confinement, can run another program: `crate::worker` puts the sandboxes of wasm mode into them.
//!
//! `interpreter` (finds and questions a Python), `environment` (managed virtual environments), `guest` (the Python
//! package on disk), `place` (the private directory of this host), `server` (the gRPC server that workers dial), `link`
//! (one worker's stream as its executor sees it), `program` (what a worker runs), `question` (asks a program what it is), `worker` (one operating system process),
//! `output` (its standard streams), `memory` (its peak), `group` (its control group), `confine` (the kernel's layers around
//! a worker), `executor` (a worker as the trait that the modes share), `inside` (what is known of the sandbox in a worker),
//! `failure` (what a sandbox worker says instead of a reply), `sandboxes` (the executors of a job whose sandboxes run in
//! workers), `sys` (system calls).
//!
//! A worker never outlives its host, its environment is empty, and no message of it is trusted. The kernel keeps the
//! machine away from the user's code, as far as it can: see [`hardening`].

mod confine;
mod environment;
mod executor;
mod failure;
mod group;
mod guest;
mod inside;
mod interpreter;
mod link;
mod memory;
mod output;
mod place;
mod program;
mod question;
#[cfg(feature = "wasm")]
mod sandboxes;
mod server;
mod sys;
mod worker;

use std::sync::Arc;

use crate::account::Account;
use crate::cpu::CpuClock;
use crate::executor::{CallContext, Executor};
use crate::job::{Factory, JobOptions};
use crate::log::JobLog;
use crate::{Error, ExecutionMode, Hardening, Layer, ModeReport, Promise};

use executor::{ProcessExecutor, Start};
use interpreter::Interpreter;
use server::Server;

pub use environment::install_requirements;
#[cfg(feature = "wasm")]
pub(crate) use program::{Program, SandboxTerms};
#[cfg(feature = "wasm")]
pub(crate) use question::ask;

/// The least stack of a worker: the interpreter and gRPC start within half of it.
const LEAST_STACK: u64 = 1 << 20;

/// Makes the managed environment ready (`venv`, and grpcio by `pip`: some seconds, once), so that the first job does
/// not have to. `progress` hears what takes long. Jobs that name an interpreter do not need it.
///
/// # Errors
/// [`Error::Missing`] with the command that mends it.
pub fn prepare(progress: &dyn Fn(&str)) -> Result<(), Error> {
    let interpreter = environment::managed(progress)?;
    guest::directory(&interpreter).map(drop)
}

/// What process mode needs: a Python, and an environment with grpcio, or the means to make one.
pub(crate) fn report() -> ModeReport {
    let mut report = ModeReport::new(ExecutionMode::Process);
    report.hardening = hardening();
    report.fact("guest package", &cloister_guest::SOURCES_SHA256[..16]);
    let base = match Interpreter::system() {
        Ok(base) => base,
        Err(error) => {
            report.problems.push(error);
            return report;
        }
    };
    report.fact("python3", format!("{} ({})", base.executable.display(), base.version_text()));
    match environment::managed_place(&base) {
        Ok((place, Some(ready))) => {
            report.fact("environment", place.display());
            report.fact("grpcio", ready.grpcio.unwrap_or_default());
        }
        Ok((place, None)) => {
            report.fact("environment", format!("{} (not made yet: the first run makes it)", place.display()));
        }
        Err(error) => report.problems.push(error),
    }
    report
}

/// The layers with which this machine's kernel confines a worker, those that it lacks included. The first call tries
/// them out in a child process; later ones cost nothing.
pub fn hardening() -> Vec<Layer> {
    confine::layers()
}

/// Whether the kernel confines workers in full: the promise of no access to the host hangs on it.
pub(crate) fn confines() -> bool {
    hardening().iter().all(|layer| layer.optional || layer.is_in_force())
}

pub(crate) fn factory(options: &JobOptions, log: &Arc<JobLog>, account: &Account) -> Result<Box<dyn Factory>, Error> {
    if account.limits_memory() && options.limits.memory.is_none() {
        return Err(Error::refused(
            ExecutionMode::Process,
            "charges a worker's memory limit to its job and tenant in advance: set the memory limit of a worker, or \
             choose wasm mode",
        ));
    }
    if account.limits_cpu() && CpuClock::of_process(std::process::id()).is_none() {
        return Err(Error::refused(
            ExecutionMode::Process,
            "cannot measure CPU time on this system: leave the CPU limit out",
        ));
    }
    if options.limits.stack.is_some_and(|stack| stack < LEAST_STACK) {
        return Err(Error::refused(
            ExecutionMode::Process,
            format!("needs a stack of {} MiB for the interpreter alone: raise the stack limit", LEAST_STACK >> 20),
        ));
    }
    if options.limits.stack.is_some() && !cfg!(target_os = "linux") {
        return Err(Error::refused(ExecutionMode::Process, "cannot limit a stack on this system: leave the limit out"));
    }
    if options.hardening == Hardening::Off && options.require.contains(&Promise::NoHostAccess) {
        return Err(Error::refused(
            ExecutionMode::Process,
            format!("keeps {} with its hardening only: do not turn it off, or choose wasm mode", Promise::NoHostAccess),
        ));
    }
    confine::check(options.hardening, ExecutionMode::Process)?;
    let interpreter = match &options.interpreter {
        Some(path) => Interpreter::probe(path)?,
        None => environment::managed(&|message| tracing::info!("{message}"))?,
    };
    if interpreter.grpcio.is_none() {
        return Err(interpreter.no_grpcio());
    }
    Ok(Box::new(ProcessFactory(Start {
        server: Server::shared()?,
        program: guest::program(&interpreter, &options.paths)?,
        hardening: options.hardening,
        memory: options.limits.memory,
        stack: options.limits.stack,
        reply: options.limits.result,
        log: log.clone(),
    })))
}

/// A job's sandboxes in workers that run `program`, which is a sandbox worker.
#[cfg(feature = "wasm")]
pub(crate) fn sandboxes(program: Program, options: &JobOptions, log: &Arc<JobLog>) -> Result<Box<dyn Factory>, Error> {
    confine::check(options.hardening, program.mode())?;
    Ok(Box::new(sandboxes::SandboxFactory::new(Start {
        server: Server::shared()?,
        program,
        hardening: options.hardening,
        memory: None,
        stack: None,
        reply: options.limits.result,
        log: log.clone(),
    })))
}

/// Starts a worker that runs `program`, which is a sandbox worker, and ends it.
///
/// # Errors
/// As a job's start.
#[cfg(feature = "wasm")]
pub(crate) fn try_sandbox(program: Program) -> Result<(), Error> {
    let options = JobOptions::new(ExecutionMode::Wasm);
    let account = Account::of_tenant("none", &crate::TenantLimits::default());
    let context = CallContext { deadline: None, cancelled: &Arc::default(), token: None, account: &account };
    sandboxes(program, &options, &Arc::new(JobLog::new(0)))?.start(&context).map(drop)
}

struct ProcessFactory(Start);

impl Factory for ProcessFactory {
    fn start(&self, context: &CallContext<'_>) -> Result<Box<dyn Executor>, Error> {
        Ok(Box::new(ProcessExecutor::start(&self.0, context)?))
    }

    fn memory_in_advance(&self) -> u64 {
        self.0.memory.unwrap_or(0)
    }
}

/// See [`crate::fuzzing::worker`].
pub(crate) fn fuzz(input: &[u8]) {
    link::fuzz(input);
}
