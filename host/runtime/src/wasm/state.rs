//! What the host keeps for one sandbox: limits, the captured log, the timers that the guest waits on. Plain data and
//! the memory limiter; no guest code runs from here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wasmtime::{Memory, ResourceLimiter, TypedFunc};

use crate::log::JobLog;
use crate::{Error, Limit};

/// Timers that a guest may hold at once; Python's `time.sleep` needs one.
const MOST_TIMERS: usize = 64;

/// First handle of a timer, so that dropping another resource never drops one.
const FIRST_TIMER: u32 = 0x1000;

/// The host's side of a sandbox.
pub struct State {
    pub log: Arc<JobLog>,
    pub cancelled: Arc<AtomicBool>,
    /// When the running call must have ended, and the limit that says so.
    pub deadline: Option<(Instant, Duration)>,
    /// The guest's memory and its allocator for what host functions return; set right after instantiation.
    pub memory: Option<Memory>,
    pub realloc: Option<TypedFunc<(u32, u32, u32, u32), u32>>,
    /// Where the guest's monotonic clock starts: at its own birth, not the machine's.
    pub born: Instant,
    /// Memory limit in bytes, the most it has had, and whether it was denied some.
    pub memory_limit: u64,
    pub memory_peak: u64,
    pub memory_denied: bool,
    timers: Vec<Option<Instant>>,
}

impl State {
    pub fn new(memory_limit: u64, log: Arc<JobLog>, cancelled: Arc<AtomicBool>) -> Self {
        State {
            log,
            cancelled,
            deadline: None,
            memory: None,
            realloc: None,
            born: Instant::now(),
            memory_limit,
            memory_peak: 0,
            memory_denied: false,
            timers: Vec::new(),
        }
    }

    /// Why the running call must end now, if it must.
    pub fn interruption(&self) -> Option<Error> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Some(Error::Cancelled);
        }
        match self.deadline {
            Some((at, limit)) if Instant::now() >= at => Some(Error::Limit(Limit::Deadline { limit })),
            _ => None,
        }
    }

    /// A timer that is due at `at`; `None` when the guest holds too many.
    pub fn new_timer(&mut self, at: Instant) -> Option<u32> {
        let free = self.timers.iter().position(Option::is_none);
        let index = match free {
            Some(index) => index,
            None if self.timers.len() < MOST_TIMERS => {
                self.timers.push(None);
                self.timers.len() - 1
            }
            None => return None,
        };
        self.timers[index] = Some(at);
        Some(FIRST_TIMER + index as u32)
    }

    /// When the timer `handle` is due; `None` if there is no such timer.
    pub fn timer(&self, handle: u32) -> Option<Instant> {
        *self.timers.get(handle.checked_sub(FIRST_TIMER)? as usize)?
    }

    /// Drops the timer `handle`, if there is one.
    pub fn drop_timer(&mut self, handle: u32) {
        if let Some(index) = handle.checked_sub(FIRST_TIMER)
            && let Some(timer) = self.timers.get_mut(index as usize)
        {
            *timer = None;
        }
    }
}

impl ResourceLimiter for State {
    /// Denying makes the guest's allocator return null, which Python turns into `MemoryError`.
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = desired as u64 <= self.memory_limit;
        if allowed {
            self.memory_peak = self.memory_peak.max(desired as u64);
        } else {
            self.memory_denied = true;
        }
        Ok(allowed)
    }

    /// The table of the image is made once and never grows.
    fn table_growing(&mut self, current: usize, _desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(current == 0)
    }
}
