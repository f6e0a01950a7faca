//! One case in one mode, inside a stage: honest work, the abuse, honest work again, while a bystander works on. Reports
//! what was seen and judges nothing.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::json::writer::{JsonArray, WriterBuilder};
use cloister::{
    Argument, CallOptions, CancelToken, Error, FunctionOptions, Job, JobOptions, Limit, OnError, Session, TenantLimits,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bait::Bait;
use crate::case::{Abuse, After, Breach, Cancel, Case, When};
use crate::columns;
use crate::footprint::Footprint;
use crate::place::Place;
use crate::scan;
use crate::witness::Witness;

/// What each job can do besides the abuse: honest work, and a word for what it tries. Stands after the source, whose
/// lines keep their numbers.
const COMMON: &str = r#"

def honest(x: int) -> int:
    return sum(range(x)) * 2 + len(str([x]))

def attempt(action):
    try:
        return "reached " + type(action()).__name__
    except BaseException:
        return "refused"
"#;

/// A job's deadline when the case names none. Longer than any case takes that ends by itself.
const DEADLINE: Duration = Duration::from_secs(10);

/// How often honest work is tried that a busy machine has cut off.
const TRIES: usize = 5;

/// How long a case may take until it prints `started`.
const PATIENCE: Duration = Duration::from_secs(30);

/// A result with more bytes is told by its size.
const SHOWN_RESULT: usize = 1 << 20;

/// What one call, or one load, came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// A result: its one value, or the list of them.
    Value(Value),
    /// An error.
    Error {
        /// The variant: user, type, limit, call, refused, missing, died, cancelled, internal.
        kind: String,
        /// The limit or the exception's class.
        name: String,
        /// The message.
        text: String,
    },
}

/// What was seen of a case.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Observation {
    /// What the calls came to.
    pub seen: Vec<Seen>,
    /// What was not contained.
    pub breaches: Vec<(Breach, String)>,
    /// What keeps the case from being judged, for example honest work that failed before the abuse.
    pub problem: Option<String>,
}

/// Where a case runs.
pub struct Surroundings<'a> {
    pub session: &'a Session,
    pub bait: &'a Bait,
    pub witness: &'a Witness,
    /// The program of sandbox workers, if it is not this one.
    pub worker: Option<&'a Path>,
    /// Called when a case that is to be killed with its host has started.
    pub started: &'a (dyn Fn() + Sync),
}

/// Runs `case` in `place`.
pub fn run(case: &Case, place: Place, around: &Surroundings<'_>) -> Observation {
    let before = Footprint::now();
    let stop = AtomicBool::new(false);
    let attack = Attack::new(case, place, around);
    let disturbed = thread::scope(|scope| {
        let watch = scope.spawn(|| around.witness.watch(&stop));
        thread::scope(|scope| {
            for number in 0..case.abuse.jobs {
                let attack = &attack;
                scope.spawn(move || {
                    if let Err(error) = attack.perform(number) {
                        attack.found().problem.get_or_insert_with(|| format!("{error:#}"));
                    }
                });
            }
        });
        stop.store(true, Ordering::SeqCst);
        watch.join()
    });
    let mut found = attack.found.into_inner().unwrap_or_else(PoisonError::into_inner);
    match disturbed {
        Ok(disturbed) => found.breaches.extend(disturbed),
        Err(_) => found.breaches.push((Breach::Dies, "a panic of the host in the bystander's call".into())),
    }
    // A new worker is a new process: there is nothing that it could share with one that is gone.
    if case.abuse.after == After::NewJob && !place.is_process() {
        // On a new thread, which gets what the interpreter gives to new threads.
        let newcomer = thread::scope(|scope| scope.spawn(|| newcomer(place, around)).join());
        found.breaches.extend(newcomer.ok().flatten());
    }
    match around.bait.touched() {
        Ok(touched) => found.breaches.extend(touched),
        Err(error) => found.problem = Some(format!("the bait cannot be looked at: {error}")),
    }
    found.breaches.extend(before.and_then(|before| before.wait_for_return()));
    found
}

/// A job of another tenant that is made after the abuse.
fn newcomer(place: Place, around: &Surroundings<'_>) -> Option<(Breach, String)> {
    match Witness::start(around.session, place.options(around.worker), &around.bait.tenant_secret) {
        Ok(newcomer) => newcomer.ask(0),
        Err(error) => Some((Breach::Disturbs, format!("a newcomer cannot start: {error}"))),
    }
}

struct Attack<'a> {
    abuse: &'a Abuse,
    place: Place,
    around: &'a Surroundings<'a>,
    /// The tenant whose jobs these are: no other case has it.
    tenant: String,
    cancel: CancelToken,
    found: Mutex<Observation>,
}

impl<'a> Attack<'a> {
    fn new(case: &'a Case, place: Place, around: &'a Surroundings<'a>) -> Self {
        let tenant = format!("{}: {} ({place})", case.group, case.name);
        let mut limits = TenantLimits::default();
        if let Some(given) = &case.abuse.tenant {
            limits.memory = given.memory_mib.map(|memory| memory << 20);
            limits.executors = given.executors;
            limits.cpu = given.cpu_ms.map(Duration::from_millis);
        }
        around.session.tenant(&tenant, limits);
        Attack { abuse: &case.abuse, place, around, tenant, cancel: CancelToken::new(), found: Mutex::default() }
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Observation> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that one job does. An error means that the case is broken.
    fn perform(&self, number: usize) -> Result<()> {
        let source = self.around.bait.place_in(&self.abuse.source)? + COMMON;
        let options = self.options(&source, number);
        match self.abuse.when {
            When::Load => {
                let control = match self.start(&self.options(COMMON, number)) {
                    Ok(control) => control,
                    Err(error) => {
                        self.see_error(&error, &options);
                        return Ok(());
                    }
                };
                honest(&control, 5).context("honest work before the abuse")?;
                match self.around.session.job(options.clone()) {
                    Ok(job) => {
                        self.see(Seen::Value("loaded".into()));
                        self.honest_after(&job);
                        self.look_at_log(&job, &options);
                    }
                    Err(error) => self.see_error(&error, &options),
                }
                self.honest_after(&control);
            }
            When::Call => {
                let job = match self.start(&options) {
                    Ok(job) => job,
                    Err(error) => {
                        self.see_error(&error, &options);
                        return Ok(());
                    }
                };
                if let Err(error) = honest(&job, 5) {
                    // What the tenant's other jobs hold, this one cannot have.
                    return match error.downcast_ref::<Error>() {
                        Some(error @ Error::Limit(_)) if self.abuse.tenant.is_some() => {
                            self.see_error(error, &options);
                            Ok(())
                        }
                        _ => Err(error.context("honest work before the abuse")),
                    };
                }
                self.attack(&job, &options)?;
                self.look_at_log(&job, &options);
                if self.abuse.after == After::SameJob && self.abuse.cancel != Some(Cancel::Job) {
                    self.honest_after(&job);
                } else {
                    match self.start(&options) {
                        Ok(job) => self.honest_after(&job),
                        // What the tenant has used up, a new job of it does not have.
                        Err(Error::Limit(_)) if self.abuse.tenant.is_some() => {}
                        Err(error) => self.breach(Breach::Breaks, format!("a new job cannot start: {error}")),
                    }
                }
            }
        }
        Ok(())
    }

    /// The calls of one job.
    fn attack(&self, job: &Job, options: &JobOptions) -> Result<()> {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            if self.abuse.cancel.is_some() || self.abuse.kill_host {
                scope.spawn(|| self.act_when_started(job, &done));
            }
            let side_by_side: Vec<_> =
                (0..self.abuse.parallelism).map(|_| scope.spawn(|| self.calls(job, options))).collect();
            let mut outcome = Ok(());
            for caller in side_by_side {
                match caller.join() {
                    Ok(called) => outcome = outcome.and(called),
                    Err(_) => self.breach(Breach::Dies, "a panic of the host in the call".into()),
                }
            }
            done.store(true, Ordering::SeqCst);
            outcome
        })
    }

    fn calls(&self, job: &Job, options: &JobOptions) -> Result<()> {
        for _ in 0..self.abuse.calls {
            match self.call(job)? {
                Ok(column) => self.see(Seen::Value(shown(&column)?)),
                Err(error) => self.see_error(&error, options),
            }
        }
        Ok(())
    }

    /// The outer error is the case's.
    fn call(&self, job: &Job) -> Result<Result<ArrayRef, Error>> {
        let abuse = self.abuse;
        let mut options = FunctionOptions::default();
        if abuse.null_on_error {
            options.on_error = OnError::Null;
        }
        if let Some(text) = &abuse.result_type {
            options.result = Some(columns::data_type(text)?);
        }
        let function = match job.function_with(&abuse.function, options) {
            Ok(function) => function,
            Err(error) => return Ok(Err(error)),
        };
        let (mut arguments, length) = columns::arguments(abuse.arguments.as_deref().unwrap_or_default())?;
        let rows = abuse.rows.or(length).unwrap_or(1);
        if abuse.arguments.is_none() {
            let counted: ArrayRef = std::sync::Arc::new(Int64Array::from_iter_values(0..rows as i64));
            arguments.push(Argument::Column(counted));
        }
        let options = CallOptions::default().cancel(self.cancel.clone());
        Ok(function.evaluate_with(&arguments, rows, &options).map(|evaluation| evaluation.column))
    }

    fn act_when_started(&self, job: &Job, done: &AtomicBool) {
        let begun = Instant::now();
        while !done.load(Ordering::SeqCst) {
            if job.log().take().iter().any(|(_, text)| text.contains("started")) {
                return match self.abuse.cancel {
                    Some(Cancel::Job) => job.cancel(),
                    Some(Cancel::Call) => self.cancel.cancel(),
                    None => (self.around.started)(),
                };
            }
            if begun.elapsed() > PATIENCE {
                self.found().problem.get_or_insert_with(|| "the case did not print `started`".into());
                return job.cancel();
            }
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    fn options(&self, source: &str, number: usize) -> JobOptions {
        let abuse = self.abuse;
        let options = self.place.options(self.around.worker);
        let mut options = options.source("abuse.py", source).parallelism(abuse.parallelism).tenant(&self.tenant);
        options.files = abuse.files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes())).collect();
        let deadline = abuse.deadline_ms.map_or(DEADLINE, Duration::from_millis);
        // Jobs beside each other have different deadlines.
        options.limits.deadline = Some(deadline * (1 + number as u32 % 3));
        options.limits.cpu = abuse.cpu_ms.map(Duration::from_millis);
        options.limits.memory = abuse.memory_mib.map(|memory| memory << 20);
        options.limits.job_memory = abuse.job_memory_mib.map(|memory| memory << 20);
        if let Some(result) = abuse.result_kib {
            options.limits.result = result << 10;
        }
        if let Some(log) = abuse.log_kib {
            options.limits.log = log << 10;
        }
        if let Some(source) = abuse.source_kib {
            options.limits.source = source << 10;
        }
        options
    }

    /// A job that a busy machine may need more than one try for.
    fn start(&self, options: &JobOptions) -> Result<Job, Error> {
        patiently(|| self.around.session.job(options.clone()))
    }

    fn honest_after(&self, job: &Job) {
        if let Err(error) = honest(job, 6)
            && !(self.abuse.tenant.is_some() && matches!(error.downcast_ref(), Some(Error::Limit(_))))
        {
            self.breach(Breach::Breaks, format!("honest work after the abuse: {error:#}"));
        }
    }

    fn look_at_log(&self, job: &Job, options: &JobOptions) {
        let text: String = job.log().take().into_iter().map(|(_, text)| text).collect();
        scan::log(&text, options.limits.log, self.around.bait, &mut self.found().breaches);
    }

    fn breach(&self, breach: Breach, what: String) {
        self.found().breaches.push((breach, what));
    }

    fn see(&self, seen: Seen) {
        let mut found = self.found();
        if let Seen::Value(value) = &seen {
            scan::value(&value.to_string(), self.around.bait, &mut found.breaches);
        }
        found.seen.push(seen);
    }

    fn see_error(&self, error: &Error, options: &JobOptions) {
        let text = error.to_string();
        let mut found = self.found();
        scan::message(&text, self.around.bait, &mut found.breaches);
        if let Error::Limit(Limit::Deadline { limit, .. }) = error
            && Some(*limit) != options.limits.deadline
        {
            found.problem = Some(format!("the deadline of {limit:?} is not that of the job"));
        }
        found.seen.push(Seen::Error { kind: kind(error).into(), name: name(error), text });
    }
}

fn honest(job: &Job, argument: i64) -> Result<()> {
    let column: ArrayRef = std::sync::Arc::new(Int64Array::from(vec![argument]));
    let result = patiently(|| job.function("honest")?.call(std::slice::from_ref(&column), 1))?;
    let value = result.as_primitive_opt::<Int64Type>().context("a result of another type")?.value(0);
    let right = (0..argument).sum::<i64>() * 2 + 3;
    anyhow::ensure!(value == right, "{value}, {right} is right");
    Ok(())
}

/// Tries again what a busy machine has cut off by a short deadline.
fn patiently<T>(mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 1..TRIES {
        match attempt() {
            Err(Error::Limit(Limit::Deadline { .. })) => {}
            other => return other,
        }
    }
    attempt()
}

fn shown(column: &ArrayRef) -> Result<Value> {
    let bytes = column.get_array_memory_size();
    if bytes > SHOWN_RESULT {
        return Ok(serde_json::json!({ "rows": column.len(), "bytes": bytes }));
    }
    let batch = RecordBatch::try_from_iter([("v", column.clone())])?;
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(Vec::new());
    writer.write(&batch)?;
    writer.finish()?;
    let rows: Vec<Value> = serde_json::from_slice(&writer.into_inner())?;
    let mut values: Vec<Value> = rows.into_iter().map(|mut row| row["v"].take()).collect();
    Ok(if values.len() == 1 { values.remove(0) } else { Value::Array(values) })
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::User(_) => "user",
        Error::Type(_) => "type",
        Error::Limit(_) => "limit",
        Error::Call(_) => "call",
        Error::Refused { .. } => "refused",
        Error::Missing { .. } => "missing",
        Error::ExecutorDied { .. } => "died",
        Error::Cancelled => "cancelled",
        _ => "internal",
    }
}

fn name(error: &Error) -> String {
    match error {
        Error::User(user) => user.exception.clone(),
        Error::Limit(limit) => match limit {
            Limit::Memory { .. } => "memory".into(),
            Limit::Deadline { .. } => "deadline".into(),
            Limit::Cpu { .. } => "cpu".into(),
            Limit::ResultSize { .. } => "result".into(),
            Limit::SourceSize { .. } => "source".into(),
            Limit::CheckpointSize { .. } => "checkpoint".into(),
            Limit::Stack { .. } => "stack".into(),
            Limit::Executors { .. } => "executors".into(),
            other => other.to_string(),
        },
        _ => String::new(),
    }
}
