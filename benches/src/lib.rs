//! What the benches share: the workloads, and bare CPython as the baseline that every ratio refers to.

pub mod interleave;
pub mod report;
pub mod unpolled;

use std::ffi::CString;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use cloister::{ExecutionMode, Function, Job, JobOptions, Session};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// `x + 1` on BIGINT.
pub const ADD: &str = "def f(x: int) -> int:\n    return x + 1\n";

/// The function of the Flink blog post "Exploring the thread mode in PyFlink".
pub const JSON: &str = "import json\ndef f(s: str) -> str:\n    a = json.loads(s)\n    a['a'] = a['a'].lower()\n    \
                        return json.dumps(a)\n";

/// `rows` int64 values, all different, none NULL.
pub fn ints(rows: usize) -> ArrayRef {
    Arc::new((0..rows as i64).collect::<Int64Array>())
}

/// `rows` JSON documents of `bytes` bytes each, `{"a": "AbCd…"}`.
pub fn documents(bytes: usize, rows: usize) -> ArrayRef {
    let text = "AbCdEfGhIj".repeat(bytes / 10 + 1);
    let document = format!("{{\"a\": \"{}\"}}", &text[..bytes - 9]);
    Arc::new((0..rows).map(|_| Some(document.as_str())).collect::<StringArray>())
}

/// A job and its function `f`.
pub fn function(mode: ExecutionMode, source: &str) -> (Job, Function) {
    let job = Session::new()
        .job(JobOptions::new(mode).source("udf.py", source))
        .unwrap_or_else(|error| panic!("{mode} mode: {error}"));
    let function = job.function("f").unwrap_or_else(|error| panic!("{mode} mode: {error}"));
    (job, function)
}

/// Bare CPython: `list(map(f, column))` on Python objects that are already there, in the interpreter that thread mode
/// embeds. No Arrow, no conversion.
pub struct Bare {
    loop_: Py<PyAny>,
    function: Py<PyAny>,
    column: Py<PyList>,
}

impl Bare {
    /// `f` of `source` on a column of `values`.
    ///
    /// # Panics
    /// When the source does not run.
    pub fn new<T>(source: &str, values: impl IntoIterator<Item = T>) -> Bare
    where
        T: for<'py> IntoPyObject<'py>,
    {
        // A job starts the interpreter, in the configuration of thread mode.
        drop(function(ExecutionMode::Thread, ADD));
        Python::attach(|py| {
            let globals = PyDict::new(py);
            let code = CString::new(format!("{source}\ndef run(f, column):\n    return list(map(f, column))\n"))
                .expect("a source without NUL");
            py.run(&code, Some(&globals), None).expect("the source runs");
            let get = |name: &str| globals.get_item(name).expect("a dict").expect(name).unbind();
            let values: Vec<T> = values.into_iter().collect();
            let column = PyList::new(py, values).expect("a list").unbind();
            Bare { loop_: get("run"), function: get("f"), column }
        })
    }

    /// One pass over the column.
    ///
    /// # Panics
    /// When the function raises.
    pub fn run(&self) {
        Python::attach(|py| {
            self.loop_.call1(py, (&self.function, &self.column)).expect("the function runs");
        });
    }
}
