//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use super::plan::Plan;

/// Measures what each mode of Cloister costs and what it buys, and writes report.json, report.html and report.md.
///
/// All variants of a comparison run in interleaved rounds, so that other programs disturb all of them alike. For
/// figures to publish, use a machine that does nothing else. Ctrl-C writes what was measured so far.
#[derive(Debug, Parser)]
#[command(name = "report", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Args {
    /// A report within 5 minutes on 2 CPUs. The default.
    #[arg(long, conflicts_with = "full")]
    pub quick: bool,

    /// A report within 40 minutes on 2 CPUs: more rounds, longer samples, every size.
    #[arg(long)]
    pub full: bool,

    /// As little as possible, for tests: the figures mean nothing.
    #[arg(long, hide = true, conflicts_with_all = ["quick", "full"])]
    pub smoke: bool,

    /// Where to write; made if it is missing.
    #[arg(short, long, value_name = "DIR", default_value = "target/report")]
    pub output: PathBuf,

    /// Only these sections.
    #[arg(long, value_name = "SECTION", value_enum, value_delimiter = ',')]
    pub only: Vec<SectionName>,

    /// End within so many minutes, not within those of the plan: where the time does not suffice there are fewer rounds,
    /// and the report says so. Making what is made once per machine does not count.
    #[arg(long, value_name = "MINUTES")]
    pub within: Option<f64>,

    /// Measure PyFlink and eryx in the same rounds: makes virtual environments below the cache directory (some
    /// hundred MB from PyPI, once) and needs Java 11 or 17. What is missing is left out, with a line that says so.
    /// Takes up to 10 minutes more, with --full 25.
    #[arg(long)]
    pub peers: bool,

    /// What `cloister isolation --output FILE.json` wrote, instead of running the abuse suite again.
    #[arg(long, value_name = "FILE")]
    pub isolation: Option<PathBuf>,

    /// Render an earlier report.json again, without measuring.
    #[arg(long, value_name = "REPORT.JSON", conflicts_with_all = ["quick", "full", "smoke", "only", "within", "peers", "isolation"])]
    pub render: Option<PathBuf>,

    /// Write the main table and picture into this repository: the part of README.md between its markers, and
    /// benches/report.svg.
    #[arg(long)]
    pub readme: bool,

    /// No progress bar.
    #[arg(short, long)]
    pub quiet: bool,

    /// Runs in the process of its own in which the memory of live jobs is measured: MODE:JOBS,JOBS,…
    #[arg(long, hide = true, value_name = "MODE:JOBS")]
    pub live_jobs: Option<String>,
}

const EXAMPLES: &str = "Examples:
  report --quick --output /tmp/report
  report --full --peers --readme
  report --only density,start
  report --render target/report/report.json --readme";

/// The sections of a report, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SectionName {
    /// Rows a second and CPU time a row, of each workload.
    Throughput,
    /// Latency of a row, by bundle size, unpaced and at 1,000 rows a second.
    Latency,
    /// New jobs, sandboxes and workers.
    Start,
    /// Memory of live jobs.
    Density,
    /// Checkpoints and what starts from them.
    Checkpoint,
    /// Work side by side, and many tenants.
    Scaling,
    /// The abuse suite: what each mode contains.
    Isolation,
}

impl Args {
    /// The plan that the options choose.
    pub fn plan(&self) -> Plan {
        let plan = match (self.full, self.smoke) {
            (true, _) => Plan::full(),
            (_, true) => Plan::smoke(),
            _ => Plan::quick(),
        };
        let minutes = |minutes: f64| Duration::try_from_secs_f64(minutes * 60.0).unwrap_or_default();
        let (budget, peer_budget) = match self.within {
            Some(within) => (minutes(within), Duration::ZERO),
            None => (plan.budget, plan.peer_budget),
        };
        Plan { budget, peer_budget, peers: self.peers, ..plan }
    }

    /// Whether a section is wanted.
    pub fn wants(&self, section: SectionName) -> bool {
        let given = section == SectionName::Isolation && self.isolation.is_some();
        !given && (self.only.is_empty() || self.only.contains(&section))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
        let args = Args::parse_from(["report", "--only", "density,start"]);
        assert!(args.wants(SectionName::Start) && !args.wants(SectionName::Latency));
        assert_eq!((args.plan().name, args.plan().time()), ("quick", Plan::quick().budget));
        let args = Args::parse_from(["report", "--full", "--peers", "--within", "1.5", "--isolation", "m.json"]);
        assert_eq!((args.plan().name, args.plan().time()), ("full", Duration::from_secs(90)));
        assert!(args.wants(SectionName::Start) && !args.wants(SectionName::Isolation));
    }
}
