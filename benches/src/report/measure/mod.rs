//! How the report measures. Knows no mode and no workload.

pub mod arrivals;
pub mod clock;
pub mod memory;
pub mod others;
pub mod rounds;
pub mod stats;
