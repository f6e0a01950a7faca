//! What the kernel counts of a worker: the most memory that it has held, its data, its threads. Reading it costs a few
//! microseconds, so that the peak is not read after every call.

use std::time::{Duration, Instant};

/// Calls after which it is always read: short jobs must not end with no value.
const FIRST: u32 = 8;

/// How old a value may be afterwards.
const AGE: Duration = Duration::from_millis(100);

const PEAK: &str = "VmHWM:";

/// The peak of one process.
#[derive(Debug)]
pub struct PeakMemory {
    status: String,
    value: u64,
    calls: u32,
    read: Instant,
}

impl PeakMemory {
    /// Of the process `pid`.
    pub fn new(pid: u32) -> Self {
        PeakMemory { status: format!("/proc/{pid}/status"), value: 0, calls: 0, read: Instant::now() }
    }

    /// A call has ended: reads the peak if it is time to.
    pub fn note(&mut self) {
        if self.calls < FIRST {
            self.calls += 1;
        } else if self.read.elapsed() < AGE {
            return;
        }
        self.read = Instant::now();
        if let Some(value) = std::fs::read(&self.status).ok().and_then(|status| field(&status, PEAK)) {
            self.value = self.value.max(value);
        }
    }

    /// The peak in bytes; 0 where the system does not tell.
    pub fn value(&self) -> u64 {
        self.value
    }
}

/// What the kernel counts against a limit on data (`RLIMIT_DATA`) of the process `pid` now, in bytes; 0 where the system
/// does not tell.
pub fn data(pid: u32) -> u64 {
    let status = std::fs::read(format!("/proc/{pid}/status"));
    status.ok().and_then(|status| field(&status, "VmData:")).unwrap_or(0)
}

/// Threads of the process `pid`; 0 where the system does not tell.
pub fn threads(pid: u32) -> u64 {
    let status = std::fs::read(format!("/proc/{pid}/status"));
    status.ok().and_then(|status| line(&status, "Threads:")?.parse().ok()).unwrap_or(0)
}

/// `VmHWM:      1234 kB` of `/proc/PID/status`, in bytes.
fn field(status: &[u8], name: &str) -> Option<u64> {
    let kilobytes: u64 = line(status, name)?.strip_suffix("kB")?.trim_end().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// What follows `name` in its line of `/proc/PID/status`.
fn line(status: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(status);
    text.lines().find_map(|line| line.strip_prefix(name)).map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_line_is_read() {
        assert_eq!(field(b"Name:\tpython\nVmHWM:\t   20480 kB\nVmRSS: 1 kB\n", PEAK), Some(20 << 20));
        assert_eq!(field(b"VmHWM:\t x kB\n", PEAK), None);
        assert_eq!(field(b"", PEAK), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_living_process_has_a_peak() {
        let mut peak = PeakMemory::new(std::process::id());
        peak.note();
        assert!(peak.value() > 100 << 10);
    }
}
