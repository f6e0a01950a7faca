//! Pure-Python work side by side, and the one-row calls of many tenants.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Running;
use crate::report::context::{Context, Runners};
use crate::report::measure::memory;
use crate::report::measure::rounds::Passes;
use crate::report::plan::Plan;
use crate::report::results::{Group, Subject};
use crate::report::variant::{Deadline, Mode};
use crate::report::workloads::{self, Workload};

/// Memory that a worker takes, generously, in KiB.
pub const WORKER_KIB: u64 = 64 << 10;

/// How long a worker takes to start, about, in seconds.
pub const WORKER_TIME: f64 = 0.12;

/// Measures both.
pub fn run(context: &mut Context) {
    parallel(context);
    if !context.stopped() {
        tenants(context);
    }
}

/// All modes and parallelisms in the same rounds: the ratio that counts is that of one mode at two parallelisms.
fn parallel(context: &mut Context) {
    let plan = context.plan.clone();
    let workload = workloads::fnv(plan.rows.min(1_000));
    for parallelism in plan.parallelism.iter().copied() {
        if context.stopped() {
            return;
        }
        let group = Group::new(Subject::Parallel, workload.name, parallelism, "row");
        context.step(&group.title());
        let mut runners: Runners<'_> = Vec::new();
        for mode in Mode::ALL {
            let workload = &workload;
            let rows = (workload.rows * parallelism) as u64;
            let runner = Running::new(workload, mode, Deadline::On, parallelism).and_then(|running| {
                Passes::new(move || side_by_side(parallelism, |_| running.pass(workload)), rows, plan.sample * 2)
            });
            runners.extend(
                context.keep(mode.variant().name(), runner).map(|runner| (mode.variant(), Box::new(runner) as _)),
            );
        }
        context.measure(plan.rounds, group, runners);
    }
}

fn tenants(context: &mut Context) {
    let plan = context.plan.clone();
    let group = Group::new(Subject::Tenants, "one-row calls in turns", plan.tenants, "call");
    context.step(&group.title());
    let workload = workloads::add(1);
    let threads = context.report.machine.cpus;
    let mut runners: Runners<'_> = Vec::new();
    for mode in Mode::ALL {
        let starting = Duration::from_secs_f64(plan.tenants as f64 * WORKER_TIME);
        if mode.has_workers() && Instant::now() + starting > context.until {
            context.leave_out(format!("{} tenants, {}: to end in time", plan.tenants, mode.variant()));
            continue;
        }
        let needed = plan.tenants as u64 * WORKER_KIB;
        if mode.has_workers() && memory::available().is_none_or(|available| available < 2 * needed) {
            context.leave_out(format!(
                "{} tenants, {}: {} MiB of memory are not free",
                plan.tenants,
                mode.variant(),
                needed >> 10
            ));
            continue;
        }
        let workload = &workload;
        let runner = jobs(workload, mode, plan.tenants).and_then(|jobs| {
            let pass = move || {
                side_by_side(threads, |thread| {
                    jobs.iter().skip(thread).step_by(threads).try_for_each(|job| job.pass(workload))
                })
            };
            Passes::new(pass, plan.tenants as u64, plan.sample)
        });
        runners
            .extend(context.keep(mode.variant().name(), runner).map(|runner| (mode.variant(), Box::new(runner) as _)));
    }
    context.measure(plan.rounds, group, runners);
}

fn jobs(workload: &Workload, mode: Mode, count: usize) -> Result<Vec<Running>> {
    (0..count).map(|_| Running::new(workload, mode, Deadline::On, 1)).collect()
}

/// Runs `work` on so many threads at once.
fn side_by_side(threads: usize, work: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    std::thread::scope(|scope| {
        let work = &work;
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        handles.into_iter().try_for_each(|handle| handle.join().ok().context("a thread panicked")?)
    })
}

/// How long it takes, about, in seconds, each step.
pub fn estimate(plan: &Plan) -> Vec<f64> {
    let samples = (Mode::ALL.len() * (plan.rounds + 1)) as f64 * plan.sample.as_secs_f64();
    let workers = Mode::ALL.into_iter().filter(|mode| mode.has_workers()).count() as f64;
    let parallel = plan.parallelism.iter().map(|parallelism| 2.0 * samples + *parallelism as f64 * workers * 0.15);
    parallel.chain([samples + plan.tenants as f64 * workers * WORKER_TIME]).collect()
}
