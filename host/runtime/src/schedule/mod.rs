//! Admission: which calls of which tenants run now, and which wait for their turn. Blocks threads and reads the clock;
//! the order is decided in `turns`.
//!
//! Only sessions with more than one tenant schedule: a tenant that is alone has nobody to be fair to, and the operating
//! system shares the cores between its calls. Thread mode does not take part: the interpreter's lock lets one call run
//! at a time whatever is decided here, and C code that gives it up is not seen.

mod turns;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::Error;

use turns::Turns;

/// How often a waiting call of a tenant of which none runs looks whether the others have passed it by now.
const IMPATIENCE: Duration = Duration::from_millis(5);

/// How often any other waiting call looks whether it was cancelled. A hundred of them must not keep a core busy.
const PATIENCE: Duration = Duration::from_millis(50);

/// The scheduler of one session.
#[derive(Debug)]
pub(crate) struct Scheduler {
    /// Whether there is more than one tenant.
    on: AtomicBool,
    born: Instant,
    turns: Mutex<Turns<Arc<Waiter>>>,
}

/// A thread that waits for a turn.
#[derive(Debug)]
struct Waiter {
    admitted: AtomicBool,
    thread: Thread,
}

/// One tenant's place in the scheduler.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    scheduler: Arc<Scheduler>,
    index: usize,
}

/// The right to run one call; dropping it ends the turn.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    lane: &'a Lane,
}

impl Scheduler {
    /// A scheduler that lets `slots` calls run side by side.
    pub fn new(slots: usize) -> Arc<Scheduler> {
        let slots = u32::try_from(slots.max(1)).unwrap_or(u32::MAX);
        Arc::new(Scheduler { on: AtomicBool::new(false), born: Instant::now(), turns: Mutex::new(Turns::new(slots)) })
    }

    /// The place of one more tenant.
    pub fn lane(self: &Arc<Scheduler>, weight: u32) -> Lane {
        let index = self.turns().add(weight);
        if index > 0 {
            self.on.store(true, Ordering::Relaxed);
        }
        Lane { scheduler: self.clone(), index }
    }

    fn turns(&self) -> MutexGuard<'_, Turns<Arc<Waiter>>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Wakes those whose turn it is.
    fn dispatch(turns: &mut Turns<Arc<Waiter>>) {
        while let Some(waiter) = turns.next() {
            waiter.admitted.store(true, Ordering::Release);
            waiter.thread.unpark();
        }
    }
}

impl Lane {
    /// Changes the tenant's weight.
    pub fn set_weight(&self, weight: u32) {
        self.scheduler.turns().set_weight(self.index, weight);
    }

    /// The tenant has one job more.
    pub fn job_started(&self) {
        self.scheduler.turns().job_started(self.index);
    }

    /// The tenant has one job less. Others may get more now.
    pub fn job_ended(&self) {
        let mut turns = self.scheduler.turns();
        turns.job_ended(self.index);
        Scheduler::dispatch(&mut turns);
    }

    /// Calls that run now, and calls that wait.
    pub fn load(&self) -> (u64, u64) {
        self.scheduler.turns().load(self.index)
    }

    /// Waits until a call of this tenant may run. `None`: nothing is scheduled.
    ///
    /// # Errors
    /// What `give_up` says, which is asked every few milliseconds.
    pub fn turn(&self, give_up: &dyn Fn() -> Option<Error>) -> Result<Option<Turn<'_>>, Error> {
        let scheduler = &*self.scheduler;
        if !scheduler.on.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let now = scheduler.now();
        let mut turns = scheduler.turns();
        turns.advance(now);
        if turns.start(self.index) {
            return Ok(Some(Turn { lane: self }));
        }
        let waiter = Arc::new(Waiter { admitted: AtomicBool::new(false), thread: std::thread::current() });
        turns.wait(self.index, waiter.clone());
        drop(turns);
        self.wait(&waiter, give_up).map(Some)
    }

    #[cold]
    fn wait(&self, waiter: &Arc<Waiter>, give_up: &dyn Fn() -> Option<Error>) -> Result<Turn<'_>, Error> {
        let scheduler = &*self.scheduler;
        let mut patience = IMPATIENCE;
        loop {
            std::thread::park_timeout(patience);
            if waiter.admitted.load(Ordering::Acquire) {
                return Ok(Turn { lane: self });
            }
            let given_up = give_up();
            let now = scheduler.now();
            let mut turns = scheduler.turns();
            turns.advance(now);
            if let Some(error) = given_up {
                // Its turn may have come in the meantime: then it goes to another one.
                if !turns.withdraw(self.index, |other| Arc::ptr_eq(other, waiter)) {
                    turns.finish(self.index);
                }
                Scheduler::dispatch(&mut turns);
                return Err(error);
            }
            Scheduler::dispatch(&mut turns);
            patience = if turns.load(self.index).0 == 0 { IMPATIENCE } else { PATIENCE };
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let scheduler = &*self.lane.scheduler;
        let now = scheduler.now();
        let mut turns = scheduler.turns();
        turns.advance(now);
        turns.finish(self.lane.index);
        Scheduler::dispatch(&mut turns);
    }
}
