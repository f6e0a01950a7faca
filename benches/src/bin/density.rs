//! How much memory live wasm jobs take: `cargo run --release --bin density -- [JOBS]`.
//!
//! Each job has loaded a source, called its function once, and stays alive. Memory is the kernel's account of this
//! process (`/proc/self/smaps_rollup`).

use std::time::Instant;

use anyhow::{Context, Result};
use cloister::ExecutionMode;
use cloister_benches::{ADD, function, ints};

fn main() -> Result<()> {
    let jobs: usize = std::env::args().nth(1).map_or(Ok(1_000), |text| text.parse())?;
    let column = ints(1);
    let one_job = || -> Result<_> {
        let (job, function) = function(ExecutionMode::Wasm, ADD);
        function.call(std::slice::from_ref(&column), 1)?;
        Ok((job, function))
    };
    drop(one_job()?);
    let (private_before, proportional_before) = memory()?;
    let start = Instant::now();
    let live = (0..jobs).map(|_| one_job()).collect::<Result<Vec<_>>>()?;
    let seconds = start.elapsed().as_secs_f64();
    let (private, proportional) = memory()?;
    println!("{jobs} live jobs, each called once");
    println!("made in {seconds:.2} s ({:.0} us each)", seconds * 1e6 / jobs as f64);
    println!("private memory per job: {} kB", (private - private_before) / jobs as u64);
    println!("proportional memory per job: {} kB", (proportional - proportional_before) / jobs as u64);
    println!("the process: {} MB private, {} MB proportional", private / 1024, proportional / 1024);
    drop(live);
    Ok(())
}

/// Private dirty and proportional memory of this process, in kB.
fn memory() -> Result<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").context("/proc/self/smaps_rollup")?;
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok())
            .with_context(|| format!("no {name}"))
    };
    Ok((field("Private_Dirty:")?, field("Pss:")?))
}
