//! The sections of the report, one file each. A section measures and adds to the report; it renders nothing.

pub mod checkpoint;
pub mod density;
pub mod isolation;
pub mod latency;
pub mod scaling;
pub mod start;
pub mod throughput;

use anyhow::{Result, ensure};
use arrow::array::ArrayRef;
use cloister::{Function, Job, Limits, Session};

use super::variant::{Deadline, Mode};
use super::workloads::Workload;

/// A job with a workload's function.
pub struct Running {
    _job: Job,
    function: Function,
}

impl Running {
    /// Starts a job that runs `parallelism` calls side by side, and checks that it gives what Rust gives.
    ///
    /// # Errors
    /// When the mode does not work here, or gives something else.
    pub fn new(workload: &Workload, mode: Mode, deadline: Deadline, parallelism: usize) -> Result<Running> {
        let mut limits = Limits::default();
        if deadline == Deadline::Off {
            limits.deadline = None;
        }
        let options = mode.options().source("udf.py", workload.source);
        let job = Session::new().job(options.limits(limits).parallelism(parallelism))?;
        let running = Running { function: job.function(workload.function)?, _job: job };
        let result = running.function.call(&workload.columns, workload.rows)?;
        ensure!(result == (workload.native)(&workload.columns), "the result of {} is not that of Rust", workload.name);
        Ok(running)
    }

    /// One call with all rows.
    ///
    /// # Errors
    /// Those of the call.
    pub fn pass(&self, workload: &Workload) -> Result<()> {
        self.function.call(&workload.columns, workload.rows)?;
        Ok(())
    }

    /// One call with the first `rows` rows.
    ///
    /// # Errors
    /// Those of the call.
    pub fn rows(&self, workload: &Workload, rows: usize) -> Result<()> {
        let columns: Vec<ArrayRef> = workload.columns.iter().map(|column| column.slice(0, rows)).collect();
        self.function.call(&columns, rows)?;
        Ok(())
    }
}
