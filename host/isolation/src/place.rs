//! Where a case runs: a mode, and of wasm mode both ways. A column of the matrix.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use cloister::{ExecutionMode, JobOptions, WorkerProgram};
use serde::{Deserialize, Serialize};

/// Where a job's code runs. The names are those of the modes; the additional one is `wasm-worker`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Process mode.
    Process,
    /// Thread mode.
    Thread,
    /// Wasm mode.
    Wasm,
    /// Wasm mode, its sandboxes in worker processes.
    WasmWorker,
}

impl Place {
    /// Every place, in the order of the matrix.
    pub const ALL: [Place; 4] = [Place::Process, Place::Thread, Place::Wasm, Place::WasmWorker];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Place::WasmWorker => "wasm-worker",
            place => place.mode().name(),
        }
    }

    /// The mode.
    pub fn mode(self) -> ExecutionMode {
        match self {
            Place::Process => ExecutionMode::Process,
            Place::Thread => ExecutionMode::Thread,
            Place::Wasm | Place::WasmWorker => ExecutionMode::Wasm,
        }
    }

    /// Whether each executor is a process of its own.
    pub fn is_process(self) -> bool {
        matches!(self, Place::Process | Place::WasmWorker)
    }

    /// Options of a job there. `worker`: the program of sandbox workers, if it is not this one.
    pub fn options(self, worker: Option<&Path>) -> JobOptions {
        let options = JobOptions::new(self.mode());
        match self {
            Place::WasmWorker => options.worker(program(worker)),
            _ => options,
        }
    }
}

fn program(worker: Option<&Path>) -> WorkerProgram {
    worker.map_or(WorkerProgram::This, |path| WorkerProgram::At(path.to_owned()))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Place::ALL
            .into_iter()
            .find(|place| place.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("there is no '{text}': use {}", Place::ALL.map(Place::name).join(", ")))
    }
}
