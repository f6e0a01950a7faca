//! Columns of bool, float, decimal and interval.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, Buffer};
use arrow::datatypes::*;

use super::super::bits::Nulls;
use super::super::decimal::{Refusal, Unscaled, parse};
use super::super::error::shown;
use super::super::reader::Int;
use super::super::{FrameError, Reader, tag};
use super::{BoxedColumn, Column, Slot};

pub(super) struct Booleans {
    slot: Slot,
    /// One bit a row.
    values: Vec<u8>,
    rows: usize,
    nulls: Nulls,
}

impl Booleans {
    pub(super) fn new(slot: Slot) -> Self {
        Booleans { slot, values: Vec::new(), rows: 0, nulls: Nulls::default() }
    }

    /// Adds a row.
    fn push(&mut self, value: bool) {
        if self.rows.is_multiple_of(8) {
            self.values.push(0);
        }
        if let Some(last) = self.values.last_mut() {
            *last |= u8::from(value) << (self.rows % 8);
        }
        self.rows += 1;
    }
}

/// Eight tags as bits, if none is anything but True and False.
fn eight(tags: &[u8; 8]) -> Option<u8> {
    let (mut bits, mut clean) = (0, true);
    for (bit, tag) in tags.iter().enumerate() {
        bits |= u8::from(*tag == tag::TRUE) << bit;
        clean &= matches!(*tag, tag::TRUE | tag::FALSE);
    }
    clean.then_some(bits)
}

impl Column for Booleans {
    fn one(&mut self, reader: &mut Reader<'_>) -> Result<(), FrameError> {
        match reader.peek() {
            Some(tag @ (tag::TRUE | tag::FALSE)) => {
                reader.advance(1);
                self.push(tag == tag::TRUE);
            }
            Some(tag::NONE) => {
                reader.advance(1);
                self.slot.null(reader)?;
                self.nulls.set(self.rows);
                self.push(false);
            }
            _ => return Err(self.slot.wrong(reader)),
        }
        Ok(())
    }

    fn read(&mut self, reader: &mut Reader<'_>, count: usize) -> Result<(), FrameError> {
        let start = self.rows;
        let end = start + count;
        while self.rows < end {
            if self.rows.is_multiple_of(8)
                && end - self.rows >= 8
                && let Some(bits) = reader.rest().first_chunk().and_then(eight)
            {
                self.values.push(bits);
                self.rows += 8;
                reader.advance(8);
            } else {
                self.one(reader).map_err(|error| error.map_row(|_| self.rows - start))?;
            }
        }
        Ok(())
    }

    fn pad(&mut self, count: usize) {
        self.nulls.set_run(self.rows, count);
        self.rows += count;
        self.values.resize(self.rows.div_ceil(8), 0);
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, FrameError> {
        let values = BooleanBuffer::new(Buffer::from_vec(self.values), 0, self.rows);
        Ok(Arc::new(BooleanArray::new(values, self.nulls.finish(self.rows))))
    }
}

/// The types of floats.
pub(super) trait Float: ArrowPrimitiveType {
    /// The nearest value; a finite value may become infinite.
    fn narrow(value: f64) -> Self::Native;
    fn wide(value: Self::Native) -> f64;
}

impl Float for Float16Type {
    fn narrow(value: f64) -> Self::Native {
        // Not `from_f64`, which may round twice where the processor converts only from 32 bits.
        Self::Native::from_f64_const(value)
    }
    fn wide(value: Self::Native) -> f64 {
        value.into()
    }
}

impl Float for Float32Type {
    #[inline]
    fn narrow(value: f64) -> f32 {
        value as f32
    }
    #[inline]
    fn wide(value: f32) -> f64 {
        value.into()
    }
}

impl Float for Float64Type {
    #[inline]
    fn narrow(value: f64) -> f64 {
        value
    }
    #[inline]
    fn wide(value: f64) -> f64 {
        value
    }
}

pub(super) struct Floats<T: Float> {
    slot: Slot,
    values: Vec<T::Native>,
    nulls: Nulls,
}

impl<T: Float> Floats<T> {
    pub(super) fn new(slot: Slot) -> Self {
        Floats { slot, values: Vec::new(), nulls: Nulls::default() }
    }

    #[inline]
    fn run(&mut self, reader: &mut Reader<'_>, from: usize) -> usize {
        let mut count = 0;
        for (value, bytes) in self.values[from..].iter_mut().zip(reader.rest().chunks_exact(9)) {
            let &[tag::FLOAT, a, b, c, d, e, f, g, h] = bytes else { break };
            let wide = f64::from_le_bytes([a, b, c, d, e, f, g, h]);
            *value = T::narrow(wide);
            // What became infinite on the way is an error of the slow path.
            if T::wide(*value).is_infinite() && wide.is_finite() {
                break;
            }
            count += 1;
        }
        reader.advance(9 * count);
        count
    }

    /// Reads any one value into row `row`, which is there. A float is rounded to the nearest, as in any assignment to a
    /// narrower one; an int must be exact, because who returns an int means that number.
    fn put(&mut self, reader: &mut Reader<'_>, row: usize) -> Result<(), FrameError> {
        if reader.none() {
            self.slot.null(reader)?;
            self.nulls.set(row);
            return Ok(());
        }
        if let Some(wide) = reader.float()? {
            let value = T::narrow(wide);
            if T::wide(value).is_infinite() && wide.is_finite() {
                return Err(self.slot.out_of_range(format!("{wide:e} (out of range)")));
            }
            self.values[row] = value;
            return Ok(());
        }
        let (exact, shown) = match reader.integer()? {
            None => return Err(self.slot.wrong(reader)),
            // 2^63 as a float is beyond i64: a cast back would saturate and look exact.
            Some(Int::Small(value)) => {
                (Some(value as f64).filter(|wide| *wide as i128 == i128::from(value)), value.to_string())
            }
            Some(Int::Big(digits)) => (digits.to_f64(), digits.shown()),
        };
        let value = exact.map(|wide| (wide, T::narrow(wide))).filter(|(wide, value)| T::wide(*value) == *wide);
        let advice = "not exact as a float: convert it with float() to round it";
        let (_, value) = value.ok_or_else(|| self.slot.out_of_range(format!("{shown} ({advice})")))?;
        self.values[row] = value;
        Ok(())
    }
}

impl<T: Float> Column for Floats<T> {
    fn one(&mut self, reader: &mut Reader<'_>) -> Result<(), FrameError> {
        let row = self.values.len();
        self.values.push(Default::default());
        if self.run(reader, row) == 1 { Ok(()) } else { self.put(reader, row) }
    }

    fn read(&mut self, reader: &mut Reader<'_>, count: usize) -> Result<(), FrameError> {
        let start = self.values.len();
        self.values.resize(start + count, Default::default());
        let mut row = start;
        loop {
            row += self.run(reader, row);
            if row == start + count {
                return Ok(());
            }
            self.put(reader, row).map_err(|error| error.map_row(|_| row - start))?;
            row += 1;
        }
    }

    fn pad(&mut self, count: usize) {
        self.nulls.set_run(self.values.len(), count);
        self.values.resize(self.values.len() + count, Default::default());
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, FrameError> {
        let nulls = self.nulls.finish(self.values.len());
        let array = PrimitiveArray::<T>::try_new(self.values.into(), nulls);
        Ok(Arc::new(array.map_err(|error| self.slot.refused(error))?))
    }
}

/// Decimals, which are text on the wire.
pub(super) struct Decimals<T: DecimalType> {
    slot: Slot,
    precision: u8,
    scale: i8,
    values: Vec<T::Native>,
    nulls: Nulls,
}

impl<T> Decimals<T>
where
    T: DecimalType,
    T::Native: Unscaled,
{
    pub(super) fn column(slot: Slot, precision: u8, scale: i8) -> Result<BoxedColumn, FrameError> {
        arrow::array::types::validate_decimal_precision_and_scale::<T>(precision, scale)
            .map_err(|error| slot.refused(error))?;
        Ok(Box::new(Decimals::<T> { slot, precision, scale, values: Vec::new(), nulls: Nulls::default() }))
    }

    #[cold]
    fn refuse(&self, text: &[u8], refusal: Refusal) -> FrameError {
        let text = shown(&String::from_utf8_lossy(text));
        match refusal {
            Refusal::NotFinite => self.slot.mismatch(format!("Decimal {text}, which SQL has not")),
            Refusal::NotDecimal => self.slot.mismatch(format!("str '{text}'")),
            Refusal::TooLarge => self.slot.out_of_range(format!(
                "{text} (more than {} digits before the point)",
                i16::from(self.precision) - i16::from(self.scale)
            )),
            Refusal::Inexact => self.slot.out_of_range(format!(
                "{text} (more than {} digits after the point: quantize or round it first)",
                self.scale
            )),
        }
    }
}

impl<T> Column for Decimals<T>
where
    T: DecimalType,
    T::Native: Unscaled,
{
    fn one(&mut self, reader: &mut Reader<'_>) -> Result<(), FrameError> {
        let Some(text) = reader.text()? else {
            if !reader.none() {
                return Err(self.slot.wrong(reader));
            }
            self.slot.null(reader)?;
            self.nulls.set(self.values.len());
            self.values.push(Default::default());
            return Ok(());
        };
        let value = parse(text, self.precision, self.scale).map_err(|refusal| self.refuse(text, refusal))?;
        self.values.push(value);
        Ok(())
    }

    fn pad(&mut self, count: usize) {
        self.nulls.set_run(self.values.len(), count);
        self.values.resize(self.values.len() + count, Default::default());
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, FrameError> {
        let nulls = self.nulls.finish(self.values.len());
        let array = PrimitiveArray::<T>::try_new(self.values.into(), nulls);
        let array = array.and_then(|array| array.with_precision_and_scale(self.precision, self.scale));
        Ok(Arc::new(array.map_err(|error| self.slot.refused(error))?))
    }
}

/// The types of intervals.
pub(super) trait Parts: ArrowPrimitiveType {
    /// The value of months, days and nanoseconds, or what of them it cannot hold.
    fn from_parts(months: i32, days: i32, nanoseconds: i64) -> Result<Self::Native, &'static str>;
}

impl Parts for IntervalYearMonthType {
    fn from_parts(months: i32, days: i32, nanoseconds: i64) -> Result<i32, &'static str> {
        if (days, nanoseconds) == (0, 0) { Ok(months) } else { Err("the type has months only") }
    }
}

impl Parts for IntervalDayTimeType {
    fn from_parts(months: i32, days: i32, nanoseconds: i64) -> Result<Self::Native, &'static str> {
        if months != 0 {
            return Err("the type has days and milliseconds only");
        }
        if nanoseconds % 1_000_000 != 0 {
            return Err("the type has whole milliseconds only");
        }
        let milliseconds = i32::try_from(nanoseconds / 1_000_000).map_err(|_| "out of range")?;
        Ok(IntervalDayTimeType::make_value(days, milliseconds))
    }
}

impl Parts for IntervalMonthDayNanoType {
    fn from_parts(months: i32, days: i32, nanoseconds: i64) -> Result<Self::Native, &'static str> {
        Ok(IntervalMonthDayNanoType::make_value(months, days, nanoseconds))
    }
}

/// Intervals, which are tuples of three ints on the wire.
pub(super) struct Intervals<T: Parts> {
    slot: Slot,
    values: Vec<T::Native>,
    nulls: Nulls,
}

impl<T: Parts> Intervals<T> {
    pub(super) fn new(slot: Slot) -> Self {
        Intervals { slot, values: Vec::new(), nulls: Nulls::default() }
    }

    fn part(&self, reader: &mut Reader<'_>) -> Result<i64, FrameError> {
        match reader.integer()? {
            Some(Int::Small(value)) => Ok(value),
            Some(Int::Big(digits)) => Err(self.slot.out_of_range(format!("{} (out of range)", digits.shown()))),
            None => Err(self.slot.wrong(reader).within("as a part of it")),
        }
    }
}

impl<T: Parts> Column for Intervals<T> {
    fn one(&mut self, reader: &mut Reader<'_>) -> Result<(), FrameError> {
        if reader.none() {
            self.slot.null(reader)?;
            self.nulls.set(self.values.len());
            self.values.push(Default::default());
            return Ok(());
        }
        if !matches!(reader.peek(), Some(tag::TUPLE | tag::SMALL_TUPLE)) {
            return Err(self.slot.wrong(reader));
        }
        let count = reader.sequence()?;
        if count != 3 {
            return Err(self.slot.mismatch(format!("tuple of {count} values")));
        }
        let (months, days, nanoseconds) = (self.part(reader)?, self.part(reader)?, self.part(reader)?);
        let value = match (i32::try_from(months), i32::try_from(days)) {
            (Ok(months), Ok(days)) => T::from_parts(months, days, nanoseconds),
            _ => Err("out of range"),
        };
        let value = value.map_err(|reason| {
            self.slot.out_of_range(format!("{months} months, {days} days, {nanoseconds} nanoseconds ({reason})"))
        })?;
        self.values.push(value);
        Ok(())
    }

    fn pad(&mut self, count: usize) {
        self.nulls.set_run(self.values.len(), count);
        self.values.resize(self.values.len() + count, Default::default());
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, FrameError> {
        let nulls = self.nulls.finish(self.values.len());
        let array = PrimitiveArray::<T>::try_new(self.values.into(), nulls);
        Ok(Arc::new(array.map_err(|error| self.slot.refused(error))?))
    }
}
