//! The three execution modes as plain data. Knows nothing of how a mode works.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a job's functions run. Chosen per job; never changed behind the user's back.
///
/// The names are the values of Flink's option `python.execution-mode`, with `wasm` as the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutionMode {
    /// A separate Python worker process, over gRPC: any interpreter, C extensions.
    Process,
    /// CPython inside the host process: the lowest latency, for **trusted code only**.
    Thread,
    /// CPython for WASI inside wasmtime, in the host process: for untrusted and multi-tenant code.
    Wasm,
}

impl ExecutionMode {
    /// Every mode, in the order of the documentation.
    pub const ALL: [ExecutionMode; 3] = [ExecutionMode::Process, ExecutionMode::Thread, ExecutionMode::Wasm];

    /// The name as options and output spell it.
    pub fn name(self) -> &'static str {
        match self {
            ExecutionMode::Process => "process",
            ExecutionMode::Thread => "thread",
            ExecutionMode::Wasm => "wasm",
        }
    }

    /// Whether this build of the library contains the mode (a cargo feature of the same name).
    pub fn is_compiled_in(self) -> bool {
        match self {
            ExecutionMode::Process => cfg!(feature = "process"),
            ExecutionMode::Thread => cfg!(feature = "thread"),
            ExecutionMode::Wasm => cfg!(feature = "wasm"),
        }
    }
}

impl fmt::Display for ExecutionMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ExecutionMode {
    type Err = String;

    /// Case is ignored, as Flink ignores it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ExecutionMode::ALL
            .into_iter()
            .find(|mode| mode.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("unknown execution mode '{text}': use process, thread or wasm"))
    }
}
