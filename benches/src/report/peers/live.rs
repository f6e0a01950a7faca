//! Memory of live jobs of peers: of the peer's process and of all below it.

use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::driver::Driver;
use super::stream::Stream;
use super::{eryx, flink};
use crate::report::measure::memory::{self, Memory};
use crate::report::results::Density;
use crate::report::variant::Variant;
use crate::report::workloads::Workload;

/// PyFlink's jobs, each between sockets of its own, each called once.
///
/// # Errors
/// What PyFlink says.
pub fn of_flink(variant: Variant, driver: &mut Driver, workload: &Workload, counts: &[u64]) -> Result<Vec<Density>> {
    flink::load(driver, workload)?;
    // What the JVM loads for a first job is no part of what one more takes.
    drop(Stream::start(driver, workload, 1)?);
    flink::settle(driver)?;
    let mut live = Vec::new();
    let measured = at(variant, driver, counts, |driver, jobs| {
        while (live.len() as u64) < jobs {
            live.push(Stream::start(driver, workload, 1)?);
        }
        flink::collect_garbage(driver)
    });
    drop(live);
    flink::settle(driver)?;
    measured
}

/// eryx's sessions, each called once.
///
/// # Errors
/// What eryx says.
pub fn of_eryx(driver: &mut Driver, workload: &Workload, counts: &[u64]) -> Result<Vec<Density>> {
    eryx::load(driver, workload)?;
    let measured =
        at(Variant::Eryx, driver, counts, |driver, jobs| driver.ask("hold", json!({ "sessions": jobs })).map(drop));
    driver.ask("hold", json!({ "sessions": 0 }))?;
    measured
}

/// The memory at each number of jobs, which `make` makes live.
fn at(
    variant: Variant,
    driver: &mut Driver,
    counts: &[u64],
    mut make: impl FnMut(&mut Driver, u64) -> Result<()>,
) -> Result<Vec<Density>> {
    let memory = |driver: &Driver| -> Result<Memory> {
        memory::of_tree(driver.process()).context("the kernel does not tell the memory of the peer")
    };
    let (before, start) = (memory(driver)?, Instant::now());
    let mut measured = Vec::new();
    for &jobs in counts {
        make(driver, jobs)?;
        let seconds_each = start.elapsed().as_secs_f64() / jobs.max(1) as f64;
        measured.push(Density { variant, jobs, before, memory: memory(driver)? - before, seconds_each });
    }
    Ok(measured)
}
