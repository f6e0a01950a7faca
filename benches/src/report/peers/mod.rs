//! Other systems on the same workloads, in the same rounds: PyFlink in both of its modes, and eryx. Opt in, as they are
//! large; what is missing is left out, and the report says so.

mod driver;
mod eryx;
mod flink;
mod venv;

use super::context::{Context, Runners};
use super::plan::Plan;
use super::variant::Variant;
use super::workloads::Workload;

use driver::Driver;

/// The peers that work here.
#[derive(Default)]
pub struct Peers {
    flink: Vec<(Variant, Driver)>,
    eryx: Option<Driver>,
}

impl Peers {
    /// Makes ready what can be, and notes what is missing.
    pub fn prepare(context: &mut Context) -> Peers {
        context.progress.step("preparing peers");
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

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.flink.is_empty() && self.eryx.is_none()
    }
}

/// How long peers take in the comparisons of throughput, about, in seconds: PyFlink's jobs, a short and a long one for
/// each sample, and those that warm the JVM.
pub fn estimate(plan: &Plan) -> f64 {
    let jobs = (2 * plan.peer_rounds + 6) as f64 * 1.5 + plan.peer_rounds as f64 * plan.peer_sample.as_secs_f64();
    2.0 * (plan.sizes.len() + 3) as f64 * jobs
}
