//! The layers on Linux: tried out once on this kernel, and made ready for each worker.
#![allow(clippy::unnecessary_cast, reason = "the type of a resource differs by C library")]

use std::fmt::Display;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;

use super::{Bounds, LAYERS, calls, files, gate};
use crate::Error;
use crate::hardening::Hardening;
use crate::process::group::Group;
use crate::process::sys::confine::{Step, try_out};

/// Without core dumps a crash leaves no file in the worker's directory, or wherever the kernel is told to put it.
const NO_CORE: (u32, u64) = (libc::RLIMIT_CORE as u32, 0);

/// The stack of a worker's main thread, and by default of its others.
const STACK: u32 = libc::RLIMIT_STACK as u32;

/// A worker writes no files, so that their size can be none, and locks no memory. 512 descriptors are for connections
/// and for packages that keep data files open.
const LIMITS: &[(u32, u64)] = &[
    NO_CORE,
    (libc::RLIMIT_FSIZE as u32, 0),
    (libc::RLIMIT_NOFILE as u32, 512),
    (libc::RLIMIT_MEMLOCK as u32, 0),
    (libc::RLIMIT_MSGQUEUE as u32, 0),
];

/// What this kernel has of [`LAYERS`]. Tried out in a child of this process, once.
pub fn available() -> [bool; LAYERS.len()] {
    static AVAILABLE: OnceLock<[bool; LAYERS.len()]> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        try_all().unwrap_or_else(|error| {
            tracing::warn!("it cannot be found out what confines a worker here: {error}");
            [false; LAYERS.len()]
        })
    })
}

fn try_all() -> std::io::Result<[bool; LAYERS.len()]> {
    let nothing = files::Needs { read: Vec::new(), system: false, run: &[], dial: None };
    let (ruleset, allowed) = (files::ruleset(&nothing).ok().flatten(), calls::allowed(true));
    let (has_files, has_calls) = (ruleset.is_some(), allowed.is_some());
    let steps = vec![
        Step::Descriptors,
        Step::Privileges,
        ruleset.map_or(Step::Limits(&[]), Step::Files),
        Step::Gate(calls::gate(true), None),
        Step::Limits(LIMITS),
        Step::Calls(allowed.unwrap_or_default()),
    ];
    let taken = try_out(steps)?;
    let mut available = [false; LAYERS.len()];
    available.iter_mut().zip(taken).for_each(|(available, taken)| *available = taken);
    let [_, _, files, gate, _, calls] = &mut available;
    *files &= has_files;
    *calls &= has_calls;
    // Without the list of calls there are ways around the gate.
    *gate &= *calls;
    Ok(available)
}

/// The steps that put the layers around one worker.
///
/// # Errors
/// [`Error::Internal`] if a layer that the kernel has cannot be made ready.
pub fn steps(bounds: Bounds<'_>) -> Result<Vec<Step>, Error> {
    let fail = |what: &dyn Display| Error::internal(format!("a worker cannot be confined: {what}"));
    // First, while it may: what follows takes away the right to.
    let door = bounds.group.map(Group::door).transpose().map_err(|error| fail(&error))?;
    let stack = bounds.stack.map(|bytes| Step::Limit(STACK, bytes));
    let mut steps: Vec<Step> = door.map(Step::Group).into_iter().chain(stack).collect();
    if bounds.hardening == Hardening::Off {
        steps.push(Step::Limits(std::slice::from_ref(&NO_CORE)));
        return Ok(steps);
    }
    let [descriptors, privileges, files, gate, limits, calls] = available();
    if descriptors {
        steps.push(Step::Descriptors);
    }
    if privileges {
        steps.push(Step::Privileges);
    }
    if files {
        let own = bounds.program.reads.iter().map(|path| path.as_path());
        let needs = files::Needs {
            read: std::iter::once(bounds.directory).chain(own).collect(),
            system: bounds.program.reads_system,
            run: &bounds.program.runs,
            dial: (!gate).then_some(bounds.socket),
        };
        let ruleset = files::ruleset(&needs).map_err(|error| fail(&error))?;
        steps.push(Step::Files(ruleset.ok_or_else(|| fail(&"landlock is gone"))?));
    }
    if gate {
        let (host, worker) = UnixStream::pair().map_err(|error| fail(&error))?;
        host.set_nonblocking(true).map_err(|error| fail(&error))?;
        gate::attend(host.into(), bounds.socket.to_owned(), bounds.link.clone())?;
        steps.push(Step::Gate(calls::gate(true), Some(worker.into())));
    } else if calls {
        steps.push(Step::Calls(calls::gate(false)));
    }
    if limits {
        steps.push(Step::Limits(LIMITS));
    }
    if calls {
        let allowed = calls::allowed(bounds.memory_limited);
        steps.push(Step::Calls(allowed.ok_or_else(|| fail(&"there is no filter for this processor"))?));
    }
    Ok(steps)
}
