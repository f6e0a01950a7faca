//! What happens to one bundle: arguments out of the input's columns, the call, the output's columns. The same for every
//! bundle, and shared by the workers.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{RecordBatch, RecordBatchOptions, new_empty_array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use cloister::{Argument, Error, Evaluation, Function};

use super::arguments::Chosen;
use crate::failure::usage;

/// See the module.
pub struct Plan {
    function: Function,
    arguments: Vec<Chosen>,
    only_result: bool,
    /// The columns that are read; `None`: all.
    pub projection: Option<Vec<usize>>,
    /// The columns that are written.
    pub output: SchemaRef,
    /// The names of the columns that are arguments.
    pub argument_names: Vec<String>,
}

impl Plan {
    /// Plans calls of `function` with `arguments` over a table of `input`.
    ///
    /// # Errors
    /// [`Usage`](crate::failure::Usage) when the result's name is taken; the library's errors when the arguments do
    /// not fit the function.
    pub fn new(
        function: Function,
        arguments: Vec<Chosen>,
        input: &Schema,
        result_name: Option<&str>,
        only_result: bool,
    ) -> Result<Plan> {
        let name = result_name.unwrap_or(&function.signature().name);
        let result = Field::new(name, function.result_type()?.clone(), true);
        let argument_names = columns(&arguments).map(|index| input.field(index).name().clone()).collect();
        let mut plan = Plan {
            function,
            arguments,
            only_result,
            projection: None,
            output: Arc::new(Schema::new(vec![result.clone()])),
            argument_names,
        };
        plan.check(input)?;
        if only_result {
            plan.project(input);
            return Ok(plan);
        }
        if input.index_of(result.name()).is_ok() {
            return Err(usage(format!(
                "the input has a column '{}' already: name the result with --as NAME, or write it alone with \
                 --only-result",
                result.name()
            )));
        }
        let fields = input.fields().iter().cloned().chain([Arc::new(result)]);
        plan.output = Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), input.metadata().clone()));
        Ok(plan)
    }

    /// Reads the arguments' columns only (one at least: it carries the number of rows).
    fn project(&mut self, input: &Schema) {
        let mut needed: Vec<usize> = columns(&self.arguments).collect();
        needed.sort_unstable();
        needed.dedup();
        if needed.is_empty() && !input.fields().is_empty() {
            needed.push(0);
        }
        for argument in &mut self.arguments {
            if let Chosen::Column(index) = argument {
                *index = needed.binary_search(index).unwrap_or_default();
            }
        }
        self.projection = Some(needed);
    }

    /// Binds the function to the types of its arguments, before a row is read.
    fn check(&self, input: &Schema) -> Result<(), Error> {
        let arguments: Vec<Argument> = self
            .arguments
            .iter()
            .map(|argument| match argument {
                Chosen::Column(index) => Argument::Column(new_empty_array(input.field(*index).data_type())),
                Chosen::Constant(value) => Argument::Constant(value.clone()),
            })
            .collect();
        self.function.evaluate(&arguments, 0).map(drop)
    }

    /// Calls the function for `batch`, whose first row is row `first_row` of the input.
    pub fn evaluate(&self, batch: &RecordBatch, first_row: u64) -> Result<(RecordBatch, Evaluation)> {
        let arguments: Vec<Argument> = self
            .arguments
            .iter()
            .map(|argument| match argument {
                Chosen::Column(index) => Argument::Column(batch.column(*index).clone()),
                Chosen::Constant(value) => Argument::Constant(value.clone()),
            })
            .collect();
        let rows = batch.num_rows();
        let mut evaluation = self.function.evaluate(&arguments, rows).map_err(|error| shifted(error, first_row))?;
        evaluation.first_error = evaluation.first_error.map(|error| shifted(error, first_row));
        let mut output = if self.only_result { Vec::new() } else { batch.columns().to_vec() };
        output.push(evaluation.column.clone());
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok((RecordBatch::try_new_with_options(self.output.clone(), output, &options)?, evaluation))
    }
}

fn columns(arguments: &[Chosen]) -> impl Iterator<Item = usize> {
    arguments.iter().filter_map(|argument| match argument {
        Chosen::Column(index) => Some(*index),
        Chosen::Constant(_) => None,
    })
}

/// The error with the row of the whole input in place of the row of the bundle.
fn shifted(error: Error, first_row: u64) -> Error {
    match error {
        Error::User(mut error) => {
            error.row = error.row.map(|row| row + first_row);
            Error::User(error)
        }
        Error::Type(mut error) => {
            if let Some(row) = error.row {
                // The sentence names the row too, first of all rows that it may name.
                let (here, there) = (format!("row {row}"), format!("row {}", row + first_row));
                error.message = error.message.replacen(&here, &there, 1);
                error.row = Some(row + first_row);
            }
            Error::Type(error)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use cloister::{TypeError, UserError};

    use super::*;

    #[test]
    fn errors_name_the_row_of_the_input() {
        let error = Error::Type(Box::new(TypeError {
            function: Some("f".into()),
            row: Some(3),
            expected: None,
            actual: None,
            message: "function 'f', row 3: expected int64 (int), got str 'row 3'".into(),
        }));
        let text = shifted(error, 20_000).to_string();
        assert_eq!(text, "function 'f', row 20003: expected int64 (int), got str 'row 3'");
        let error = Error::User(Box::new(UserError {
            function: Some("f".into()),
            row: Some(0),
            exception: "ValueError".into(),
            message: "no".into(),
            traceback: None,
        }));
        assert_eq!(shifted(error, 7).to_string(), "function 'f', row 7: ValueError: no");
    }
}
