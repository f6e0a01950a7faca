//! Tests of the frame format: against bytes that CPython wrote, round trips, errors, and hostile replies.

/// Shared with the workspace's tests crate, which runs the same arrays through whole calls.
#[path = "../../../../../tests/src/arrays.rs"]
mod arrays;
mod errors;
mod hostile;
mod round_trip;
mod wire;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

use super::{FrameError, Reader, Writer, decode_column, encode_column};

fn encode(array: &dyn Array) -> Vec<u8> {
    let mut out = Vec::new();
    encode_column(&mut out, array).unwrap();
    out
}

/// Reads `bytes` as a whole reply that is one column.
fn decode(bytes: &[u8], data_type: &DataType, rows: usize) -> Result<ArrayRef, FrameError> {
    let mut reader = Reader::new(bytes);
    let array = decode_column(&mut reader, data_type, rows)?;
    assert!(reader.is_empty(), "bytes are left");
    assert_eq!((array.data_type(), array.len()), (data_type, rows));
    array.to_data().validate_full().unwrap();
    Ok(array)
}

/// Reads a column that `write` fills with `rows` values.
fn decode_values(data_type: &DataType, rows: usize, write: impl FnOnce(&mut Writer)) -> Result<ArrayRef, FrameError> {
    let mut out = Writer::new();
    out.list(rows);
    write(&mut out);
    decode(&out.into_bytes(), data_type, rows)
}

fn list_of(item: DataType, nullable: bool) -> DataType {
    DataType::List(std::sync::Arc::new(arrow::datatypes::Field::new_list_field(item, nullable)))
}

fn map_of(key: DataType, value: DataType, sorted: bool) -> DataType {
    use arrow::datatypes::Field;
    let fields = vec![Field::new("key", key, false), Field::new("value", value, true)];
    DataType::Map(std::sync::Arc::new(Field::new("entries", DataType::Struct(fields.into()), false)), sorted)
}

/// Failures are printed as the smallest array that fails; nothing is written into the sources' folders.
fn config(cases: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config { cases, failure_persistence: None, ..Default::default() }
}
