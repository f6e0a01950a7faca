//! From the command line to a running job: source, files, packages, limits. Everything that takes long is announced.

mod files;
mod log;
mod requirements;
mod source;

use anyhow::{Context as _, Result};
use cloister::{Error, ExecutionMode, Hardening, Job, JobOptions, Limits, Session, WorkerProgram};

use crate::args::JobArgs;
use crate::failure::usage;
use crate::progress::Progress;

pub use log::LogPrinter;
pub use source::{Source, split_target};

/// Starts the job: makes the mode ready, installs what the function needs, loads the source.
pub fn start(args: &JobArgs, source: &Source, parallelism: usize, progress: &Progress) -> Result<Job> {
    if args.python.is_some() && ![&[args.mode], &args.fallback[..]].concat().contains(&ExecutionMode::Process) {
        return Err(usage("--python chooses the interpreter of process mode: add --mode process"));
    }
    if args.in_worker && args.mode != ExecutionMode::Wasm {
        return Err(usage("--in-worker puts the sandboxes of wasm mode into worker processes: leave --mode out"));
    }
    if args.hardening != Hardening::default() && args.mode != ExecutionMode::Process && !args.in_worker {
        return Err(usage("--hardening is for worker processes: add --mode process, or --in-worker"));
    }
    let mut options = JobOptions::new(args.mode).source(source.filename(), source.text()).parallelism(parallelism);
    options.limits = limits(args);
    options.require.clone_from(&args.require);
    options.fallback.clone_from(&args.fallback);
    options.interpreter = args.python.clone();
    options.hardening = args.hardening;
    options.worker = args.in_worker.then_some(WorkerProgram::This);
    options.files = files::gather(&args.files)?;
    match prepare(args, progress) {
        // What is missing, the job's start finds again, and goes to the fallback.
        Err(_) if !args.fallback.is_empty() => {}
        outcome => outcome?,
    }
    if let Some(path) = &args.requirements {
        requirements::install(path, &mut options, progress)
            .with_context(|| format!("--requirements {}", path.display()))?;
    }
    let job = Session::new().job(options).map_err(|error| {
        let hint = source.hint(&error);
        let error = anyhow::Error::from(error);
        match hint {
            Some(hint) => anyhow::anyhow!("{error}\n{hint}"),
            None => error,
        }
    })?;
    if let Some(refusal) = job.refusal() {
        progress.line(&format!("{refusal}\nrunning in {} mode instead, as --fallback allows", job.mode()));
    }
    Ok(job)
}

fn limits(args: &JobArgs) -> Limits {
    let mut limits = Limits::default();
    limits.memory = args.memory;
    if let Some(deadline) = args.deadline {
        limits.deadline = deadline.0;
    }
    limits.cpu = args.cpu;
    // A size beyond what this machine can address is no limit.
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    limits.result = args.max_result.map_or(limits.result, size);
    limits.log = args.max_log.map_or(limits.log, size);
    limits.checkpoint = args.max_checkpoint.unwrap_or(limits.checkpoint);
    limits.stack = args.stack;
    limits
}

/// Does the first-time work of the mode now, so that it can be shown.
#[allow(unused_variables, reason = "which modes there are depends on the features")]
fn prepare(args: &JobArgs, progress: &Progress) -> Result<(), Error> {
    let show = |message: &str| progress.preparing(message);
    match args.mode {
        #[cfg(feature = "wasm")]
        ExecutionMode::Wasm => cloister::wasm::prepare(&show),
        #[cfg(feature = "process")]
        ExecutionMode::Process if args.python.is_none() && args.requirements.is_none() => {
            cloister::process::prepare(&show).map(drop)
        }
        _ => Ok(()),
    }
}
