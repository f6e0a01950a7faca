//! CPU clocks of threads and processes: the system calls behind CPU budgets. Linux has clocks that others can read;
//! elsewhere there are none, and CPU budgets are refused.

use std::mem::MaybeUninit;
use std::time::Duration;

/// A clock that counts the CPU time of one thread or one process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuClock(libc::clockid_t);

impl CpuClock {
    /// The clock of the calling thread, which others can read while the thread lives.
    #[cfg(feature = "wasm")]
    pub fn of_this_thread() -> Option<CpuClock> {
        #[cfg(target_os = "linux")]
        {
            let mut clock = MaybeUninit::uninit();
            // SAFETY: pthread_self cannot fail; the clock's number is written to room that is ours, and read only when
            // the call says so.
            unsafe {
                let done = libc::pthread_getcpuclockid(libc::pthread_self(), clock.as_mut_ptr()) == 0;
                done.then(|| CpuClock(clock.assume_init()))
            }
        }
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// The clock of the process `pid`, all its threads together.
    #[cfg(feature = "process")]
    pub fn of_process(pid: u32) -> Option<CpuClock> {
        #[cfg(target_os = "linux")]
        {
            let pid = libc::pid_t::try_from(pid).ok()?;
            let mut clock = MaybeUninit::uninit();
            // SAFETY: the clock's number is written to room that is ours, and read only when the call says so.
            unsafe { (libc::clock_getcpuclockid(pid, clock.as_mut_ptr()) == 0).then(|| CpuClock(clock.assume_init())) }
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = pid;
            None
        }
    }

    /// What it shows; `None` when the thread or process is gone.
    pub fn read(self) -> Option<Duration> {
        let mut time = MaybeUninit::<libc::timespec>::uninit();
        // SAFETY: the time is written to room that is ours, and read only when the call says that it was written.
        let time = unsafe { (libc::clock_gettime(self.0, time.as_mut_ptr()) == 0).then(|| time.assume_init()) }?;
        Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[cfg(feature = "wasm")]
    #[test]
    fn a_thread_that_works_uses_time_and_another_thread_can_see_it() {
        let clock = CpuClock::of_this_thread().expect("a clock");
        let before = clock.read().expect("a time");
        while clock.read().expect("a time") == before {
            std::hint::spin_loop();
        }
        let here = clock.read().expect("a time");
        let there = std::thread::spawn(move || clock.read()).join().expect("no panic");
        assert!(there.is_some_and(|there| there >= here));
    }

    #[cfg(feature = "process")]
    #[test]
    fn a_process_has_a_clock_and_one_that_is_not_there_has_none() {
        let clock = CpuClock::of_process(std::process::id()).expect("a clock");
        assert!(clock.read().is_some_and(|time| time > Duration::ZERO));
        // Above the most that Linux gives a process.
        assert!(CpuClock::of_process((1 << 22) + 1).and_then(CpuClock::read).is_none());
    }
}
