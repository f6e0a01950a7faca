//! Thread mode beside bare CPython, in one run and one interpreter: `list(map(f, column))` on Python objects that are
//! already there. Thread mode's figures include Arrow to Python and back, and the whole public call.

use std::hint::black_box;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray};
use cloister::ExecutionMode::Thread;
use cloister::with_frames_only;
use cloister_benches::{ADD, Bare, JSON, documents, function, ints};
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};

fn group<'a>(criterion: &'a mut Criterion, name: &str, rows: usize) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(rows as u64));
    group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_millis(500));
    group
}

fn call(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, source: &str, arguments: &[ArrayRef]) {
    let (_job, function) = function(Thread, source);
    let rows = arguments[0].len();
    group.bench_function(name, |bencher| {
        bencher.iter(|| black_box(function.call(arguments, rows).expect("a result")));
    });
}

fn add(criterion: &mut Criterion) {
    for rows in [10_000, 1] {
        let mut group = group(criterion, &format!("add/{rows} rows"), rows);
        let bare = Bare::new(ADD, 0..rows as i64);
        group.bench_function("bare CPython", |bencher| bencher.iter(|| bare.run()));
        call(&mut group, "thread", ADD, &[ints(rows)]);
        with_frames_only(|| call(&mut group, "thread, by frames", ADD, &[ints(rows)]));
        group.finish();
    }
}

fn json(criterion: &mut Criterion) {
    for (bytes, rows) in [(100, 1_000), (1_000, 500), (10_000, 100)] {
        let column = documents(bytes, rows);
        let texts = column.as_string::<i32>();
        let mut group = group(criterion, &format!("json/{bytes} B"), rows);
        let bare = Bare::new(JSON, texts.iter().flatten().map(str::to_owned));
        group.bench_function("bare CPython", |bencher| bencher.iter(|| bare.run()));
        call(&mut group, "thread", JSON, std::slice::from_ref(&column));
        group.finish();
    }
}

fn shapes(criterion: &mut Criterion) {
    const ROWS: usize = 10_000;
    let mut group = group(criterion, "shapes/10000 rows", ROWS);
    let column = ints(ROWS);
    let floats = arrow::compute::cast(&column, &arrow::datatypes::DataType::Float64).expect("floats");
    let texts = arrow::compute::cast(&column, &arrow::datatypes::DataType::Utf8).expect("texts");
    let two = "def f(x: int, y: int) -> int:\n    return x + y\n";
    call(&mut group, "x + y", two, &[column.clone(), column.clone()]);
    call(&mut group, "float * 2.0", "def f(x: float) -> float:\n    return x * 2.0\n", &[floats]);
    call(&mut group, "str identity", "def f(x: str) -> str:\n    return x\n", std::slice::from_ref(&texts));
    call(&mut group, "str to bool", "def f(x: str) -> bool:\n    return x == '5'\n", &[texts]);
    group.finish();
}

criterion_group!(thread, add, json, shapes);
criterion_main!(thread);
