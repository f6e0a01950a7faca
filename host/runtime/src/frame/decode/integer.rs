//! Columns of all that is an int on the wire: ints, dates, times, timestamps, durations. Must never wrap or round.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{ArrayRef, PrimitiveArray};
use arrow::datatypes::ArrowPrimitiveType;

use super::super::bits::Nulls;
use super::super::reader::{Int, long};
use super::super::units::Ratio;
use super::super::{FrameError, Reader, tag};
use super::{Column, Slot};

/// How an int becomes an Arrow value.
pub(super) trait FromInt {
    type Arrow: ArrowPrimitiveType;

    /// The Arrow value, if there is one.
    fn small(&self, value: i64) -> Option<<Self::Arrow as ArrowPrimitiveType>::Native>;

    /// The Arrow value of an int beyond an i64.
    fn big(&self, _value: i128) -> Option<<Self::Arrow as ArrowPrimitiveType>::Native> {
        None
    }

    /// Why [`Self::small`] has none.
    fn advice(&self, _value: i64) -> &'static str {
        "out of range"
    }
}

/// As it is.
pub(super) struct Plain<T>(PhantomData<T>);

impl<T> Default for Plain<T> {
    fn default() -> Self {
        Plain(PhantomData)
    }
}

impl<T> FromInt for Plain<T>
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i64> + TryFrom<i128>,
{
    type Arrow = T;

    #[inline]
    fn small(&self, value: i64) -> Option<T::Native> {
        T::Native::try_from(value).ok()
    }

    fn big(&self, value: i128) -> Option<T::Native> {
        T::Native::try_from(value).ok()
    }
}

/// In another unit, and between two values of the wire's unit, both included.
pub(super) struct Scaled<T> {
    ratio: Ratio,
    least: i64,
    most: i64,
    arrow: PhantomData<T>,
}

impl<T> Scaled<T> {
    pub(super) fn new(ratio: Ratio, least: i64, most: i64) -> Self {
        Scaled { ratio, least, most, arrow: PhantomData }
    }

    #[inline]
    fn holds(&self, value: i64) -> bool {
        (self.least..=self.most).contains(&value)
    }
}

impl<T> FromInt for Scaled<T>
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i64>,
{
    type Arrow = T;

    #[inline]
    fn small(&self, value: i64) -> Option<T::Native> {
        if !self.holds(value) {
            return None;
        }
        self.ratio.to_arrow(value).and_then(|value| T::Native::try_from(value).ok())
    }

    /// Seconds in 64 bits may be more microseconds than 64 bits hold.
    fn big(&self, value: i128) -> Option<T::Native> {
        let unit = i128::from(self.ratio.wire_per_arrow);
        if self.most < i64::MAX || value % unit != 0 {
            return None;
        }
        i64::try_from(value / unit).ok().and_then(|value| T::Native::try_from(value).ok())
    }

    fn advice(&self, value: i64) -> &'static str {
        if self.holds(value) { self.ratio.advice(value) } else { "out of range" }
    }
}

pub(super) struct Integers<C: FromInt> {
    slot: Slot,
    convert: C,
    values: Vec<<C::Arrow as ArrowPrimitiveType>::Native>,
    nulls: Nulls,
}

impl<C: FromInt> Integers<C> {
    pub(super) fn new(slot: Slot, convert: C) -> Self {
        Integers { slot, convert, values: Vec::new(), nulls: Nulls::default() }
    }

    /// Reads values of the common form, 5 bytes each, into `self.values[from..]`; gives how many there were before
    /// the first of another form.
    #[inline]
    fn run(&mut self, reader: &mut Reader<'_>, from: usize) -> usize {
        let mut count = 0;
        for (value, bytes) in self.values[from..].iter_mut().zip(reader.rest().chunks_exact(5)) {
            let &[tag::INT, a, b, c, d] = bytes else { break };
            let Some(converted) = self.convert.small(i32::from_le_bytes([a, b, c, d]).into()) else { break };
            *value = converted;
            count += 1;
        }
        reader.advance(5 * count);
        count
    }

    /// Reads any one value into row `row`, which is there.
    #[inline]
    fn put(&mut self, reader: &mut Reader<'_>, row: usize) -> Result<(), FrameError> {
        // Timestamps, nearly always.
        if let Some((value, length)) = long(reader.rest())
            && let Some(converted) = self.convert.small(value)
        {
            reader.advance(length);
            self.values[row] = converted;
            return Ok(());
        }
        if reader.none() {
            self.slot.null(reader)?;
            self.nulls.set(row);
            return Ok(());
        }
        let converted = match reader.integer()? {
            None => return Err(self.slot.wrong(reader)),
            Some(Int::Small(value)) => self
                .convert
                .small(value)
                .ok_or_else(|| self.slot.out_of_range(format!("{value} ({})", self.convert.advice(value))))?,
            Some(Int::Big(digits)) => digits
                .to_i128()
                .and_then(|value| self.convert.big(value))
                .ok_or_else(|| self.slot.out_of_range(format!("{} (out of range)", digits.shown())))?,
        };
        self.values[row] = converted;
        Ok(())
    }
}

impl<C: FromInt> Column for Integers<C> {
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
            // Values of other forms come in runs too: NULLs, timestamps.
            loop {
                self.put(reader, row).map_err(|error| error.map_row(|_| row - start))?;
                row += 1;
                if row == start + count || reader.peek() == Some(tag::INT) {
                    break;
                }
            }
        }
    }

    fn pad(&mut self, count: usize) {
        self.nulls.set_run(self.values.len(), count);
        self.values.resize(self.values.len() + count, Default::default());
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, FrameError> {
        let nulls = self.nulls.finish(self.values.len());
        let array = PrimitiveArray::<C::Arrow>::try_new(self.values.into(), nulls);
        let array = array.map_err(|error| self.slot.refused(error))?;
        // Adds the time zone of a timestamp; the type was chosen by this very data type.
        Ok(Arc::new(array.with_data_type(self.slot.data_type)))
    }
}
