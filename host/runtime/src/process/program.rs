//! What a worker runs, as plain data: a Python interpreter with the guest package, or a program with a sandbox inside.
//! Made by who knows the one or the other; starts nothing, and knows neither Python nor WebAssembly.

use std::path::PathBuf;

use crate::ExecutionMode;

/// A program, how it is started, and what it must be allowed to read and to run.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// What messages call it: `Python interpreter`, `sandbox worker`.
    pub name: &'static str,
    /// The program's file.
    pub executable: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment, beside the socket and the token.
    pub environment: Vec<(&'static str, String)>,
    /// The files and directories that it reads.
    pub reads: Vec<PathBuf>,
    /// Whether it also reads what packages may want of the system: all shared libraries, time zones, OpenSSL's settings.
    pub reads_system: bool,
    /// The files that are executed when it starts: itself, behind all links, and the loader of shared libraries.
    pub runs: Vec<PathBuf>,
    /// What to do when it cannot be started at all, and when it ends before its hello.
    pub mend_missing: String,
    /// See [`Self::mend_missing`].
    pub mend_silent: String,
    /// What its sandbox may have, if it is a sandbox worker.
    pub sandbox: Option<SandboxTerms>,
}

/// What the sandbox of a sandbox worker may have, and what the host knows of it without asking.
#[derive(Debug, Clone)]
pub(crate) struct SandboxTerms {
    /// Bytes of its memory.
    pub memory: u64,
    /// Bytes of its stack.
    pub stack: u64,
    /// Bytes of output that the job's log keeps.
    pub log: u64,
    /// The hash of its image, which its worker must name.
    pub image: &'static str,
}

impl Program {
    /// The mode whose jobs it serves.
    pub fn mode(&self) -> ExecutionMode {
        if self.sandbox.is_some() { ExecutionMode::Wasm } else { ExecutionMode::Process }
    }
}
