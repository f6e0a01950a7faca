//! What the report has measured: plain data, written as `report.json` and read by everything that renders.

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::matrix::Matrix;
use super::measure::clock::Cost;
use super::measure::memory::Memory;
use super::measure::stats::{Ratio, Summary, percentile, sorted};
use super::variant::Variant;

/// The version of `report.json`.
pub const FORMAT: u32 = 2;

/// A whole report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// Where and with what it was measured.
    pub machine: Machine,
    /// The name of the plan: `quick`, `full`.
    pub plan: String,
    /// False if the user ended it early.
    pub complete: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The share of the machine's CPU time that other programs took while this measured, 0 to 1.
    pub others: f64,
    /// What was left out, and why: one line each.
    pub left_out: Vec<String>,
    /// Costs of the same work in several variants, measured in interleaved rounds.
    pub groups: Vec<Group>,
    /// Latencies of rows.
    pub latencies: Vec<Latency>,
    /// Memory of live jobs.
    pub density: Vec<Density>,
    /// What of the abuse suite each mode contains; `None` if the suite's outcome was not given.
    pub isolation: Option<Matrix>,
}

impl Report {
    /// A report without results.
    pub fn new(machine: Machine, plan: &str, isolation: Option<Matrix>) -> Report {
        Report {
            format: FORMAT,
            machine,
            plan: plan.into(),
            complete: false,
            seconds: 0.0,
            others: 0.0,
            left_out: Vec::new(),
            groups: Vec::new(),
            latencies: Vec::new(),
            density: Vec::new(),
            isolation,
        }
    }
}

/// The share of the machine that others may have while it measures, for figures to be those of a quiet one. The load
/// when it begins is an average of the minute before, and says nothing of that.
const QUIET: f64 = 0.05;

impl Report {
    /// That other programs were running, if they were, as a sentence.
    pub fn disturbance(&self) -> Option<String> {
        let load = self.machine.load;
        (self.others > QUIET).then(|| {
            format!(
                "Other programs were running (load {load} when this began, {:.0} % of the CPU time while it measured): \
                 the spread is wide, and figures are not for publication.",
                100.0 * self.others
            )
        })
    }
}

/// What a group of series compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A workload, rows through one function. The parameter is the bytes of a row (0: the workload has one size).
    Workload,
    /// Starting something: a job, a sandbox.
    Start,
    /// Taking a checkpoint, or starting from one. The parameter is the bytes that it holds.
    Checkpoint,
    /// The same pure-Python work side by side. The parameter is the parallelism.
    Parallel,
    /// One-row calls of many tenants. The parameter is the number of tenants.
    Tenants,
}

/// The same work in several variants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// What is compared.
    pub subject: Subject,
    /// The workload or the thing that is started.
    pub name: String,
    /// See [`Subject`].
    pub parameter: u64,
    /// What is counted: `row`, `job`, `call`, `sandbox`, `checkpoint`.
    pub unit: String,
    /// One series for each variant.
    pub series: Vec<Series>,
}

impl Group {
    /// A group without samples yet.
    pub fn new(subject: Subject, name: &str, parameter: usize, unit: &str) -> Group {
        Group { subject, name: name.into(), parameter: parameter as u64, unit: unit.into(), series: Vec::new() }
    }

    /// A name that no other group has: `json, 100 B`.
    pub fn title(&self) -> String {
        let Group { name, parameter, .. } = self;
        match self.subject {
            Subject::Workload if *parameter > 0 => format!("{name}, {}", bytes(*parameter)),
            Subject::Workload => name.clone(),
            Subject::Start if *parameter > 0 => format!("{parameter} {name}, each"),
            Subject::Start => name.clone(),
            Subject::Checkpoint => format!("{name}, {}", bytes(*parameter)),
            Subject::Parallel => format!("{name}, {parameter} side by side"),
            Subject::Tenants => format!("{parameter} tenants: {name}"),
        }
    }

    /// The series of a variant.
    pub fn of(&self, variant: Variant) -> Option<&Series> {
        self.series.iter().find(|series| series.variant == variant)
    }

    /// CPU time of `first` over that of `second`, round by round.
    pub fn cpu_ratio(&self, first: Variant, second: Variant) -> Option<Ratio> {
        Ratio::of(&self.of(first)?.cpu_each(), &self.of(second)?.cpu_each())
    }
}

/// The samples of one variant, one a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The variant.
    pub variant: Variant,
    /// Seconds on the clock for one.
    pub wall: Summary,
    /// Seconds of CPU for one.
    pub cpu: Summary,
    /// The samples.
    pub samples: Vec<Cost>,
}

impl Series {
    /// The series of samples; `None` without any.
    pub fn new(variant: Variant, samples: Vec<Cost>) -> Option<Series> {
        let each = |of: fn(&Cost) -> f64| samples.iter().map(of).collect::<Vec<f64>>();
        let (wall, cpu) = (Summary::of(&each(Cost::wall_each))?, Summary::of(&each(Cost::cpu_each))?);
        Some(Series { variant, wall, cpu, samples })
    }

    fn cpu_each(&self) -> Vec<f64> {
        self.samples.iter().map(Cost::cpu_each).collect()
    }
}

/// Latencies of rows through one function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The workload.
    pub workload: String,
    /// Bytes of a row.
    pub bytes: u64,
    /// Rows of a bundle.
    pub bundle: u64,
    /// Rows that arrive in a second; `None`: whole bundles, as fast as they are taken.
    pub pace: Option<u32>,
    /// The variant.
    pub variant: Variant,
    /// Half of the rows have their result within so many microseconds.
    pub p50: f64,
    /// 99 of 100 rows have it.
    pub p99: f64,
    /// Microseconds from a row's arrival to its result. Unpaced, all rows of a bundle share one value, given once.
    pub micros: Vec<f64>,
}

impl Latency {
    /// Fills in the percentiles; `None` without samples.
    pub fn percentiles(mut self) -> Option<Latency> {
        let ascending = sorted(&self.micros);
        (self.p50, self.p99) = (percentile(&ascending, 0.5)?, percentile(&ascending, 0.99)?);
        Some(self)
    }
}

/// Memory of live jobs in a process that has nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Density {
    /// The mode.
    pub variant: Variant,
    /// How many jobs live; each has loaded a source and called its function once.
    pub jobs: u64,
    /// Memory before the first: of the process, with the engine, the interpreter or the JVM of the mode.
    pub before: Memory,
    /// Memory of all of them together, workers included, above that.
    pub memory: Memory,
    /// Seconds that making them took, each.
    pub seconds_each: f64,
}

/// `100 B`, `10 kB`: powers of ten, as the sizes are.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_was_not_quiet_is_said_to_be_busy() {
        let mut report = Report::new(Machine { load: 0.1, cpus: 2, ..Machine::look() }, "quick", None);
        assert_eq!(report.disturbance(), None);
        report.others = 0.21;
        assert!(report.disturbance().is_some_and(|text| text.contains("load 0.1") && text.contains("21 %")));
        (report.others, report.machine.load) = (0.0, 1.5);
        assert_eq!(report.disturbance(), None, "what ran before is over");
    }
}
