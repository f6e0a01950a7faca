//! Columns of plain numbers as the bytes of a C array: `PACKED` in `guest/python/cloister/_loops.py` is the other side.
//!
//! The harness makes the numbers one at a time, right before the call that uses each; a list of them would have to be
//! made whole, and freed whole, which costs a sandbox more than the call. Must write only what that list would say.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{ArrowNativeType, ArrowPrimitiveType, DataType, Float64Type, Int32Type, Int64Type};

use super::writer::put_count;
use super::{FrameError, encode_column, tag};

/// Shorter columns are lists: making the array object costs more than it saves.
const LEAST_ROWS: usize = 32;

/// Longer columns do not fit one value of bytes.
const MOST_ROWS: usize = (i32::MAX / 8) as usize;

/// Appends `array` as an argument of an EVAL request: packed if its type and its values allow it, as
/// [`encode_column`] does otherwise.
///
/// # Errors
/// Those of [`encode_column`].
pub fn encode_argument(out: &mut Vec<u8>, array: &dyn Array) -> Result<(), FrameError> {
    if array.null_count() > 0 || !(LEAST_ROWS..MOST_ROWS).contains(&array.len()) {
        return encode_column(out, array);
    }
    match array.data_type() {
        DataType::Int32 => pack::<Int32Type, 4>(out, array, i32::to_le_bytes),
        DataType::Int64 => pack::<Int64Type, 8>(out, array, i64::to_le_bytes),
        DataType::Float64 => pack::<Float64Type, 8>(out, array, f64::to_le_bytes),
        _ => encode_column(out, array),
    }
}

fn pack<T: ArrowPrimitiveType, const WIDTH: usize>(
    out: &mut Vec<u8>,
    array: &dyn Array,
    bytes: impl Fn(T::Native) -> [u8; WIDTH],
) -> Result<(), FrameError> {
    let values = array.as_primitive::<T>().values();
    put_count(out, tag::BYTES, values.len().saturating_mul(T::Native::get_byte_width()))?;
    out.extend(values.iter().flat_map(|value| bytes(*value)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, StringArray};

    use super::{LEAST_ROWS, encode_argument};
    use crate::frame::encode_column;

    #[test]
    fn long_columns_of_numbers_without_nulls_are_packed() {
        let array = Int64Array::from_iter_values(0..40).slice(2, LEAST_ROWS);
        let mut out = Vec::new();
        encode_argument(&mut out, &array).expect("packed");
        assert_eq!(out[..5], [b's', 0, 1, 0, 0]);
        assert_eq!(out[5..13], 2_i64.to_le_bytes());
        assert_eq!(out.len(), 5 + 8 * LEAST_ROWS);
        let array = Float64Array::from_iter_values([0.5; 40]);
        out.clear();
        encode_argument(&mut out, &array).expect("packed");
        assert_eq!(out[5..13], 0.5_f64.to_le_bytes());
    }

    #[test]
    fn other_columns_are_lists() {
        let short = Int64Array::from_iter_values(0..(LEAST_ROWS as i64 - 1));
        let nulls: Int64Array = (0..40).map(|row| (row != 7).then_some(row)).collect();
        let texts = StringArray::from(vec!["a"; 40]);
        for array in [&short as &dyn arrow::array::Array, &nulls, &texts] {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            encode_argument(&mut one, array).expect("a list");
            encode_column(&mut other, array).expect("a list");
            assert_eq!(one, other);
        }
    }
}
