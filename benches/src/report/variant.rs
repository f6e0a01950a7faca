//! What is compared: the modes, what they are measured against, and peers.

use std::fmt;

use cloister::ExecutionMode;
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

impl Mode {
    /// Every mode.
    pub const ALL: [Mode; 3] = [Mode::Thread, Mode::Wasm, Mode::Process];

    /// The mode of the library.
    pub fn execution(self) -> ExecutionMode {
        match self {
            Mode::Thread => ExecutionMode::Thread,
            Mode::Wasm => ExecutionMode::Wasm,
            Mode::Process => ExecutionMode::Process,
        }
    }

    /// The variant with the default limits.
    pub fn variant(self) -> Variant {
        Variant::Mode(self, Deadline::On)
    }
}

impl Variant {
    /// Every variant, in the order of the tables.
    pub const ALL: [Variant; 11] = [
        Variant::Native,
        Variant::Bare,
        Variant::Mode(Mode::Thread, Deadline::On),
        Variant::Mode(Mode::Thread, Deadline::Off),
        Variant::Mode(Mode::Wasm, Deadline::On),
        Variant::Mode(Mode::Wasm, Deadline::Off),
        Variant::Mode(Mode::Process, Deadline::On),
        Variant::Mode(Mode::Process, Deadline::Off),
        Variant::FlinkThread,
        Variant::FlinkProcess,
        Variant::Eryx,
    ];

    /// The name in tables and pictures.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Native => "native Rust",
            Variant::Bare => "bare CPython",
            Variant::Mode(Mode::Thread, Deadline::On) => "thread",
            Variant::Mode(Mode::Thread, Deadline::Off) => "thread, no deadline",
            Variant::Mode(Mode::Wasm, Deadline::On) => "wasm",
            Variant::Mode(Mode::Wasm, Deadline::Off) => "wasm, no deadline",
            Variant::Mode(Mode::Process, Deadline::On) => "process",
            Variant::Mode(Mode::Process, Deadline::Off) => "process, no deadline",
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
        assert!(Variant::try_from("wasn".to_owned()).is_err());
        assert!(Variant::ALL.is_sorted(), "the order of the tables");
    }
}
