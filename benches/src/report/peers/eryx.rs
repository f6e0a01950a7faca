//! eryx, as far as its API goes: a session whose function is called with a list that goes in as program text.

use anyhow::{Result, bail, ensure};
use arrow::array::{Array as _, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use serde_json::{Value, json};

use super::driver::Driver;
use super::venv::{self, Package};
use crate::report::measure::rounds::{Measured, Runner};
use crate::report::plan::Plan;
use crate::report::workloads::Workload;

const PACKAGE: Package = Package { requirement: "pyeryx==0.11.0", minors: &[12, 13, 14] };

/// Starts its host.
///
/// # Errors
/// What is missing, with the command that mends it.
pub fn start(progress: &dyn Fn(&str)) -> Result<Driver> {
    let python = venv::interpreter(&PACKAGE, progress)?;
    Driver::start(&python, include_str!("../../../peers/eryx.py"), "", &[])
}

/// Makes a session of the workload's source, and gives it the columns.
///
/// # Errors
/// What eryx says, or that the values do not go through JSON.
pub fn load(driver: &mut Driver, workload: &Workload) -> Result<()> {
    let Workload { source, function, columns, .. } = workload;
    let [column] = columns.as_slice() else { bail!("its values do not go through JSON") };
    let column: Value = match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().iter().collect(),
        DataType::Int64 => column.as_primitive::<Int64Type>().iter().collect(),
        _ => bail!("its values do not go through JSON"),
    };
    let answer = driver.ask("load", json!({ "source": source, "function": function, "column": column }))?;
    ensure!(answer == true, "it gave another number of values");
    Ok(())
}

/// Rows through a function, in bundles as those of Cloister.
///
/// # Errors
/// What eryx says, or that the values do not go through JSON.
pub fn rows<'a>(driver: &'a mut Driver, workload: &Workload, plan: &Plan) -> Result<Box<dyn Runner + 'a>> {
    load(driver, workload)?;
    let rows = workload.rows as u64;
    let once = driver.measure(rows, "run", json!({ "times": 1, "rows": rows }))?;
    let times = (plan.sample.as_secs_f64() / once.wall.max(1e-6)).ceil().max(1.0) as u64;
    let run = move || driver.measure(rows * times, "run", json!({ "times": times, "rows": rows }));
    Ok(Box::new(Measured { run, most: usize::MAX }))
}

/// One call with the first `rows` rows of the column that is loaded.
///
/// # Errors
/// What eryx says.
pub fn call(driver: &mut Driver, rows: usize) -> Result<()> {
    driver.ask("run", json!({ "times": 1, "rows": rows })).map(drop)
}

/// A session and its first result.
///
/// # Errors
/// What eryx says.
pub fn first<'a>(driver: &'a mut Driver, workload: &Workload, rounds: usize) -> Result<Box<dyn Runner + 'a>> {
    load(driver, workload)?;
    Ok(Box::new(Measured { run: move || driver.measure(1, "first", json!({})), most: rounds }))
}
