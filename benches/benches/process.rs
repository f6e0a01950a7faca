//! Process mode: what a round trip to a worker costs, and how many rows a second go through it, beside bare CPython.

use std::hint::black_box;
use std::time::{Duration, Instant};

use arrow::array::{Array, StringArray};
use cloister::ExecutionMode::Process;
use cloister_benches::{ADD, Bare, JSON, documents, function, ints};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn settings(criterion: &mut Criterion, name: &str, rows: usize, mut run: impl FnMut(), bare: Option<&Bare>) {
    let mut group = criterion.benchmark_group(format!("process: {name}"));
    group.throughput(Throughput::Elements(rows as u64));
    group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_millis(500));
    if let Some(bare) = bare {
        group.bench_function("bare CPython", |bencher| bencher.iter(|| bare.run()));
    }
    group.bench_function("process mode", |bencher| bencher.iter(&mut run));
    group.finish();
}

fn add(criterion: &mut Criterion) {
    let (_job, add_one) = function(Process, ADD);
    let columns = [ints(1)];
    let mut one = || drop(black_box(add_one.call(&columns, 1).expect("a result")));
    settings(criterion, "add/1 row", 1, &mut one, None);
    percentiles("add/1 row", &mut one);
    for rows in [10_000, 100_000] {
        let columns = [ints(rows)];
        let bare = Bare::new(ADD, 0..rows as i64);
        let run = || drop(black_box(add_one.call(&columns, rows).expect("a result")));
        settings(criterion, &format!("add/{rows} rows"), rows, run, Some(&bare));
    }
}

/// Criterion tells the mean; a latency is its percentiles.
fn percentiles(name: &str, run: &mut impl FnMut()) {
    let mut times: Vec<Duration> = (0..5_000)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100];
    println!("{name}: p50 {:?}, p90 {:?}, p99 {:?}", at(50), at(90), at(99));
}

fn json(criterion: &mut Criterion) {
    let (_job, lower) = function(Process, JSON);
    for (bytes, rows) in [(100, 10_000), (1_000, 1_000), (10_000, 100)] {
        let column = documents(bytes, rows);
        let texts = column.as_any().downcast_ref::<StringArray>().expect("strings");
        let bare = Bare::new(JSON, texts.iter().flatten().map(str::to_owned));
        let columns = [column.clone()];
        let run = || drop(black_box(lower.call(&columns, rows).expect("a result")));
        settings(criterion, &format!("json/{bytes} B"), rows, run, Some(&bare));
    }
}

criterion_group!(benches, add, json);
criterion_main!(benches);
