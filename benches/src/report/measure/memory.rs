//! Memory of this process and its workers, by the kernel's own account (`/proc/PID/smaps_rollup`).

use std::ops::{Add, Sub};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::clock::children;

/// An amount of memory, in KiB. Signed, as differences are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// What no other process shares, written to.
    pub private: i64,
    /// What is resident, shared pages divided by the number of processes that share them.
    pub proportional: i64,
}

impl Add for Memory {
    type Output = Memory;

    fn add(self, other: Memory) -> Memory {
        Memory { private: self.private + other.private, proportional: self.proportional + other.proportional }
    }
}

impl Sub for Memory {
    type Output = Memory;

    fn sub(self, other: Memory) -> Memory {
        Memory { private: self.private - other.private, proportional: self.proportional - other.proportional }
    }
}

/// The memory of this process and of all below it.
///
/// # Errors
/// When the kernel does not tell it.
pub fn of_this_tree() -> Result<Memory> {
    of_tree(std::process::id()).context("the kernel does not tell the memory of this process")
}

/// The memory of a process and of all below it; `None` where the kernel does not tell it.
pub fn of_tree(process: u32) -> Option<Memory> {
    let own = parse(&std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?)?;
    Some(children(process).into_iter().filter_map(of_tree).fold(own, Add::add))
}

fn parse(rollup: &str) -> Option<Memory> {
    let field = |name| rollup.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
    Some(Memory { private: field("Private_Dirty:")?, proportional: field("Pss:")? })
}

/// Memory that programs can still take without swapping, in KiB.
pub fn available() -> Option<u64> {
    meminfo("MemAvailable:")
}

/// Memory of the machine, in KiB.
pub fn total() -> Option<u64> {
    meminfo("MemTotal:")
}

fn meminfo(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollup_is_read() {
        let text = "00400000-7ffe [rollup]\nRss:  100 kB\nPss:   60 kB\nPss_Dirty: 5 kB\nPrivate_Dirty:   40 kB\n";
        assert_eq!(parse(text), Some(Memory { private: 40, proportional: 60 }));
        assert_eq!(parse("Rss: 1 kB\n"), None);
    }

    #[test]
    fn memory_that_is_written_to_is_private() {
        let before = of_this_tree().expect("memory");
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        let grown = of_this_tree().expect("memory") - before;
        assert!(grown.private > 48 << 10, "{grown:?} for {} bytes", block.len());
        assert!(available().expect("meminfo") < total().expect("meminfo"));
    }
}
