//! What confines a worker, layer by layer: reported, insisted on, and prepared for each worker. A layer that the kernel
//! has is put around every worker or the worker does not start; one that it lacks is told.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod gate;
#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod kernel;
#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod kernel;

use std::path::Path;
use std::sync::Arc;

use super::group::{self, Group};
use super::link::Link;
use super::program::Program;
use crate::hardening::{Hardening, Layer};
use crate::{Error, ExecutionMode};

pub use kernel::steps;

/// The layers that a kernel may lack, in the order in which a worker puts them on: the gate before the limits, since it
/// opens a descriptor and the host may have more than the limit already, and before the calls, among which installing
/// a filter is not.
const LAYERS: [(&str, &str, &str); 6] = [
    ("descriptors", "no open file or socket of the host's", "it needs Linux 5.11"),
    (
        "privileges",
        "no capabilities, and none to be gained by starting a program",
        "it needs Linux, and a container that lets a process give up capabilities",
    ),
    (
        "files",
        "reads Python, its packages and the job's own paths, writes nowhere; no TCP, no signals to others (landlock)",
        "it needs Linux 5.13 with landlock switched on (among the modules of the boot option lsm=)",
    ),
    (
        "connections",
        "no connection but the one that the host makes for it, no program but the interpreter (seccomp)",
        "it needs Linux 5.9, and a container whose runtime does not listen to system calls itself",
    ),
    ("limits", "no core dumps, no writing to files, few descriptors", "it needs Linux"),
    (
        "system calls",
        "no sockets, processes, tracing or changes to files: about 150 calls are allowed (seccomp)",
        "it needs Linux with seccomp filters, on x86-64, ARM64 or RISC-V",
    ),
];

/// The layers of a worker's confinement, and whether this machine has each.
pub fn layers() -> Vec<Layer> {
    let always = [
        ("environment", "an empty environment, and an empty working directory of its own"),
        ("session", "a session and process group of its own, killed with its host"),
    ];
    let always = always.into_iter().map(|(name, keeps)| Layer { name, keeps, missing: None, optional: false });
    let kernels = LAYERS.iter().zip(kernel::available()).map(|((name, keeps, needs), available)| Layer {
        name,
        keeps,
        missing: (!available).then_some(*needs),
        optional: false,
    });
    always.chain(kernels).chain([control_group()]).collect()
}

/// A second wall, which most hosts may not build: what it keeps is kept by the others as well, less exactly.
fn control_group() -> Layer {
    let keeps = "no more memory, processes and threads than allowed, whatever they are used for; ended as a whole";
    Layer { name: "control group", keeps, missing: group::missing(), optional: true }
}

/// Whether a job may start that insists on `hardening`.
///
/// # Errors
/// [`Error::Missing`] with the layers that are not there.
pub fn check(hardening: Hardening, mode: ExecutionMode) -> Result<(), Error> {
    if hardening != Hardening::Required {
        return Ok(());
    }
    let required = layers().into_iter().filter(|layer| !layer.optional);
    let missing: Vec<String> =
        required.filter_map(|layer| Some(format!("{} ({})", layer.name, layer.missing?))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::missing(
        format!("the workers of {mode} mode cannot be hardened in full on this machine: {}", missing.join("; ")),
        "run it on a kernel that has them, use wasm mode without workers, or ask for the hardening that is available",
    ))
}

/// What one worker is confined to.
pub struct Bounds<'a> {
    /// How much is insisted on.
    pub hardening: Hardening,
    /// Whose files are readable and which is run.
    pub program: &'a Program,
    /// Where it works.
    pub directory: &'a Path,
    /// Whether the job's memory is limited.
    pub memory_limited: bool,
    /// The job's limit on a stack.
    pub stack: Option<u64>,
    /// The control group that it enters.
    pub group: Option<&'a Group>,
    /// The host's socket, and the link on which the worker will say hello.
    pub socket: &'a Path,
    pub link: &'a Arc<Link>,
}
