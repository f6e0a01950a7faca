//! Which pages of a sandbox's memory have been written to. The kernel is asked only if there can be new ones: looking
//! through the page tables of a whole memory takes as long as copying what a small job has written.
//!
//! A page becomes the sandbox's own by a page fault of the thread that writes to it, and the kernel counts the faults of
//! each thread. So a thread that has had none since the last look has written to no further page, and if the sandbox has
//! run on no other thread meanwhile, nobody has. That holds for pages of a file. Anonymous ones, behind the base's end,
//! can also come without a fault, when the kernel makes a huge page of what lies around them: there it is always asked.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::pagemap;

/// What is known of one memory.
#[derive(Debug, Default)]
pub struct Written {
    /// Of what is mapped from files.
    ranges: Vec<Range<usize>>,
    /// When that was so.
    looked: Option<Look>,
}

#[derive(Debug, PartialEq, Eq)]
struct Look {
    thread: u64,
    faults: u64,
    mapped: usize,
}

impl Written {
    /// Must be called before anything writes to the memory on this thread.
    pub fn by_this_thread(&mut self) {
        if self.looked.as_ref().is_some_and(|look| look.thread != this_thread()) {
            self.looked = None;
        }
    }

    /// The parts of `memory`, always the same one, that may differ from what is mapped there, in ascending order. Its
    /// first `mapped` bytes are mapped from files.
    pub fn ranges(&mut self, memory: &[u8], mapped: usize) -> Vec<Range<usize>> {
        // Counted before looking: a fault in between makes the next look more careful than it had to be.
        let now = faults().map(|faults| Look { thread: this_thread(), faults, mapped });
        let (of_files, anonymous) = memory.split_at(mapped.min(memory.len()));
        if now.is_none() || self.looked != now {
            self.ranges = pagemap::written(of_files.as_ptr(), of_files.len());
            self.looked = now;
        }
        let mut ranges = self.ranges.clone();
        if !anonymous.is_empty() {
            let behind = pagemap::written(anonymous.as_ptr(), anonymous.len());
            ranges.extend(behind.into_iter().map(|range| range.start + of_files.len()..range.end + of_files.len()));
        }
        ranges
    }
}

/// A number that no other thread of this process has or had.
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static NUMBER: u64 = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

/// How many page faults this thread has had; `None` where the system does not tell.
#[cfg(target_os = "linux")]
fn faults() -> Option<u64> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the call fills in the structure that it is given.
    let result = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    if result != 0 {
        return None;
    }
    // SAFETY: it has succeeded.
    let usage = unsafe { usage.assume_init() };
    Some((usage.ru_minflt as u64).wrapping_add(usage.ru_majflt as u64))
}

#[cfg(not(target_os = "linux"))]
fn faults() -> Option<u64> {
    None
}
