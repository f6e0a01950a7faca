//! Runs a case in a mode and says what is wrong. Every assertion is made on the host.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cloister::{Error, FunctionOptions, OnError, Session};
use cloister_isolation::Place;

use crate::cases::{Case, Expectation, ExpectedError};
use crate::columns;

/// Runs all `cases` in `place` and fails with every case that went wrong. `worker`: the program of sandbox workers.
pub fn run_all(cases: &[Case], place: Place, worker: &Path) {
    let mut failures = Vec::new();
    let mut ran = 0;
    for case in cases {
        if case.expectation(place).not_contained.is_some() {
            continue;
        }
        ran += 1;
        if let Err(error) = run(case, place, worker) {
            failures.push(format!("{place}, {}: {error:#}", case.name));
        }
    }
    assert!(ran > 0, "no case ran");
    assert!(failures.is_empty(), "{} of {ran} cases failed:\n{}", failures.len(), failures.join("\n"));
}

/// Runs one case.
fn run(case: &Case, place: Place, worker: &Path) -> Result<()> {
    let expected = &case.expectation(place);
    let mut options = place.options(Some(worker)).source("udf.py", case.source.as_str());
    options.files = case.files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes())).collect();
    if let Some(deadline) = case.deadline_ms {
        options.limits.deadline = Some(Duration::from_millis(deadline));
    }
    options.limits.memory = case.memory_mib.map(|memory| memory << 20);
    options.limits.cpu = case.cpu_ms.map(Duration::from_millis);
    options.limits.result = case.result_bytes.unwrap_or(options.limits.result);
    options.limits.source = case.source_bytes.unwrap_or(options.limits.source);
    let job = match Session::new().job(options) {
        Ok(job) => job,
        Err(error) => return check_error(&error, expected),
    };
    match call(&job, case) {
        Ok(evaluation) => {
            let result = expected.result.as_deref();
            let Some(values) = result else { bail!("gave {:?}, an error was expected", evaluation.column) };
            let wanted = columns::column(evaluation.column.data_type(), values)?;
            ensure!(
                evaluation.column.as_ref() == wanted.as_ref(),
                "gave {:?}\nexpected {:?}",
                evaluation.column,
                wanted
            );
            if let Some(nulled) = expected.nulled {
                ensure!(evaluation.nulled == nulled, "{} rows nulled, expected {nulled}", evaluation.nulled);
                ensure!((nulled > 0) == evaluation.first_error.is_some(), "first error: {:?}", evaluation.first_error);
            }
        }
        Err(error) => check_error(&error, expected)?,
    }
    if let Some(wanted) = &expected.log {
        job.close().context("close")?;
        let log: String = job.log().take().into_iter().map(|(_, text)| text).collect();
        ensure!(log.contains(wanted.as_str()), "log {log:?} lacks {wanted:?}");
    }
    Ok(())
}

fn call(job: &cloister::Job, case: &Case) -> std::result::Result<cloister::Evaluation, Error> {
    let broken = |error: anyhow::Error| Error::Internal(format!("the case is broken: {error:#}"));
    let mut options = FunctionOptions::default();
    if case.on_error.as_deref() == Some("null") {
        options.on_error = OnError::Null;
    }
    if let Some(text) = &case.result_type {
        options.result = Some(columns::data_type(text).map_err(broken)?);
    }
    let function = job.function_with(&case.function, options)?;
    let (arguments, length) = columns::arguments(&case.arguments).map_err(broken)?;
    function.evaluate(&arguments, case.rows.or(length).unwrap_or(1))
}

fn check_error(error: &Error, expected: &Expectation) -> Result<()> {
    let text = error.to_string();
    let Some(ExpectedError { kind, row, contains, lacks }) = &expected.error else { bail!("failed: {text}") };
    let (actual, actual_row) = match error {
        Error::User(user) => ("user", user.row),
        Error::Type(type_error) => ("type", type_error.row),
        Error::Limit(_) => ("limit", None),
        Error::Call(_) => ("call", None),
        Error::Refused { .. } => ("refused", None),
        Error::Missing { .. } => ("missing", None),
        Error::ExecutorDied { .. } => ("died", None),
        Error::Cancelled => ("cancelled", None),
        _ => ("internal", None),
    };
    ensure!(actual == kind, "a {actual} error, expected {kind}: {text}");
    if row.is_some() {
        ensure!(actual_row == *row, "row {actual_row:?}, expected {row:?}: {text}");
    }
    for part in contains {
        ensure!(text.contains(part.as_str()), "the message lacks {part:?}: {text}");
    }
    for part in lacks {
        ensure!(!text.contains(part.as_str()), "the message holds {part:?}: {text}");
    }
    Ok(())
}
