//! Reading JSON: lines of objects, or a document that is an array of objects. Types are inferred from the first rows;
//! what does not fit them later is an error, never a silent change or loss.

mod documents;
mod infer;
mod strict;

use std::io::{BufRead, BufReader, Cursor, Read};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;

use super::{Input, ReadOptions, Source, batches};
use documents::Documents;
use infer::Inference;

const BUFFER: usize = 1 << 18;

/// Of a stream that cannot be read twice, at most this many bytes are held to infer types from, unless all rows are
/// asked for.
const HEAD_BYTES: usize = 64 << 20;

/// Opens lines of JSON, or with `documents` objects and arrays of objects however they are laid out.
pub fn open(input: Input, documents: bool, options: &ReadOptions) -> Result<Source> {
    let (name, position, scale) = (input.name.clone(), input.position.clone(), input.scale());
    let mut inference = Inference::default();
    let most = options.infer_rows.unwrap_or(usize::MAX);
    let reader: Box<dyn BufRead + Send> = match input.again()? {
        Some(first_look) => {
            infer(lines_of(first_look, documents), most, &mut inference, None)?;
            lines_of(input.into_reader(), documents)
        }
        None => {
            let mut stream = lines_of(input.into_reader(), documents);
            let mut head = Vec::new();
            infer(&mut stream, most, &mut inference, Some(&mut head))?;
            Box::new(Cursor::new(head).chain(stream))
        }
    };
    let schema = Arc::new(inference.schema()?);
    let (batch_size, inferred, read_schema) = (options.batch_size, options.infer_rows, schema.clone());
    Ok(Source {
        name: name.clone(),
        schema,
        scale,
        position,
        read: Box::new(move |projection| {
            let (schema, strict) = match &projection {
                Some(columns) => (Arc::new(read_schema.project(columns)?), false),
                None => (read_schema, true),
            };
            let reader = builder(schema).with_strict_mode(strict).with_batch_size(batch_size).build(reader)?;
            Ok(batches(name, batch_size, with_hint(reader, inferred)))
        }),
    })
}

fn lines_of(reader: impl Read + Send + 'static, documents: bool) -> Box<dyn BufRead + Send> {
    if documents {
        Box::new(BufReader::with_capacity(BUFFER, Documents::new(reader)))
    } else {
        Box::new(BufReader::with_capacity(BUFFER, reader))
    }
}

fn builder(schema: SchemaRef) -> ReaderBuilder {
    ReaderBuilder::new(schema).with_coerce_primitive(true).with_decoder_factory(Arc::new(strict::Numbers))
}

/// Infers from at most `most` lines of `reader`, and keeps what was read in `kept`.
fn infer(
    mut reader: impl BufRead,
    most: usize,
    inference: &mut Inference,
    mut kept: Option<&mut Vec<u8>>,
) -> Result<()> {
    let bounded = most != usize::MAX;
    let mut line = Vec::new();
    let (mut number, mut rows) = (0_u64, 0);
    while rows < most {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        number += 1;
        if !line.trim_ascii().is_empty() {
            rows += 1;
            inference.add(&line).map_err(|error| anyhow!("line {number}: {error}"))?;
        }
        if let Some(kept) = &mut kept {
            kept.extend_from_slice(&line);
            if bounded && kept.len() >= HEAD_BYTES {
                break;
            }
        }
    }
    Ok(())
}

/// Adds to the errors of a reader that its types came from the first rows, when that is a likely cause.
pub fn with_hint(
    reader: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    infer_rows: Option<usize>,
) -> impl Iterator<Item = Result<RecordBatch>> {
    reader.map(move |batch| {
        batch.map_err(|error| match infer_rows {
            Some(rows) => anyhow!(
                "{error}\nthe columns and their types were inferred from the first {rows} rows; \
                 --infer-rows 0 infers them from all"
            ),
            None => error.into(),
        })
    })
}

/// One value of `data_type` (or of the type that it has by itself) from JSON text, as an array of length 1.
///
/// # Errors
/// A message when the text is no JSON or does not fit the type.
pub fn literal(text: &str, data_type: Option<&DataType>) -> Result<ArrayRef> {
    let document: serde_json::Value = serde_json::from_str(text).map_err(|error| anyhow!("not JSON: {error}"))?;
    let row = serde_json::json!({ "value": document }).to_string();
    let data_type = match data_type {
        Some(data_type) => data_type.clone(),
        None => {
            let mut inference = Inference::default();
            inference.add(row.as_bytes()).map_err(|error| anyhow!("{error}"))?;
            inference.schema()?.field(0).data_type().clone()
        }
    };
    let schema = Schema::new(vec![Field::new("value", data_type, true)]);
    let mut reader = builder(Arc::new(schema)).with_coerce_primitive(false).build(row.as_bytes())?;
    match reader.next() {
        Some(batch) => Ok(batch?.column(0).clone()),
        None => Err(anyhow!("no value")),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray as _;
    use arrow::datatypes::{Float64Type, Int8Type, Int64Type};

    use super::*;

    #[test]
    fn literals_take_the_declared_type() {
        assert_eq!(literal("5", None).unwrap().as_primitive::<Int64Type>().value(0), 5);
        assert_eq!(literal("-5", Some(&DataType::Int8)).unwrap().as_primitive::<Int8Type>().value(0), -5);
        assert_eq!(literal("5", Some(&DataType::Float64)).unwrap().as_primitive::<Float64Type>().value(0), 5.0);
        assert_eq!(literal("\"ä\"", None).unwrap().as_string::<i32>().value(0), "ä");
        assert!(literal("null", Some(&DataType::Int8)).unwrap().is_null(0));
        assert_eq!(literal("[1, 2]", None).unwrap().as_list::<i32>().value(0).len(), 2);
        assert_eq!(literal("\"2001-02-03\"", Some(&DataType::Date32)).unwrap().len(), 1);
    }

    #[test]
    fn literals_that_do_not_fit_are_refused() {
        for (text, data_type) in [
            ("abc", None),
            ("1.5", Some(DataType::Int64)),
            ("300", Some(DataType::Int8)),
            ("\"5\"", Some(DataType::Int64)),
            ("5", Some(DataType::Utf8)),
            ("", None),
        ] {
            assert!(literal(text, data_type.as_ref()).is_err(), "{text}");
        }
    }
}
