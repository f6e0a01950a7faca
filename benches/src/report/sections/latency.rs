//! Latency of a row, from its arrival to its result, by bundle size. Unpaced, whole bundles arrive at once, each as
//! soon as the one before is done. At a pace, rows arrive one by one whether the function keeps up or not.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Running;
use crate::report::context::Context;
use crate::report::interrupt;
use crate::report::measure::arrivals::Arrivals;
use crate::report::peers::{self, Pass};
use crate::report::plan::{BUNDLE_TIME, PACE, Plan};
use crate::report::python::Bare;
use crate::report::results::Latency;
use crate::report::variant::{Deadline, Mode, Variant};
use crate::report::workloads::{self, Workload};

/// Measures all sizes and bundles.
pub fn run(context: &mut Context) {
    for (pace, bytes, bundle) in cells(&context.plan) {
        if context.stopped() {
            return;
        }
        context.step(&title(pace, bytes, bundle));
        match pace {
            None => unpaced(context, bytes, bundle),
            Some(_) => paced(context, bytes, bundle),
        }
    }
}

fn title(pace: Option<u32>, bytes: usize, bundle: usize) -> String {
    let how = pace.map_or("unpaced".into(), |pace| format!("{pace} rows/s"));
    format!("latency: json {bytes} B, bundles of {bundle}, {how}")
}

/// Pace, bytes and bundle of everything that is measured.
fn cells(plan: &Plan) -> Vec<(Option<u32>, usize, usize)> {
    let all = |pace, sizes: &[usize], bundles: &[usize]| {
        let pairs = sizes.iter().flat_map(|bytes| bundles.iter().map(|bundle| (pace, *bytes, *bundle)));
        pairs.collect::<Vec<_>>()
    };
    let mut cells = all(None, &plan.sizes, &plan.bundles);
    cells.extend(all(Some(PACE), &plan.paced_sizes, &plan.paced_bundles));
    cells.retain(|(pace, bytes, bundle)| plan.fits(*bytes, if pace.is_some() { called(*bundle) } else { *bundle }));
    cells
}

/// The most rows of one call where rows arrive at the pace: what arrives until a bundle's time is over.
fn called(bundle: usize) -> usize {
    bundle.min((f64::from(PACE) * BUNDLE_TIME.as_secs_f64()) as usize + 1)
}

fn unpaced(context: &mut Context, bytes: usize, bundle: usize) {
    let workload = workloads::json(bytes, bundle);
    let mut peers = std::mem::take(&mut context.peers);
    let mut passes: Vec<(Variant, Pass<'_>)> = vec![(Variant::Native, Box::new(|| workload.native_pass()))];
    if let Some(bare) = context.keep("bare CPython", Bare::new(&workload)) {
        passes.push((Variant::Bare, Box::new(move || bare.run())));
    }
    for mode in Mode::ALL {
        let running = Running::new(&workload, mode, Deadline::On, 1);
        if let Some(running) = context.keep(mode.variant().name(), running) {
            let workload = &workload;
            passes.push((mode.variant(), Box::new(move || running.pass(workload))));
        }
    }
    passes.extend(peers.passes(context, &workload));
    // A tenth of the calls of each variant at a time: interleaved, and yet warm.
    const TURNS: usize = 10;
    let (calls, time) = (context.plan.calls.div_ceil(TURNS), context.plan.calls_time / TURNS as u32);
    let mut micros: Vec<Vec<f64>> = vec![Vec::new(); passes.len()];
    for turn in 0..TURNS {
        if turn > 0 && context.late() {
            let title = title(None, bytes, bundle);
            context.leave_out(format!("{title}: {turn} of {TURNS} turns were made, to end in time"));
            break;
        }
        for ((variant, pass), micros) in passes.iter_mut().zip(&mut micros) {
            if interrupt::requested() {
                break;
            }
            if let Err(error) = pass().and_then(|()| calls_in(calls, time, pass, micros)) {
                context.leave_out(format!("latency, {variant}: {error:#}"));
            }
        }
    }
    for ((variant, _), micros) in passes.into_iter().zip(micros) {
        add(context, &workload, bundle, None, variant, micros);
    }
    context.peers = peers;
}

/// Most calls of one turn that are kept: enough for the percentiles, and a file that can be opened.
const KEPT: usize = 500;

fn calls_in(calls: usize, time: Duration, pass: &mut dyn FnMut() -> Result<()>, micros: &mut Vec<f64>) -> Result<()> {
    let begin = Instant::now();
    for call in 0..KEPT {
        if call >= calls && begin.elapsed() >= time {
            break;
        }
        let start = Instant::now();
        pass()?;
        micros.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(())
}

fn paced(context: &mut Context, bytes: usize, bundle: usize) {
    let rows = called(bundle);
    let workload = workloads::json(bytes, rows);
    let arrivals = Arrivals { pace: PACE, bundle, time: BUNDLE_TIME };
    let total = (paced_time(context, bytes, bundle).as_secs_f64() * f64::from(PACE)) as usize;
    for mode in Mode::ALL {
        let variant = mode.variant();
        let Some(running) = context.keep(variant.name(), Running::new(&workload, mode, Deadline::On, 1)) else {
            continue;
        };
        let mut call = |rows| running.rows(&workload, rows);
        let micros = arrivals.run(total, interrupt::requested, &mut call);
        if let Some(micros) = context.keep(&format!("latency at {PACE} rows/s, {variant}"), micros) {
            add(context, &workload, bundle, Some(PACE), variant, micros);
        }
    }
    let mut peers = std::mem::take(&mut context.peers);
    for (variant, micros) in peers.paced(context, &workload, &arrivals, total) {
        add(context, &workload, bundle, Some(PACE), variant, micros);
    }
    context.peers = peers;
}

/// How long rows arrive for each variant: shorter where it is late, but not by more than to a quarter.
fn paced_time(context: &mut Context, bytes: usize, bundle: usize) -> Duration {
    let wanted = context.plan.paced_time;
    let variants = Mode::ALL.len() as u32 + if context.plan.peers { 3 } else { 0 };
    let there = context.until.saturating_duration_since(Instant::now()) / variants;
    let time = there.clamp(wanted / 4, wanted);
    if time < wanted * 9 / 10 {
        let title = title(Some(PACE), bytes, bundle);
        context.leave_out(format!("{title}: rows came for {time:.1?} of {wanted:.1?}, to end in time"));
    }
    time
}

fn add(
    context: &mut Context,
    workload: &Workload,
    bundle: usize,
    pace: Option<u32>,
    variant: Variant,
    micros: Vec<f64>,
) {
    // Tenths: more digits would be noise, and half of the file.
    let micros = micros.into_iter().map(|micros| (micros * 10.0).round() / 10.0).collect();
    let latency = Latency {
        workload: workload.name.into(),
        bytes: workload.bytes as u64,
        bundle: bundle as u64,
        pace,
        variant,
        p50: 0.0,
        p99: 0.0,
        micros,
    };
    context.report.latencies.extend(latency.percentiles());
}

/// How long it takes, about, in seconds, each step.
pub fn estimate(plan: &Plan) -> Vec<f64> {
    let modes = Mode::ALL.len() as f64;
    let cell = |(pace, bytes, bundle): (Option<u32>, usize, usize)| {
        let call = 10e-6 + bundle as f64 * (2.8e-6 + bytes as f64 * 3e-9);
        match pace {
            // Native Rust, bare CPython, and the modes; starting a worker.
            None => {
                let peers = if plan.peers { peers::estimate_of_passes(plan, bytes, bundle) } else { 0.0 };
                (2.0 + modes) * plan.calls_time.as_secs_f64().max(call * plan.calls as f64) + 0.3 + peers
            }
            Some(_) => {
                let peers = if plan.peers { peers::estimate_of_pace(plan, bundle) } else { 0.0 };
                modes * plan.paced_time.as_secs_f64() + 0.3 + peers
            }
        }
    };
    cells(plan).into_iter().map(cell).collect()
}
