//! The lives of sandboxes: a new one, a further one of a job, a fork. What ends them is not measured.

use std::hint::black_box;
use std::time::Duration;

use cloister::wasm::BareSandbox;
use cloister::{ExecutionMode, Job, JobOptions, Session};
use cloister_benches::{ADD, JSON, documents, ints};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

/// A job whose load takes long and leaves much: modules that are not in the image, and a few megabytes of data.
const HEAVY: &str = "
import asyncio, email.mime.text, http.client, optparse
TABLE = {n: str(n) * 4 for n in range(20_000)}
def f(x: int) -> int:
    return len(TABLE[x])
";

/// A job that holds some megabytes, of which each call changes a little.
const STATE: &str = include_str!("../workloads/state.py");

fn sandboxes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sandbox");
    group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_millis(500));
    // Many at once: slots that were never used before. One after the other: the slot that was given back last.
    for (name, size) in [("never used slots", BatchSize::NumIterations(300)), ("one slot", BatchSize::NumIterations(1))]
    {
        let make = |()| BareSandbox::new().expect("a sandbox");
        group.bench_function(format!("new, {name}"), |bencher| bencher.iter_batched(|| (), make, size));
        for (job, source) in [("x + 1", ADD), ("heavy imports", HEAVY)] {
            let mut first = BareSandbox::new().expect("a sandbox");
            first.load(source).expect("it loads");
            let image = first.image().expect("an image");
            group.bench_function(format!("second of a job, {job} ({} kB), {name}", image.bytes() >> 10), |bencher| {
                bencher.iter_batched(|| (), |()| image.start().expect("a sandbox"), size);
            });
        }
    }
    for (job, source) in [("x + 1", ADD), ("heavy imports", HEAVY)] {
        let mut first = BareSandbox::new().expect("a sandbox");
        first.load(source).expect("it loads");
        group.bench_function(format!("image of a job, {job}"), |bencher| {
            bencher.iter_batched(|| (), |()| first.image().expect("an image"), BatchSize::NumIterations(50));
        });
    }
    group.finish();
}

/// Checkpoints: a fork of a job that was called since the last one is a copy of the whole sandbox, and the fork's first
/// result is the way back from it.
fn forks(criterion: &mut Criterion) {
    let state = STATE.replace("def remember", "def f");
    let workloads =
        [("x + 1", ADD, ints(1)), ("JSON", JSON, documents(100, 1)), ("some MB of state", state.as_str(), ints(1))];
    for (name, source, column) in workloads {
        let mut group = criterion.benchmark_group(format!("fork, {name}"));
        group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_millis(500));
        let parent = Session::new().job(JobOptions::new(ExecutionMode::Wasm).source("udf.py", source)).expect("a job");
        let (column, rows) = ([column], 1);
        let function = parent.function("f").expect("f");
        let call = || drop(black_box(function.call(&column, rows).expect("a result")));
        call();
        group.bench_function("of an unchanged job", |bencher| {
            bencher.iter_batched(|| (), |()| parent.fork().expect("a fork"), BatchSize::NumIterations(50));
        });
        group.bench_function("after a call", |bencher| {
            bencher.iter_batched(call, |()| parent.fork().expect("a fork"), BatchSize::NumIterations(1));
        });
        // As above: a slot that another fork has just left, and slots that were never used before.
        for (name, size) in [("one slot", 1), ("never used slots", 300)] {
            group.bench_function(format!("its first result, {name}"), |bencher| {
                let make = || {
                    call();
                    parent.fork().expect("a fork")
                };
                let run = |child: Job| {
                    child.function("f").expect("f").call(&column, rows).expect("a result");
                    child
                };
                bencher.iter_batched(make, run, BatchSize::NumIterations(size));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, sandboxes, forks);
criterion_main!(benches);
