//! Arrow arrays to marshal lists. One encoder a column, made once, that writes runs of rows: the loops are inside it,
//! also for the items of a list. Must never look at more rows than the array has, sliced or not.

mod nested;
mod number;
mod text;

use std::ops::Range;

use arrow::array::{Array, AsArray};
use arrow::datatypes::*;

use super::decimal::Unscaled;
use super::units::Ratio;
use super::writer::put_count;
use super::{FrameError, tag};
use crate::types;

pub(super) use nested::unhashable;
use number::{Booleans, Decimals, Floats, Integers, Intervals};
use text::{Bytes, Text};

/// Writes runs of one column's rows.
trait Encode {
    /// Appends the values of `rows`, which the column has.
    fn encode(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), FrameError>;
}

type Encoder<'a> = Box<dyn Encode + 'a>;

/// Appends `array` as one marshal list.
///
/// # Errors
/// [`FrameError::Unsupported`] for a type that has no Python form, [`FrameError::TooLarge`] for a column of more than
/// `i32::MAX` rows or a value of more than 2 GiB. What was appended by then is to be thrown away.
pub fn encode_column(out: &mut Vec<u8>, array: &dyn Array) -> Result<(), FrameError> {
    let rows = 0..array.len();
    let encoder = encoder(array, rows.clone(), 0)?;
    put_count(out, tag::LIST, array.len())?;
    encoder.encode(out, rows)
}

/// The encoder for `array`. What it finds out about the values beforehand is about `rows` only: an array may be a small
/// slice of a large one, whose items are all there below it, and looking at them all for each slice would cost more
/// than writing the slice.
fn encoder(array: &dyn Array, rows: Range<usize>, depth: usize) -> Result<Encoder<'_>, FrameError> {
    if depth > types::MAX_DEPTH {
        return Err(FrameError::Unsupported(format!("a type nests deeper than {} levels", types::MAX_DEPTH)));
    }
    Ok(match array.data_type() {
        DataType::Null => Box::new(Null),
        DataType::Boolean => Box::new(Booleans { array: array.as_boolean() }),
        DataType::Int8 => integers::<Int8Type, _>(array, |value| Ok(value.into())),
        DataType::Int16 => integers::<Int16Type, _>(array, |value| Ok(value.into())),
        DataType::Int32 => integers::<Int32Type, _>(array, |value| Ok(value.into())),
        DataType::Int64 => integers::<Int64Type, _>(array, Ok),
        DataType::UInt8 => integers::<UInt8Type, _>(array, |value| Ok(value.into())),
        DataType::UInt16 => integers::<UInt16Type, _>(array, |value| Ok(value.into())),
        DataType::UInt32 => integers::<UInt32Type, _>(array, |value| Ok(value.into())),
        DataType::UInt64 => integers::<UInt64Type, _>(array, |value| i64::try_from(value).map_err(|_| value.into())),
        DataType::Float16 => floats::<Float16Type, _>(array, f64::from),
        DataType::Float32 => floats::<Float32Type, _>(array, f64::from),
        DataType::Float64 => floats::<Float64Type, _>(array, |value| value),
        DataType::Decimal128(_, scale) => decimals::<Decimal128Type>(array, *scale),
        DataType::Decimal256(_, scale) => decimals::<Decimal256Type>(array, *scale),
        DataType::Utf8 => Box::new(Text::new(array.as_string::<i32>(), rows)),
        DataType::LargeUtf8 => Box::new(Text::new(array.as_string::<i64>(), rows)),
        DataType::Utf8View => Box::new(text::TextView { array: array.as_string_view() }),
        DataType::Binary => Box::new(Bytes { array: array.as_binary::<i32>() }),
        DataType::LargeBinary => Box::new(Bytes { array: array.as_binary::<i64>() }),
        DataType::BinaryView => Box::new(Bytes { array: array.as_binary_view() }),
        DataType::FixedSizeBinary(_) => Box::new(Bytes { array: array.as_fixed_size_binary() }),
        DataType::Date32 => integers::<Date32Type, _>(array, |value| Ok(value.into())),
        DataType::Date64 => integers::<Date64Type, _>(array, |value| Ratio::DATE64.to_wire(value)),
        DataType::Time32(TimeUnit::Second) => time32::<Time32SecondType>(array, TimeUnit::Second),
        DataType::Time32(TimeUnit::Millisecond) => time32::<Time32MillisecondType>(array, TimeUnit::Millisecond),
        DataType::Time64(TimeUnit::Microsecond) => time64::<Time64MicrosecondType>(array, TimeUnit::Microsecond),
        DataType::Time64(TimeUnit::Nanosecond) => time64::<Time64NanosecondType>(array, TimeUnit::Nanosecond),
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => time64::<TimestampSecondType>(array, *unit),
            TimeUnit::Millisecond => time64::<TimestampMillisecondType>(array, *unit),
            TimeUnit::Microsecond => time64::<TimestampMicrosecondType>(array, *unit),
            TimeUnit::Nanosecond => time64::<TimestampNanosecondType>(array, *unit),
        },
        DataType::Duration(unit) => match unit {
            TimeUnit::Second => time64::<DurationSecondType>(array, *unit),
            TimeUnit::Millisecond => time64::<DurationMillisecondType>(array, *unit),
            TimeUnit::Microsecond => time64::<DurationMicrosecondType>(array, *unit),
            TimeUnit::Nanosecond => time64::<DurationNanosecondType>(array, *unit),
        },
        DataType::Interval(IntervalUnit::YearMonth) => {
            Box::new(Intervals { array: array.as_primitive::<IntervalYearMonthType>(), parts: |months| (months, 0, 0) })
        }
        DataType::Interval(IntervalUnit::DayTime) => Box::new(Intervals {
            array: array.as_primitive::<IntervalDayTimeType>(),
            parts: |value| (0, value.days, i64::from(value.milliseconds) * 1_000_000),
        }),
        DataType::Interval(IntervalUnit::MonthDayNano) => Box::new(Intervals {
            array: array.as_primitive::<IntervalMonthDayNanoType>(),
            parts: |value| (value.months, value.days, value.nanoseconds),
        }),
        DataType::List(_) => nested::list(array.as_list::<i32>(), rows, depth)?,
        DataType::LargeList(_) => nested::list(array.as_list::<i64>(), rows, depth)?,
        DataType::FixedSizeList(..) => nested::fixed_size_list(array.as_fixed_size_list(), rows, depth)?,
        DataType::Struct(_) => nested::row(array.as_struct(), rows, depth)?,
        DataType::Map(..) => nested::map(array.as_map(), rows, depth)?,
        DataType::Dictionary(..) => nested::dictionary(array, rows, depth)?,
        other => return Err(unsupported(other)),
    })
}

/// The error for a type that this protocol does not carry.
pub(super) fn unsupported(data_type: &DataType) -> FrameError {
    FrameError::Unsupported(match types::to_json(data_type) {
        Err(error) => error.to_string(),
        Ok(_) => format!("type {} is not supported", types::python_name(data_type)),
    })
}

/// Whether Python can use values of this type as the keys of a dict.
pub(super) fn hashable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(fields) => fields.iter().all(|field| hashable(field.data_type())),
        DataType::Dictionary(_, value) => hashable(value),
        DataType::Map(..) => false,
        other => !other.is_list(),
    }
}

fn integers<'a, T, F>(array: &'a dyn Array, convert: F) -> Encoder<'a>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native) -> Result<i64, i128> + 'a,
{
    let array = array.as_primitive::<T>();
    Box::new(Integers { values: array.values(), nulls: array.nulls(), convert })
}

fn time32<T: ArrowPrimitiveType<Native = i32>>(array: &dyn Array, unit: TimeUnit) -> Encoder<'_> {
    let ratio = Ratio::of(unit);
    integers::<T, _>(array, move |value| ratio.to_wire(value.into()))
}

fn time64<T: ArrowPrimitiveType<Native = i64>>(array: &dyn Array, unit: TimeUnit) -> Encoder<'_> {
    if unit == TimeUnit::Microsecond {
        return integers::<T, _>(array, Ok);
    }
    let ratio = Ratio::of(unit);
    integers::<T, _>(array, move |value| ratio.to_wire(value))
}

fn floats<'a, T, F>(array: &'a dyn Array, convert: F) -> Encoder<'a>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native) -> f64 + 'a,
{
    let array = array.as_primitive::<T>();
    Box::new(Floats { values: array.values(), nulls: array.nulls(), convert })
}

fn decimals<T>(array: &dyn Array, scale: i8) -> Encoder<'_>
where
    T: ArrowPrimitiveType,
    T::Native: Unscaled,
{
    Box::new(Decimals { array: array.as_primitive::<T>(), scale })
}

/// A column of the null type.
struct Null;

impl Encode for Null {
    fn encode(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), FrameError> {
        out.resize(out.len() + rows.len(), tag::NONE);
        Ok(())
    }
}
