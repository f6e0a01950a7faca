//! The system calls of process mode that the standard library has no safe form of: the state of a child between fork
//! and exec, waiting without reaping, killing a process group, answering a worker's system calls. All of process mode's
//! `unsafe` is in this folder.

#[cfg(target_os = "linux")]
pub mod confine;
#[cfg(not(target_os = "linux"))]
pub mod confine {
    //! There is nothing to take.

    /// One step of confinement.
    pub enum Step {}

    /// Makes the child of `command` take the steps, in their order.
    pub fn confine(_: &mut std::process::Command, _: Vec<Step>) {}
}
#[cfg(target_os = "linux")]
pub mod notify;

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Makes the child of `command` the leader of its own session and process group, and asks the kernel to kill it when
/// its parent is gone.
///
/// The kernel takes the *thread* that forks for the parent: it must live as long as the child may.
pub fn isolate(command: &mut Command) {
    let host = std::process::id();
    // SAFETY: the closure runs in the forked child, where only async-signal-safe calls are allowed: it makes system
    // calls and allocates nothing (an `io::Error` of an OS error is a number).
    unsafe {
        command.pre_exec(move || {
            if libc::setsid() == -1 {
                return Err(io::Error::last_os_error());
            }
            die_with_parent(host)
        });
    }
}

#[cfg(target_os = "linux")]
fn die_with_parent(host: u32) -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes one integer and touches no memory of ours; getppid cannot fail.
    let orphan = unsafe {
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, 0, 0, 0) == -1 {
            return Err(io::Error::last_os_error());
        }
        libc::getppid() as u32 != host
    };
    // The host may have died before the call above took effect.
    if orphan { Err(io::Error::from_raw_os_error(libc::ESRCH)) } else { Ok(()) }
}

/// Elsewhere the end of its stream ends a worker.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(_host: u32) -> io::Result<()> {
    Ok(())
}

/// Sends SIGKILL to every process of the group that `leader` leads. The caller knows that `leader` has not been reaped,
/// so that the number cannot belong to a stranger.
pub fn kill_group(leader: u32) {
    let Ok(leader) = libc::pid_t::try_from(leader) else { return };
    // SAFETY: kill touches no memory. A group that is gone already is no error to us.
    unsafe { libc::kill(-leader, libc::SIGKILL) };
}

/// Blocks until the child `pid` has ended, and leaves it to be reaped.
pub fn wait_until_ended(pid: u32) -> io::Result<()> {
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    loop {
        // SAFETY: `info` is room for one siginfo_t, which the kernel writes and nobody reads.
        let result = unsafe { libc::waitid(libc::P_PID, pid, info.as_mut_ptr(), libc::WEXITED | libc::WNOWAIT) };
        if result == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// This process's effective user.
pub fn user() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}
