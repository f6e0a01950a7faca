//! Checkpoints: the whole state of a job between two calls, and a job that starts from it.

use std::time::{Duration, Instant};

use anyhow::Result;
use cloister::wasm::BareSandbox;
use cloister::{Function, Job, Session};

use crate::report::context::{Context, Runners};
use crate::report::measure::clock::{Cost, Pieces};
use crate::report::measure::rounds::Measured;
use crate::report::plan::Plan;
use crate::report::results::{Group, Subject};
use crate::report::variant::Mode;
use crate::report::workloads::{self, Workload};

/// The mode that has checkpoints.
const MODE: Mode = Mode::Wasm;

/// How long a sample lasts at most.
const LONGEST: Duration = Duration::from_millis(50);

/// Measures both, of a small job and of one with state.
pub fn run(context: &mut Context) {
    for workload in [workloads::json(100, 1), workloads::state()] {
        if context.stopped() {
            return;
        }
        context.step(&format!("checkpoints of {}", workload.name));
        let Some((parent, bytes)) = context.keep("checkpoints", Parent::new(&workload)) else { continue };
        let length = context.plan.sample.min(LONGEST);
        for (name, measured) in [("checkpoint", Measure::Taking), ("restore", Measure::Restoring)] {
            let group = Group::new(Subject::Checkpoint, &format!("{name} of {}", workload.name), bytes, name);
            let run = || parent.sample(measured, length);
            let runners: Runners<'_> = vec![(MODE.variant(), Box::new(Measured { run, most: usize::MAX }))];
            context.measure(context.plan.starts, group, runners);
        }
    }
}

/// What of a checkpoint's life is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    /// Taking it.
    Taking,
    /// The first result of what starts from it.
    Restoring,
}

/// The job of which checkpoints are taken.
struct Parent<'a> {
    workload: &'a Workload,
    job: Job,
    function: Function,
}

impl Parent<'_> {
    /// The job, and how many bytes a checkpoint of it holds.
    fn new(workload: &Workload) -> Result<(Parent<'_>, usize)> {
        let job = Session::new().job(MODE.options().source("udf.py", workload.source))?;
        let parent = Parent { workload, function: job.function(workload.function)?, job };
        parent.call(&parent.function)?;
        let mut alone = BareSandbox::new()?;
        alone.load(workload.source)?;
        Ok((parent, alone.image()?.bytes() as usize))
    }

    fn call(&self, function: &Function) -> Result<()> {
        function.call(&self.workload.columns, self.workload.rows)?;
        Ok(())
    }

    /// Takes checkpoints for as long as a sample lasts. The call before each is not measured: without it there would be
    /// nothing new to take.
    fn sample(&self, measure: Measure, length: Duration) -> Result<Cost> {
        let (mut pieces, begin) = (Pieces::default(), Instant::now());
        loop {
            self.call(&self.function)?;
            let fork = || self.job.fork();
            let fork = if measure == Measure::Taking { pieces.measure(fork) } else { fork() }?;
            if measure == Measure::Restoring {
                pieces.measure(|| self.call(&fork.function(self.workload.function)?))?;
            }
            if begin.elapsed() >= length {
                return Ok(pieces.cost());
            }
        }
    }
}

/// How long it takes, about, in seconds, each step.
pub fn estimate(plan: &Plan) -> Vec<f64> {
    let of_each = plan.starts as f64 * plan.sample.min(LONGEST).as_secs_f64();
    vec![2.0 * of_each + 0.2, 2.0 * of_each + 0.5]
}
