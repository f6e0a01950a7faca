//! The layers with which the kernel confines worker processes, as plain data: what a job may ask for, and
//! what this machine has. Knows nothing of how a layer works.

use serde::{Deserialize, Serialize};

/// How much of the confinement of its worker processes a job insists on: in process mode, and in wasm mode with
/// [`JobOptions::worker`](crate::JobOptions::worker). Other jobs have nothing that this could loosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Hardening {
    /// Every layer that this kernel has; `cloister doctor` and [`ModeReport::hardening`](crate::ModeReport::hardening)
    /// list those that it lacks. A layer that it has and that cannot be put around a worker keeps the worker from
    /// starting.
    #[default]
    Available,
    /// Every layer that there is, those that are optional excepted: the job is refused where the kernel lacks one.
    Required,
    /// Only what costs a program nothing: the empty environment, the working directory, the session, no core dumps, a
    /// control group where there is one. For trusted code that must read or write files, open connections or start programs.
    Off,
}

impl Hardening {
    /// Every value, the default first.
    pub const ALL: [Hardening; 3] = [Hardening::Available, Hardening::Required, Hardening::Off];

    /// The name as options and output spell it.
    pub fn name(self) -> &'static str {
        match self {
            Hardening::Available => "available",
            Hardening::Required => "required",
            Hardening::Off => "off",
        }
    }
}

impl std::fmt::Display for Hardening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Hardening {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Hardening::ALL
            .into_iter()
            .find(|hardening| hardening.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("unknown hardening '{text}': use available, required or off"))
    }
}

/// One layer of a worker's confinement.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layer {
    /// Its name: `files`, `system calls`, ….
    pub name: &'static str,
    /// What it keeps from the user's code, as a phrase.
    pub keeps: &'static str,
    /// Why this machine does not have it; `None`: it is in force.
    pub missing: Option<&'static str>,
    /// Whether a job that requires its hardening runs without it: it makes others stronger, and few hosts have it.
    pub optional: bool,
}

impl Layer {
    /// Whether workers get it on this machine.
    pub fn is_in_force(&self) -> bool {
        self.missing.is_none()
    }
}
