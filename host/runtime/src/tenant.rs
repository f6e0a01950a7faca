//! A tenant of a session: whose jobs they are. What all of them use is counted in one account.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::account::Account;
use crate::limits::TenantLimits;
use crate::schedule::{Lane, Scheduler};

/// The tenant of jobs that name none.
pub(crate) const DEFAULT: &str = "default";

/// A tenant of a [`Session`](crate::Session): the jobs that name it share its limits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tenant {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    limits: Mutex<TenantLimits>,
    account: Arc<Account>,
    lane: Lane,
    jobs: AtomicU64,
}

/// What the jobs of a tenant use now and have used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TenantStats {
    /// Jobs that live.
    pub jobs: u64,
    /// Sandboxes and workers that live.
    pub executors: u64,
    /// Memory that is charged now, in bytes: see [`Limits::job_memory`](crate::Limits::job_memory).
    pub memory_bytes: u64,
    /// The most that was charged.
    pub peak_memory_bytes: u64,
    /// CPU time of its calls: see [`JobStats::cpu`](crate::JobStats::cpu).
    pub cpu: Duration,
    /// Calls that run now, and calls that wait for their turn; counted in sessions with more than one tenant, without
    /// those of thread mode.
    pub running: u64,
    /// See `running`.
    pub waiting: u64,
}

impl Tenant {
    pub(crate) fn new(name: &str, limits: TenantLimits, scheduler: &Arc<Scheduler>) -> Tenant {
        let account = Account::of_tenant(name, &limits);
        let lane = scheduler.lane(limits.weight);
        let (limits, jobs) = (Mutex::new(limits), AtomicU64::new(0));
        Tenant { inner: Arc::new(Inner { name: name.into(), limits, account, lane, jobs }) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Its limits.
    pub fn limits(&self) -> TenantLimits {
        self.inner.limits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes its limits, for running jobs too. What is in use stays, also beyond a new limit.
    pub fn set_limits(&self, limits: TenantLimits) {
        let mut current = self.inner.limits.lock().unwrap_or_else(PoisonError::into_inner);
        self.inner.account.set_limits(&limits);
        self.inner.lane.set_weight(limits.weight);
        *current = limits;
    }

    /// What its jobs use.
    pub fn stats(&self) -> TenantStats {
        let account = &self.inner.account;
        let (memory_bytes, peak_memory_bytes) = account.memory_used();
        let (running, waiting) = self.inner.lane.load();
        TenantStats {
            jobs: self.inner.jobs.load(Ordering::Relaxed),
            executors: account.executors_used(),
            memory_bytes,
            peak_memory_bytes,
            cpu: account.cpu_used(),
            running,
            waiting,
        }
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.inner.account
    }

    pub(crate) fn lane(&self) -> &Lane {
        &self.inner.lane
    }

    /// Counts a job until the membership is dropped.
    pub(crate) fn join(&self) -> Membership {
        self.inner.jobs.fetch_add(1, Ordering::Relaxed);
        self.inner.lane.job_started();
        Membership(self.clone())
    }
}

/// One job's membership of its tenant.
#[derive(Debug)]
pub(crate) struct Membership(Tenant);

impl Membership {
    pub fn tenant(&self) -> &Tenant {
        &self.0
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.0.inner.jobs.fetch_sub(1, Ordering::Relaxed);
        self.0.inner.lane.job_ended();
    }
}
