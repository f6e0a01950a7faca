//! The report: what each mode of Cloister costs, and what it buys.
//!
//! Data flows one way: a `plan` says how much, the `sections` measure (with `measure`, over `workloads`, in every
//! `variant`) into `results`, and `render` makes pages of those. `report.json` holds the results, so that rendering
//! needs no measuring.

mod args;
mod budget;
mod context;
mod interrupt;
mod json;
mod machine;
mod matrix;
mod measure;
mod peers;
mod plan;
mod progress;
mod python;
mod render;
mod results;
mod sections;
mod variant;
mod workloads;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;

use args::{Args, SectionName};
use budget::Budget;
use context::Context;
use machine::Machine;
use measure::others::Others;
use peers::Peers;
use plan::Plan;
use progress::Progress;
use results::{FORMAT, Report};
use sections::{checkpoint, density, isolation, latency, scaling, start, throughput};
use variant::{Deadline, Mode};
use workloads::Workload;

/// A section: its name, how long each of its steps takes, about, in seconds, and what measures it.
type Section = (SectionName, fn(&Plan) -> Vec<f64>, fn(&mut Context));

/// Those first whose length is what it is: what comes after makes as many rounds as there is time for.
const SECTIONS: [Section; 7] = [
    (SectionName::Isolation, isolation::estimate, isolation::run),
    (SectionName::Density, density::estimate, density::run),
    (SectionName::Throughput, throughput::estimate, throughput::run),
    (SectionName::Latency, latency::estimate, latency::run),
    (SectionName::Start, start::estimate, start::run),
    (SectionName::Checkpoint, checkpoint::estimate, checkpoint::run),
    (SectionName::Scaling, scaling::estimate, scaling::run),
];

/// The program `report`.
///
/// # Errors
/// When something cannot be read or written. What cannot be measured is left out of the report, which says so.
pub fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(jobs) = &args.live_jobs {
        return density::live_jobs(jobs);
    }
    let report = match &args.render {
        Some(path) => read(path)?,
        None => measure(&args)?,
    };
    let files = render::write(&report, &args.output)?;
    if args.readme {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("this crate's place in the repository")?;
        render::readme::update(&report, root)?;
    }
    if !report.complete {
        eprintln!("The report is not complete: it was interrupted, and holds what was measured until then.");
    }
    for file in files {
        println!("{}", file.display());
    }
    Ok(())
}

/// The program `passes`: `[mode, workload, count]`, such as `["wasm", "json, 1 kB", "100"]`.
///
/// # Errors
/// When an argument is none of those that there are, which the error lists; or a call fails.
pub fn passes(arguments: &[String]) -> Result<()> {
    let plan = Plan::quick();
    let mut workloads: Vec<Workload> =
        plan.sizes.iter().map(|bytes| workloads::json(*bytes, plan.rows_of(*bytes))).collect();
    workloads.extend(workloads::single_sized(plan.rows));
    let modes: Vec<&str> = Mode::ALL.map(|mode| mode.variant().name()).to_vec();
    let titles: Vec<String> = workloads.iter().map(Workload::title).collect();
    let usage = || {
        format!(
            "usage: passes MODE WORKLOAD COUNT\n  MODE: {}\n  WORKLOAD: '{}'",
            modes.join(", "),
            titles.join("', '")
        )
    };
    let [mode, title, count] = arguments else { bail!(usage()) };
    let mode = Mode::named(mode).with_context(usage)?;
    let workload = workloads.iter().find(|workload| workload.title() == *title).with_context(usage)?;
    let count: u64 = count.parse().with_context(usage)?;
    let running = sections::Running::new(workload, mode, Deadline::On, 1)?;
    (0..count).try_for_each(|_| running.pass(workload))
}

fn read(path: &Path) -> Result<Report> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| format!("{}: no report of format {FORMAT}", path.display()))
}

fn measure(args: &Args) -> Result<Report> {
    interrupt::install()?;
    let machine = Machine::look();
    let isolation = args.isolation.as_deref().map(matrix::Matrix::read).transpose()?;
    let plan = args.plan();
    let start = Instant::now();
    let mut context = Context {
        progress: Progress::new(1.0, args.quiet),
        budget: Budget::new(plan.time()),
        until: start,
        report: Report::new(machine, plan.name, isolation),
        peers: Peers::default(),
        plan,
    };
    prepare(&mut context);
    if args.peers {
        context.peers = Peers::prepare(&mut context);
        context.plan.peers = !context.peers.is_empty();
    }
    let chosen: Vec<Section> = SECTIONS.into_iter().filter(|(name, ..)| args.wants(*name)).collect();
    let total = chosen.iter().flat_map(|(_, estimate, _)| estimate(&context.plan)).sum();
    context.progress = Progress::new(total, args.quiet);
    // What is made once per machine took its own time.
    context.budget = Budget::new(context.plan.time());
    let mut others = Others::default();
    for (name, estimate, run) in chosen {
        if !context.stopped() {
            context.progress.section(estimate(&context.plan));
            // Hosts that the abuse suite kills leave processes behind whose time is nobody's.
            if name == SectionName::Isolation { run(&mut context) } else { others.beside(|| run(&mut context)) }
        }
    }
    context.progress.finish();
    context.report.others = others.share();
    if let Some(disturbance) = context.report.disturbance() {
        context.progress.line(&disturbance);
    }
    context.report.complete = !context.stopped();
    context.report.seconds = start.elapsed().as_secs_f64();
    Ok(context.report)
}

/// What is made once per machine is no part of any figure.
fn prepare(context: &mut Context) {
    let wasm = cloister::wasm::prepare(&|message| context.progress.line(message));
    context.keep("wasm mode", wasm.map_err(Into::into));
    let process = cloister::process::prepare(&|message| context.progress.line(message));
    context.keep("process mode", process.map_err(Into::into));
}
