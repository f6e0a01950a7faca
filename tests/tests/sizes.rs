//! Batches from one row to a million, and parallel calls, in every mode.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, StringArray};
use cloister::{ExecutionMode, JobOptions, Session};

const SOURCE: &str = "def add(x: int) -> int:\n    return None if x is None else x + 1\n\
                      def show(x: int) -> str:\n    return str(x)\n";

fn column(rows: i64) -> ArrayRef {
    Arc::new((0..rows).map(|row| (row % 7 != 3).then_some(row * 1_000_003)).collect::<Int64Array>())
}

fn run(mode: ExecutionMode) {
    let job = Session::new().job(JobOptions::new(mode).source("udf.py", SOURCE).parallelism(2)).expect("a job");
    let (add, show) = (job.function("add").expect("add"), job.function("show").expect("show"));
    for rows in [0, 1, 2, 1_000, 1_000_000] {
        let input = column(rows);
        let sums = add.call(std::slice::from_ref(&input), rows as usize).expect("sums");
        let input = input.as_any().downcast_ref::<Int64Array>().expect("ints");
        let wanted: Int64Array = input.iter().map(|value| value.map(|value| value + 1)).collect();
        assert!(sums.as_ref() == &wanted as &dyn Array, "{mode}: sums of {rows} rows differ");
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let input = column(10_000);
                let texts = show.call(std::slice::from_ref(&input), 10_000).expect("texts");
                let texts = texts.as_any().downcast_ref::<StringArray>().expect("strings");
                assert_eq!((texts.value(1), texts.value(3), texts.len()), ("1000003", "None", 10_000));
            });
        }
    });
    let stats = job.stats();
    assert_eq!((stats.bundles, stats.errors), (9, 0), "{mode}");
    assert!(stats.executors <= 2, "{mode}: {} executors", stats.executors);
}

/// More passes through a sandbox than its memory could hold if anything of a call stayed.
#[test]
fn a_sandbox_keeps_nothing_of_a_call() {
    let source = "def f(s: str) -> str:\n    return s.upper()\n";
    let mut options = JobOptions::new(ExecutionMode::Wasm).source("udf.py", source);
    options.limits.memory = Some(40 << 20);
    let job = Session::new().job(options).expect("a job");
    let f = job.function("f").expect("f");
    let text = "x".repeat(1_000);
    let input: ArrayRef = Arc::new((0..500).map(|_| Some(text.as_str())).collect::<StringArray>());
    for _ in 0..100 {
        f.call(std::slice::from_ref(&input), 500).expect("a result");
    }
    let first = job.stats();
    for _ in 0..100 {
        f.call(std::slice::from_ref(&input), 500).expect("a result");
    }
    assert_eq!(job.stats().peak_memory_bytes, first.peak_memory_bytes);
    assert_eq!(first.executors, 1);
}

#[test]
fn wasm() {
    run(ExecutionMode::Wasm);
}

#[test]
fn thread() {
    run(ExecutionMode::Thread);
}

#[test]
fn process() {
    run(ExecutionMode::Process);
}
