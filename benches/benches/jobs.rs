//! What a job costs apart from its rows, in every mode: a call with one row, loading a source, a new job to its first
//! result; and a sandbox alone.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use cloister::wasm::BareSandbox;
use cloister::{ExecutionMode, Job, JobOptions, Session};
use cloister_benches::{ADD, function, ints};
use criterion::{BatchSize, BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    // A worker takes 100 ms to start: few samples, and as many as fit.
    group.sample_size(10).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_millis(500));
    group
}

/// The public call with as little work in it as there is: locks, deadline, the way to the harness and back.
fn call(criterion: &mut Criterion) {
    let mut group = group(criterion, "call/1 row");
    let columns = [ints(1)];
    for mode in ExecutionMode::ALL {
        let (_job, add) = function(mode, ADD);
        group.bench_function(mode.name(), |bencher| {
            bencher.iter(|| black_box(add.call(&columns, 1).expect("a result")));
        });
    }
    group.finish();
}

fn job(mode: ExecutionMode, source: &str) -> Job {
    Session::new().job(JobOptions::new(mode).source("udf.py", source)).unwrap_or_else(|error| panic!("{mode}: {error}"))
}

/// A new sandbox or worker that compiles and runs a source, up to the job's list of functions.
fn load(criterion: &mut Criterion) {
    let mut many = String::new();
    for index in 0..200 {
        let _ = write!(many, "def f{index}(x: int) -> int:\n    return x + {index}\n\n");
    }
    for (name, source) in [("1 function", ADD), ("200 functions", many.as_str())] {
        let mut group = group(criterion, &format!("load/{name}"));
        for mode in ExecutionMode::ALL {
            group.bench_function(mode.name(), |bencher| bencher.iter(|| black_box(job(mode, source))));
        }
        group.finish();
    }
}

fn first_result(criterion: &mut Criterion) {
    let mut group = group(criterion, "new job to first result");
    let columns = [ints(1)];
    for mode in ExecutionMode::ALL {
        group.bench_function(mode.name(), |bencher| {
            bencher.iter(|| {
                let job = job(mode, ADD);
                black_box(job.function("f").expect("f").call(&columns, 1).expect("a result"));
            });
        });
    }
    group.finish();
}

fn instantiate(criterion: &mut Criterion) {
    let mut group = group(criterion, "instantiate");
    group.bench_function("sandbox", |bencher| {
        // Many at once, as in use: slots that were never used before. Dropping them is not measured.
        let make = |()| BareSandbox::new().expect("a sandbox");
        bencher.iter_batched(|| (), make, BatchSize::NumIterations(500));
    });
    group.finish();
}

criterion_group!(benches, call, load, first_result, instantiate);
criterion_main!(benches);
