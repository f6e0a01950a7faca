//! Python results into Arrow buffers: only what is exactly of the type, and None. Must never cast a value silently.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, GenericBinaryBuilder, GenericStringBuilder, OffsetSizeTrait,
    PrimitiveArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, UInt64Type};
use pyo3::prelude::*;

use crate::thread::ffi::value;

/// How a result fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is in the column.
    Taken,
    /// It is not of the exact type; the harness must say whether it can be.
    Odd,
    /// The column would exceed its limit of bytes.
    Full { limit: u64, used: u64 },
}

/// A column of results that is being made.
pub(super) trait Results: Sized {
    /// Room for `rows` results, of at most `limit` bytes where their size varies.
    fn new(rows: usize, limit: usize) -> Self;

    /// The next result, if it fits.
    fn push(&mut self, result: &Bound<'_, PyAny>) -> Fit;

    /// The column.
    fn finish(self) -> ArrayRef;
}

/// The NULLs of a column. Costs nothing until there is one.
#[derive(Default)]
struct Nulls {
    /// One bit a row up to the last NULL, 1 where there is a value.
    valid: Vec<u8>,
}

impl Nulls {
    #[cold]
    fn set(&mut self, row: usize) {
        let byte = row / 8;
        if byte >= self.valid.len() {
            self.valid.resize(byte + 1, 0xFF);
        }
        self.valid[byte] &= !(1 << (row % 8));
    }

    fn finish(mut self, rows: usize) -> Option<NullBuffer> {
        if self.valid.is_empty() {
            return None;
        }
        self.valid.resize(rows.div_ceil(8), 0xFF);
        Some(NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(self.valid), 0, rows)))
    }
}

/// Values of a fixed width.
struct Plain<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: Nulls,
}

impl<T: ArrowPrimitiveType> Plain<T> {
    fn new(rows: usize) -> Self {
        Plain { values: Vec::with_capacity(rows), nulls: Nulls::default() }
    }

    /// Takes `value`; without one, the result must be None.
    #[inline]
    fn push(&mut self, value: Option<T::Native>, result: &Bound<'_, PyAny>) -> Fit {
        match value {
            Some(value) => self.values.push(value),
            None if result.is_none() => {
                self.nulls.set(self.values.len());
                self.values.push(T::default_value());
            }
            None => return Fit::Odd,
        }
        Fit::Taken
    }

    fn finish(self) -> ArrayRef {
        let nulls = self.nulls.finish(self.values.len());
        Arc::new(PrimitiveArray::<T>::new(self.values.into(), nulls))
    }
}

/// Ints that an i64 holds.
pub(super) struct Ints<T: ArrowPrimitiveType>(Plain<T>);

impl<T> Results for Ints<T>
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i64>,
{
    fn new(rows: usize, _limit: usize) -> Self {
        Ints(Plain::new(rows))
    }

    #[inline]
    fn push(&mut self, result: &Bound<'_, PyAny>) -> Fit {
        self.0.push(value::as_i64(result).and_then(|value| T::Native::try_from(value).ok()), result)
    }

    fn finish(self) -> ArrayRef {
        self.0.finish()
    }
}

/// Ints of 64 bits without a sign.
pub(super) struct Unsigned(Plain<UInt64Type>);

impl Results for Unsigned {
    fn new(rows: usize, _limit: usize) -> Self {
        Unsigned(Plain::new(rows))
    }

    #[inline]
    fn push(&mut self, result: &Bound<'_, PyAny>) -> Fit {
        self.0.push(value::as_u64(result), result)
    }

    fn finish(self) -> ArrayRef {
        self.0.finish()
    }
}

/// The types of floats.
pub(super) trait Float: ArrowPrimitiveType {
    /// Ints up to this one, and down to its negative, are exact.
    const EXACT: i64;

    /// The nearest value; a finite value may become infinite.
    fn narrow(value: f64) -> Self::Native;

    fn is_infinite(value: Self::Native) -> bool;
}

impl Float for Float16Type {
    const EXACT: i64 = 1 << 11;

    #[inline]
    fn narrow(value: f64) -> Self::Native {
        // Not `from_f64`, which may round twice where the processor converts only from 32 bits.
        Self::Native::from_f64_const(value)
    }

    #[inline]
    fn is_infinite(value: Self::Native) -> bool {
        value.is_infinite()
    }
}

impl Float for Float32Type {
    const EXACT: i64 = 1 << 24;

    #[inline]
    fn narrow(value: f64) -> f32 {
        value as f32
    }

    #[inline]
    fn is_infinite(value: f32) -> bool {
        value.is_infinite()
    }
}

impl Float for Float64Type {
    const EXACT: i64 = 1 << 53;

    #[inline]
    fn narrow(value: f64) -> f64 {
        value
    }

    #[inline]
    fn is_infinite(value: f64) -> bool {
        value.is_infinite()
    }
}

/// Floats, and small ints; whether a large int is exact, the harness says.
pub(super) struct Floats<T: Float>(Plain<T>);

impl<T: Float> Results for Floats<T> {
    fn new(rows: usize, _limit: usize) -> Self {
        Floats(Plain::new(rows))
    }

    #[inline]
    fn push(&mut self, result: &Bound<'_, PyAny>) -> Fit {
        let wide = value::as_f64(result).or_else(|| {
            value::as_i64(result).filter(|value| (-T::EXACT..=T::EXACT).contains(value)).map(|value| value as f64)
        });
        let value = wide.and_then(|wide| {
            let narrow = T::narrow(wide);
            (!T::is_infinite(narrow) || wide.is_infinite()).then_some(narrow)
        });
        self.0.push(value, result)
    }

    fn finish(self) -> ArrayRef {
        self.0.finish()
    }
}

/// Bools.
pub(super) struct Booleans {
    values: BooleanBufferBuilder,
    nulls: Nulls,
}

impl Results for Booleans {
    fn new(rows: usize, _limit: usize) -> Self {
        Booleans { values: BooleanBufferBuilder::new(rows), nulls: Nulls::default() }
    }

    #[inline]
    fn push(&mut self, result: &Bound<'_, PyAny>) -> Fit {
        match value::as_bool(result) {
            Some(value) => self.values.append(value),
            None if result.is_none() => {
                self.nulls.set(self.values.len());
                self.values.append(false);
            }
            None => return Fit::Odd,
        }
        Fit::Taken
    }

    fn finish(self) -> ArrayRef {
        let values = self.values.build();
        let nulls = self.nulls.finish(values.len());
        Arc::new(BooleanArray::new(values, nulls))
    }
}

/// How many bytes a column with offsets of type `O` may have.
fn byte_limit<O: OffsetSizeTrait>(limit: usize) -> usize {
    if O::IS_LARGE { limit } else { limit.min(i32::MAX as usize) }
}

/// The sum, if it is within `limit`.
#[inline]
fn checked(used: &mut usize, more: usize, limit: usize) -> Result<(), Fit> {
    let total = used.saturating_add(more);
    if total > limit {
        return Err(Fit::Full { limit: limit as u64, used: total as u64 });
    }
    *used = total;
    Ok(())
}

/// Strings.
pub(super) struct Texts<O: OffsetSizeTrait> {
    builder: GenericStringBuilder<O>,
    used: usize,
    limit: usize,
}

impl<O: OffsetSizeTrait> Results for Texts<O> {
    fn new(rows: usize, limit: usize) -> Self {
        Texts { builder: GenericStringBuilder::with_capacity(rows, 0), used: 0, limit: byte_limit::<O>(limit) }
    }

    #[inline]
    fn push(&mut self, result: &Bound<'_, PyAny>) -> Fit {
        match value::as_str(result) {
            Some(text) => {
                if let Err(full) = checked(&mut self.used, text.len(), self.limit) {
                    return full;
                }
                self.builder.append_value(text);
            }
            None if result.is_none() => self.builder.append_null(),
            None => return Fit::Odd,
        }
        Fit::Taken
    }

    fn finish(mut self) -> ArrayRef {
        Arc::new(self.builder.finish())
    }
}

/// Bytes.
pub(super) struct Bytes<O: OffsetSizeTrait> {
    builder: GenericBinaryBuilder<O>,
    used: usize,
    limit: usize,
}

impl<O: OffsetSizeTrait> Results for Bytes<O> {
    fn new(rows: usize, limit: usize) -> Self {
        Bytes { builder: GenericBinaryBuilder::with_capacity(rows, 0), used: 0, limit: byte_limit::<O>(limit) }
    }

    #[inline]
    fn push(&mut self, result: &Bound<'_, PyAny>) -> Fit {
        match value::as_bytes(result) {
            Some(bytes) => {
                if let Err(full) = checked(&mut self.used, bytes.len(), self.limit) {
                    return full;
                }
                self.builder.append_value(bytes);
            }
            None if result.is_none() => self.builder.append_null(),
            None => return Fit::Odd,
        }
        Fit::Taken
    }

    fn finish(mut self) -> ArrayRef {
        Arc::new(self.builder.finish())
    }
}
