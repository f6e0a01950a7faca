//! What the host keeps for one sandbox: limits, the captured log, the timers that the guest waits on. Plain data and
//! the memory limiter; no guest code runs from here.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use wasmtime::{Memory, ResourceLimiter, TypedFunc};

use crate::account::{Account, MemoryCharge};
use crate::cancel::CancelToken;
use crate::error::{Error, Limit, Scope};
use crate::executor::CallContext;
use crate::log::JobLog;

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
    /// What cancels the running call alone.
    pub token: Option<CancelToken>,
    /// The guest's memory and its allocator for what host functions return; set right after instantiation.
    pub memory: Option<Memory>,
    pub realloc: Option<TypedFunc<(u32, u32, u32, u32), u32>>,
    /// Where the guest's monotonic clock starts: at its own birth, not the machine's.
    pub born: Instant,
    /// Memory limit in bytes, the most it has had, and why it was denied some.
    pub memory_limit: u64,
    pub memory_peak: u64,
    pub memory_denied: Option<Limit>,
    memory_charge: MemoryCharge,
    /// How much the last growth asked for: it may yet fail.
    memory_growth: u64,
    account: Arc<Account>,
    timers: Vec<Option<Instant>>,
}

impl State {
    pub fn new(memory_limit: u64, log: Arc<JobLog>, cancelled: Arc<AtomicBool>, account: Arc<Account>) -> Self {
        State {
            log,
            cancelled,
            deadline: None,
            token: None,
            memory: None,
            realloc: None,
            born: Instant::now(),
            memory_limit,
            memory_peak: 0,
            memory_denied: None,
            memory_charge: account.memory(),
            memory_growth: 0,
            account,
            timers: Vec::new(),
        }
    }

    /// Charges what a sandbox has from the start beyond `charged` bytes.
    ///
    /// # Errors
    /// The limit that denies it.
    pub fn start_larger(&mut self, charged: usize, size: usize) -> Result<(), Limit> {
        self.memory_charge.grow(size.saturating_sub(charged) as u64)
    }

    /// Why the running call must end now, if it must.
    pub fn interruption(&self) -> Option<Error> {
        let (deadline, token) = (self.deadline, self.token.as_ref());
        CallContext { deadline, cancelled: &self.cancelled, token, account: &self.account }.interruption()
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
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let (desired, growth) = (desired as u64, desired.saturating_sub(current) as u64);
        let allowed = if desired > self.memory_limit {
            Err(Limit::Memory { limit: self.memory_limit, used: Some(desired), scope: Scope::Executor })
        } else {
            self.memory_charge.grow(growth)
        };
        match allowed {
            Ok(()) => {
                self.memory_growth = growth;
                self.memory_peak = self.memory_peak.max(desired);
                Ok(true)
            }
            Err(limit) => {
                self.memory_denied = Some(limit);
                Ok(false)
            }
        }
    }

    /// The machine did not give what the limits allow.
    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!("a sandbox's memory did not grow: {error:#}");
        self.memory_charge.shrink(std::mem::take(&mut self.memory_growth));
        self.memory_denied = Some(Limit::Memory { limit: 0, used: None, scope: Scope::Host });
        Ok(())
    }

    /// The image has no table.
    fn table_growing(&mut self, _current: usize, _desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(false)
    }
}
