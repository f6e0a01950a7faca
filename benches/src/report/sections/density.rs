//! Memory of live jobs. Measured in a process of its own for each mode, which has nothing else and ends afterwards:
//! what an allocator keeps of an earlier section would hide some of it.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::Running;
use crate::report::context::Context;
use crate::report::measure::memory;
use crate::report::peers;
use crate::report::plan::Plan;
use crate::report::results::Density;
use crate::report::variant::{Deadline, Mode};
use crate::report::workloads;

use super::scaling::{WORKER_KIB, WORKER_TIME};

/// Measures every mode, and peers.
pub fn run(context: &mut Context) {
    for mode in Mode::ALL {
        if context.stopped() {
            return;
        }
        context.step(&format!("live jobs, {}", mode.variant()));
        let jobs = numbers(context, mode);
        let measured = in_own_process(mode, &jobs);
        let measured = context.keep("live jobs", measured).unwrap_or_default();
        context.report.density.extend(measured);
    }
    let mut peers = std::mem::take(&mut context.peers);
    let measured = peers.live(context);
    context.report.density.extend(measured);
    context.peers = peers;
}

/// The numbers of jobs for which there is memory.
fn numbers(context: &mut Context, mode: Mode) -> Vec<u64> {
    let mut jobs = if mode.has_workers() { context.plan.worker_jobs.clone() } else { context.plan.jobs.clone() };
    let needed = |jobs: u64| if mode.has_workers() { jobs * WORKER_KIB } else { jobs << 10 };
    let free = memory::available().unwrap_or_default() / 4 * 3;
    for &too_many in jobs.iter().filter(|jobs| needed(**jobs) > free) {
        let mib = needed(too_many) >> 10;
        context.leave_out(format!("{too_many} live jobs, {}: some {mib} MiB of memory are not free", mode.variant()));
    }
    jobs.retain(|jobs| needed(*jobs) <= free);
    jobs
}

fn in_own_process(mode: Mode, jobs: &[u64]) -> Result<Vec<Density>> {
    let counts: Vec<String> = jobs.iter().map(u64::to_string).collect();
    let argument = format!("{}:{}", mode.variant(), counts.join(","));
    let program = std::env::current_exe().context("this program's own path")?;
    let output = Command::new(program).arg("--live-jobs").arg(argument).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the process that holds the jobs ended with {}", output.status);
    serde_json::from_slice(&output.stdout).context("what the process that holds the jobs wrote")
}

/// What the process of its own does: makes jobs, and writes the memory at each of the numbers to stdout, as JSON.
///
/// # Errors
/// When a job does not start, or the kernel does not tell the memory.
pub fn live_jobs(argument: &str) -> Result<()> {
    let (mode, counts) = argument.split_once(':').context("MODE:JOBS")?;
    let mode = Mode::named(mode).with_context(|| format!("no mode '{mode}'"))?;
    let counts: Vec<u64> =
        counts.split(',').filter(|count| !count.is_empty()).map(str::parse).collect::<Result<_, _>>()?;
    let workload = workloads::add(1);
    let one = || Running::new(&workload, mode, Deadline::On, 1);
    // The engine, the interpreter or the server of the mode is no part of what one more job takes.
    drop(one()?);
    let before = memory::of_this_tree()?;
    let (mut live, start) = (Vec::new(), Instant::now());
    let mut measured = Vec::new();
    for jobs in counts {
        while (live.len() as u64) < jobs {
            live.push(one()?);
        }
        let seconds_each = start.elapsed().as_secs_f64() / jobs.max(1) as f64;
        let memory = memory::of_this_tree()? - before;
        measured.push(Density { variant: mode.variant(), jobs, before, memory, seconds_each });
    }
    serde_json::to_writer(std::io::stdout(), &measured)?;
    Ok(())
}

/// How long it takes, about, in seconds, each step.
pub fn estimate(plan: &Plan) -> Vec<f64> {
    let last = |jobs: &[u64]| jobs.last().copied().unwrap_or_default() as f64;
    let of = |mode: Mode| {
        // More workers than a few hundred have no memory on most machines.
        if mode.has_workers() { last(&plan.worker_jobs).min(200.0) * WORKER_TIME } else { last(&plan.jobs) * 2e-3 }
    };
    let mut steps = Mode::ALL.map(|mode| 0.4 + of(mode)).to_vec();
    if plan.peers {
        steps.extend(peers::estimate_of_live(plan));
    }
    steps
}
