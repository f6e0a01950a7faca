//! The system calls that a worker may make, as seccomp filters: a list of what Python, its C extensions and gRPC need to
//! compute, to read files and to talk over what is open. All else fails with EPERM, which Python shows as
//! `PermissionError`. Must never list a call that reaches another process, makes one, or opens a connection.
#![allow(clippy::unnecessary_cast, reason = "the types of constants differ by C library and processor")]

use std::collections::BTreeMap;

use libc::{c_long, sock_filter};
use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch};

use crate::process::sys::confine::OWN_PID;

/// Calls that are allowed whatever their arguments are.
#[rustfmt::skip]
const ALLOWED: &[c_long] = &[
    // Memory.
    libc::SYS_brk, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_mprotect, libc::SYS_madvise, libc::SYS_mincore,
    libc::SYS_msync, libc::SYS_membarrier, libc::SYS_mseal, libc::SYS_get_mempolicy,
    // Threads and their end. clone3 is refused by the gate: this filter could not look into its arguments.
    libc::SYS_clone3, libc::SYS_exit, libc::SYS_exit_group, libc::SYS_set_tid_address, libc::SYS_set_robust_list,
    libc::SYS_rseq, libc::SYS_futex, libc::SYS_futex_waitv, libc::SYS_sched_yield, libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam, libc::SYS_sched_getscheduler, libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min, libc::SYS_getcpu, libc::SYS_wait4, libc::SYS_waitid, libc::SYS_restart_syscall,
    // Signals of its own.
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait, libc::SYS_rt_sigsuspend, libc::SYS_sigaltstack, libc::SYS_signalfd4,
    // Time.
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_clock_nanosleep, libc::SYS_nanosleep,
    libc::SYS_gettimeofday, libc::SYS_times, libc::SYS_getrusage, libc::SYS_getitimer, libc::SYS_setitimer,
    libc::SYS_timer_create, libc::SYS_timer_settime, libc::SYS_timer_gettime, libc::SYS_timer_getoverrun,
    libc::SYS_timer_delete, libc::SYS_timerfd_create, libc::SYS_timerfd_settime, libc::SYS_timerfd_gettime,
    // Files: which ones is landlock's affair. Nothing here changes a directory, a mode or an owner.
    libc::SYS_openat, libc::SYS_openat2, libc::SYS_close, libc::SYS_close_range, libc::SYS_read, libc::SYS_readv,
    libc::SYS_pread64, libc::SYS_preadv, libc::SYS_preadv2, libc::SYS_write, libc::SYS_writev, libc::SYS_pwrite64,
    libc::SYS_pwritev, libc::SYS_pwritev2, libc::SYS_lseek, libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx,
    libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_faccessat, libc::SYS_faccessat2, libc::SYS_readlinkat,
    libc::SYS_getdents64, libc::SYS_getcwd, libc::SYS_chdir, libc::SYS_fchdir, libc::SYS_umask, libc::SYS_dup,
    libc::SYS_dup3, libc::SYS_pipe2, libc::SYS_fadvise64, libc::SYS_readahead, libc::SYS_flock, libc::SYS_sendfile,
    libc::SYS_fsync, libc::SYS_fdatasync,
    // Waiting.
    libc::SYS_ppoll, libc::SYS_pselect6, libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2, libc::SYS_eventfd2,
    // Its connection. Making one is the gate's affair.
    libc::SYS_connect, libc::SYS_sendmsg, libc::SYS_recvmsg, libc::SYS_recvfrom, libc::SYS_shutdown,
    libc::SYS_getsockname, libc::SYS_getpeername, libc::SYS_getsockopt,
    // Itself. The gate lets one execve pass: the one that starts the interpreter.
    libc::SYS_execve, libc::SYS_getpid, libc::SYS_getppid, libc::SYS_gettid, libc::SYS_getpgid, libc::SYS_getsid,
    libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid, libc::SYS_getegid, libc::SYS_getresuid,
    libc::SYS_getresgid, libc::SYS_getgroups, libc::SYS_getpriority, libc::SYS_capget, libc::SYS_uname,
    libc::SYS_sysinfo, libc::SYS_getrandom,
];

/// The older forms of the above.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const ALLOWED_HERE: &[c_long] = &[
    libc::SYS_arch_prctl, libc::SYS_time, libc::SYS_alarm, libc::SYS_pause, libc::SYS_open, libc::SYS_stat,
    libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink, libc::SYS_getdents, libc::SYS_dup2, libc::SYS_pipe,
    libc::SYS_poll, libc::SYS_select, libc::SYS_epoll_create, libc::SYS_epoll_wait, libc::SYS_eventfd,
    libc::SYS_getpgrp, libc::SYS_getrlimit,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[c_long] = &[];

/// What `ioctl` may ask: is it a terminal, how much is there to read, and the flags of a descriptor.
#[rustfmt::skip]
const IOCTLS: [u64; 6] = [
    libc::TCGETS as u64, libc::TIOCGWINSZ as u64, libc::FIONREAD as u64, libc::FIONBIO as u64, libc::FIOCLEX as u64,
    libc::FIONCLEX as u64,
];

/// What `fcntl` may do. Not: name a process that gets signals for a descriptor.
#[rustfmt::skip]
const FCNTLS: [u64; 10] = [
    libc::F_DUPFD as u64, libc::F_DUPFD_CLOEXEC as u64, libc::F_GETFD as u64, libc::F_SETFD as u64,
    libc::F_GETFL as u64, libc::F_SETFL as u64, libc::F_GETLK as u64, libc::F_SETLK as u64, libc::F_SETLKW as u64,
    libc::F_GETPIPE_SZ as u64,
];

/// What `prctl` may do: name a thread.
const PRCTLS: [u64; 2] = [libc::PR_SET_NAME as u64, libc::PR_GET_NAME as u64];

/// The bits of a socket's type that are no flags.
const SOCKET_TYPE: u64 = 0xf;

/// The filter of allowed calls, or `None` for a processor that it is not written for. With `counted`, memory that
/// escapes the limit on data (shared and anonymous, or a stack that grows by itself) is not given out.
pub fn allowed(counted: bool) -> Option<Vec<sock_filter>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Vec::new())).collect();
    let mut when = |call: c_long, conditions: Vec<Vec<SeccompCondition>>| -> Option<()> {
        let made = conditions.into_iter().map(SeccompRule::new).collect::<Result<_, _>>().ok()?;
        rules.insert(call, made);
        Some(())
    };
    let is = |argument, operator, value| SeccompCondition::new(argument, Dword, operator, value).ok();
    let any_of = |argument, values: &[u64]| -> Option<Vec<Vec<SeccompCondition>>> {
        values.iter().map(|value| Some(vec![is(argument, Eq, *value)?])).collect()
    };
    let own = u64::from(OWN_PID);
    when(libc::SYS_clone, vec![vec![is(0, MaskedEq(libc::CLONE_THREAD as u64), libc::CLONE_THREAD as u64)?]])?;
    when(libc::SYS_kill, any_of(0, &[own])?)?;
    when(libc::SYS_tgkill, any_of(0, &[own])?)?;
    when(libc::SYS_prlimit64, any_of(0, &[0, own])?)?;
    when(libc::SYS_sched_setaffinity, any_of(0, &[0])?)?;
    when(libc::SYS_ioctl, any_of(1, &IOCTLS)?)?;
    when(libc::SYS_fcntl, any_of(1, &FCNTLS)?)?;
    when(libc::SYS_prctl, any_of(0, &PRCTLS)?)?;
    // Unix streams only: a datagram socket could send to any address without a connection.
    let stream = |call| {
        let family = is(0, Eq, libc::AF_UNIX as u64)?;
        Some((call, vec![vec![family, is(1, MaskedEq(SOCKET_TYPE), libc::SOCK_STREAM as u64)?]]))
    };
    for (call, rule) in [stream(libc::SYS_socket)?, stream(libc::SYS_socketpair)?] {
        when(call, rule)?;
    }
    let no_address = SeccompCondition::new(4, seccompiler::SeccompCmpArgLen::Qword, Eq, 0).ok()?;
    when(libc::SYS_sendto, vec![vec![no_address]])?;
    if counted {
        let (shared, anonymous) = (libc::MAP_SHARED as u64, libc::MAP_ANONYMOUS as u64);
        let mask = shared | anonymous | libc::MAP_GROWSDOWN as u64;
        let kinds = [0, shared, anonymous];
        let kinds = kinds.iter().map(|kind| Some(vec![is(3, MaskedEq(mask), *kind)?])).collect::<Option<_>>()?;
        when(libc::SYS_mmap, kinds)?;
    } else {
        rules.insert(libc::SYS_mmap, Vec::new());
    }
    let architecture = TargetArch::try_from(std::env::consts::ARCH).ok()?;
    let denied = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, denied, SeccompAction::Allow, architecture).ok()?;
    let program = BpfProgram::try_from(filter).ok()?;
    Some(program.into_iter().map(|line| sock_filter { code: line.code, jt: line.jt, jf: line.jf, k: line.k }).collect())
}

/// The filter that holds a worker's connect and execve until the host has answered, if there is a host to ask, and has
/// the C library make threads by clone instead of clone3. Other calls pass, on to the other filter.
pub fn gate(asking: bool) -> Vec<sock_filter> {
    let line = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    let is = |call: c_long, jt, jf| line(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, jt, jf, call as u32);
    let give = |action| line(libc::BPF_RET | libc::BPF_K, 0, 0, action);
    vec![
        // The number of the call: the first field of what a filter sees.
        line(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        is(libc::SYS_connect, 4, 0),
        is(libc::SYS_execve, 3, 0),
        is(libc::SYS_clone3, 0, 1),
        give(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        give(libc::SECCOMP_RET_ALLOW),
        give(if asking { libc::SECCOMP_RET_USER_NOTIF } else { libc::SECCOMP_RET_ALLOW }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_fit_into_the_kernel_and_name_the_process_by_its_stand_in() {
        let filter = allowed(true).unwrap();
        assert!(filter.len() < 4096, "{}", filter.len());
        assert_eq!(filter.iter().filter(|line| line.k == OWN_PID).count(), 3);
        assert!(allowed(false).unwrap().len() < filter.len());
    }

    #[test]
    fn what_reaches_beyond_the_process_is_not_on_the_list() {
        #[rustfmt::skip]
        let never = [
            libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_pidfd_open,
            libc::SYS_pidfd_getfd, libc::SYS_pidfd_send_signal, libc::SYS_tkill, libc::SYS_rt_sigqueueinfo,
            libc::SYS_bind, libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4, libc::SYS_sendmmsg,
            libc::SYS_setsockopt, libc::SYS_execveat, libc::SYS_mount, libc::SYS_unshare, libc::SYS_setns,
            libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_io_uring_setup, libc::SYS_userfaultfd, libc::SYS_keyctl,
            libc::SYS_add_key, libc::SYS_shmget, libc::SYS_memfd_create, libc::SYS_mq_open, libc::SYS_personality,
            libc::SYS_setpriority, libc::SYS_setuid, libc::SYS_capset, libc::SYS_seccomp, libc::SYS_fchmodat,
            libc::SYS_fchownat, libc::SYS_unlinkat, libc::SYS_renameat2, libc::SYS_mkdirat, libc::SYS_symlinkat,
            libc::SYS_ftruncate, libc::SYS_utimensat, libc::SYS_setxattr, libc::SYS_inotify_init1, libc::SYS_reboot,
        ];
        assert!(never.iter().all(|call| !ALLOWED.contains(call) && !ALLOWED_HERE.contains(call)));
    }
}
