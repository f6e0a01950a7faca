//! A job: the unit of isolation. One tenant's source, files, limits and mode, and the pool of executors that run it.
//! Never shares an executor, a harness or a log with another job.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::executor::{CallContext, Executor};
use crate::function::{Argument, Binding, Evaluation, Function, FunctionOptions, OnError};
use crate::log::JobLog;
use crate::pool::Pool;
use crate::protocol::{self, EvalFailure, Evaluated};
use crate::{Error, ExecutionMode, Limit, Limits, Signature};

/// What a job is made of.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobOptions {
    /// The mode.
    pub mode: ExecutionMode,
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
    /// Limits.
    pub limits: Limits,
    /// How many calls of the job may run side by side, each in a sandbox or worker of its own. Default: 1.
    pub parallelism: usize,
}

impl JobOptions {
    /// A job in `mode` with defaults for all else.
    pub fn new(mode: ExecutionMode) -> Self {
        JobOptions {
            mode,
            name: "job".into(),
            source: String::new(),
            filename: "udf.py".into(),
            files: Vec::new(),
            paths: Vec::new(),
            interpreter: None,
            limits: Limits::default(),
            parallelism: 1,
        }
    }

    /// Sets the source text and its file name.
    pub fn source(mut self, filename: impl Into<String>, source: impl Into<String>) -> Self {
        self.filename = filename.into();
        self.source = source.into();
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
}

/// Starts executors of one job. Each mode has one.
pub(crate) trait Factory: Send + Sync {
    /// A new harness, with nothing loaded.
    fn start(&self, context: &CallContext<'_>) -> Result<Box<dyn Executor>, Error>;

    /// Called when the job's `cancelled` flag has been set, for modes whose running calls do not look at it themselves.
    fn cancel(&self) {}
}

/// What a job has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct JobStats {
    /// Bundles evaluated, failed ones included.
    pub bundles: u64,
    /// Rows of the bundles that succeeded.
    pub rows: u64,
    /// Bundles that failed, and rows that were made NULL.
    pub errors: u64,
    /// Executors (sandboxes, workers) started, replacements included.
    pub executors: u64,
    /// The most memory that one executor has held, in bytes; 0 where the mode cannot tell.
    pub peak_memory_bytes: u64,
}

/// A running job. Cheap to clone; dropping the last clone ends its executors.
#[derive(Clone, Debug)]
pub struct Job {
    inner: Arc<JobInner>,
    functions: Arc<Vec<Arc<Signature>>>,
}

pub(crate) struct JobInner {
    mode: ExecutionMode,
    limits: Limits,
    factory: Box<dyn Factory>,
    pool: Pool<Slot>,
    /// The requests that bring a new harness to the job's state before any binding: files, then the source.
    setup: Vec<Vec<u8>>,
    /// The BIND requests in order of their handles.
    binds: Mutex<Vec<Arc<Vec<u8>>>>,
    log: Arc<JobLog>,
    cancelled: Arc<AtomicBool>,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    bundles: AtomicU64,
    rows: AtomicU64,
    errors: AtomicU64,
    executors: AtomicU64,
    peak_memory: AtomicU64,
}

/// An executor and how far it has followed the job.
struct Slot {
    executor: Box<dyn Executor>,
    bound: usize,
    /// The request buffer, kept between calls.
    buffer: Vec<u8>,
}

impl std::fmt::Debug for JobInner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Slot {
    /// Sends the BIND request that is next for this harness, and checks that the harness counts as the job does.
    fn bind(&mut self, request: &[u8], context: &CallContext<'_>) -> Result<(), Error> {
        let mut handle = -1;
        self.executor.request(request, context, &mut |reply| {
            handle = protocol::read_int(reply)?;
            Ok(())
        })?;
        if handle != self.bound as i64 {
            return Err(Error::internal("the harness answered with a wrong handle"));
        }
        self.bound += 1;
        Ok(())
    }
}

/// A request buffer larger than this is not kept between calls.
const KEPT_BUFFER: usize = 4 << 20;

impl Job {
    pub(crate) fn start(options: JobOptions) -> Result<Job, Error> {
        let log = Arc::new(JobLog::new(options.limits.log));
        let factory = factory(&options, &log)?;
        let load_options = serde_json::json!({
            "name": options.name,
            "paths": options.paths.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
        });
        let mut setup = Vec::new();
        if !options.files.is_empty() {
            setup.push(protocol::files(&options.files));
        }
        setup.push(protocol::load(&options.source, &options.filename, &load_options));
        let inner = Arc::new(JobInner {
            mode: options.mode,
            limits: options.limits,
            factory,
            pool: Pool::new(options.parallelism),
            setup,
            binds: Mutex::default(),
            log,
            cancelled: Arc::default(),
            counters: Counters::default(),
        });
        let mut functions = Vec::new();
        let context = inner.context();
        inner.pool.with(
            || {
                inner.start_slot(&context, |reply| {
                    functions = Signature::parse_all(&protocol::read_text(reply)?)?.into_iter().map(Arc::new).collect();
                    Ok(())
                })
            },
            |slot| slot.executor.is_alive(),
            |_| Ok(()),
        )?;
        Ok(Job { inner, functions: Arc::new(functions) })
    }

    /// The mode that runs the job.
    pub fn mode(&self) -> ExecutionMode {
        self.inner.mode
    }

    /// What the job's source defines, in the order of the source.
    pub fn functions(&self) -> impl ExactSizeIterator<Item = &Signature> {
        self.functions.iter().map(|signature| signature.as_ref())
    }

    /// The function `name`, with default options.
    ///
    /// # Errors
    /// [`Error::Call`] that lists the functions that there are.
    pub fn function(&self, name: &str) -> Result<Function, Error> {
        self.function_with(name, FunctionOptions::default())
    }

    /// The function `name`.
    ///
    /// # Errors
    /// [`Error::Call`] for an unknown function or one of a kind that cannot be called.
    pub fn function_with(&self, name: &str, options: FunctionOptions) -> Result<Function, Error> {
        let Some(signature) = self.functions.iter().find(|signature| signature.name == name) else {
            let names: Vec<&str> = self.functions.iter().map(|signature| signature.name.as_str()).collect();
            return Err(Error::Call(if names.is_empty() {
                format!("no function '{name}': the source defines none (names that start with '_' are private)")
            } else {
                format!("no function '{name}'; the source defines: {}", names.join(", "))
            }));
        };
        if signature.kind != crate::FunctionKind::Scalar {
            return Err(Error::Call(format!(
                "function '{name}' is a {} function; only scalar functions can be called so far",
                signature.kind
            )));
        }
        Ok(Function::new(self.inner.clone(), signature.clone(), options))
    }

    /// What the job's code printed.
    pub fn log(&self) -> &JobLog {
        &self.inner.log
    }

    /// What the job has done so far.
    pub fn stats(&self) -> JobStats {
        let counters = &self.inner.counters;
        JobStats {
            bundles: counters.bundles.load(Ordering::Relaxed),
            rows: counters.rows.load(Ordering::Relaxed),
            errors: counters.errors.load(Ordering::Relaxed),
            executors: counters.executors.load(Ordering::Relaxed),
            peak_memory_bytes: counters.peak_memory.load(Ordering::Relaxed),
        }
    }

    /// Stops the job: running calls end with [`Error::Cancelled`], later calls do not start.
    pub fn cancel(&self) {
        self.inner.cancelled.store(true, Ordering::Relaxed);
        self.inner.factory.cancel();
    }

    /// Calls `close()` of the functions in every idle executor and ends those. What close() raises goes to the error.
    ///
    /// # Errors
    /// The first error of a `close()`; the executors are ended all the same.
    pub fn close(&self) -> Result<(), Error> {
        let context = self.inner.context();
        let mut first = Ok(());
        for mut slot in self.inner.pool.drain() {
            let closed = slot.executor.request(&protocol::close(), &context, &mut |reply| protocol::read_done(reply));
            first = first.and(closed);
        }
        first
    }
}

impl JobInner {
    fn context(&self) -> CallContext<'_> {
        CallContext {
            // A deadline beyond what the clock can hold is none.
            deadline: self.limits.deadline.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit))),
            cancelled: &self.cancelled,
        }
    }

    fn start_slot(
        &self,
        context: &CallContext<'_>,
        mut loaded: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<Slot, Error> {
        self.counters.executors.fetch_add(1, Ordering::Relaxed);
        let mut executor = self.factory.start(context)?;
        // A deadline is for the user's code: what starting took is not taken from it.
        let context = &self.context();
        let (load, files) = self.setup.split_last().ok_or_else(|| Error::internal("a job without a source"))?;
        for request in files {
            executor.request(request, context, &mut |reply| protocol::read_done(reply))?;
        }
        executor
            .request(load, context, &mut |reply| loaded(reply))
            .map_err(|error| self.complete(error, executor.as_ref()))?;
        Ok(Slot { executor, bound: 0, buffer: Vec::new() })
    }

    /// Lends a slot that has loaded the source and follows every binding.
    fn with_slot<R>(&self, run: impl FnOnce(&mut Slot, &CallContext<'_>) -> Result<R, Error>) -> Result<R, Error> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        self.pool.with(
            // A start has a deadline of its own: it may take longer than the call.
            || self.start_slot(&self.context(), |reply| protocol::read_text(reply).map(drop)),
            |slot| slot.executor.is_alive(),
            |slot| {
                let context = self.context();
                let result = self.follow(slot, &context).and_then(|()| run(slot, &context));
                self.counters.peak_memory.fetch_max(slot.executor.peak_memory(), Ordering::Relaxed);
                result.map_err(|error| self.complete(error, slot.executor.as_ref()))
            },
        )
    }

    /// Sends the bindings that this harness has not seen.
    fn follow(&self, slot: &mut Slot, context: &CallContext<'_>) -> Result<(), Error> {
        loop {
            let Some(request) = self.binds.lock().unwrap_or_else(PoisonError::into_inner).get(slot.bound).cloned()
            else {
                return Ok(());
            };
            slot.bind(&request, context)?;
        }
    }

    /// Registers a binding, trying it in one harness first: one that fails leaves nothing behind.
    pub fn bind(&self, mut binding: Binding) -> Result<Arc<Binding>, Error> {
        self.with_slot(|slot, context| {
            let mut binds = self.binds.lock().unwrap_or_else(PoisonError::into_inner);
            // Another thread may have bound something since this slot followed.
            while slot.bound < binds.len() {
                slot.bind(&binds[slot.bound], context)?;
            }
            binding.handle = binds.len() as i64;
            let request = protocol::bind(&binding)?;
            slot.bind(&request, context)?;
            binds.push(Arc::new(request));
            Ok(Arc::new(binding))
        })
    }

    /// Evaluates one bundle.
    pub fn evaluate(&self, binding: &Binding, arguments: &[Argument], rows: usize) -> Result<Evaluation, Error> {
        let counters = &self.counters;
        counters.bundles.fetch_add(1, Ordering::Relaxed);
        let result = if rows == 0 {
            let column = arrow::array::new_empty_array(&binding.result);
            Ok(Evaluated { column, nulled: None })
        } else {
            self.with_slot(|slot, context| self.evaluate_in(slot, context, binding, arguments, rows))
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
        if binding.on_error == OnError::Fail
            && let Some(result) = slot.executor.evaluate(binding, arguments, rows, context)
        {
            return result.map(|column| Evaluated { column, nulled: None });
        }
        protocol::eval(&mut slot.buffer, binding, arguments, rows)?;
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
            if reply.len() > self.limits.reply {
                return Err(Error::Limit(Limit::Reply { limit: self.limits.reply as u64, used: reply.len() as u64 }));
            }
            outcome = Some(protocol::read_eval(reply, binding, rows));
            Ok(())
        })?;
        outcome.ok_or_else(|| Error::internal("the executor gave no reply"))
    }

    /// Fills in what only the host knows: the harness reports its `MemoryError` without the limit.
    fn complete(&self, error: Error, executor: &dyn Executor) -> Error {
        match error {
            Error::Limit(Limit::Memory { limit: 0, .. }) => {
                let default = if self.mode == ExecutionMode::Wasm { Limits::DEFAULT_WASM_MEMORY } else { 0 };
                let used = Some(executor.peak_memory()).filter(|used| *used > 0);
                Error::Limit(Limit::Memory { limit: self.limits.memory.unwrap_or(default), used })
            }
            other => other,
        }
    }
}

fn factory(options: &JobOptions, log: &Arc<JobLog>) -> Result<Box<dyn Factory>, Error> {
    match options.mode {
        #[cfg(feature = "process")]
        ExecutionMode::Process => crate::process::factory(options, log),
        #[cfg(feature = "thread")]
        ExecutionMode::Thread => crate::thread::factory(options, log),
        #[cfg(feature = "wasm")]
        ExecutionMode::Wasm => crate::wasm::factory(options, log),
        #[allow(unreachable_patterns, reason = "which arms there are depends on the features")]
        mode => Err(not_compiled_in(mode)),
    }
}

/// The error for a mode whose cargo feature is off.
pub(crate) fn not_compiled_in(mode: ExecutionMode) -> Error {
    Error::missing(format!("this build has no {mode} mode"), format!("build with the cargo feature '{mode}'"))
}
