//! What the kernel says of a worker.

/// A process, through `/proc`.
pub struct WorkerProcess(pub String);

impl WorkerProcess {
    /// One of its files.
    ///
    /// # Panics
    /// When it is gone.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.0)).expect("a file of the process")
    }

    /// It has no capabilities, gains none, and is under the two filters of system calls.
    ///
    /// # Panics
    /// When it is not so.
    pub fn assert_confined(&self) {
        let status = self.read("status");
        for line in ["CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000"] {
            assert!(status.contains(line), "{status}");
        }
        for line in ["CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", "Seccomp_filters:\t2"] {
            assert!(status.contains(line), "{status}");
        }
    }

    /// The soft and the hard limit with this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn limit(&self, name: &str) -> Vec<String> {
        let limits = self.read("limits");
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("a limit");
        line.split_whitespace().take(2).map(str::to_owned).collect()
    }

    /// The names of its environment variables.
    pub fn environment(&self) -> Vec<String> {
        let text = self.read("environ");
        text.split('\0').filter_map(|entry| Some(entry.split_once('=')?.0.to_owned())).collect()
    }
}
