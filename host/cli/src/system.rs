//! Two questions to the operating system that the standard library does not ask: how much CPU this process has used,
//! and how wide the terminal is. All `unsafe` of the program is here.

use std::mem::MaybeUninit;

/// What this process and its ended children have used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system time, in seconds.
    pub cpu_seconds: f64,
    /// The most memory that this process itself has held resident, in bytes.
    pub peak_resident_bytes: u64,
}

/// The use so far. Children count once they have ended and been waited for.
pub fn usage() -> Usage {
    let own = rusage(libc::RUSAGE_SELF);
    let children = rusage(libc::RUSAGE_CHILDREN);
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let cpu = |usage: &libc::rusage| seconds(usage.ru_utime) + seconds(usage.ru_stime);
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Usage {
        cpu_seconds: cpu(&own) + cpu(&children),
        peak_resident_bytes: u64::try_from(own.ru_maxrss).unwrap_or(0) * unit,
    }
}

fn rusage(who: libc::c_int) -> libc::rusage {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid for a whole `rusage`, all bytes of which are initialised; getrusage only writes
    // integers to it. It fails for no `who` that is passed here; the zeros would stay if it did.
    unsafe {
        libc::getrusage(who, usage.as_mut_ptr());
        usage.assume_init()
    }
}

/// The columns of the terminal that stdout is, if it is one.
pub fn terminal_width() -> Option<usize> {
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: the pointer is valid for a whole `winsize`, all bytes of which are initialised; TIOCGWINSZ only writes
    // integers to it, and only when stdout is a terminal.
    let size = unsafe {
        if libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, size.as_mut_ptr()) != 0 {
            return None;
        }
        size.assume_init()
    };
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}
