//! A session: one running host with many jobs of many tenants. Shares between jobs only what holds no tenant's data
//! (the wasm engine, the worker server).

use crate::Error;
use crate::job::{Job, JobOptions};

/// One running host with many jobs. Cheap to make; the engines behind it are made on first use and shared by all
/// sessions of the process.
#[derive(Debug, Default)]
pub struct Session {}

impl Session {
    /// A session without jobs.
    pub fn new() -> Self {
        Session::default()
    }

    /// Starts a job: its first executor loads the source, so that a file that does not import fails here.
    ///
    /// # Errors
    /// [`Error::User`] when the source raises, [`Error::Refused`] when the mode cannot do what the options ask,
    /// [`Error::Missing`] when the mode lacks something on this machine.
    pub fn job(&self, options: JobOptions) -> Result<Job, Error> {
        Job::start(options)
    }
}
