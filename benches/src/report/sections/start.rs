//! New jobs, from source to first result; new sandboxes, made one by one and a thousand at once.

use std::time::Duration;

use anyhow::{Context as _, Result};
use cloister::Session;
use cloister::wasm::BareSandbox;

use crate::report::context::{Context, Runners};
use crate::report::measure::clock::cost;
use crate::report::measure::rounds::{Measured, Passes};
use crate::report::peers;
use crate::report::plan::Plan;
use crate::report::results::{Group, Subject};
use crate::report::variant::Mode;
use crate::report::workloads::{self, Workload};

/// Sandboxes of one sample of their making.
const BATCH: usize = 100;

/// Measures all starts.
pub fn run(context: &mut Context) {
    let workload = workloads::add(1);
    let (rounds, length) = (context.plan.starts, context.plan.sample.min(Duration::from_millis(50)));
    let job = Group::new(Subject::Start, "new job, from source to first result", 0, "job");
    context.step(&job.title());
    let mut peers = std::mem::take(&mut context.peers);
    let mut runners: Runners<'_> = Vec::new();
    for mode in Mode::ALL {
        let workload = &workload;
        let runner = Passes::new(move || first_result(workload, mode), 1, length);
        runners
            .extend(context.keep(mode.variant().name(), runner).map(|runner| (mode.variant(), Box::new(runner) as _)));
    }
    runners.extend(peers.starters(context, &workload));
    context.measure(rounds, job, runners);
    context.peers = peers;
    if context.stopped() {
        return;
    }
    for (name, sandboxes, with_drop) in [
        ("new sandbox", BATCH.min(context.plan.sandboxes), false),
        ("sandboxes made, held at once and dropped", context.plan.sandboxes, true),
    ] {
        // A number stands in the title where so many at once are what is measured.
        let group = Group::new(Subject::Start, name, if with_drop { sandboxes } else { 0 }, "sandbox");
        context.step(&group.title());
        let run = move || {
            let mut held = Vec::with_capacity(sandboxes);
            cost(sandboxes as u64, || {
                for _ in 0..sandboxes {
                    held.push(BareSandbox::new()?);
                }
                if with_drop {
                    held.clear();
                }
                Ok(())
            })
        };
        let runner = Measured { run, most: usize::MAX };
        context.measure(rounds, group, vec![(Mode::Wasm.variant(), Box::new(runner))]);
    }
}

fn first_result(workload: &Workload, mode: Mode) -> Result<()> {
    let options = mode.options().source("udf.py", workload.source);
    let job = Session::new().job(options)?;
    let function = job.function(workload.function)?;
    function.call(&workload.columns, workload.rows).with_context(|| mode.variant().name())?;
    Ok(())
}

/// How long it takes, about, in seconds, each step.
pub fn estimate(plan: &Plan) -> Vec<f64> {
    let jobs: f64 = Mode::ALL.map(|mode| if mode.has_workers() { 0.2 } else { 0.05 }).iter().sum();
    let peers = if plan.peers { peers::estimate_of_starts(plan) } else { 0.0 };
    let sandboxes = |count: usize| 0.1 + (plan.starts * count) as f64 * 30e-6;
    vec![jobs * (plan.starts + 1) as f64 + peers, sandboxes(BATCH), sandboxes(plan.sandboxes)]
}
