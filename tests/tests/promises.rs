//! Promises as data: what a job requires is kept or refused, fallbacks are taken only where they are allowed, and the
//! documentation says what the data say.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use cloister::{Argument, Error, ExecutionMode, JobOptions, Limits, Promise, Session};

const SOURCE: &str = "def f(x: int) -> int: return x + 1\n";

fn options(mode: ExecutionMode) -> JobOptions {
    JobOptions::new(mode).source("udf.py", SOURCE)
}

#[test]
fn a_mode_takes_a_job_whose_promises_it_keeps_and_refuses_the_others() {
    let session = Session::new();
    for mode in ExecutionMode::ALL {
        let job = session.job(options(mode).require(mode.promises())).unwrap_or_else(|error| panic!("{mode}: {error}"));
        assert_eq!((job.mode(), job.stats().mode, job.refusal().is_none()), (mode, mode, true));
        for promise in Promise::ALL.into_iter().filter(|promise| !mode.keeps(*promise)) {
            let error = session.job(options(mode).require([promise])).expect_err("not kept");
            assert!(matches!(&error, Error::Refused { mode: refused, .. } if *refused == mode), "{error:?}");
            let text = error.to_string();
            assert!(text.contains(promise.name()), "{text}");
            let able = ExecutionMode::ALL.into_iter().filter(|mode| mode.keeps(promise));
            able.for_each(|able| assert!(text.contains(able.name()), "{text} lacks {able}"));
        }
    }
    let both = [Promise::NoHostAccess, Promise::OwnInterpreter, Promise::CExtensions];
    if !ExecutionMode::Process.keeps(Promise::NoHostAccess) {
        let error = session.job(options(ExecutionMode::Wasm).require(both)).expect_err("nobody keeps both");
        assert!(error.to_string().contains("no mode keeps all"), "{error}");
    }
}

#[test]
fn a_fallback_is_taken_only_where_it_is_allowed_and_everything_names_the_mode_that_ran() {
    let session = Session::new();
    let limited = || options(ExecutionMode::Thread).limits(Limits::default().memory(512 << 20));
    assert!(matches!(session.job(limited()), Err(Error::Refused { mode: ExecutionMode::Thread, .. })));
    let job = session.job(limited().fallback([ExecutionMode::Wasm, ExecutionMode::Process])).expect("wasm takes it");
    assert_eq!((job.mode(), job.stats().mode), (ExecutionMode::Wasm, ExecutionMode::Wasm));
    assert!(matches!(job.refusal(), Some(Error::Refused { mode: ExecutionMode::Thread, .. })));
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let result = job.function("f").and_then(|f| f.evaluate(&[Argument::Column(column)], 1)).expect("a result");
    assert_eq!(result.mode, ExecutionMode::Wasm);
    // When all refuse, the answer is that of the mode that was asked for.
    let error = session.job(limited().fallback([ExecutionMode::Thread])).expect_err("nobody takes it");
    assert!(matches!(error, Error::Refused { mode: ExecutionMode::Thread, .. }));
    // A fault of the code is no reason to run it elsewhere.
    let broken = JobOptions::new(ExecutionMode::Wasm).source("udf.py", "1 / 0").fallback([ExecutionMode::Thread]);
    assert!(matches!(session.job(broken), Err(Error::User(_))));
}

#[test]
fn the_readmes_table_is_that_of_the_data() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).expect("README.md");
    let table = readme.split("\n## ").find(|section| section.starts_with("What each mode promises"));
    let rows: Vec<&str> = table.expect("the section").lines().filter(|line| line.starts_with('|')).skip(2).collect();
    let expected = Promise::ALL.map(|promise| {
        let cells = ExecutionMode::ALL.map(|mode| promise.cell(mode)).join(" | ");
        format!("| {} | {cells} |", promise.description())
    });
    assert_eq!(rows, expected);
}
