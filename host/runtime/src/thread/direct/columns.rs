//! Arrow columns as Python objects, value by value.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, Float16Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, LargeBinaryArray, LargeStringArray, StringArray, StringViewArray,
    UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use pyo3::prelude::*;

use crate::thread::ffi::value;

/// A column of a simple type.
pub(super) struct Column<'a> {
    /// If there are any.
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Boolean(&'a BooleanArray),
    Int8(&'a Int8Array),
    Int16(&'a Int16Array),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    UInt8(&'a UInt8Array),
    UInt16(&'a UInt16Array),
    UInt32(&'a UInt32Array),
    UInt64(&'a UInt64Array),
    Float16(&'a Float16Array),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    Utf8(&'a StringArray),
    LargeUtf8(&'a LargeStringArray),
    Utf8View(&'a StringViewArray),
    Binary(&'a BinaryArray),
    LargeBinary(&'a LargeBinaryArray),
    BinaryView(&'a BinaryViewArray),
}

impl<'a> Column<'a> {
    /// `array`, if its type is simple.
    pub(super) fn of(array: &'a ArrayRef) -> Option<Column<'a>> {
        let values = match array.data_type() {
            DataType::Boolean => Values::Boolean(array.as_boolean()),
            DataType::Int8 => Values::Int8(array.as_primitive()),
            DataType::Int16 => Values::Int16(array.as_primitive()),
            DataType::Int32 => Values::Int32(array.as_primitive()),
            DataType::Int64 => Values::Int64(array.as_primitive()),
            DataType::UInt8 => Values::UInt8(array.as_primitive()),
            DataType::UInt16 => Values::UInt16(array.as_primitive()),
            DataType::UInt32 => Values::UInt32(array.as_primitive()),
            DataType::UInt64 => Values::UInt64(array.as_primitive()),
            DataType::Float16 => Values::Float16(array.as_primitive()),
            DataType::Float32 => Values::Float32(array.as_primitive()),
            DataType::Float64 => Values::Float64(array.as_primitive()),
            DataType::Utf8 => Values::Utf8(array.as_string()),
            DataType::LargeUtf8 => Values::LargeUtf8(array.as_string()),
            DataType::Utf8View => Values::Utf8View(array.as_string_view()),
            DataType::Binary => Values::Binary(array.as_binary()),
            DataType::LargeBinary => Values::LargeBinary(array.as_binary()),
            DataType::BinaryView => Values::BinaryView(array.as_binary_view()),
            _ => return None,
        };
        Some(Column { nulls: array.nulls().filter(|nulls| nulls.null_count() > 0), values })
    }

    /// The value of a row; fails for want of memory only.
    #[inline]
    pub(super) fn value<'py>(&self, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyAny>> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(value::none(py));
        }
        match self.values {
            Values::Boolean(array) => Ok(value::boolean(py, array.value(row))),
            Values::Int8(array) => value::int(py, array.value(row).into()),
            Values::Int16(array) => value::int(py, array.value(row).into()),
            Values::Int32(array) => value::int(py, array.value(row).into()),
            Values::Int64(array) => value::int(py, array.value(row)),
            Values::UInt8(array) => value::int(py, array.value(row).into()),
            Values::UInt16(array) => value::int(py, array.value(row).into()),
            Values::UInt32(array) => value::int(py, array.value(row).into()),
            Values::UInt64(array) => value::unsigned(py, array.value(row)),
            Values::Float16(array) => value::float(py, array.value(row).into()),
            Values::Float32(array) => value::float(py, array.value(row).into()),
            Values::Float64(array) => value::float(py, array.value(row)),
            Values::Utf8(array) => value::str(py, array.value(row)),
            Values::LargeUtf8(array) => value::str(py, array.value(row)),
            Values::Utf8View(array) => value::str(py, array.value(row)),
            Values::Binary(array) => value::bytes(py, array.value(row)),
            Values::LargeBinary(array) => value::bytes(py, array.value(row)),
            Values::BinaryView(array) => value::bytes(py, array.value(row)),
        }
    }
}
