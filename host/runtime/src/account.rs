//! What jobs and tenants use, counted: memory, executors, CPU time. A job's account has its tenant's above it: what is
//! taken is taken from both or from none. Knows no mode; who takes gives back by dropping.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{Limit, Scope};
use crate::limits::{Limits, TenantLimits};

/// [`Meter::limit`] of what is not limited.
const UNLIMITED: u64 = u64::MAX;

/// The account of one job or one tenant.
pub(crate) struct Account {
    scope: Scope,
    memory: Meter,
    executors: Meter,
    /// In nanoseconds.
    cpu: Meter,
    tenant: Option<Arc<Account>>,
}

/// One quantity: how much there may be, is and was at most.
struct Meter {
    limit: AtomicU64,
    used: AtomicU64,
    peak: AtomicU64,
}

/// A limit would be passed.
struct Full {
    limit: u64,
    /// With what was asked for.
    used: u64,
}

impl Meter {
    fn new(limit: Option<u64>) -> Meter {
        Meter { limit: AtomicU64::new(limit.unwrap_or(UNLIMITED)), used: AtomicU64::new(0), peak: AtomicU64::new(0) }
    }

    fn take(&self, amount: u64) -> Result<(), Full> {
        let limit = self.limit.load(Ordering::Relaxed);
        let within = |used: u64| used.checked_add(amount).filter(|used| *used <= limit);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within) {
            Ok(before) => {
                self.peak.fetch_max(before + amount, Ordering::Relaxed);
                Ok(())
            }
            Err(used) => Err(Full { limit, used: used.saturating_add(amount) }),
        }
    }

    fn give_back(&self, amount: u64) {
        self.used.fetch_sub(amount, Ordering::Relaxed);
    }

    fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The limit, if one is set.
    fn limit(&self) -> Option<u64> {
        Some(self.limit.load(Ordering::Relaxed)).filter(|limit| *limit != UNLIMITED)
    }

    fn set_limit(&self, limit: Option<u64>) {
        self.limit.store(limit.unwrap_or(UNLIMITED), Ordering::Relaxed);
    }
}

impl Account {
    /// The account of a job of `tenant`.
    pub fn of_job(limits: &Limits, tenant: &Arc<Account>) -> Arc<Account> {
        Arc::new(Account {
            scope: Scope::Job,
            memory: Meter::new(limits.job_memory),
            // Bounded by its parallelism.
            executors: Meter::new(None),
            cpu: Meter::new(limits.cpu.map(nanoseconds)),
            tenant: Some(tenant.clone()),
        })
    }

    /// The account of the tenant `name`.
    pub fn of_tenant(name: &str, limits: &TenantLimits) -> Arc<Account> {
        let account = Account {
            scope: Scope::Tenant(name.to_owned()),
            memory: Meter::new(None),
            executors: Meter::new(None),
            cpu: Meter::new(None),
            tenant: None,
        };
        account.set_limits(limits);
        Arc::new(account)
    }

    /// Changes a tenant's limits. What is in use stays, also beyond them.
    pub fn set_limits(&self, limits: &TenantLimits) {
        self.memory.set_limit(limits.memory);
        self.executors.set_limit(limits.executors);
        self.cpu.set_limit(limits.cpu.map(nanoseconds));
    }

    fn levels(&self) -> impl Iterator<Item = &Account> {
        [Some(self), self.tenant.as_deref()].into_iter().flatten()
    }

    /// Takes `amount` at every level, or at none.
    fn take(&self, meter: fn(&Account) -> &Meter, amount: u64) -> Result<(), (Full, &Account)> {
        for (depth, level) in self.levels().enumerate() {
            if let Err(full) = meter(level).take(amount) {
                self.levels().take(depth).for_each(|below| meter(below).give_back(amount));
                return Err((full, level));
            }
        }
        Ok(())
    }

    fn give_back(&self, meter: fn(&Account) -> &Meter, amount: u64) {
        self.levels().for_each(|level| meter(level).give_back(amount));
    }

    /// A charge of no memory yet.
    pub fn memory(self: &Arc<Account>) -> MemoryCharge {
        MemoryCharge { account: self.clone(), bytes: 0 }
    }

    /// Memory that is held until the charge is dropped.
    ///
    /// # Errors
    /// [`Limit::Memory`] of the job or its tenant.
    pub fn hold(self: &Arc<Account>, bytes: u64) -> Result<MemoryCharge, Limit> {
        let mut charge = self.memory();
        charge.grow(bytes)?;
        Ok(charge)
    }

    /// A place for one more sandbox or worker.
    ///
    /// # Errors
    /// [`Limit::Executors`] of the tenant.
    pub fn executor(self: &Arc<Account>) -> Result<ExecutorCharge, Limit> {
        match self.take(|account| &account.executors, 1) {
            Ok(()) => Ok(ExecutorCharge { account: self.clone() }),
            Err((full, level)) => Err(Limit::Executors { limit: full.limit, scope: level.scope.clone() }),
        }
    }

    /// Whether memory of the job or its tenant is limited.
    pub fn limits_memory(&self) -> bool {
        self.levels().any(|level| level.memory.limit().is_some())
    }

    /// Whether CPU time of the job or its tenant is limited: only then it must be measured.
    pub fn limits_cpu(&self) -> bool {
        self.levels().any(|level| level.cpu.limit().is_some())
    }

    /// Counts CPU time that was used.
    #[cfg(any(feature = "process", feature = "wasm"))]
    pub fn spend_cpu(&self, time: Duration) {
        let time = nanoseconds(time);
        for level in self.levels() {
            level.cpu.used.fetch_add(time, Ordering::Relaxed);
        }
    }

    /// The CPU limit that is used up, if one is.
    pub fn cpu_exhausted(&self) -> Option<Limit> {
        self.levels().find_map(|level| {
            let (limit, used) = (level.cpu.limit()?, level.cpu.used());
            (used >= limit).then(|| Limit::Cpu {
                limit: Duration::from_nanos(limit),
                used: Duration::from_nanos(used),
                scope: level.scope.clone(),
            })
        })
    }

    /// CPU time so far.
    pub fn cpu_used(&self) -> Duration {
        Duration::from_nanos(self.cpu.used())
    }

    /// Bytes that are charged now, and the most that were.
    pub fn memory_used(&self) -> (u64, u64) {
        (self.memory.used(), self.memory.peak.load(Ordering::Relaxed))
    }

    /// Sandboxes and workers that live.
    pub fn executors_used(&self) -> u64 {
        self.executors.used()
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("scope", &self.scope).finish_non_exhaustive()
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(UNLIMITED - 1)
}

/// Memory that is charged to a job and its tenant; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct MemoryCharge {
    account: Arc<Account>,
    bytes: u64,
}

impl MemoryCharge {
    /// Charges `bytes` more.
    ///
    /// # Errors
    /// [`Limit::Memory`] of the job or its tenant; nothing was charged then.
    pub fn grow(&mut self, bytes: u64) -> Result<(), Limit> {
        self.account.take(|account| &account.memory, bytes).map_err(|(full, level)| Limit::Memory {
            limit: full.limit,
            used: Some(full.used),
            scope: level.scope.clone(),
        })?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives `bytes` of it back.
    pub fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.account.give_back(|account| &account.memory, bytes);
        self.bytes -= bytes;
    }
}

impl Drop for MemoryCharge {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// The place of one sandbox or worker; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct ExecutorCharge {
    account: Arc<Account>,
}

impl Drop for ExecutorCharge {
    fn drop(&mut self) {
        self.account.give_back(|account| &account.executors, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> (Arc<Account>, [Arc<Account>; 2]) {
        let tenant = Account::of_tenant("t", &TenantLimits::default().memory(100).executors(1).cpu(SECOND));
        let job = || Account::of_job(&Limits::default().job_memory(80), &tenant);
        let jobs = [job(), job()];
        (tenant, jobs)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn memory_is_taken_from_job_and_tenant_or_from_neither() {
        let (tenant, [one, two]) = accounts();
        let mut held = one.hold(60).expect("there is room");
        assert_eq!(held.grow(30), Err(Limit::Memory { limit: 80, used: Some(90), scope: Scope::Job }));
        let full = two.hold(50).expect_err("the tenant has 40 left");
        assert_eq!(full, Limit::Memory { limit: 100, used: Some(110), scope: Scope::Tenant("t".into()) });
        assert_eq!((one.memory_used(), two.memory_used(), tenant.memory_used()), ((60, 60), (0, 50), (60, 60)));
        held.shrink(20);
        let other = two.hold(50).expect("there is room again");
        drop((held, other));
        assert_eq!((one.memory_used().0, two.memory_used().0, tenant.memory_used()), (0, 0, (0, 90)));
    }

    #[test]
    fn an_amount_that_overflows_is_refused() {
        let job = Account::of_job(&Limits::default(), &Account::of_tenant("t", &TenantLimits::default()));
        let _some = job.hold(10).expect("unlimited");
        assert!(job.hold(u64::MAX).is_err());
        assert_eq!(job.memory_used().0, 10);
    }

    #[test]
    fn executors_are_counted_across_the_jobs_of_a_tenant() {
        let (tenant, [one, two]) = accounts();
        let place = one.executor().expect("the first");
        let full = two.executor().expect_err("the second");
        assert_eq!(full, Limit::Executors { limit: 1, scope: Scope::Tenant("t".into()) });
        drop(place);
        let _place = two.executor().expect("there is room again");
        assert_eq!((one.executors_used(), two.executors_used(), tenant.executors_used()), (0, 1, 1));
    }

    #[test]
    fn cpu_time_of_all_jobs_counts_and_limits_can_be_raised() {
        let (tenant, [one, two]) = accounts();
        assert!(one.limits_cpu());
        one.spend_cpu(SECOND / 2);
        assert_eq!(two.cpu_exhausted(), None);
        two.spend_cpu(SECOND / 2);
        let scope = Scope::Tenant("t".into());
        assert_eq!(one.cpu_exhausted(), Some(Limit::Cpu { limit: SECOND, used: SECOND, scope }));
        tenant.set_limits(&TenantLimits::default());
        assert_eq!((one.cpu_exhausted(), one.limits_cpu(), one.cpu_used()), (None, false, SECOND / 2));
    }
}
