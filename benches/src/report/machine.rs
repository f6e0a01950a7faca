//! Where and with what a report was measured.

use std::path::Path;
use std::process::Command;

use cloister::ExecutionMode;
use serde::{Deserialize, Serialize};

use super::measure::memory;

/// The machine, the versions and the moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many CPUs this process may use.
    pub cpus: usize,
    /// Memory in KiB.
    pub memory: u64,
    /// The kernel.
    pub kernel: String,
    /// When measuring began, UTC, to the minute.
    pub date: String,
    /// The commit of the source, with `, changed` if files differ from it; empty outside of a repository.
    pub commit: String,
    /// Versions of what runs, by name.
    pub versions: Vec<(String, String)>,
    /// Programs that were running beside this one when it started, on average over a minute (the load).
    pub load: f64,
}

impl Machine {
    /// This machine, now.
    pub fn look() -> Machine {
        Machine {
            processor: processor().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory::total().unwrap_or_default(),
            kernel: read("/proc/sys/kernel/osrelease"),
            date: chrono::Utc::now().format("%Y-%m-%d %H:%M").to_string(),
            commit: commit(),
            versions: versions(),
            load: read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default(),
        }
    }

    /// `2 CPUs of AMD EPYC, 23 GiB, Linux 6.1.0`.
    pub fn line(&self) -> String {
        let gib = self.memory as f64 / f64::from(1 << 20);
        let cpus = if self.cpus == 1 { "1 CPU".into() } else { format!("{} CPUs", self.cpus) };
        format!("{cpus} of {}, {gib:.0} GiB, Linux {}", self.processor, self.kernel)
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The repository that this crate was built from, if it is still there.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return String::new() };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|files| !files.is_empty());
    if changed { format!("{commit}, changed") } else { commit }
}

/// What the modes say of themselves; not the places of things on this machine.
fn versions() -> Vec<(String, String)> {
    const FACTS: [&str; 4] = ["wasmtime", "guest Python", "embedded Python", "grpcio"];
    let facts = ExecutionMode::ALL.into_iter().flat_map(|mode| mode.report().facts);
    [("Cloister", env!("CARGO_PKG_VERSION")), ("rustc", env!("CLOISTER_BENCHES_RUSTC"))]
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .into_iter()
        .chain(facts.filter(|(name, _)| FACTS.contains(&name.as_str())))
        .collect()
}
