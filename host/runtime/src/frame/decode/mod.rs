//! Marshal lists to Arrow arrays. One reader a column, made from the type, that reads runs of values: the loops are
//! inside it, also for the items of a list. Every byte is hostile: whatever it is, the answer is an array of the type
//! or an error.

mod integer;
mod nested;
mod number;
mod text;

use arrow::array::{ArrayRef, NullArray};
use arrow::datatypes::*;
use arrow::error::ArrowError;

use super::encode::{hashable, unsupported};
use super::units::{DAY_IN_US, Ratio};
use super::{FrameError, Reader, tag};
use crate::types;

use integer::{Integers, Plain, Scaled};
use number::{Booleans, Decimals, Floats, Intervals};
use text::{Binaries, FixedSizeBinaries, Strings, Views};

/// Reads one column's values.
///
/// Rows in errors are counted from the start of the run in [`Column::read`], and from the column's start in
/// [`Column::finish`].
trait Column {
    /// Reads one value. The row in an error is filled in by the caller.
    fn one(&mut self, reader: &mut Reader<'_>) -> Result<(), FrameError>;

    /// Reads `count` values, which the caller has checked against the bytes that are left.
    fn read(&mut self, reader: &mut Reader<'_>, count: usize) -> Result<(), FrameError> {
        for row in 0..count {
            self.one(reader).map_err(|error| error.map_row(|_| row))?;
        }
        Ok(())
    }

    /// Adds `count` NULLs under a NULL of the column around this one. Whoever calls this has counted the memory with
    /// [`Reader::pad`].
    fn pad(&mut self, count: usize);

    /// The array of all that was read.
    fn finish(self: Box<Self>) -> Result<ArrayRef, FrameError>;
}

type BoxedColumn = Box<dyn Column>;

/// Reads one marshal list (or tuple) of `rows` values as `data_type`.
///
/// # Errors
/// [`FrameError::Mismatch`] and [`FrameError::OutOfRange`] name the row of the first value that the type cannot hold;
/// the others are in [`FrameError`]'s own words.
pub fn decode_column(reader: &mut Reader<'_>, data_type: &DataType, rows: usize) -> Result<ArrayRef, FrameError> {
    let mut column = column(data_type, true, 0)?;
    let count = match reader.peek() {
        Some(tag::LIST | tag::TUPLE | tag::SMALL_TUPLE) => reader.sequence()?,
        _ => return reader.list().and(Err(reader.malformed("expected a column"))),
    };
    if count != rows {
        return Err(reader.malformed(format!("a column of {count} values where {rows} were called for")));
    }
    column.read(reader, rows)?;
    column.finish()
}

/// What a column is: for its NULLs, and for errors about its values.
#[derive(Debug)]
struct Slot {
    data_type: DataType,
    nullable: bool,
    /// The bytes that a NULL takes in Arrow.
    width: usize,
}

/// A NULL up to this width is paid for by its byte on the wire: a reply's size is limited by the mode.
const NARROW: usize = 32;

impl Slot {
    /// Accepts a None, which the caller has read.
    #[inline]
    fn null(&self, reader: &mut Reader<'_>) -> Result<(), FrameError> {
        if !self.nullable {
            return Err(self.mismatch("None"));
        }
        if self.width > NARROW { reader.pad(self.width) } else { Ok(()) }
    }

    fn expected(&self) -> String {
        let name = types::python_name(&self.data_type);
        if self.nullable { name } else { format!("{name}, not None,") }
    }

    #[cold]
    fn mismatch(&self, actual: impl Into<String>) -> FrameError {
        FrameError::Mismatch { row: 0, expected: self.expected(), actual: actual.into(), ambiguous: false }
    }

    /// The error for the value that is next, which is of another class than this column.
    #[cold]
    fn wrong(&self, reader: &Reader<'_>) -> FrameError {
        match reader.class() {
            Err(error) => error,
            Ok(actual) => FrameError::Mismatch {
                row: 0,
                expected: self.expected(),
                actual: actual.into(),
                ambiguous: reader.peek() == Some(tag::BYTES),
            },
        }
    }

    #[cold]
    fn out_of_range(&self, value: impl Into<String>) -> FrameError {
        FrameError::OutOfRange { row: 0, expected: self.expected(), value: value.into() }
    }

    /// Arrow refused what was read: our own checks must have been too weak.
    #[cold]
    fn refused(&self, error: ArrowError) -> FrameError {
        FrameError::Unsupported(format!("{}: {error}", types::python_name(&self.data_type)))
    }

    fn too_large(&self) -> FrameError {
        FrameError::TooLarge(format!(
            "a result of type {} is beyond the 2 GiB or 2^31 items that the type can hold; use a smaller bundle",
            types::python_name(&self.data_type)
        ))
    }
}

/// The bytes that a NULL of this type takes in Arrow, as far as they matter for [`Reader::pad`].
fn null_width(data_type: &DataType) -> usize {
    let of_size = |size: &i32| usize::try_from(*size).unwrap_or(0);
    match data_type {
        DataType::FixedSizeBinary(size) => of_size(size).saturating_add(1),
        DataType::FixedSizeList(item, size) => {
            null_width(item.data_type()).saturating_mul(of_size(size)).saturating_add(1)
        }
        DataType::Struct(fields) => {
            fields.iter().fold(1, |width, field| width.saturating_add(null_width(field.data_type())))
        }
        DataType::Dictionary(_, value) => null_width(value),
        other => other.primitive_width().unwrap_or(16),
    }
}

fn column(data_type: &DataType, nullable: bool, depth: usize) -> Result<BoxedColumn, FrameError> {
    if depth > types::MAX_DEPTH {
        return Err(FrameError::Unsupported(format!("a type nests deeper than {} levels", types::MAX_DEPTH)));
    }
    let slot = Slot { data_type: data_type.clone(), nullable, width: null_width(data_type) };
    Ok(match data_type {
        DataType::Null => Box::new(Nothing { slot, count: 0 }),
        DataType::Boolean => Box::new(Booleans::new(slot)),
        DataType::Int8 => plain::<Int8Type>(slot),
        DataType::Int16 => plain::<Int16Type>(slot),
        DataType::Int32 => plain::<Int32Type>(slot),
        DataType::Int64 => plain::<Int64Type>(slot),
        DataType::UInt8 => plain::<UInt8Type>(slot),
        DataType::UInt16 => plain::<UInt16Type>(slot),
        DataType::UInt32 => plain::<UInt32Type>(slot),
        DataType::UInt64 => plain::<UInt64Type>(slot),
        DataType::Float16 => Box::new(Floats::<Float16Type>::new(slot)),
        DataType::Float32 => Box::new(Floats::<Float32Type>::new(slot)),
        DataType::Float64 => Box::new(Floats::<Float64Type>::new(slot)),
        DataType::Decimal128(precision, scale) => Decimals::<Decimal128Type>::column(slot, *precision, *scale)?,
        DataType::Decimal256(precision, scale) => Decimals::<Decimal256Type>::column(slot, *precision, *scale)?,
        DataType::Utf8 => Box::new(Strings::<i32>::new(slot)),
        DataType::LargeUtf8 => Box::new(Strings::<i64>::new(slot)),
        DataType::Utf8View => Box::new(Views::strings(slot)),
        DataType::Binary => Box::new(Binaries::<i32>::new(slot)),
        DataType::LargeBinary => Box::new(Binaries::<i64>::new(slot)),
        DataType::BinaryView => Box::new(Views::binaries(slot)),
        DataType::FixedSizeBinary(size) => FixedSizeBinaries::column(slot, *size)?,
        DataType::Date32 => plain::<Date32Type>(slot),
        DataType::Date64 => scaled::<Date64Type>(slot, Ratio::DATE64),
        DataType::Time32(TimeUnit::Second) => time::<Time32SecondType>(slot, TimeUnit::Second),
        DataType::Time32(TimeUnit::Millisecond) => time::<Time32MillisecondType>(slot, TimeUnit::Millisecond),
        DataType::Time64(TimeUnit::Microsecond) => time::<Time64MicrosecondType>(slot, TimeUnit::Microsecond),
        DataType::Time64(TimeUnit::Nanosecond) => time::<Time64NanosecondType>(slot, TimeUnit::Nanosecond),
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => scaled::<TimestampSecondType>(slot, Ratio::of(*unit)),
            TimeUnit::Millisecond => scaled::<TimestampMillisecondType>(slot, Ratio::of(*unit)),
            TimeUnit::Microsecond => plain::<TimestampMicrosecondType>(slot),
            TimeUnit::Nanosecond => scaled::<TimestampNanosecondType>(slot, Ratio::of(*unit)),
        },
        DataType::Duration(unit) => match unit {
            TimeUnit::Second => scaled::<DurationSecondType>(slot, Ratio::of(*unit)),
            TimeUnit::Millisecond => scaled::<DurationMillisecondType>(slot, Ratio::of(*unit)),
            TimeUnit::Microsecond => plain::<DurationMicrosecondType>(slot),
            TimeUnit::Nanosecond => scaled::<DurationNanosecondType>(slot, Ratio::of(*unit)),
        },
        DataType::Interval(IntervalUnit::YearMonth) => Box::new(Intervals::<IntervalYearMonthType>::new(slot)),
        DataType::Interval(IntervalUnit::DayTime) => Box::new(Intervals::<IntervalDayTimeType>::new(slot)),
        DataType::Interval(IntervalUnit::MonthDayNano) => Box::new(Intervals::<IntervalMonthDayNanoType>::new(slot)),
        DataType::List(item) => nested::list::<i32>(slot, item, depth)?,
        DataType::LargeList(item) => nested::list::<i64>(slot, item, depth)?,
        DataType::FixedSizeList(item, size) => nested::fixed_size_list(slot, item, *size, depth)?,
        DataType::Struct(fields) => nested::row(slot, fields, depth)?,
        DataType::Map(entries, sorted) => nested::map(slot, entries, *sorted, depth)?,
        DataType::Dictionary(index, value) => nested::dictionary(slot, index, value, depth)?,
        other => return Err(unsupported(other)),
    })
}

fn plain<T>(slot: Slot) -> BoxedColumn
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i64> + TryFrom<i128>,
{
    Box::new(Integers::<Plain<T>>::new(slot, Plain::default()))
}

fn scaled<T: ArrowPrimitiveType<Native = i64>>(slot: Slot, ratio: Ratio) -> BoxedColumn {
    Box::new(Integers::<Scaled<T>>::new(slot, Scaled::new(ratio, i64::MIN, i64::MAX)))
}

fn time<T>(slot: Slot, unit: TimeUnit) -> BoxedColumn
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i64>,
{
    Box::new(Integers::<Scaled<T>>::new(slot, Scaled::new(Ratio::of(unit), 0, DAY_IN_US - 1)))
}

/// A column of the null type.
struct Nothing {
    slot: Slot,
    count: usize,
}

impl Column for Nothing {
    fn one(&mut self, reader: &mut Reader<'_>) -> Result<(), FrameError> {
        if !reader.none() {
            return Err(self.slot.wrong(reader));
        }
        self.slot.null(reader)?;
        self.count += 1;
        Ok(())
    }

    fn pad(&mut self, count: usize) {
        self.count += count;
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, FrameError> {
        Ok(std::sync::Arc::new(NullArray::new(self.count)))
    }
}
