//! Columns written as JSON: a type in the JSON form of the worker protocol, and a list of values. The conformance cases
//! use it too.

use std::io::Cursor;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow::array::{Array, ArrayRef, make_array, new_empty_array};
use arrow::datatypes::{DataType, Field, Schema};
use cloister::Argument;
use serde_json::Value;

use crate::case::CaseArgument;

/// The arguments of a call, and how many rows the first column has, if there is one.
pub fn arguments(given: &[CaseArgument]) -> Result<(Vec<Argument>, Option<usize>)> {
    let mut rows = None;
    let one = |argument: &CaseArgument| {
        let array = column(&data_type(&argument.data_type)?, &argument.values)?;
        if argument.constant {
            return Ok(Argument::Constant(array));
        }
        rows.get_or_insert(array.len());
        Ok(Argument::Column(array))
    };
    let arguments = given.iter().map(one).collect::<Result<_>>()?;
    Ok((arguments, rows))
}

/// The Arrow type of `text`: a bare name (`int64`) or the JSON form (`{"type": "list", …}`).
pub fn data_type(text: &str) -> Result<DataType> {
    let json = match serde_json::from_str(text) {
        Ok(json @ Value::Object(_)) => json,
        _ => serde_json::json!({ "type": text }),
    };
    cloister::types::from_json(&json).with_context(|| format!("no type: {text}"))
}

/// A column of `data_type` from a JSON list of values, as arrow-json reads them; at the top level also the two types
/// that it does not read: dictionaries are given by their values, zoned timestamps by their instants.
pub fn column(data_type: &DataType, values: &str) -> Result<ArrayRef> {
    match data_type {
        DataType::Dictionary(_, value) => Ok(arrow::compute::cast(&column(value, values)?, data_type)?),
        DataType::Timestamp(unit, Some(zone)) if zone.as_ref() != "+00:00" => {
            let instants = column(&DataType::Timestamp(*unit, Some("+00:00".into())), values)?;
            Ok(make_array(instants.to_data().into_builder().data_type(data_type.clone()).build()?))
        }
        _ => plain_column(data_type, values),
    }
}

fn plain_column(data_type: &DataType, values: &str) -> Result<ArrayRef> {
    let values: Vec<Value> = serde_json::from_str(values).with_context(|| format!("no JSON list: {values}"))?;
    if values.is_empty() {
        return Ok(new_empty_array(data_type));
    }
    let mut lines = String::new();
    for value in &values {
        lines.push_str(&serde_json::json!({ "v": value }).to_string());
        lines.push('\n');
    }
    let schema = Arc::new(Schema::new(vec![Field::new("v", data_type.clone(), true)]));
    let mut reader =
        arrow::json::ReaderBuilder::new(schema).with_batch_size(values.len()).build(Cursor::new(lines.into_bytes()))?;
    let batch = reader.next().context("no rows")??;
    ensure!(batch.num_rows() == values.len(), "{} of {} rows read", batch.num_rows(), values.len());
    Ok(batch.column(0).clone())
}
