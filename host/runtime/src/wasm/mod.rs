//! Wasm mode: CPython for WASI as one flattened core module inside wasmtime, a sandbox of its own for each executor.
//!
//! `settings` (what wasmtime is told, and why), `compile` (ahead-of-time compilation, cached on disk), `engine` (what
//! all sandboxes of the process share), `split` (code and memory of the image apart), `memory` (the memories of
//! sandboxes and the images that they start from), `bake` (what they start with when nothing is loaded), `hostcalls` (the few functions that a guest can call), `sandbox` (one
//! instance and its calls), `columns` (bundles of simple columns without a frame), `stack` (what its code runs on),
//! `state` (what the host keeps for it), `watch` (deadlines and cancellation). Nothing of the host's file system,
//! environment, network or standard streams is reachable from here, and no byte that a guest wrote is trusted.

mod bake;
mod bare;
mod columns;
mod compile;
mod engine;
#[cfg(test)]
mod guard;
mod hostcalls;
mod memory;
mod sandbox;
mod settings;
mod split;
mod stack;
mod state;
#[cfg(test)]
mod tests;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use crate::account::Account;
use crate::cpu::CpuClock;
use crate::executor::{CallContext, Executor};
use crate::job::{Factory, JobOptions};
use crate::log::JobLog;
use crate::{Error, ExecutionMode, Limits, ModeReport, frames_only};

use engine::Engine;

pub use bare::{BareImage, BareSandbox, OtherImage};
pub use settings::{MAX_MEMORY, SANDBOXES, WASM_STACK as STACK};

/// The version of the wasmtime that this library is built with.
pub const WASMTIME_VERSION: &str = "48";

/// Makes the engine ready: compiles the image if this machine has not done so yet (some seconds of all cores), maps
/// it otherwise (about a millisecond). `progress` hears what takes long. The first wasm job does this by itself.
///
/// # Errors
/// [`Error::Missing`] when the cache directory cannot be used; [`Error::Internal`] when wasmtime refuses.
pub fn prepare(progress: &dyn Fn(&str)) -> Result<(), Error> {
    Engine::shared(progress).map(drop)
}

/// Where the compiled image is, or will be after the first start.
///
/// # Errors
/// [`Error::Missing`] when there is no cache directory.
pub fn compiled_image() -> Result<PathBuf, Error> {
    compile::place(&settings::engine(Arc::default())?)
}

/// What wasm mode needs: a cache directory, and address space.
pub(crate) fn report() -> ModeReport {
    let mut report = ModeReport::new(ExecutionMode::Wasm);
    report.fact("guest Python", cloister_guest::GUEST_PYTHON);
    report.fact("wasmtime", WASMTIME_VERSION);
    report.fact("image", &cloister_guest::IMAGE_SHA256[..16]);
    match crate::cache::private_directory("wasm").and_then(|_| compiled_image()) {
        Ok(place) => {
            let state = if place.exists() { "" } else { " (not made yet: the first run compiles it)" };
            report.fact("compiled image", format!("{}{state}", place.display()));
        }
        Err(error) => report.problems.push(error),
    }
    report
}

pub(crate) fn factory(options: &JobOptions, log: &Arc<JobLog>, account: &Account) -> Result<Box<dyn Factory>, Error> {
    let memory = memory_of(options)?;
    if account.limits_cpu() && CpuClock::of_this_thread().is_none() {
        return refuse("cannot measure CPU time on this system: leave the CPU limit out");
    }
    let engine = match &options.image {
        Some(other) => other.engine(),
        None => Engine::shared(&|message| tracing::info!("{message}"))?,
    };
    is_enough(memory, &engine)?;
    let columns = (!frames_only::is_on()).then_some(options.limits.result);
    Ok(Box::new(WasmFactory { engine, memory, log: log.clone(), columns }))
}

/// Checks what a job in a sandbox cannot have, wherever the sandbox runs, and compiles the image if this machine has not
/// done so yet. Gives the memory of each sandbox, in bytes.
#[cfg(feature = "process")]
pub(crate) fn check(options: &JobOptions) -> Result<u64, Error> {
    let memory = memory_of(options)?;
    if options.image.is_some() {
        return refuse("has the image of its build in worker processes: leave the other image out");
    }
    let engine = Engine::shared(&|message| tracing::info!("{message}"))?;
    is_enough(memory, &engine)?;
    Ok(memory)
}

fn refuse<R>(reason: &str) -> Result<R, Error> {
    Err(Error::refused(ExecutionMode::Wasm, reason))
}

fn memory_of(options: &JobOptions) -> Result<u64, Error> {
    if options.interpreter.is_some() {
        return refuse("runs the interpreter that it contains: choose process mode for another interpreter");
    }
    if !options.paths.is_empty() {
        return refuse("cannot read directories of the host: give modules as files, or choose process mode");
    }
    if options.limits.stack.is_some() {
        return refuse(&format!(
            "has a stack of {} MiB in every sandbox: leave the stack limit out, or choose process mode",
            STACK >> 20
        ));
    }
    let memory = options.limits.memory.unwrap_or(Limits::DEFAULT_WASM_MEMORY);
    if memory > MAX_MEMORY {
        return refuse(&format!(
            "has {} MiB at most: lower the memory limit, or choose process mode",
            MAX_MEMORY >> 20
        ));
    }
    Ok(memory)
}

fn is_enough(memory: u64, engine: &Engine) -> Result<(), Error> {
    if memory < engine.least_memory() {
        return refuse(&format!(
            "needs {} MiB for the interpreter alone: raise the memory limit",
            engine.least_memory().div_ceil(1 << 20)
        ));
    }
    Ok(())
}

/// A sandbox with nothing loaded, to be called with frames only: for a worker process, which has no job.
#[cfg(feature = "process")]
pub(crate) fn sandbox(memory: u64, log: &Arc<JobLog>, context: &CallContext<'_>) -> Result<Box<dyn Executor>, Error> {
    let engine = Engine::shared(&|_| {})?;
    let (cancelled, account) = (context.cancelled.clone(), context.account.clone());
    Ok(Box::new(sandbox::Sandbox::new(&engine, memory, log.clone(), cancelled, account, None)?))
}

struct WasmFactory {
    engine: Arc<Engine>,
    memory: u64,
    log: Arc<JobLog>,
    /// See [`sandbox::Sandbox::new`].
    columns: Option<usize>,
}

impl Factory for WasmFactory {
    fn start(&self, context: &CallContext<'_>) -> Result<Box<dyn Executor>, Error> {
        let (log, cancelled, account) = (self.log.clone(), context.cancelled.clone(), context.account.clone());
        Ok(Box::new(sandbox::Sandbox::new(&self.engine, self.memory, log, cancelled, account, self.columns)?))
    }

    fn cancel(&self) {
        self.engine.watch.fire_cancelled();
    }
}
