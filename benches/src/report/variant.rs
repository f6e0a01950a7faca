//! What is compared: the modes, what they are measured against, and peers.

use std::fmt;

use cloister::{ExecutionMode, JobOptions, WorkerProgram};
use cloister_isolation::Place;
use serde::{Deserialize, Serialize};

/// One way to run a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Variant {
    /// The same in Rust, from Arrow to Arrow.
    Native,
    /// `list(map(f, column))` on Python objects that are already there.
    Bare,
    /// A mode of Cloister, with its default deadline of 60 s a call or without any.
    Mode(Mode, Deadline),
    /// PyFlink, `python.execution-mode=thread`.
    FlinkThread,
    /// PyFlink, `python.execution-mode=process`.
    FlinkProcess,
    /// eryx: scripts in a WebAssembly component.
    Eryx,
}

/// A mode, in the order of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Thread mode.
    Thread,
    /// Wasm mode.
    Wasm,
    /// Wasm mode, its sandboxes in worker processes.
    WasmWorker,
    /// Process mode.
    Process,
}

/// Whether calls have a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Deadline {
    /// The default of the limits.
    On,
    /// None.
    Off,
}

/// What the report must know of a mode. One more mode is one more line here, in [`Mode`] and in [`Mode::ALL`].
struct Facts {
    /// Its names in tables and pictures, with a deadline and without.
    names: [&'static str; 2],
    /// Where its jobs run: a mode of the library, and a column in the matrix of the abuse suite.
    place: Place,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Mode; 4] = [Mode::Thread, Mode::Wasm, Mode::WasmWorker, Mode::Process];

    fn facts(self) -> Facts {
        let facts = |names, place| Facts { names, place };
        match self {
            Mode::Thread => facts(["thread", "thread, no deadline"], Place::Thread),
            Mode::Wasm => facts(["wasm", "wasm, no deadline"], Place::Wasm),
            Mode::WasmWorker => facts(["wasm in a worker", "wasm in a worker, no deadline"], Place::WasmWorker),
            Mode::Process => facts(["process", "process, no deadline"], Place::Process),
        }
    }

    /// The options of a job in this mode.
    pub fn options(self) -> JobOptions {
        let options = JobOptions::new(self.execution());
        if self == Mode::WasmWorker { options.worker(WorkerProgram::This) } else { options }
    }

    /// The mode of the library.
    fn execution(self) -> ExecutionMode {
        self.facts().place.mode()
    }

    /// The name of its column in the matrix of the abuse suite.
    pub fn column(self) -> &'static str {
        self.facts().place.name()
    }

    /// Whether each job has a process of its own.
    pub fn has_workers(self) -> bool {
        self.facts().place.is_process()
    }

    /// What it is measured with: without a deadline only where that is a question of its own.
    pub fn deadlines(self) -> &'static [Deadline] {
        if self == Mode::WasmWorker { &[Deadline::On] } else { &[Deadline::On, Deadline::Off] }
    }

    /// The variant with the default limits.
    pub fn variant(self) -> Variant {
        Variant::Mode(self, Deadline::On)
    }

    /// The mode whose variant has this name.
    pub fn named(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.variant().name() == name)
    }
}

impl Variant {
    /// Every variant, in the order of the tables.
    pub const ALL: [Variant; 5 + 2 * Mode::ALL.len()] = {
        let mut all = [Variant::Native; 5 + 2 * Mode::ALL.len()];
        all[1] = Variant::Bare;
        let mut at = 0;
        while at < Mode::ALL.len() {
            all[2 + 2 * at] = Variant::Mode(Mode::ALL[at], Deadline::On);
            all[3 + 2 * at] = Variant::Mode(Mode::ALL[at], Deadline::Off);
            at += 1;
        }
        all[2 + 2 * at] = Variant::FlinkThread;
        all[3 + 2 * at] = Variant::FlinkProcess;
        all[4 + 2 * at] = Variant::Eryx;
        all
    };

    /// Whether it is another system.
    pub fn is_peer(self) -> bool {
        matches!(self, Variant::FlinkThread | Variant::FlinkProcess | Variant::Eryx)
    }

    /// The name in tables and pictures.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Native => "native Rust",
            Variant::Bare => "bare CPython",
            Variant::Mode(mode, deadline) => mode.facts().names[deadline as usize],
            Variant::FlinkThread => "PyFlink thread",
            Variant::FlinkProcess => "PyFlink process",
            Variant::Eryx => "eryx",
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<Variant> for String {
    fn from(variant: Variant) -> String {
        variant.name().into()
    }
}

impl TryFrom<String> for Variant {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Variant::ALL
            .into_iter()
            .find(|variant| variant.name() == name)
            .ok_or_else(|| format!("unknown variant '{name}'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for variant in Variant::ALL {
            assert_eq!(Variant::try_from(variant.to_string()), Ok(variant));
        }
        assert_eq!(Mode::named("wasm"), Some(Mode::Wasm));
        assert!(Variant::try_from("wasn".to_owned()).is_err());
        assert!(Variant::ALL.is_sorted(), "the order of the tables");
    }
}
