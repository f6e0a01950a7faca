//! Arrow columns into the buffers of a plan. Numbers are widened to 64 bits, offsets start at 0 and have 32 bits,
//! bitmaps start at their first bit: the loop then knows few kinds.

use arrow::array::{Array, ArrayAccessor, AsArray, GenericByteArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::*;

use super::kind::{Kind, ratio};
use super::plan::{Input, Place};
use crate::frame::Ratio;

/// How many bytes the values of a column of texts or bytes have together.
pub fn bytes(array: &dyn Array) -> usize {
    fn span<T: ByteArrayType>(array: &GenericByteArray<T>) -> usize {
        let offsets = array.value_offsets();
        let end = |offset: Option<&T::Offset>| offset.map_or(0, |offset| offset.as_usize());
        end(offsets.last()) - end(offsets.first())
    }
    use arrow::datatypes::ArrowNativeType as _;
    match array.data_type() {
        DataType::Utf8 => span(array.as_string::<i32>()),
        DataType::LargeUtf8 => span(array.as_string::<i64>()),
        DataType::Binary => span(array.as_binary::<i32>()),
        DataType::LargeBinary => span(array.as_binary::<i64>()),
        DataType::Utf8View => array.as_string_view().lengths().map(|length| length as usize).sum(),
        DataType::BinaryView => array.as_binary_view().lengths().map(|length| length as usize).sum(),
        _ => 0,
    }
}

/// Calls `each` for each row's value of a column of dates or times, in Arrow's unit; where it is NULL, for what stands
/// there.
fn for_each_moment(array: &dyn Array, each: &mut dyn FnMut(usize, i64)) {
    fn values<T: ArrowPrimitiveType>(array: &dyn Array, each: &mut dyn FnMut(usize, i64))
    where
        i64: From<T::Native>,
    {
        let values = array.as_primitive::<T>().values();
        values.iter().enumerate().for_each(|(row, value)| each(row, i64::from(*value)));
    }
    use TimeUnit::*;
    match array.data_type() {
        DataType::Date32 => values::<Date32Type>(array, each),
        DataType::Date64 => values::<Date64Type>(array, each),
        DataType::Time32(Second) => values::<Time32SecondType>(array, each),
        DataType::Time32(_) => values::<Time32MillisecondType>(array, each),
        DataType::Time64(Microsecond) => values::<Time64MicrosecondType>(array, each),
        DataType::Time64(_) => values::<Time64NanosecondType>(array, each),
        DataType::Timestamp(Second, _) => values::<TimestampSecondType>(array, each),
        DataType::Timestamp(Millisecond, _) => values::<TimestampMillisecondType>(array, each),
        DataType::Timestamp(Microsecond, _) => values::<TimestampMicrosecondType>(array, each),
        DataType::Timestamp(Nanosecond, _) => values::<TimestampNanosecondType>(array, each),
        // `Kind::of` let only the types above through.
        _ => {}
    }
}

/// Whether Python can hold every value of a column of dates or times: if not, the harness says which one it cannot.
pub fn are_moments(array: &dyn Array, kind: Kind) -> bool {
    let (ratio, range) = (ratio(array.data_type()), kind.python_range());
    let mut fits = true;
    for_each_moment(array, &mut |row, value| {
        fits &= ratio.to_wire(value).is_ok_and(|wire| range.contains(&wire)) || array.is_null(row);
    });
    fits
}

fn moments(out: &mut [u8], array: &dyn Array, ratio: Ratio) {
    let out = out.as_chunks_mut::<8>().0;
    for_each_moment(array, &mut |row, value| {
        // Under a NULL may stand anything.
        out[row] = ratio.to_wire(value).unwrap_or(0).to_le_bytes();
    });
}

/// Writes a column where `input` says.
pub fn write(space: &mut [u8], input: &Input, array: &dyn Array) {
    if let (Some(place), Some(nulls)) = (input.valid, array.nulls()) {
        bits(part(space, place), nulls.inner());
    }
    let values = input.values;
    match array.data_type() {
        DataType::Boolean => bits(part(space, values), array.as_boolean().values()),
        DataType::Int8 => wide::<Int8Type, i64>(part(space, values), array, i64::to_le_bytes),
        DataType::Int16 => wide::<Int16Type, i64>(part(space, values), array, i64::to_le_bytes),
        DataType::Int32 => wide::<Int32Type, i64>(part(space, values), array, i64::to_le_bytes),
        DataType::Int64 => wide::<Int64Type, i64>(part(space, values), array, i64::to_le_bytes),
        DataType::UInt8 => wide::<UInt8Type, i64>(part(space, values), array, i64::to_le_bytes),
        DataType::UInt16 => wide::<UInt16Type, i64>(part(space, values), array, i64::to_le_bytes),
        DataType::UInt32 => wide::<UInt32Type, i64>(part(space, values), array, i64::to_le_bytes),
        DataType::UInt64 => wide::<UInt64Type, u64>(part(space, values), array, u64::to_le_bytes),
        DataType::Float16 => wide::<Float16Type, f64>(part(space, values), array, f64::to_le_bytes),
        DataType::Float32 => wide::<Float32Type, f64>(part(space, values), array, f64::to_le_bytes),
        DataType::Float64 => wide::<Float64Type, f64>(part(space, values), array, f64::to_le_bytes),
        DataType::Utf8 => spans(space, input, array.as_string::<i32>()),
        DataType::LargeUtf8 => spans(space, input, array.as_string::<i64>()),
        DataType::Binary => spans(space, input, array.as_binary::<i32>()),
        DataType::LargeBinary => spans(space, input, array.as_binary::<i64>()),
        DataType::Utf8View => views(space, input, array.as_string_view()),
        DataType::BinaryView => views(space, input, array.as_binary_view()),
        moment => moments(part(space, values), array, ratio(moment)),
    }
}

fn part(space: &mut [u8], place: Place) -> &mut [u8] {
    &mut space[place.start..place.start + place.size]
}

fn bits(out: &mut [u8], bits: &BooleanBuffer) {
    let aligned = bits.sliced();
    let size = out.len().min(aligned.len());
    out[..size].copy_from_slice(&aligned[..size]);
}

fn wide<T: ArrowPrimitiveType, W: From<T::Native>>(out: &mut [u8], array: &dyn Array, bytes: fn(W) -> [u8; 8]) {
    for (out, value) in out.as_chunks_mut::<8>().0.iter_mut().zip(array.as_primitive::<T>().values()) {
        *out = bytes(W::from(*value));
    }
}

/// Offsets that only have to be moved to 0, and values that lie together.
fn spans<T: ByteArrayType>(space: &mut [u8], input: &Input, array: &GenericByteArray<T>) {
    let offsets = array.value_offsets();
    let first = offsets.first().map_or(0, |offset| offset.as_usize());
    for (out, offset) in part(space, input.offsets).as_chunks_mut::<4>().0.iter_mut().zip(offsets) {
        *out = ((offset.as_usize() - first) as u32).to_le_bytes();
    }
    part(space, input.values).copy_from_slice(&array.value_data()[first..first + input.values.size]);
}

fn views<'a, A>(space: &mut [u8], input: &Input, array: A)
where
    A: ArrayAccessor,
    A::Item: AsRef<[u8]> + 'a,
{
    let (offsets, values) = (input.offsets.start, input.values.start);
    let mut end = 0;
    for row in 0..=array.len() {
        space[offsets + 4 * row..offsets + 4 * row + 4].copy_from_slice(&(end as u32).to_le_bytes());
        if row < array.len() {
            let value = array.value(row);
            let value = value.as_ref();
            space[values + end..values + end + value.len()].copy_from_slice(value);
            end += value.len();
        }
    }
}
