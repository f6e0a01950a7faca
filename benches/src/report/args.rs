//! The command line.

use std::path::PathBuf;

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

    /// Measure PyFlink and eryx in the same rounds: makes virtual environments below the cache directory (some
    /// hundred MB from PyPI, once) and needs Java 11 or 17. What is missing is left out, with a line that says so.
    /// Takes some 10 minutes more.
    #[arg(long)]
    pub peers: bool,

    /// What `cloister isolation --output FILE` wrote: which abuse cases each mode contains.
    #[arg(long, value_name = "FILE")]
    pub isolation: Option<PathBuf>,

    /// Render an earlier report.json again, without measuring.
    #[arg(long, value_name = "REPORT.JSON", conflicts_with_all = ["quick", "full", "smoke", "only", "peers"])]
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
  report --full --peers --isolation isolation.json --readme
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
    /// Work side by side, and many tenants.
    Scaling,
}

impl Args {
    /// The plan that the options choose.
    pub fn plan(&self) -> Plan {
        match (self.full, self.smoke) {
            (true, _) => Plan::full(),
            (_, true) => Plan::smoke(),
            _ => Plan::quick(),
        }
    }

    /// Whether a section is wanted.
    pub fn wants(&self, section: SectionName) -> bool {
        self.only.is_empty() || self.only.contains(&section)
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
        assert_eq!(args.plan().name, "quick");
    }
}
