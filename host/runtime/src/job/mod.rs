//! A job: the unit of isolation. One tenant's source, files, limits and mode, and the pool of executors that run it.
//! Never shares an executor, a harness or a log with another job.

mod copy;
mod factory;
mod fork;
mod inner;
mod options;
mod slot;
mod stats;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::account::Account;
use crate::function::{CallOptions, Function, FunctionOptions};
use crate::log::JobLog;
use crate::pool::Pool;
use crate::tenant::Tenant;
use crate::{Error, ExecutionMode, Signature, protocol};

pub use options::{JobOptions, WorkerProgram};
pub use stats::JobStats;

#[cfg(not(all(feature = "process", feature = "wasm")))]
pub(crate) use factory::no_workers;
pub(crate) use factory::{Factory, not_compiled_in};
pub(crate) use inner::JobInner;

/// A running job. Cheap to clone; dropping the last clone ends its executors.
#[derive(Clone, Debug)]
pub struct Job {
    inner: Arc<JobInner>,
    functions: Arc<Vec<Arc<Signature>>>,
    refusal: Option<Arc<Error>>,
}

/// How many functions the error for an unknown one lists.
const LISTED_NAMES: usize = 20;

impl Job {
    /// Starts the job in its mode, or in the first fallback that takes it. What the first mode said is the error.
    pub(crate) fn start(mut options: JobOptions, tenant: &Tenant) -> Result<Job, Error> {
        let mut modes = std::mem::take(&mut options.fallback).into_iter();
        let mut refusal = None;
        loop {
            let error = match Job::start_in_mode(&options, tenant) {
                Ok(job) => return Ok(Job { refusal: refusal.map(Arc::new), ..job }),
                Err(error @ (Error::Refused { .. } | Error::Missing { .. })) => error,
                Err(error) => return Err(error),
            };
            let first = refusal.get_or_insert(error);
            match modes.next() {
                Some(mode) => options.mode = mode,
                None => return Err(first.clone()),
            }
        }
    }

    fn start_in_mode(options: &JobOptions, tenant: &Tenant) -> Result<Job, Error> {
        options.check_promises()?;
        options.check_size()?;
        let log = Arc::new(JobLog::new(options.limits.log));
        let account = Account::of_job(&options.limits, tenant.account());
        let factory = factory::factory(options, &log, &account)?;
        let load_options = serde_json::json!({
            "name": options.name,
            "paths": options.paths.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
        });
        let mut setup = Vec::new();
        if !options.files.is_empty() {
            setup.push(protocol::files(&options.files));
        }
        setup.push(protocol::load(&options.source, &options.filename, &load_options));
        let held = account.hold(setup.iter().map(|request| request.len() as u64).sum())?;
        let inner = Arc::new(JobInner {
            mode: options.mode,
            limits: options.limits.clone(),
            factory,
            pool: Pool::new(options.parallelism),
            setup,
            copies: copy::Copies::new(options.parallelism, options.worth_an_image, options.limits.checkpoint),
            binds: Default::default(),
            log,
            cancelled: Arc::default(),
            counters: Default::default(),
            account,
            _held: held,
            membership: tenant.join(),
        });
        let mut functions = Vec::new();
        let context = inner.context(CallOptions::NONE);
        inner.pool.with(
            None,
            || {
                inner.start_slot(&context, |reply| {
                    functions = Signature::parse_all(&protocol::read_text(reply)?)?.into_iter().map(Arc::new).collect();
                    Ok(())
                })
            },
            |slot| slot.executor.is_alive(),
            |slot| {
                inner.copies.keep(slot, &context);
                Ok(())
            },
        )?;
        Ok(Job { inner, functions: Arc::new(functions), refusal: None })
    }

    /// The mode that runs the job.
    pub fn mode(&self) -> ExecutionMode {
        self.inner.mode
    }

    /// Why the job runs in a fallback: what the mode that was asked for said. `None`: it runs where it was asked to.
    pub fn refusal(&self) -> Option<&Error> {
        self.refusal.as_deref()
    }

    /// The tenant that it belongs to.
    pub fn tenant(&self) -> &Tenant {
        self.inner.membership.tenant()
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
            let names = self.functions.iter().map(|signature| signature.name.as_str());
            let listed: Vec<&str> = names.take(LISTED_NAMES).collect();
            let more = match self.functions.len().saturating_sub(LISTED_NAMES) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            return Err(Error::Call(if listed.is_empty() {
                format!("no function '{name}': the source defines none (names that start with '_' are private)")
            } else {
                format!("no function '{name}'; the source defines: {}{more}", listed.join(", "))
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
        self.inner.counters.read(self.inner.mode, self.inner.factory.in_worker(), &self.inner.account)
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
        let mut first = Ok(());
        for mut slot in self.inner.pool.drain() {
            let closed = self.inner.turn(None).and_then(|_turn| {
                let context = self.inner.context(CallOptions::NONE);
                slot.executor.request(&protocol::close(), &context, &mut |reply| protocol::read_done(reply))
            });
            first = first.and(closed);
        }
        first
    }
}
