//! A session: one running host with many jobs of many tenants. Shares between jobs only what holds no tenant's data
//! (the wasm engine, the worker server).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::Error;
use crate::job::{Job, JobOptions};
use crate::limits::TenantLimits;
use crate::schedule::Scheduler;
use crate::tenant::{self, Tenant};

/// One running host with many jobs. Cheap to make; the engines behind it are made on first use and shared by all
/// sessions of the process.
#[derive(Debug)]
pub struct Session {
    tenants: Mutex<BTreeMap<String, Tenant>>,
    scheduler: Arc<Scheduler>,
}

impl Session {
    /// A session without jobs, which runs as many calls side by side as there are CPUs.
    pub fn new() -> Self {
        Session::default()
    }

    /// A session without jobs, which runs up to `calls` calls side by side (at least 1) when it has more than one
    /// tenant: the others wait for their tenant's turn, by weight. More than there are CPUs is right where functions
    /// wait much and compute little. A tenant's first call can exceed it by one for each tenant, so that no tenant
    /// waits for another one's long call; thread mode does not count.
    pub fn with_concurrency(calls: usize) -> Self {
        Session { tenants: Mutex::default(), scheduler: Scheduler::new(calls) }
    }

    /// Defines the tenant `name`, or changes its limits. Jobs join it with
    /// [`JobOptions::tenant`]. Jobs that name no tenant belong to `default`, which exists from the start, without
    /// limits.
    pub fn tenant(&self, name: &str, limits: TenantLimits) -> Tenant {
        let mut tenants = self.tenants();
        if let Some(tenant) = tenants.get(name) {
            tenant.set_limits(limits);
            return tenant.clone();
        }
        let tenant = Tenant::new(name, limits, &self.scheduler);
        tenants.insert(name.into(), tenant.clone());
        tenant
    }

    /// Starts a job: its first executor loads the source, so that a file that does not import fails here.
    ///
    /// # Errors
    /// [`Error::User`] when the source raises, [`Error::Refused`] when the mode cannot do what the options ask,
    /// [`Error::Missing`] when the mode lacks something on this machine, [`Error::Call`] for a tenant that was not
    /// defined.
    pub fn job(&self, options: JobOptions) -> Result<Job, Error> {
        let tenant = self.tenant_of(&options)?;
        Job::start(options, &tenant)
    }

    fn tenant_of(&self, options: &JobOptions) -> Result<Tenant, Error> {
        let name = options.tenant.as_deref().unwrap_or(tenant::DEFAULT);
        let mut tenants = self.tenants();
        match tenants.get(name) {
            Some(tenant) => Ok(tenant.clone()),
            None if name == tenant::DEFAULT => {
                let tenant = Tenant::new(name, TenantLimits::default(), &self.scheduler);
                tenants.insert(name.into(), tenant.clone());
                Ok(tenant)
            }
            // A name that is misspelt must not be a tenant without limits.
            None => Err(Error::Call(format!("no tenant '{name}': define it with Session::tenant first"))),
        }
    }

    fn tenants(&self) -> MutexGuard<'_, BTreeMap<String, Tenant>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Session {
    fn default() -> Self {
        // Asking the system reads files of its control groups, which takes longer than all else here.
        static CPUS: OnceLock<usize> = OnceLock::new();
        let cpus = CPUS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from));
        Session::with_concurrency(*cpus)
    }
}
