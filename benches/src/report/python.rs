//! Bare CPython, the baseline: the function of a workload in a `list(map(f, *columns))`, on Python objects that are
//! already there, in the interpreter that thread mode embeds. No Arrow, no conversion, no Cloister.

use anyhow::{Context, Result};
use cloister::{ExecutionMode, JobOptions, Session};
use pyo3::ffi::c_str;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::workloads::Workload;

/// The function and its columns.
pub struct Bare {
    pass: Py<PyAny>,
    arguments: Py<PyTuple>,
}

impl Bare {
    /// The function of `workload` and its arguments as thread mode gives them, taken out of a job that keeps them.
    ///
    /// # Errors
    /// When thread mode does not work here.
    pub fn new(workload: &Workload) -> Result<Bare> {
        let job = Session::new().job(JobOptions::new(ExecutionMode::Thread).source("udf.py", keeper(workload)))?;
        job.function("keep_arguments")?.call(&workload.columns, workload.rows)?;
        Python::attach(|py| {
            let sys = py.import("sys")?;
            let kept = sys.getattr(KEPT)?;
            sys.delattr(KEPT)?;
            let globals = PyDict::new(py);
            py.run(c_str!("def run(f, *columns):\n    return list(map(f, *columns))\n"), Some(&globals), None)?;
            let pass = globals.get_item("run")?.context("no function")?.unbind();
            Ok(Bare { pass, arguments: kept.cast_into::<PyTuple>().map_err(PyErr::from)?.unbind() })
        })
    }

    /// One pass over the columns.
    ///
    /// # Errors
    /// What the function raises.
    pub fn run(&self) -> Result<()> {
        Python::attach(|py| self.pass.call1(py, self.arguments.bind(py).clone()).map(drop)).context("bare CPython")
    }
}

const KEPT: &str = "cloister_bench_kept";

/// The workload's source, and a function that keeps what it is called with: in thread mode all sources share `sys`.
fn keeper(workload: &Workload) -> String {
    let Workload { source, function, columns, .. } = workload;
    let names: Vec<String> = (0..columns.len()).map(|index| format!("argument{index}")).collect();
    let keep: String =
        names.iter().enumerate().map(|(at, name)| format!("    kept[{}].append({name})\n", at + 1)).collect();
    let lists = vec!["[]"; names.len()].join(", ");
    let names = names.join(", ");
    format!(
        "{source}\n\nimport sys\nfrom cloister import udf\n\n\
         kept = sys.{KEPT} = (getattr({function}, 'func', {function}), {lists})\n\n\
         @udf(result_type='BOOLEAN')\ndef keep_arguments({names}):\n{keep}    return True\n"
    )
}
