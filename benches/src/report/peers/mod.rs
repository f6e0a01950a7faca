//! Other systems on the same workloads, in the same rounds: PyFlink in both of its modes, and eryx. Opt in, as they are
//! large; what is missing is left out, and the report says so.

mod driver;
mod eryx;
mod flink;
mod live;
mod stream;
mod venv;

use anyhow::Result;

use super::context::{Context, Runners};
use super::interrupt;
use super::measure::arrivals::Arrivals;
use super::plan::Plan;
use super::results::Density;
use super::variant::Variant;
use super::workloads::{self, Workload};

use driver::Driver;

/// One call with all rows of a workload.
pub type Pass<'a> = Box<dyn FnMut() -> Result<()> + 'a>;

/// The peers that work here.
#[derive(Default)]
pub struct Peers {
    flink: Vec<(Variant, Driver)>,
    eryx: Option<Driver>,
}

impl Peers {
    /// Makes ready what can be, and notes what is missing.
    pub fn prepare(context: &mut Context) -> Peers {
        let mut flink = Vec::new();
        for variant in [Variant::FlinkThread, Variant::FlinkProcess] {
            let started = flink::start(variant, &|message| context.progress.line(message));
            flink.extend(context.keep(variant.name(), started).map(|driver| (variant, driver)));
        }
        let started = eryx::start(&|message| context.progress.line(message));
        Peers { flink, eryx: context.keep(Variant::Eryx.name(), started) }
    }

    /// What runs the rows of `workload`, in those peers that can.
    pub fn runners<'a>(&'a mut self, context: &mut Context, workload: &'a Workload) -> Runners<'a> {
        let plan = context.plan.clone();
        let mut runners: Runners<'a> = Vec::new();
        for (variant, driver) in &mut self.flink {
            let title = format!("{variant}, {}", workload.name);
            let runner = flink::Rows::new(driver, workload, &plan);
            runners.extend(context.keep(&title, runner).map(|runner| (*variant, Box::new(runner) as _)));
        }
        if let Some(driver) = &mut self.eryx {
            let runner = eryx::rows(driver, workload, &plan);
            runners.extend(
                context.keep(&format!("eryx, {}", workload.name), runner).map(|runner| (Variant::Eryx, runner)),
            );
        }
        runners
    }

    /// What starts something new and gives its first result.
    pub fn starters<'a>(&'a mut self, context: &mut Context, workload: &'a Workload) -> Runners<'a> {
        let rounds = context.plan.peer_rounds;
        let mut runners: Runners<'a> = Vec::new();
        for (variant, driver) in &mut self.flink {
            let runner = flink::first(driver, workload, rounds);
            runners.extend(context.keep(variant.name(), runner).map(|runner| (*variant, runner)));
        }
        if let Some(driver) = &mut self.eryx {
            let runner = eryx::first(driver, workload, rounds);
            runners.extend(context.keep("eryx", runner).map(|runner| (Variant::Eryx, runner)));
        }
        runners
    }

    /// What calls the function with all rows of `workload`, a bundle of its own, over and over.
    pub fn passes<'a>(&'a mut self, context: &mut Context, workload: &Workload) -> Vec<(Variant, Pass<'a>)> {
        let bundles = context.plan.peer_bundles.clone();
        let mut passes: Vec<(Variant, Pass<'a>)> = Vec::new();
        for (variant, driver) in self.flink.iter_mut().filter(|_| bundles.contains(&workload.rows)) {
            let stream = flink::stream(driver, workload, workload.rows);
            let pass = context.keep(&format!("latency, {variant}"), stream).map(|mut stream| {
                let pass: Pass<'a> = Box::new(move || stream.pass());
                (*variant, pass)
            });
            passes.extend(pass);
        }
        if let Some(driver) = &mut self.eryx {
            let loaded = eryx::load(driver, workload);
            let rows = workload.rows;
            passes.extend(context.keep("latency, eryx", loaded).map(|()| {
                let pass: Pass<'a> = Box::new(move || eryx::call(driver, rows));
                (Variant::Eryx, pass)
            }));
        }
        passes
    }

    /// Latencies of rows that arrive at a pace.
    pub fn paced(
        &mut self,
        context: &mut Context,
        workload: &Workload,
        arrivals: &Arrivals,
        total: usize,
    ) -> Vec<(Variant, Vec<f64>)> {
        let bundles = context.plan.peer_bundles.clone();
        let mut measured = Vec::new();
        for (variant, driver) in self.flink.iter_mut().filter(|_| bundles.contains(&arrivals.bundle)) {
            let stream = flink::stream(driver, workload, arrivals.bundle);
            let micros = stream.and_then(|mut stream| stream.paced(arrivals, total));
            let micros = context.keep(&format!("latency at a pace, {variant}"), micros);
            measured.extend(micros.map(|micros| (*variant, micros)));
        }
        if let Some(driver) = &mut self.eryx {
            let micros = eryx::load(driver, workload)
                .and_then(|()| arrivals.run(total, interrupt::requested, &mut |rows| eryx::call(driver, rows)));
            let micros = context.keep("latency at a pace, eryx", micros);
            measured.extend(micros.map(|micros| (Variant::Eryx, micros)));
        }
        measured
    }

    /// Memory of live jobs.
    pub fn live(&mut self, context: &mut Context) -> Vec<Density> {
        let (workload, counts) = (workloads::add(1), context.plan.peer_jobs.clone());
        let mut measured = Vec::new();
        for (variant, driver) in &mut self.flink {
            context.step(&format!("live jobs, {variant}"));
            let live = live::of_flink(*variant, driver, &workload, &counts);
            measured.extend(context.keep(&format!("live jobs, {variant}"), live).unwrap_or_default());
        }
        if let Some(driver) = &mut self.eryx {
            context.step("live jobs, eryx");
            let live = live::of_eryx(driver, &workload, &counts);
            measured.extend(context.keep("live jobs, eryx", live).unwrap_or_default());
        }
        measured
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.flink.is_empty() && self.eryx.is_none()
    }
}

/// The modes of PyFlink, each a cluster of its own.
const CLUSTERS: f64 = 2.0;

/// How long it takes PyFlink to start a job and to end it, in seconds.
const JOB: f64 = 2.0;

/// How long peers take with the rows of a workload, about, in seconds: PyFlink's jobs, a short and a long one for each
/// sample, and those that warm the JVM.
pub fn estimate_of_rows(plan: &Plan, workload: &Workload) -> f64 {
    let jobs = (2 * plan.peer_rounds + 6) as f64 * JOB + (plan.peer_rounds + 1) as f64 * plan.peer_sample.as_secs_f64();
    let flink = if flink::runs(workload) { CLUSTERS * jobs } else { 0.0 };
    flink + (plan.rounds + 1) as f64 * plan.sample.as_secs_f64().max(0.1)
}

/// How long they take to start jobs.
pub fn estimate_of_starts(plan: &Plan) -> f64 {
    (plan.peer_rounds + 1) as f64 * (CLUSTERS * JOB + 0.1)
}

/// How long their latencies take, of bundles of so many rows.
pub fn estimate_of_passes(plan: &Plan, bytes: usize, bundle: usize) -> f64 {
    let pass = 2e-3 + bundle as f64 * (5e-6 + bytes as f64 * 20e-9);
    let passes = plan.calls_time.as_secs_f64().max(plan.calls as f64 * pass);
    let flink = if plan.peer_bundles.contains(&bundle) { CLUSTERS * (JOB + passes) } else { 0.0 };
    flink + passes + 0.3
}

/// How long their latencies take at a pace.
pub fn estimate_of_pace(plan: &Plan, bundle: usize) -> f64 {
    let flink =
        if plan.peer_bundles.contains(&bundle) { CLUSTERS * (JOB + plan.paced_time.as_secs_f64()) } else { 0.0 };
    flink + plan.paced_time.as_secs_f64() + 0.3
}

/// How long their live jobs take, each peer.
pub fn estimate_of_live(plan: &Plan) -> [f64; 3] {
    let jobs = plan.peer_jobs.iter().max().copied().unwrap_or_default() as f64;
    [(jobs + 2.0) * JOB, (jobs + 2.0) * JOB, jobs * 0.05 + 0.3]
}
