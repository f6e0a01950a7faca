//! What a job is made of, as plain data.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Error, ExecutionMode, Hardening, Limit, Limits, Promise};

/// The program that is started as the worker of a sandbox. It is the embedder's to choose, and is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerProgram {
    /// This program again, which must have called [`worker::run_if_asked`](crate::worker::run_if_asked) when it started.
    This,
    /// The program at this path, which calls that function when it starts and was built with the same image.
    At(PathBuf),
}

/// What a job is made of.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobOptions {
    /// The mode.
    pub mode: ExecutionMode,
    /// What the mode must promise; a mode that does not keep one of these refuses the job. Default: nothing.
    pub require: Vec<Promise>,
    /// Modes to try, in order, when `mode` refuses the job or is not there on this machine. Default: none, so that a
    /// mode never changes; [`Job::mode`](crate::Job::mode) and every result name the one that runs.
    pub fallback: Vec<ExecutionMode>,
    /// The tenant that the job belongs to, defined with [`Session::tenant`](crate::Session::tenant). `None`: the
    /// tenant `default`.
    pub tenant: Option<String>,
    /// A name for errors and logs. Default: `job`.
    pub name: String,
    /// The Python source text that defines the functions.
    pub source: String,
    /// The source's file name in tracebacks: a name, not a path of the host. Default: `udf.py`.
    pub filename: String,
    /// Modules and data that the source can import, by relative path with `/`: `("pkg/__init__.py", bytes)`. Served
    /// from memory in every mode.
    pub files: Vec<(String, Vec<u8>)>,
    /// Directories on the host to import from (installed packages). Process and thread mode only.
    pub paths: Vec<PathBuf>,
    /// The Python interpreter of process mode (`python.executable`). `None`: a managed virtual environment, made on
    /// first use.
    pub interpreter: Option<PathBuf>,
    /// The program in which each sandbox of a wasm job runs, in a worker process of its own with process mode's
    /// confinement, rather than in this process: a bug of the WebAssembly engine, or of what the host adds to it, is then
    /// confined as well. Same image, types, limits and errors; a call costs the way to another process, a memory limit is
    /// charged from a sandbox's start, and such a job cannot be forked. Default: none. Other modes refuse it.
    pub worker: Option<WorkerProgram>,
    /// How much of the confinement of worker processes the job insists on. Default: all that the kernel has.
    pub hardening: Hardening,
    /// Limits.
    pub limits: Limits,
    /// How many calls of the job may run side by side, each in a sandbox or worker of its own. Default: 1.
    pub parallelism: usize,
    /// How long the source must take to load for a job of one executor to keep a copy of it: for tests.
    #[doc(hidden)]
    pub worth_an_image: Duration,
    #[cfg(feature = "wasm")]
    #[doc(hidden)]
    pub image: Option<crate::wasm::OtherImage>,
}

impl JobOptions {
    /// A job in `mode` with defaults for all else.
    pub fn new(mode: ExecutionMode) -> Self {
        JobOptions {
            mode,
            require: Vec::new(),
            fallback: Vec::new(),
            tenant: None,
            name: "job".into(),
            source: String::new(),
            filename: "udf.py".into(),
            files: Vec::new(),
            paths: Vec::new(),
            interpreter: None,
            worker: None,
            hardening: Hardening::default(),
            limits: Limits::default(),
            parallelism: 1,
            worth_an_image: super::copy::WORTH_AN_IMAGE,
            #[cfg(feature = "wasm")]
            image: None,
        }
    }

    /// Sets the source text and its file name.
    pub fn source(mut self, filename: impl Into<String>, source: impl Into<String>) -> Self {
        self.filename = filename.into();
        self.source = source.into();
        self
    }

    /// Adds what the mode must promise.
    pub fn require(mut self, promises: impl IntoIterator<Item = Promise>) -> Self {
        self.require.extend(promises);
        self
    }

    /// Adds modes to try when the mode refuses the job or is not there.
    pub fn fallback(mut self, modes: impl IntoIterator<Item = ExecutionMode>) -> Self {
        self.fallback.extend(modes);
        self
    }

    /// Sets the tenant that the job belongs to.
    pub fn tenant(mut self, name: impl Into<String>) -> Self {
        self.tenant = Some(name.into());
        self
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how many calls may run side by side.
    pub fn parallelism(mut self, parallelism: usize) -> Self {
        self.parallelism = parallelism;
        self
    }

    /// Sets the interpreter of process mode.
    pub fn interpreter(mut self, path: impl Into<PathBuf>) -> Self {
        self.interpreter = Some(path.into());
        self
    }

    /// Sets the program in which the sandboxes of a wasm job run.
    pub fn worker(mut self, program: WorkerProgram) -> Self {
        self.worker = Some(program);
        self
    }

    /// Sets how much of the confinement of worker processes the job insists on.
    pub fn hardening(mut self, hardening: Hardening) -> Self {
        self.hardening = hardening;
        self
    }

    /// Sets the files that the source can import.
    pub fn files(mut self, files: Vec<(String, Vec<u8>)>) -> Self {
        self.files = files;
        self
    }

    /// Sets the host directories to import from (process and thread mode).
    pub fn paths(mut self, paths: Vec<PathBuf>) -> Self {
        self.paths = paths;
        self
    }

    /// Whether the mode keeps what the job requires.
    pub(super) fn check_promises(&self) -> Result<(), Error> {
        let Some(missing) = self.require.iter().find(|promise| !self.mode.keeps(**promise)) else { return Ok(()) };
        let able = ExecutionMode::ALL.into_iter().filter(|mode| self.require.iter().all(|must| mode.keeps(*must)));
        let able = able.map(ExecutionMode::name).collect::<Vec<_>>().join(" or ");
        let who = match able.as_str() {
            "" => "no mode keeps all that the job requires on this machine".to_owned(),
            able => format!("choose {able} mode, or allow it as a fallback"),
        };
        let what = missing.description();
        Err(Error::Refused { mode: self.mode, reason: format!("does not promise '{missing}' ({what}): {who}") })
    }

    /// Whether source and files are within their limit.
    pub(super) fn check_size(&self) -> Result<(), Error> {
        let files = self.files.iter().map(|(path, content)| path.len() + content.len());
        let (limit, used) = (self.limits.source as u64, (self.source.len() + files.sum::<usize>()) as u64);
        if used > limit { Err(Limit::SourceSize { limit, used }.into()) } else { Ok(()) }
    }
}
