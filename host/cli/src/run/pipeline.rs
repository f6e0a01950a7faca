//! Reader, workers and writer side by side: bundles are read ahead, evaluated in any order and written in theirs. The
//! queues are bounded, so that memory is; the first error, in the order of rows, ends everything.

use std::panic;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use arrow::array::RecordBatch;
use cloister::{Error, Evaluation, Job};

use super::plan::Plan;
use crate::failure::Interrupted;
use crate::interrupt;
use crate::table::Batches;

/// An evaluated bundle: the rows to write, and what the call said.
pub type Bundle = (RecordBatch, Evaluation);

/// How long the threads were at work, in nanoseconds; shared with them.
#[derive(Debug, Default)]
pub struct Clock {
    reading: AtomicU64,
    calling: AtomicU64,
}

impl Clock {
    /// Time in the reader.
    pub fn reading(&self) -> Duration {
        Duration::from_nanos(self.reading.load(Ordering::Relaxed))
    }

    /// Time in calls of the function, of all workers together.
    pub fn calling(&self) -> Duration {
        Duration::from_nanos(self.calling.load(Ordering::Relaxed))
    }
}

fn timed<R>(total: &AtomicU64, work: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = work();
    total.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
    result
}

/// What reaches the writer, in the order of rows.
enum Message {
    /// A bundle that is being evaluated: its outcome comes through here.
    Bundle(Receiver<Result<Bundle>>),
    End(Result<()>),
}

struct Work {
    batch: RecordBatch,
    first_row: u64,
    outcome: SyncSender<Result<Bundle>>,
}

/// What the threads share.
struct Shared {
    plan: Plan,
    clock: Arc<Clock>,
    /// A call has failed: nothing more needs to be read.
    failed: AtomicBool,
    /// Calls that are running.
    calls: AtomicUsize,
}

/// Where the results go: the caller's thread.
pub trait Consumer {
    /// The next bundle, in the order of rows.
    fn bundle(&mut self, bundle: Bundle) -> Result<()>;

    /// Nothing has come for a while.
    fn idle(&mut self);
}

/// How often an idle consumer is called, and signals are looked at.
const IDLE: Duration = Duration::from_millis(50);

/// How long to wait for calls to end after an error. In thread mode a call may not end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs every batch through `plan` in `workers` threads and hands the results to `consumer` in order.
///
/// # Errors
/// The first error of the reader, a call or the consumer; [`Interrupted`]. The job is cancelled then.
pub fn run(
    batches: Batches,
    plan: Plan,
    job: &Job,
    workers: usize,
    clock: &Arc<Clock>,
    consumer: &mut dyn Consumer,
) -> Result<()> {
    let _running = interrupt::while_running(job);
    // Ahead of the writer: a bundle for each worker, and one that waits behind each.
    let (order, ordered) = mpsc::sync_channel(2 * workers + 2);
    let (work, queue) = mpsc::sync_channel(workers);
    let queue = Arc::new(Mutex::new(queue));
    let shared = Shared { plan, clock: clock.clone(), failed: AtomicBool::new(false), calls: AtomicUsize::new(0) };
    let shared = Arc::new(shared);
    let mut threads = Vec::new();
    for number in 0..workers {
        let (queue, shared) = (queue.clone(), shared.clone());
        threads.push(spawn(format!("worker-{number}"), move || evaluate(&queue, &shared))?);
    }
    let reading = shared.clone();
    threads.push(spawn("reader".into(), move || {
        let read = panic::AssertUnwindSafe(|| read(batches, &order, &work, &reading));
        if panic::catch_unwind(read).is_err() {
            let fault = Error::Internal("the reader ended in the middle of the input".into());
            let _ = order.send(Message::End(Err(fault.into())));
        }
    })?);

    let result = collect(&ordered, consumer);
    drop(ordered);
    if result.is_ok() {
        // They have nothing left to do; with them go their handles of the job.
        threads.into_iter().for_each(|thread| drop(thread.join()));
    } else {
        job.cancel();
        // Not by joining: the reader may wait for an input that does not come.
        let start = Instant::now();
        while shared.calls.load(Ordering::SeqCst) > 0 && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(1));
        }
    }
    if interrupt::signalled() { Err(Interrupted.into()) } else { result }
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new().name(name).spawn(work).context("no thread can be started")
}

/// Reads until the end, an error, or until nobody listens.
fn read(mut batches: Batches, order: &SyncSender<Message>, work: &SyncSender<Work>, shared: &Shared) {
    let mut first_row = 0;
    while !shared.failed.load(Ordering::Relaxed) {
        let batch = match timed(&shared.clock.reading, || batches.next()) {
            Some(Ok(batch)) => batch,
            Some(Err(error)) => {
                let _ = order.send(Message::End(Err(error)));
                return;
            }
            None => break,
        };
        let rows = batch.num_rows() as u64;
        let (outcome, result) = mpsc::sync_channel(1);
        if order.send(Message::Bundle(result)).is_err() || work.send(Work { batch, first_row, outcome }).is_err() {
            return;
        }
        first_row += rows;
    }
    let _ = order.send(Message::End(Ok(())));
}

fn evaluate(queue: &Mutex<Receiver<Work>>, shared: &Shared) {
    loop {
        // The lock is held while waiting: the others would only wait for the same.
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Work { batch, first_row, outcome }) = next else { return };
        shared.calls.fetch_add(1, Ordering::SeqCst);
        let result = timed(&shared.clock.calling, || shared.plan.evaluate(&batch, first_row));
        shared.calls.fetch_sub(1, Ordering::SeqCst);
        if result.is_err() {
            shared.failed.store(true, Ordering::Relaxed);
        }
        // The writer may have ended for another reason.
        let _ = outcome.send(result);
    }
}

fn collect(ordered: &Receiver<Message>, consumer: &mut dyn Consumer) -> Result<()> {
    loop {
        match wait(ordered, consumer, "the reader")? {
            Message::Bundle(outcome) => {
                let bundle = wait(&outcome, consumer, "a worker")??;
                consumer.bundle(bundle)?;
            }
            Message::End(result) => return result,
        }
    }
}

/// The next of `receiver`; `who` sends it.
fn wait<T>(receiver: &Receiver<T>, consumer: &mut dyn Consumer, who: &str) -> Result<T> {
    loop {
        if interrupt::signalled() {
            return Err(Interrupted.into());
        }
        match receiver.recv_timeout(IDLE) {
            Ok(received) => return Ok(received),
            Err(RecvTimeoutError::Timeout) => consumer.idle(),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::Internal(format!("{who} ended in the middle of the run")).into());
            }
        }
    }
}
