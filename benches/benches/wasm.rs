//! Wasm mode beside thread mode and bare CPython, in one run: ratios are what counts, machines are noisy.

use std::hint::black_box;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, StringArray};
use cloister::ExecutionMode;
use cloister_benches::{ADD, Bare, JSON, documents, function, ints};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const MODES: [ExecutionMode; 2] = [ExecutionMode::Thread, ExecutionMode::Wasm];

fn rows(criterion: &mut Criterion, name: &str, source: &str, column: &ArrayRef, bare: Option<&Bare>) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(column.len() as u64));
    group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_millis(500));
    if let Some(bare) = bare {
        group.bench_function("bare CPython", |bencher| bencher.iter(|| bare.run()));
    }
    for mode in MODES {
        let (_job, function) = function(mode, source);
        let arguments = [column.clone()];
        group.bench_function(mode.name(), |bencher| {
            bencher.iter(|| black_box(function.call(&arguments, column.len()).expect("a result")));
        });
    }
    group.finish();
}

fn workloads(criterion: &mut Criterion) {
    rows(criterion, "add/10000 rows", ADD, &ints(10_000), Some(&Bare::new(ADD, 0..10_000_i64)));
    rows(criterion, "add/1 row", ADD, &ints(1), None);
    for (bytes, count) in [(100, 1_000), (1_000, 500), (10_000, 100)] {
        let column = documents(bytes, count);
        let texts = column.as_any().downcast_ref::<StringArray>().expect("strings");
        let bare = Bare::new(JSON, texts.iter().flatten().map(str::to_owned));
        rows(criterion, &format!("json/{bytes} B"), JSON, &column, Some(&bare));
    }
}

criterion_group!(benches, workloads);
criterion_main!(benches);
