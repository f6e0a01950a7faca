//! What each mode promises, as data: jobs require promises, `cloister modes` prints them, and the tests compare the
//! documentation with them. Enforcing them is the modes' business, and the abuse suite's to prove.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ExecutionMode;

/// Something that a mode keeps for every job, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Promise {
    /// One job's Python state is invisible to another's.
    PrivateState,
    /// A memory limit holds.
    MemoryLimit,
    /// A deadline holds whatever the user's code does.
    Deadline,
    /// A CPU budget holds whatever the user's code does.
    CpuLimit,
    /// A crash stays inside the job.
    CrashContainment,
    /// The code reaches no files, network, environment or subprocesses of the host.
    NoHostAccess,
    /// C extensions (numpy, pandas) can be imported.
    CExtensions,
    /// The job chooses its interpreter.
    OwnInterpreter,
    /// The job brings packages of its own that other jobs do not see.
    OwnPackages,
}

/// Whether a mode keeps a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Keeping {
    /// Always.
    Yes,
    /// Where the kernel has all the layers that confine a worker: see `cloister doctor`.
    Hardened,
    /// Not, or not reliably.
    No,
}

impl Promise {
    /// Every promise, in the order of the documentation.
    pub const ALL: [Promise; 9] = [
        Promise::PrivateState,
        Promise::MemoryLimit,
        Promise::Deadline,
        Promise::CpuLimit,
        Promise::CrashContainment,
        Promise::NoHostAccess,
        Promise::CExtensions,
        Promise::OwnInterpreter,
        Promise::OwnPackages,
    ];

    /// The name as options and output spell it.
    pub fn name(self) -> &'static str {
        match self {
            Promise::PrivateState => "private-state",
            Promise::MemoryLimit => "memory-limit",
            Promise::Deadline => "deadline",
            Promise::CpuLimit => "cpu-limit",
            Promise::CrashContainment => "crash-containment",
            Promise::NoHostAccess => "no-host-access",
            Promise::CExtensions => "c-extensions",
            Promise::OwnInterpreter => "own-interpreter",
            Promise::OwnPackages => "own-packages",
        }
    }

    /// What is promised, as the documentation words it.
    pub fn description(self) -> &'static str {
        match self {
            Promise::PrivateState => "one job's Python state is invisible to another's",
            Promise::MemoryLimit => "memory limit",
            Promise::Deadline => "deadline that user code cannot swallow",
            Promise::CpuLimit => "CPU budget that user code cannot swallow",
            Promise::CrashContainment => "a crash stays inside the job",
            Promise::NoHostAccess => "no files, network, environment, subprocesses",
            Promise::CExtensions => "C extensions (numpy, pandas)",
            Promise::OwnInterpreter => "own interpreter per job",
            Promise::OwnPackages => "own packages per job",
        }
    }

    /// Whether `mode` keeps it, and what there is to say about that.
    pub fn kept_by(self, mode: ExecutionMode) -> (Keeping, Option<&'static str>) {
        use ExecutionMode::{Process, Thread, Wasm};
        match (self, mode) {
            (Promise::Deadline | Promise::CpuLimit | Promise::CrashContainment, Process) => {
                (Keeping::Yes, (self != Promise::CrashContainment).then_some("by kill"))
            }
            (Promise::Deadline, Thread) => (Keeping::No, Some("best effort")),
            (Promise::CExtensions, Process | Thread) => (Keeping::Yes, None),
            (Promise::OwnInterpreter | Promise::OwnPackages | Promise::PrivateState, Process) => (Keeping::Yes, None),
            (Promise::MemoryLimit, Process) => (Keeping::Yes, None),
            (Promise::NoHostAccess, Process) => (Keeping::Hardened, None),
            (Promise::MemoryLimit, Wasm) => (Keeping::Yes, Some("Python sees `MemoryError` first")),
            (Promise::NoHostAccess, Wasm) => (Keeping::Yes, Some("by construction")),
            (Promise::OwnPackages, Wasm) => (Keeping::Yes, Some("pure Python")),
            (Promise::CExtensions | Promise::OwnInterpreter, Wasm) => (Keeping::No, None),
            (_, Wasm) => (Keeping::Yes, None),
            (_, Thread) => (Keeping::No, None),
        }
    }

    /// As a cell of a table: `yes, by kill`.
    pub fn cell(self, mode: ExecutionMode) -> String {
        let (keeping, note) = self.kept_by(mode);
        match note {
            Some(note) => format!("{keeping}, {note}"),
            None => keeping.to_string(),
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Promise {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Promise::ALL.into_iter().find(|promise| promise.name().eq_ignore_ascii_case(text)).ok_or_else(|| {
            format!("unknown promise '{text}': there are {}", Promise::ALL.map(Promise::name).join(", "))
        })
    }
}

impl fmt::Display for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Keeping::Yes => "yes",
            Keeping::Hardened => "where hardened",
            Keeping::No => "no",
        })
    }
}

impl ExecutionMode {
    /// What this mode promises on this machine. The first call may try out what the kernel can do.
    pub fn promises(self) -> Vec<Promise> {
        Promise::ALL.into_iter().filter(|promise| self.keeps(*promise)).collect()
    }

    /// Whether this mode keeps `promise` on this machine.
    pub fn keeps(self, promise: Promise) -> bool {
        match promise.kept_by(self).0 {
            Keeping::Yes => true,
            Keeping::Hardened => confines(),
            Keeping::No => false,
        }
    }
}

/// Whether the kernel confines a worker in full.
#[cfg(feature = "process")]
fn confines() -> bool {
    crate::process::confines()
}

#[cfg(not(feature = "process"))]
fn confines() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for promise in Promise::ALL {
            assert_eq!(promise.name().parse(), Ok(promise));
            assert_eq!(serde_json::to_value(promise).expect("a string"), promise.name());
        }
        assert!("magic".parse::<Promise>().is_err_and(|error| error.contains("own-packages")));
    }

    #[test]
    fn trusted_code_only_is_what_thread_mode_promises() {
        assert_eq!(ExecutionMode::Thread.promises(), [Promise::CExtensions]);
        assert!(ExecutionMode::Wasm.keeps(Promise::NoHostAccess));
        assert_eq!(Promise::Deadline.cell(ExecutionMode::Process), "yes, by kill");
        assert_eq!(Promise::Deadline.cell(ExecutionMode::Thread), "no, best effort");
    }
}
