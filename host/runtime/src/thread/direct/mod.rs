//! Scalar functions of simple types without a frame: each row's arguments become Python objects, the function is
//! called, its result goes into the Arrow buffers.
//!
//! The meaning is that of the harness's own way, in every case, and so are the errors: what is not plainly of the
//! result's type is left to the harness's strict check, and the harness words what the function raised. As there, all
//! rows are called before the first result is judged, so that an exception wins over a result of the wrong type.
//! No row is ever called twice.

mod columns;
mod results;

use arrow::array::ArrayRef;
use arrow::datatypes::*;
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::executor::fault;
use super::ffi::call::{Call, MOST};
use crate::function::Argument;
use crate::{Error, Limit, Scope, protocol};

use columns::Column;
use results::{Booleans, Bytes, Fit, Floats, Ints, Results, Texts, Unsigned};

/// An argument: values by row, or one value for all.
pub(super) struct Input<'a> {
    column: Column<'a>,
    constant: bool,
}

/// The arguments, if each is of a type that this module converts.
pub(super) fn columns(arguments: &[Argument]) -> Option<Vec<Input<'_>>> {
    if arguments.len() > MOST {
        return None;
    }
    let mut inputs = Vec::with_capacity(arguments.len());
    for argument in arguments {
        inputs
            .push(Input { column: Column::of(argument.array())?, constant: matches!(argument, Argument::Constant(_)) });
    }
    Some(inputs)
}

/// A bound function and its harness.
pub(super) struct Bound<'a, 'py> {
    pub function: pyo3::Bound<'py, PyAny>,
    pub harness: &'a pyo3::Bound<'py, PyAny>,
    pub handle: i64,
    /// The most bytes of a result.
    pub reply_limit: usize,
}

type Evaluator = fn(&Bound<'_, '_>, &[Input<'_>], usize) -> Result<ArrayRef, Error>;

/// The loop for a result type, if this module has one.
pub(super) fn evaluator(result: &DataType) -> Option<Evaluator> {
    Some(match result {
        DataType::Boolean => run::<Booleans>,
        DataType::Int8 => run::<Ints<Int8Type>>,
        DataType::Int16 => run::<Ints<Int16Type>>,
        DataType::Int32 => run::<Ints<Int32Type>>,
        DataType::Int64 => run::<Ints<Int64Type>>,
        DataType::UInt8 => run::<Ints<UInt8Type>>,
        DataType::UInt16 => run::<Ints<UInt16Type>>,
        DataType::UInt32 => run::<Ints<UInt32Type>>,
        DataType::UInt64 => run::<Unsigned>,
        DataType::Float16 => run::<Floats<Float16Type>>,
        DataType::Float32 => run::<Floats<Float32Type>>,
        DataType::Float64 => run::<Floats<Float64Type>>,
        DataType::Utf8 => run::<Texts<i32>>,
        DataType::LargeUtf8 => run::<Texts<i64>>,
        DataType::Binary => run::<Bytes<i32>>,
        DataType::LargeBinary => run::<Bytes<i64>>,
        _ => return None,
    })
}

fn run<R: Results>(bound: &Bound<'_, '_>, inputs: &[Input<'_>], rows: usize) -> Result<ArrayRef, Error> {
    let mut results = R::new(rows, bound.reply_limit);
    // From the first result on that is not plainly right: they are judged when all rows have been called.
    let mut late = Vec::new();
    call_rows(bound, inputs, rows, |result| {
        if !late.is_empty() || results.push(&result) != Fit::Taken {
            late.push(result);
        }
    })?;
    let first = rows - late.len();
    for (index, result) in late.into_iter().enumerate() {
        bound.judge(&mut results, &result, first + index)?;
    }
    Ok(results.finish())
}

/// Calls the function for each row.
#[inline]
fn call_rows<'py>(
    bound: &Bound<'_, 'py>,
    inputs: &[Input<'_>],
    rows: usize,
    mut take: impl FnMut(pyo3::Bound<'py, PyAny>),
) -> Result<(), Error> {
    if rows == 0 {
        return Ok(());
    }
    let py = bound.function.py();
    let mut first = Vec::with_capacity(inputs.len());
    for input in inputs {
        first.push(input.column.value(py, 0).map_err(|error| bound.out_of_memory(&error))?);
    }
    let mut call = Call::new(&bound.function, first).ok_or_else(|| Error::internal("too many arguments"))?;
    for row in 0..rows {
        if row > 0 {
            for (position, input) in inputs.iter().enumerate() {
                if !input.constant {
                    call.set(position, input.column.value(py, row).map_err(|error| bound.out_of_memory(&error))?);
                }
            }
        }
        match call.run() {
            Some(result) => take(result),
            None => return Err(bound.raised(row)),
        }
    }
    Ok(())
}

impl Bound<'_, '_> {
    /// Takes a result that is perhaps not of the exact type: first as it is, then as the harness's strict check gives
    /// it back.
    #[cold]
    fn judge<R: Results>(&self, results: &mut R, result: &pyo3::Bound<'_, PyAny>, row: usize) -> Result<(), Error> {
        let mut fit = results.push(result);
        if fit == Fit::Odd {
            let answer = self.harness.call_method1("coerce", (self.handle, result, row));
            let answer = answer.map_err(|error| self.speechless(&error))?;
            let answer = answer.cast::<PyTuple>().map_err(|_| Error::internal("the harness gave no tuple"))?;
            let (status, payload) = answer.extract::<(u8, pyo3::Bound<'_, PyAny>)>().map_err(|error| fault(&error))?;
            if status != 0 {
                return Err(protocol::parse_error(&payload.extract::<String>().map_err(|error| fault(&error))?));
            }
            fit = results.push(&payload);
        }
        match fit {
            Fit::Taken => Ok(()),
            Fit::Odd => Err(Error::internal("the harness gave a value of another type")),
            Fit::Full { limit, used } => Err(Error::Limit(Limit::ResultSize { limit, used })),
        }
    }

    /// The error for the exception that the function has just raised.
    #[cold]
    fn raised(&self, row: usize) -> Error {
        let Some(error) = PyErr::take(self.harness.py()) else {
            return Error::internal("a function gave neither a result nor an exception");
        };
        let exception = error.into_value(self.harness.py());
        match self.harness.call_method1("describe", (self.handle, row, exception)) {
            Ok(text) => {
                text.extract::<String>().map_or_else(|error| fault(&error), |text| protocol::parse_error(&text))
            }
            Err(error) => self.speechless(&error),
        }
    }

    /// The error when the harness could not describe one.
    #[cold]
    fn speechless(&self, error: &PyErr) -> Error {
        if error.is_instance_of::<PyMemoryError>(self.harness.py()) {
            return self.out_of_memory(error);
        }
        Error::internal("the error could not be described")
    }

    /// Making an argument fails for want of memory only.
    #[cold]
    fn out_of_memory(&self, _error: &PyErr) -> Error {
        Error::Limit(Limit::Memory { limit: 0, used: None, scope: Scope::Executor })
    }
}
