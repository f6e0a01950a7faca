//! The watch over running sandboxes: one thread that ends calls whose time is up or whose CPU budget is used up, and
//! cancellation.
//!
//! A call with nothing but a deadline costs two stores here. One that can be cancelled alone, or whose CPU time is
//! limited, is *closely watched*: looked at on every tick.
//!
//! A sandbox is ended by making its interrupt memory unreadable, which every loop of the guest's code reads
//! (`cloister-flatten`, `poll.rs`): the next poll faults, and wasmtime makes a trap of it. Nobody ever writes to that
//! memory.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::memory::Polled;
use crate::account::Account;
use crate::cancel::CancelToken;
use crate::cpu::CpuClock;
use crate::executor::CallContext;

/// How often deadlines are looked at: what a call may run beyond its deadline.
const TICK: Duration = Duration::from_millis(2);

/// Places in one chunk. The deadlines of a chunk lie beside each other: a tick reads them in one sweep.
const CHUNK: usize = 1024;

/// The deadline of a call that is closely watched: always due to be looked at.
const LOOK: u64 = 0;

/// Values of a deadline that are no times.
const IDLE: u64 = u64::MAX;
const FIRED: u64 = u64::MAX - 1;
const NEVER: u64 = u64::MAX - 2;

/// The watch. Lives as long as the process.
pub struct Watch {
    born: Instant,
    chunks: [OnceLock<Box<Chunk>>; CHUNKS],
    free: Mutex<Free>,
}

const CHUNKS: usize = (super::settings::SANDBOXES as usize).div_ceil(CHUNK);

struct Chunk {
    /// When the running call of each place must end, in nanoseconds since the watch was born, or one of the values
    /// above. Written by the sandbox's thread, and by whoever fires.
    deadlines: [AtomicU64; CHUNK],
    places: [Mutex<Option<Entry>>; CHUNK],
}

#[derive(Default)]
struct Free {
    places: Vec<usize>,
    used: usize,
}

struct Entry {
    polled: Polled,
    cancelled: Arc<AtomicBool>,
    /// The running call, if it is closely watched.
    call: Option<Close>,
}

/// A call that is closely watched.
struct Close {
    /// As in [`Chunk::deadlines`].
    deadline: u64,
    token: Option<CancelToken>,
    spending: Option<Spending>,
}

/// The CPU time of a running call, which its account hears of on every tick.
struct Spending {
    account: Arc<Account>,
    /// The clock of the thread that runs the call, which lives as long as the call does.
    clock: CpuClock,
    /// What of it the account has.
    counted: Duration,
}

impl Spending {
    fn begin(account: &Arc<Account>) -> Option<Spending> {
        let clock = CpuClock::of_this_thread()?;
        Some(Spending { account: account.clone(), clock, counted: clock.read()? })
    }

    fn count(&mut self) {
        if let Some(now) = self.clock.read() {
            self.account.spend_cpu(now.saturating_sub(self.counted));
            self.counted = now;
        }
    }
}

impl Close {
    fn is_due(&mut self, now: u64) -> bool {
        let spent = self.spending.as_mut().is_some_and(|spending| {
            spending.count();
            spending.account.cpu_exhausted().is_some()
        });
        spent || self.deadline <= now || self.token.as_ref().is_some_and(CancelToken::is_cancelled)
    }
}

/// A sandbox's place in the watch; leaves it when dropped.
pub struct Place {
    watch: &'static Watch,
    index: usize,
}

impl Watch {
    /// The process's watch, whose thread starts with the first use.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn shared() -> std::io::Result<&'static Watch> {
        static WATCH: OnceLock<Watch> = OnceLock::new();
        static STARTED: OnceLock<()> = OnceLock::new();
        let watch = WATCH.get_or_init(|| Watch {
            born: Instant::now(),
            chunks: [const { OnceLock::new() }; CHUNKS],
            free: Mutex::default(),
        });
        if STARTED.get().is_none() {
            std::thread::Builder::new().name("cloister-watch".into()).spawn(|| watch.run())?;
            let _ = STARTED.set(());
        }
        Ok(watch)
    }

    /// Takes a place for the sandbox that polls `polled`, which must outlive it; `None` when all are taken.
    pub fn enter(&'static self, polled: Polled, cancelled: Arc<AtomicBool>) -> Option<Place> {
        let index = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            match free.places.pop() {
                Some(index) => index,
                None if free.used < CHUNKS * CHUNK => {
                    free.used += 1;
                    free.used - 1
                }
                None => return None,
            }
        };
        let chunk = self.chunks[index / CHUNK].get_or_init(Chunk::new);
        *lock(&chunk.places[index % CHUNK]) = Some(Entry { polled, cancelled, call: None });
        Some(Place { watch: self, index })
    }

    /// Ends the running calls of every sandbox whose job is cancelled.
    pub fn fire_cancelled(&self) {
        for chunk in self.chunks.iter().filter_map(OnceLock::get) {
            for index in 0..CHUNK {
                chunk.fire(index, |entry, _| entry.cancelled.load(Ordering::Relaxed));
            }
        }
    }

    fn run(&self) {
        loop {
            std::thread::sleep(TICK);
            let now = self.now();
            for chunk in self.chunks.iter().filter_map(OnceLock::get) {
                for (index, deadline) in chunk.deadlines.iter().enumerate() {
                    if deadline.load(Ordering::Relaxed) <= now {
                        chunk.fire(index, |entry, deadline| match &mut entry.call {
                            Some(call) if deadline == LOOK => call.is_due(now),
                            _ => deadline <= now,
                        });
                    }
                }
            }
        }
    }

    fn now(&self) -> u64 {
        self.nanoseconds(Instant::now())
    }

    fn nanoseconds(&self, at: Instant) -> u64 {
        let nanoseconds = at.saturating_duration_since(self.born).as_nanos();
        u64::try_from(nanoseconds).unwrap_or(NEVER).min(NEVER)
    }
}

impl Chunk {
    fn new() -> Box<Chunk> {
        Box::new(Chunk {
            deadlines: [const { AtomicU64::new(IDLE) }; CHUNK],
            places: [const { Mutex::new(None) }; CHUNK],
        })
    }

    /// Ends the call of a place where one runs and `due` says so.
    fn fire(&self, index: usize, due: impl Fn(&mut Entry, u64) -> bool) {
        // While this lock is held the place cannot be left, so the memory is there.
        let mut place = lock(&self.places[index]);
        let Some(entry) = place.as_mut() else { return };
        let deadline = &self.deadlines[index];
        let current = deadline.load(Ordering::Acquire);
        if current == IDLE || current == FIRED || !due(entry, current) {
            return;
        }
        // The call may end just now; then there is nothing to fire at.
        if deadline.compare_exchange(current, FIRED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            && let Err(error) = entry.polled.set_readable(false)
        {
            tracing::warn!("a sandbox is not interrupted yet: {error}");
            // The next tick tries again, unless the call has ended.
            let _ = deadline.compare_exchange(FIRED, current, Ordering::AcqRel, Ordering::Relaxed);
        }
    }
}

impl Place {
    /// A call starts on this thread, and must end when `context` says so.
    pub fn start(&self, context: &CallContext<'_>) {
        let at = context.deadline.map_or(NEVER, |(at, _)| self.watch.nanoseconds(at));
        let at = if context.token.is_some() || context.account.limits_cpu() {
            self.start_closely(at, context);
            LOOK
        } else {
            at
        };
        self.deadline().store(at, Ordering::Release);
    }

    #[cold]
    fn start_closely(&self, deadline: u64, context: &CallContext<'_>) {
        if let Some(entry) = lock(self.place()).as_mut() {
            let spending = context.account.limits_cpu().then(|| Spending::begin(context.account)).flatten();
            entry.call = Some(Close { deadline, token: context.token.cloned(), spending });
        }
    }

    /// The call has ended. Takes the interruption back if it came in its last moment. Whether the sandbox can be called
    /// again.
    #[must_use]
    pub fn stop(&self) -> bool {
        let last = self.deadline().swap(IDLE, Ordering::AcqRel);
        if (last == FIRED || last == LOOK)
            && let Some(entry) = lock(self.place()).as_mut()
        {
            if let Some(spending) = entry.call.take().and_then(|call| call.spending) {
                { spending }.count();
            }
            if last == FIRED
                && let Err(error) = entry.polled.set_readable(true)
            {
                tracing::warn!("a sandbox stays interrupted: {error}");
                return false;
            }
        }
        true
    }

    fn chunk(&self) -> &Chunk {
        self.watch.chunks[self.index / CHUNK].get_or_init(Chunk::new)
    }

    fn deadline(&self) -> &AtomicU64 {
        &self.chunk().deadlines[self.index % CHUNK]
    }

    fn place(&self) -> &Mutex<Option<Entry>> {
        &self.chunk().places[self.index % CHUNK]
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.deadline().store(IDLE, Ordering::Release);
        *lock(self.place()) = None;
        self.watch.free.lock().unwrap_or_else(PoisonError::into_inner).places.push(self.index);
    }
}

fn lock(place: &Mutex<Option<Entry>>) -> MutexGuard<'_, Option<Entry>> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}
