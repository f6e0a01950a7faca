//! Rows a second and CPU time a row: the table of the Flink blog, and workloads of other kinds.

use super::Running;
use crate::report::context::{Context, Runners};
use crate::report::measure::rounds::Passes;
use crate::report::peers;
use crate::report::plan::Plan;
use crate::report::python::Bare;
use crate::report::results::{Group, Subject};
use crate::report::variant::{Mode, Variant};
use crate::report::workloads::{self, Workload};

/// Measures every workload in every variant.
pub fn run(context: &mut Context) {
    let plan = context.plan.clone();
    let mut workloads: Vec<Workload> =
        plan.sizes.iter().map(|bytes| workloads::json(*bytes, plan.rows_of(*bytes))).collect();
    workloads.extend(workloads::single_sized(plan.rows));
    for workload in workloads {
        if context.stopped() {
            return;
        }
        measure(context, &workload);
    }
}

fn measure(context: &mut Context, workload: &Workload) {
    let group = Group::new(Subject::Workload, workload.name, workload.bytes, "row");
    context.step(&group.title());
    let (rows, length, rounds) = (workload.rows as u64, context.plan.sample, context.plan.rounds);
    let mut peers = std::mem::take(&mut context.peers);
    let mut runners: Runners<'_> = Vec::new();
    let native = Passes::new(|| workload.native_pass(), rows, length);
    runners.extend(context.keep("native Rust", native).map(|runner| (Variant::Native, Box::new(runner) as _)));
    let bare = Bare::new(workload).and_then(|bare| Passes::new(move || bare.run(), rows, length));
    runners.extend(context.keep("bare CPython", bare).map(|runner| (Variant::Bare, Box::new(runner) as _)));
    for mode in Mode::ALL {
        for deadline in mode.deadlines().iter().copied() {
            let variant = Variant::Mode(mode, deadline);
            let running = Running::new(workload, mode, deadline, 1);
            let runner = running.and_then(|running| Passes::new(move || running.pass(workload), rows, length));
            runners.extend(context.keep(variant.name(), runner).map(|runner| (variant, Box::new(runner) as _)));
        }
    }
    runners.extend(peers.runners(context, workload));
    context.measure(rounds, group, runners);
    context.peers = peers;
}

/// How long it takes, about, in seconds, each step.
pub fn estimate(plan: &Plan) -> Vec<f64> {
    // Native Rust and bare CPython; each mode with and without a deadline.
    let modes: usize = Mode::ALL.map(|mode| mode.deadlines().len()).iter().sum();
    let samples = (2 + modes) * (plan.rounds + 1);
    let peers = |workload: &Workload| if plan.peers { peers::estimate_of_rows(plan, workload) } else { 0.0 };
    let step = |workload: &Workload| samples as f64 * plan.sample.as_secs_f64() + 1.0 + peers(workload);
    let workloads = plan.sizes.iter().map(|bytes| workloads::json(*bytes, 1)).chain(workloads::single_sized(1));
    workloads.map(|workload| step(&workload)).collect()
}
