//! What each mode needs and whether it is there, as data for `cloister doctor` and for hosts that choose a mode.

use crate::{Error, ExecutionMode, Layer};

/// The state of one mode on this machine. Making it changes nothing: no environment is made, nothing is compiled.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ModeReport {
    /// The mode.
    pub mode: ExecutionMode,
    /// Facts, by name: versions, places.
    pub facts: Vec<(String, String)>,
    /// What the kernel puts around the mode's executors, and what of it this machine lacks. Process mode only: what
    /// confines a sandbox needs no kernel, and nothing confines thread mode.
    pub hardening: Vec<Layer>,
    /// What is missing, and what mends it; empty if a job can start.
    pub problems: Vec<Error>,
}

impl ModeReport {
    /// A report without facts.
    pub(crate) fn new(mode: ExecutionMode) -> Self {
        ModeReport { mode, facts: Vec::new(), hardening: Vec::new(), problems: Vec::new() }
    }

    pub(crate) fn fact(&mut self, name: &str, value: impl ToString) {
        self.facts.push((name.into(), value.to_string()));
    }

    /// Whether a job can start in this mode.
    pub fn is_available(&self) -> bool {
        self.problems.is_empty()
    }
}

impl ExecutionMode {
    /// What this mode needs and whether it is there.
    pub fn report(self) -> ModeReport {
        match self {
            #[cfg(feature = "process")]
            ExecutionMode::Process => crate::process::report(),
            #[cfg(feature = "thread")]
            ExecutionMode::Thread => crate::thread::report(),
            #[cfg(feature = "wasm")]
            ExecutionMode::Wasm => crate::wasm::report(),
            #[allow(unreachable_patterns, reason = "which arms there are depends on the features")]
            mode => {
                let mut report = ModeReport::new(mode);
                report.problems.push(crate::job::not_compiled_in(mode));
                report
            }
        }
    }
}
