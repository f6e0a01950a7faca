//! Deadlines and cancellation, as far as they can be kept in an interpreter that all jobs share: a thread looks at the
//! running calls and asks Python to raise an exception in those that must end.
//!
//! Best effort. The exception comes between two steps of Python code, so that it does not come while C code runs (a
//! long regular expression, `sum(range(10**12))`, a sleep, a lock), and code that catches `BaseException` swallows it;
//! then it is raised again, [`AGAIN`] later, until the call ends. Code that must be stopped belongs into wasm or
//! process mode.
//!
//! A call costs two stores and a load here.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::Python;

use super::ffi::{attach, interrupt};
use super::interpreter::Interpreter;
use crate::cancel::CancelToken;
use crate::executor::CallContext;

/// How often running calls are looked at: how late a deadline can be kept.
const TICK: Duration = Duration::from_millis(5);

/// After so many looks at which no call was running, the thread sleeps until a call wakes it.
const IDLE_TICKS: u32 = 400;

/// When an exception that was swallowed is raised again.
const AGAIN: Duration = Duration::from_millis(100);

/// [`Slot::deadline`] of no call, and of a call without a deadline.
const IDLE: u64 = 0;
const NEVER: u64 = u64::MAX;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);
static WATCHED: Mutex<Vec<Arc<Slot>>> = Mutex::new(Vec::new());
static ASLEEP: AtomicBool = AtomicBool::new(false);
static WAKE: Condvar = Condvar::new();

/// What is to be seen of one executor. Written by the call, in the interpreter's lock; whoever holds that lock sees
/// either a call that has not ended or none.
#[derive(Debug)]
pub(super) struct Slot {
    /// When the running call must end, in nanoseconds since [`START`].
    deadline: AtomicU64,
    /// The thread that runs the call.
    thread: AtomicUsize,
    /// When the call was interrupted, in nanoseconds since [`START`]; [`IDLE`] if it was not.
    interrupted: AtomicU64,
    cancelled: Arc<AtomicBool>,
    /// What cancels the running call alone, and whether there is such a thing: calls without one take no lock.
    token: Mutex<Option<CancelToken>>,
    has_token: AtomicBool,
}

impl Slot {
    /// A slot that is watched until [`Slot::remove`].
    pub fn new(cancelled: Arc<AtomicBool>) -> Arc<Slot> {
        let slot = Arc::new(Slot {
            deadline: AtomicU64::new(IDLE),
            thread: AtomicUsize::new(0),
            interrupted: AtomicU64::new(IDLE),
            cancelled,
            token: Mutex::default(),
            has_token: AtomicBool::new(false),
        });
        WATCHED.lock().unwrap_or_else(PoisonError::into_inner).push(slot.clone());
        slot
    }

    /// Ends the watch.
    pub fn remove(self: &Arc<Slot>) {
        WATCHED.lock().unwrap_or_else(PoisonError::into_inner).retain(|slot| !Arc::ptr_eq(slot, self));
    }

    /// A call begins on this thread.
    #[inline]
    pub fn begin(&self, py: Python<'_>, context: &CallContext<'_>) {
        self.thread.store(attach::thread_id(py), Ordering::Relaxed);
        if context.token.is_some() || self.has_token.load(Ordering::Relaxed) {
            *self.token.lock().unwrap_or_else(PoisonError::into_inner) = context.token.cloned();
            self.has_token.store(context.token.is_some(), Ordering::Relaxed);
        }
        // In one total order with the load below, and with the two of `sleep` in reverse: either the call is seen
        // there, or the sleep here.
        self.deadline.store(context.deadline.map_or(NEVER, |(at, _)| nanoseconds(at)), Ordering::SeqCst);
        if ASLEEP.load(Ordering::SeqCst) {
            wake();
        }
    }

    /// The call ended. Whether it was interrupted: its result then counts for nothing.
    #[inline]
    pub fn end(&self, py: Python<'_>) -> bool {
        self.deadline.store(IDLE, Ordering::Relaxed);
        let interrupted = self.interrupted.load(Ordering::Relaxed) != IDLE;
        if interrupted {
            self.interrupted.store(IDLE, Ordering::Relaxed);
            interrupt::forget(py, self.thread.load(Ordering::Relaxed));
        }
        interrupted
    }

    /// Whether the running call must be interrupted (again).
    fn is_due(&self, now: u64) -> bool {
        let deadline = self.deadline.load(Ordering::SeqCst);
        if deadline == IDLE || (now < deadline && !self.is_cancelled()) {
            return false;
        }
        let before = self.interrupted.load(Ordering::Relaxed);
        before == IDLE || now >= before + AGAIN.as_nanos() as u64
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
            || (self.has_token.load(Ordering::Relaxed)
                && self
                    .token
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .as_ref()
                    .is_some_and(CancelToken::is_cancelled))
    }

    fn interrupt(&self, interpreter: &Interpreter) {
        attach::attached(|py| {
            let now = nanoseconds(Instant::now());
            // The call may have ended while this thread waited to be attached. Now no call begins or ends.
            if self.is_due(now) {
                self.interrupted.store(now, Ordering::Relaxed);
                interrupt::raise(interpreter.interrupted.bind(py), self.thread.load(Ordering::Relaxed));
            }
        });
    }
}

/// Neither [`IDLE`] nor [`NEVER`].
fn nanoseconds(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(*START).as_nanos()).unwrap_or(NEVER).clamp(1, NEVER - 1)
}

#[cold]
fn wake() {
    drop(WATCHED.lock().unwrap_or_else(PoisonError::into_inner));
    WAKE.notify_one();
}

/// Watches, for as long as the process lives.
pub(super) fn run() -> ! {
    let mut idle = 0;
    loop {
        std::thread::sleep(TICK);
        let now = nanoseconds(Instant::now());
        let mut due = Vec::new();
        let mut running = false;
        for slot in WATCHED.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            running |= slot.deadline.load(Ordering::Relaxed) != IDLE;
            if slot.is_due(now) {
                due.push(slot.clone());
            }
        }
        // Without the lock, because to be attached can take as long as some C code pleases.
        if let Ok(interpreter) = Interpreter::shared() {
            due.iter().for_each(|slot| slot.interrupt(interpreter));
        }
        idle = if running { 0 } else { idle + 1 };
        if idle >= IDLE_TICKS {
            sleep();
            idle = 0;
        }
    }
}

/// Sleeps until a call begins.
fn sleep() {
    let watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    ASLEEP.store(true, Ordering::SeqCst);
    if watched.iter().all(|slot| slot.deadline.load(Ordering::SeqCst) == IDLE) {
        // Who wakes this thread takes the lock in between, so that it cannot come too early. To be woken for nothing
        // is harmless.
        drop(WAKE.wait(watched));
    }
    ASLEEP.store(false, Ordering::SeqCst);
}
