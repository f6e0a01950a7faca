//! Wasm mode's two ways, the column loop and the one by frames: the same values, the same errors, the same limits.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::*;
use arrow::datatypes::DataType;
use cloister::{Error, ExecutionMode, Job, JobOptions, Limit, Session, with_frames_only};
use cloister_tests::{wait_for, ways};

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Int64Array>())
}

fn options(source: &str) -> JobOptions {
    JobOptions::new(ExecutionMode::Wasm).source("udf.py", source)
}

/// Calls `f` of `source` on the column both ways, in jobs with what `limit` sets.
fn both(source: &str, column: &ArrayRef, limit: impl Fn(&mut JobOptions)) -> [(Job, Result<ArrayRef, Error>); 2] {
    let call = || {
        let mut options = options(source);
        limit(&mut options);
        let job = Session::new().job(options).expect("a job");
        let outcome = job.function("f").and_then(|f| f.call(std::slice::from_ref(column), column.len()));
        (job, outcome)
    };
    [call(), with_frames_only(call)]
}

#[test]
fn both_ways_agree() {
    ways::agree_on_everything(ExecutionMode::Wasm);
}

#[test]
fn every_row_is_called_once_and_in_order() {
    let source = "
calls = []
def f(x: int) -> str:
    calls.append(x)
    print('row', x)
    # What is not plain from row 2 on, until the harness refuses row 5.
    class S(str): pass
    return S(x) if x >= 2 else str(len(calls))
def count(x: int) -> int:
    return len(calls)
";
    for (job, outcome) in both(source, &ints(0..6), |_| {}) {
        let column = outcome.expect("a result");
        assert_eq!(column.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["1", "2", "2", "3", "4", "5"]);
        let count = job.function("count").and_then(|f| f.call(&[ints([0])], 1)).expect("a count");
        assert_eq!(&count, &ints([6]));
        let log: String = job.log().take().into_iter().map(|(_, text)| text).collect();
        assert_eq!(log, (0..6).map(|row| format!("row {row}\n")).collect::<String>());
    }
}

#[test]
fn what_a_row_printed_before_it_raised_is_in_the_log() {
    let source = "def f(x: int) -> int:\n    print('at', x)\n    return 1 // (1 - x)\n";
    for (job, outcome) in both(source, &ints(0..3), |_| {}) {
        assert!(matches!(outcome, Err(Error::User(ref error)) if error.row == Some(1)), "{outcome:?}");
        let log: String = job.log().take().into_iter().map(|(_, text)| text).collect();
        assert_eq!(log, "at 0\nat 1\n");
    }
}

#[test]
fn limits_hold_both_ways() {
    let forever = "def f(x: int) -> int:\n    while x: pass\n    return x\n";
    for (job, outcome) in
        both(forever, &ints([0, 1]), |options| options.limits.deadline = Some(Duration::from_millis(200)))
    {
        assert!(matches!(outcome, Err(Error::Limit(Limit::Deadline { .. }))), "{outcome:?}");
        let again = job.function("f").and_then(|f| f.call(&[ints([0])], 1));
        assert_eq!(&again.expect("a new sandbox"), &ints([0]));
    }
    let greedy = "kept = []\ndef f(x: int) -> int:\n    kept.append(bytes(x))\n    return x\n";
    for (_, outcome) in both(greedy, &ints([10, 100 << 20]), |options| options.limits.memory = Some(64 << 20)) {
        assert!(matches!(outcome, Err(Error::Limit(Limit::Memory { .. }))), "{outcome:?}");
    }
    let long = "def f(x: int) -> str:\n    return 'x' * x\n";
    for (job, outcome) in both(long, &ints([10, 5_000, 5_000]), |options| options.limits.result = 8_000) {
        assert!(matches!(outcome, Err(Error::Limit(Limit::ResultSize { limit: 8_000, .. }))), "{outcome:?}");
        let again = job.function("f").and_then(|f| f.call(&[ints([3])], 1)).expect("a result");
        assert_eq!(again.as_string::<i32>().value(0), "xxx");
    }
    // More numbers than the limit allows: either way says so.
    for (_, outcome) in
        both("def f(x: int) -> int: return x\n", &ints(0..5_000), |options| options.limits.result = 8_000)
    {
        assert!(matches!(outcome, Err(Error::Limit(Limit::ResultSize { limit: 8_000, .. }))), "{outcome:?}");
    }
}

#[test]
fn a_cancelled_call_ends() {
    let source = "def f(x: int) -> int:\n    print('running', flush=True)\n    while x: pass\n    return x\n";
    let job = Session::new().job(options(source)).expect("a job");
    let outcome = std::thread::scope(|scope| {
        let call = scope.spawn(|| job.function("f").and_then(|f| f.call(&[ints([1])], 1)));
        wait_for(&job, "running");
        job.cancel();
        call.join().expect("no panic")
    });
    assert!(matches!(outcome, Err(Error::Cancelled)), "{outcome:?}");
}

#[test]
fn large_results_and_many_bundles_leave_nothing_behind() {
    let source = "def f(x: int) -> str:\n    return 'x' * x\n";
    let job = Session::new().job(options(source)).expect("a job");
    let function = job.function("f").expect("f");
    let mut peak = 0;
    for round in 0..40 {
        let column = function.call(&[ints(vec![1_000; 4_000])], 4_000).expect("a result");
        assert_eq!(column.as_string::<i32>().value_data().len(), 4_000_000);
        if round == 10 {
            peak = job.stats().peak_memory_bytes;
        }
    }
    assert_eq!(job.stats().peak_memory_bytes, peak, "memory grows from bundle to bundle");
}

#[test]
fn views_and_large_columns_go_through() {
    let texts = || [Some("plain"), None, Some(""), Some("a text that is longer than a view holds"), Some("žluť")];
    let columns: [ArrayRef; 3] = [
        Arc::new(StringViewArray::from_iter(texts())),
        Arc::new(LargeStringArray::from_iter(texts())),
        Arc::new(StringArray::from_iter(texts())),
    ];
    for column in columns {
        for part in [column.clone(), column.slice(1, 3), column.slice(4, 1)] {
            let source = "def f(s): return None if s is None else s + '!'";
            let rows = part.len();
            let result = ways::agree(ExecutionMode::Wasm, source, &[part.into()], rows, &DataType::Utf8);
            assert_eq!(result.expect("a result").len(), rows);
        }
    }
}
