//! How the loop sees Arrow's types: a few kinds, with the ranges and units that tell types of a kind apart.

use arrow::datatypes::{DataType, TimeUnit};

use crate::frame::Ratio;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Python's first and last day, counted from 1970.
const FIRST_DAY: i64 = -719_162;
const LAST_DAY: i64 = 2_932_896;

/// `enum kind` in `guest/shim/columns.c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bools,
    Ints,
    Unsigned,
    Floats,
    Texts,
    Bytes,
    Days,
    Times,
    Stamps,
    Instants,
}

impl Kind {
    /// The kind of a type; `None` for types that go in frames.
    pub fn of(data_type: &DataType) -> Option<Kind> {
        Some(match data_type {
            DataType::Boolean => Kind::Bools,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Kind::Ints,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Kind::Ints,
            DataType::UInt64 => Kind::Unsigned,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Kind::Floats,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Texts,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Kind::Bytes,
            DataType::Date32 | DataType::Date64 => Kind::Days,
            DataType::Time32(_) | DataType::Time64(_) => Kind::Times,
            DataType::Timestamp(_, None) => Kind::Stamps,
            // Those for which the harness takes `timezone.utc` too; other zones need its tables.
            DataType::Timestamp(_, Some(zone)) => match zone.as_ref() {
                "UTC" | "Z" | "+00:00" | "Etc/UTC" => Kind::Instants,
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Whether values have lengths of their own.
    pub fn varies(self) -> bool {
        matches!(self, Kind::Texts | Kind::Bytes)
    }

    /// Whether values are dates or times, which go as days or microseconds.
    pub fn is_moment(self) -> bool {
        matches!(self, Kind::Days | Kind::Times | Kind::Stamps | Kind::Instants)
    }

    /// What Python's type can hold of days or microseconds.
    pub fn python_range(self) -> std::ops::Range<i64> {
        match self {
            Kind::Days => FIRST_DAY..LAST_DAY + 1,
            Kind::Times => 0..DAY,
            _ => FIRST_DAY * DAY..(LAST_DAY + 1) * DAY,
        }
    }
}

/// How a date's or time's Arrow value becomes days or microseconds, and back.
pub fn ratio(data_type: &DataType) -> Ratio {
    match data_type {
        DataType::Date64 => Ratio::DATE64,
        DataType::Time32(unit) | DataType::Time64(unit) | DataType::Timestamp(unit, _) => Ratio::of(*unit),
        _ => Ratio::of(TimeUnit::Microsecond),
    }
}

/// The least and the most of an integer type; of days or microseconds what the type can count.
pub fn int_range(data_type: &DataType) -> (i64, i64) {
    match data_type {
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DataType::UInt8 => (0, u8::MAX.into()),
        DataType::UInt16 => (0, u16::MAX.into()),
        DataType::UInt32 => (0, u32::MAX.into()),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => (i64::MIN / 1_000, i64::MAX / 1_000),
        _ => (i64::MIN, i64::MAX),
    }
}

/// From where on a finite double becomes infinite in the type, and up to where ints are exact in it.
pub fn float_range(data_type: &DataType) -> (f64, i64) {
    match data_type {
        // Half a step beyond the largest value: there the nearest value is the infinity.
        DataType::Float16 => (65_520.0, 1 << 11),
        DataType::Float32 => (f64::from(f32::MAX) + 2_f64.powi(103), 1 << 24),
        _ => (f64::INFINITY, 1 << 53),
    }
}
