//! The pool of a job's executors, bounded by its parallelism. Knows nothing of what they are.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Error;

/// How often a user that waits asks whether it should give up.
const PATIENCE: Duration = Duration::from_millis(5);

/// Up to `capacity` values, made on demand, lent to one user at a time. The value used last is lent first: it is warm.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    state: Mutex<State<T>>,
    freed: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct State<T> {
    idle: Vec<T>,
    live: usize,
    /// Users that wait: to notify nobody costs a system call all the same.
    waiting: usize,
}

impl<T> Pool<T> {
    /// A pool of at most `capacity` values (at least 1).
    pub fn new(capacity: usize) -> Self {
        let state = State { idle: Vec::new(), live: 0, waiting: 0 };
        Pool { state: Mutex::new(state), freed: Condvar::new(), capacity: capacity.max(1) }
    }

    /// How many values there may be.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends `use_it` a value, made by `make` if none is idle and there is room; waits for one otherwise. The value
    /// goes back to the pool if `keep` says so afterwards, and is dropped otherwise (also when `use_it` panics); one
    /// that `keep` refuses before is not lent. While it waits it asks `give_up`, if there is one, every few
    /// milliseconds.
    pub fn with<R>(
        &self,
        give_up: Option<&dyn Fn() -> Option<Error>>,
        make: impl FnOnce() -> Result<T, Error>,
        keep: impl Fn(&T) -> bool,
        use_it: impl FnOnce(&mut T) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let mut state = self.lock();
        let value = loop {
            if let Some(value) = state.idle.pop() {
                if keep(&value) {
                    break Some(value);
                }
                // It died while it was idle.
                state.live -= 1;
                drop(state);
                drop(value);
                state = self.lock();
                continue;
            }
            if state.live < self.capacity {
                state.live += 1;
                break None;
            }
            state.waiting += 1;
            state = match give_up {
                None => self.freed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(_) => self.freed.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner).0,
            };
            state.waiting -= 1;
            if let Some(error) = give_up.and_then(|give_up| give_up()) {
                // What woke this user may be meant for another one.
                drop(state);
                self.freed.notify_one();
                return Err(error);
            }
        };
        drop(state);
        // From here on one unit of `live` is ours; the guard gives it back unless the value goes back whole.
        let mut guard = Guard { pool: self, returned: None };
        let mut value = match value {
            Some(value) => value,
            None => make()?,
        };
        let result = use_it(&mut value);
        if keep(&value) {
            guard.returned = Some(value);
        }
        result
    }

    /// Takes all idle values out.
    pub fn drain(&self) -> Vec<T> {
        let mut state = self.lock();
        state.live -= state.idle.len();
        std::mem::take(&mut state.idle)
    }
}

struct Guard<'a, T> {
    pool: &'a Pool<T>,
    returned: Option<T>,
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        match self.returned.take() {
            Some(value) => state.idle.push(value),
            None => state.live -= 1,
        }
        let waiting = state.waiting > 0;
        drop(state);
        if waiting {
            self.pool.freed.notify_one();
        }
    }
}
