//! What a worker does to itself between fork and exec. Each step is made ready before the fork; the child only makes
//! system calls, for nothing else is safe there. A step that fails ends the start: a worker is confined or not at all.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use libc::{c_int, c_ulong, sock_filter};

use super::notify;

/// Stands in a filter for the worker's own process id, which nobody knows before the fork.
pub const OWN_PID: u32 = 0x5e1f_91d0;

/// Errors of a trial start above all errors of the system.
const TRIED: i32 = 1 << 16;

/// One step of confinement.
pub enum Step {
    /// Enters a control group through its `cgroup.procs`.
    Group(OwnedFd),
    /// Closes, at exec, every descriptor but the standard streams.
    Descriptors,
    /// Gives up all capabilities, and the means to gain new privileges by exec.
    Privileges,
    /// Sets resource limits, soft and hard: pairs of a resource and its value.
    Limits(&'static [(u32, u64)]),
    /// Sets one resource limit, soft and hard.
    Limit(u32, u64),
    /// Enforces a landlock ruleset.
    Files(OwnedFd),
    /// Installs a seccomp filter.
    Calls(Vec<sock_filter>),
    /// Installs a seccomp filter with a listener, which goes to the host through the socket; without one, nowhere.
    Gate(Vec<sock_filter>, Option<OwnedFd>),
}

/// Makes the child of `command` take the steps, in their order.
pub fn confine(command: &mut Command, mut steps: Vec<Step>) {
    // SAFETY: the closure runs in the forked child, where only async-signal-safe calls are allowed: the steps make
    // system calls on what was allocated before, and an `io::Error` of an OS error is a number.
    unsafe {
        command.pre_exec(move || steps.iter_mut().try_for_each(Step::take));
    }
}

/// Tries the steps in a child that does nothing else: which of them the kernel has, by their positions.
pub fn try_out(mut steps: Vec<Step>) -> io::Result<Vec<bool>> {
    let count = steps.len();
    // Never started: the child ends before.
    let mut command = Command::new("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: as in `confine`.
    unsafe {
        command.pre_exec(move || {
            let taken = steps.iter_mut().enumerate().fold(0, |taken, (at, step)| match step.take() {
                Ok(()) => taken | 1 << at,
                Err(_) => taken,
            });
            Err(io::Error::from_raw_os_error(TRIED + taken))
        });
    }
    let error = match command.spawn() {
        Err(error) => error,
        Ok(mut child) => return child.wait().and(Err(io::ErrorKind::Other.into())),
    };
    match error.raw_os_error() {
        Some(code) if code >= TRIED => Ok((0..count).map(|at| (code - TRIED) & 1 << at != 0).collect()),
        _ => Err(error),
    }
}

/// A system call's result as a result.
fn check(result: impl Into<i64>) -> io::Result<()> {
    if result.into() == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn prctl(option: c_int, argument: c_ulong) -> c_int {
    // SAFETY: called only with options whose arguments are numbers.
    unsafe { libc::prctl(option, argument, 0, 0, 0) }
}

impl Step {
    fn take(&mut self) -> io::Result<()> {
        match self {
            Step::Group(door) => {
                // `0` is whoever writes it.
                // SAFETY: the byte is readable, and the descriptor is open.
                let written = unsafe { libc::write(door.as_raw_fd(), c"0".as_ptr().cast(), 1) };
                check(written as libc::c_long)
            }
            Step::Descriptors => {
                let (first, last, flags) = (3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
                // By flag, not at once: the standard library reports a failing exec through a descriptor of its own.
                // SAFETY: close_range takes numbers.
                let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
                check(result)
            }
            Step::Privileges => drop_privileges(),
            Step::Limits(limits) => limits.iter().try_for_each(|(resource, value)| limit(*resource, *value)),
            Step::Limit(resource, value) => limit(*resource, *value),
            Step::Files(ruleset) => {
                // SAFETY: landlock_restrict_self takes a descriptor, which is open, and flags.
                let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
                check(result)
            }
            Step::Calls(program) => {
                // SAFETY: getpid cannot fail.
                let own = unsafe { libc::getpid() } as u32;
                program.iter_mut().filter(|line| line.k == OWN_PID).for_each(|line| line.k = own);
                install(program, 0).map(drop)
            }
            Step::Gate(program, host) => {
                let listener = install(program, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER)?;
                match host {
                    Some(host) => notify::send_listener(host, listener),
                    None => Ok(()),
                }
            }
        }
    }
}

/// Installs a seccomp filter; gives the listener's descriptor if the flags ask for one, which exec closes.
fn install(program: &[sock_filter], flags: c_ulong) -> io::Result<c_int> {
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: the program is readable for the length that it names, and is only read.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    check(result).map(|()| result as c_int)
}

fn limit(resource: u32, value: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get room for one rlimit, the second only reads it. The type of a resource differs by libc.
    unsafe {
        check(libc::getrlimit(resource as _, &raw mut limit))?;
        let value = value.min(limit.rlim_max);
        limit = libc::rlimit { rlim_cur: value, rlim_max: value };
        check(libc::setrlimit(resource as _, &raw const limit))
    }
}

/// `capset`'s header and data, of the third version of their layout.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// More than any kernel has.
const MOST_CAPABILITIES: c_ulong = 64;

fn drop_privileges() -> io::Result<()> {
    // First, so that whoever lacks the right to empty the bounding set cannot get anything back by exec all the same.
    // SAFETY: PR_SET_NO_NEW_PRIVS takes numbers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    // SAFETY: PR_CAP_AMBIENT takes numbers. Kernels without ambient capabilities have none to clear.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    for capability in 0..MOST_CAPABILITIES {
        // Fails where there is no such capability, and where the host may not do this.
        prctl(libc::PR_CAPBSET_DROP, capability);
    }
    let header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let none = [0_u32; 6];
    // SAFETY: the header is valid, and the data is what this version of it asks for: two blocks of three words.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) })
}
