//! What the host process holds: memory, file descriptors, child processes. Compared before and after a case. On systems
//! without `/proc` nothing is known, and nothing is asserted.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::case::Breach;

/// Memory that a process may keep after a case: its allocators', and that of Python in thread mode. Less than what a
/// sandbox with the cases' usual limit holds.
const KEPT_MEMORY: u64 = 96 << 20;

/// File descriptors that a process may keep: a sandbox's slot holds on to the image that it last had, until it gets
/// another.
const KEPT_DESCRIPTORS: usize = 16;

/// How long the host may take to give back what a case used: a worker is reaped after its death was seen.
const PATIENCE: Duration = Duration::from_secs(10);

/// What this process holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    resident: u64,
    descriptors: usize,
    children: usize,
}

impl Footprint {
    /// `None` where the system does not say.
    pub fn now() -> Option<Footprint> {
        // Memory of its own; what is mapped from files, such as compiled code, comes and goes with its use.
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let kib = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?.split_whitespace().next()?;
        let resident = kib.parse::<u64>().ok()? << 10;
        let descriptors = fs::read_dir("/proc/self/fd").ok()?.count();
        Some(Footprint { resident, descriptors, children: children()?.len() })
    }

    /// Waits until this process holds no more than it did, and says what it keeps if that does not come.
    pub fn wait_for_return(&self) -> Option<(Breach, String)> {
        let start = Instant::now();
        loop {
            let now = Footprint::now()?;
            let kept = if now.children > self.children {
                format!("{} child processes, {} before", now.children, self.children)
            } else if now.descriptors > self.descriptors + KEPT_DESCRIPTORS {
                format!("{} file descriptors, {} before", now.descriptors, self.descriptors)
            } else if now.resident > self.resident + KEPT_MEMORY {
                format!("{} MiB of memory, {} before", now.resident >> 20, self.resident >> 20)
            } else {
                return None;
            };
            if start.elapsed() > PATIENCE {
                return Some((Breach::Keeps, kept));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The children of this process, dead ones that nobody has reaped included.
pub fn children() -> Option<Vec<u32>> {
    let own = std::process::id();
    let processes = fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Some(processes.filter(|process| state_and_parent(*process).is_some_and(|(_, parent)| parent == own)).collect())
}

/// Whether a process has ended. One that nobody has reaped has.
pub fn has_ended(process: u32) -> bool {
    state_and_parent(process).is_none_or(|(state, _)| matches!(state, 'Z' | 'X'))
}

fn state_and_parent(process: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
