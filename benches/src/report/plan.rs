//! How much is measured: the sizes, rounds and times of a quick and of a full report.

use std::time::Duration;

/// What a report measures.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `quick`, `full` or `smoke`.
    pub name: &'static str,
    /// How long measuring may take. Where it would take longer, there are fewer rounds.
    pub budget: Duration,
    /// How much longer it may take with peers.
    pub peer_budget: Duration,
    /// Whether peers take part.
    pub peers: bool,
    /// Rounds of every comparison.
    pub rounds: usize,
    /// How long a sample lasts.
    pub sample: Duration,
    /// Rows of a call in comparisons of throughput.
    pub rows: usize,
    /// A bundle is never made of more bytes than this.
    pub bundle_bytes: usize,
    /// Sizes of a JSON document, in bytes.
    pub sizes: Vec<usize>,
    /// Rows of a bundle, where latency is measured.
    pub bundles: Vec<usize>,
    /// Calls of each variant, where latency is measured unpaced: at least so many …
    pub calls: usize,
    /// … and for at least so long.
    pub calls_time: Duration,
    /// Sizes of a document where rows arrive at a pace.
    pub paced_sizes: Vec<usize>,
    /// Rows of a bundle there.
    pub paced_bundles: Vec<usize>,
    /// How long rows arrive.
    pub paced_time: Duration,
    /// Numbers of live jobs whose memory is measured, in thread and wasm mode.
    pub jobs: Vec<u64>,
    /// The same in process mode, as far as memory goes.
    pub worker_jobs: Vec<u64>,
    /// Rounds of starts.
    pub starts: usize,
    /// Sandboxes that are made and dropped at once.
    pub sandboxes: usize,
    /// Calls side by side.
    pub parallelism: Vec<usize>,
    /// Jobs that are called with one row, in turns.
    pub tenants: usize,
    /// Of so many cases of the abuse suite one is run.
    pub abuse_step: usize,
    /// Rows of a bundle where the latency of PyFlink is measured: each is a job of its own.
    pub peer_bundles: Vec<usize>,
    /// Numbers of live jobs of peers whose memory is measured.
    pub peer_jobs: Vec<u64>,
    /// In how many rounds peers take part whose samples take long.
    pub peer_rounds: usize,
    /// How long such a sample lasts.
    pub peer_sample: Duration,
}

/// The arrivals where rows come at a pace, in rows a second.
pub const PACE: u32 = 1_000;

/// A bundle is called no later than this after its first row: Flink's default `python.fn-execution.bundle.time`.
pub const BUNDLE_TIME: Duration = Duration::from_secs(1);

impl Plan {
    /// Within 5 minutes on 2 CPUs.
    pub fn quick() -> Plan {
        Plan {
            name: "quick",
            // The rest of five minutes is for starting and for writing the report.
            budget: Duration::from_secs(285),
            peer_budget: Duration::from_secs(600),
            peers: false,
            rounds: 9,
            sample: Duration::from_millis(80),
            rows: 10_000,
            bundle_bytes: 10 << 20,
            sizes: vec![100, 1_000, 10_000, 100_000],
            bundles: vec![1, 100, 1_000, 10_000],
            calls: 30,
            calls_time: Duration::from_millis(250),
            paced_sizes: vec![100, 10_000],
            paced_bundles: vec![1, 100, 1_000],
            paced_time: Duration::from_millis(1_500),
            jobs: vec![1, 10, 100, 1_000],
            worker_jobs: vec![1, 10],
            starts: 11,
            sandboxes: 1_000,
            parallelism: vec![1, 2, 4],
            tenants: 100,
            abuse_step: 1,
            // One row, and Flink's default.
            peer_bundles: vec![1, 1_000],
            peer_jobs: vec![1, 4],
            peer_rounds: 3,
            peer_sample: Duration::from_secs(2),
        }
    }

    /// Within 40 minutes on 2 CPUs.
    pub fn full() -> Plan {
        Plan {
            name: "full",
            budget: Duration::from_secs(39 * 60),
            peer_budget: Duration::from_secs(25 * 60),
            rounds: 25,
            sample: Duration::from_millis(250),
            calls: 100,
            calls_time: Duration::from_secs(2),
            paced_sizes: vec![100, 1_000, 10_000, 100_000],
            paced_bundles: vec![1, 100, 1_000, 10_000],
            paced_time: Duration::from_secs(5),
            worker_jobs: vec![1, 10, 100, 1_000],
            starts: 41,
            peer_rounds: 7,
            peer_sample: Duration::from_secs(4),
            ..Plan::quick()
        }
    }

    /// As little as goes through every line: for tests.
    pub fn smoke() -> Plan {
        Plan {
            name: "smoke",
            budget: Duration::from_secs(3_600),
            peer_budget: Duration::ZERO,
            peers: false,
            rounds: 2,
            sample: Duration::from_millis(1),
            rows: 20,
            bundle_bytes: 100_000,
            sizes: vec![100, 1_000],
            bundles: vec![1, 10],
            calls: 3,
            calls_time: Duration::ZERO,
            paced_sizes: vec![100],
            paced_bundles: vec![1, 10],
            paced_time: Duration::from_millis(30),
            jobs: vec![1, 3],
            worker_jobs: vec![1],
            starts: 1,
            sandboxes: 10,
            parallelism: vec![1, 2],
            tenants: 3,
            abuse_step: 60,
            peer_bundles: vec![1],
            peer_jobs: vec![1],
            peer_rounds: 1,
            peer_sample: Duration::ZERO,
        }
    }

    /// How long measuring may take in all.
    pub fn time(&self) -> Duration {
        if self.peers { self.budget + self.peer_budget } else { self.budget }
    }

    /// Rows of a call with documents of `bytes` bytes.
    pub fn rows_of(&self, bytes: usize) -> usize {
        self.rows.min(self.bundle_bytes / 2 / bytes).max(1)
    }

    /// Whether a bundle of so many documents is small enough.
    pub fn fits(&self, bytes: usize, bundle: usize) -> bool {
        bytes * bundle <= self.bundle_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_keep_within_the_bytes() {
        let plan = Plan::full();
        assert_eq!(plan.rows_of(100), 10_000);
        assert_eq!(plan.rows_of(100_000), 52);
        assert_eq!(plan.rows_of(1 << 30), 1);
        assert!(plan.fits(1_000, 10_000) && !plan.fits(10_000, 10_000));
    }
}
