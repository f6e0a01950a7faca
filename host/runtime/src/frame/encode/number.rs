//! Encoders of everything that is a number on the wire: bool, int, float, decimal (as text), interval. The hot loops:
//! blocks of 64 rows through a buffer on the stack, so that nothing is checked or grown for each value.

use std::ops::Range;

use arrow::array::{Array, BooleanArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::ArrowPrimitiveType;

use super::super::decimal::{Text, Unscaled};
use super::super::writer::{put_count, put_float, put_int, put_str, put_wide_int};
use super::super::{FrameError, bits, tag};
use super::Encode;

/// Rows that are encoded together: as many as a word has bits.
const BLOCK: usize = 64;

/// Below this many rows, setting up a block costs more than it saves (the items of short lists, fields of structs).
const FEW: usize = 8;

/// Calls `each` for blocks of `rows`, with their validity.
fn blocks(nulls: Option<&NullBuffer>, rows: Range<usize>, mut each: impl FnMut(Range<usize>, u64)) {
    let mut start = rows.start;
    while start < rows.end {
        let end = rows.end.min(start + BLOCK);
        each(start..end, bits::valid(nulls, start, end - start));
        start = end;
    }
}

pub(super) struct Booleans<'a> {
    pub(super) array: &'a BooleanArray,
}

impl Encode for Booleans<'_> {
    fn encode(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), FrameError> {
        if rows.len() < FEW {
            out.extend(rows.map(|row| match self.array.is_valid(row).then(|| self.array.value(row)) {
                Some(true) => tag::TRUE,
                Some(false) => tag::FALSE,
                None => tag::NONE,
            }));
            return Ok(());
        }
        blocks(self.array.nulls(), rows, |rows, valid| {
            let values = bits::word(self.array.values(), rows.start, rows.len());
            let mut tags = [tag::NONE; BLOCK];
            for (bit, tag) in tags.iter_mut().enumerate() {
                if valid >> bit & 1 == 1 {
                    *tag = if values >> bit & 1 == 1 { tag::TRUE } else { tag::FALSE };
                }
            }
            out.extend_from_slice(&tags[..rows.len()]);
        });
        Ok(())
    }
}

/// All that is an int on the wire. `convert` gives the wire value; as an error if it needs more than 64 bits.
pub(super) struct Integers<'a, T, F> {
    pub(super) values: &'a [T],
    pub(super) nulls: Option<&'a NullBuffer>,
    pub(super) convert: F,
}

impl<T: Copy, F: Fn(T) -> Result<i64, i128>> Integers<'_, T, F> {
    fn one_by_one(&self, out: &mut Vec<u8>, rows: Range<usize>) {
        for row in rows {
            if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
                out.push(tag::NONE);
                continue;
            }
            match (self.convert)(self.values[row]) {
                Ok(value) => put_int(out, value),
                Err(value) => put_wide_int(out, value),
            }
        }
    }
}

impl<T: Copy, F: Fn(T) -> Result<i64, i128>> Encode for Integers<'_, T, F> {
    fn encode(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), FrameError> {
        if rows.len() < FEW {
            self.one_by_one(out, rows);
            return Ok(());
        }
        out.reserve(rows.len() * 5);
        blocks(self.nulls, rows, |rows, valid| {
            let count = rows.len();
            let mut values = [0; BLOCK];
            let (mut beyond_64, mut beyond_32) = (false, false);
            for (value, row) in values.iter_mut().zip(&self.values[rows.clone()]) {
                match (self.convert)(*row) {
                    Ok(converted) => *value = converted,
                    Err(_) => beyond_64 = true,
                }
                beyond_32 |= i64::from(*value as i32) != *value;
            }
            if beyond_64 {
                self.one_by_one(out, rows);
            } else if !beyond_32 && valid == bits::ones(count) {
                put_small(out, &values[..count]);
            } else {
                put_mixed(out, &values[..count], valid);
            }
        });
        Ok(())
    }
}

/// Ints of 32 bits without NULLs: all of the same width.
fn put_small(out: &mut Vec<u8>, values: &[i64]) {
    let mut bytes = [tag::INT; 5 * BLOCK];
    for (slot, value) in bytes.chunks_exact_mut(5).zip(values) {
        slot[1..].copy_from_slice(&(*value as i32).to_le_bytes());
    }
    out.extend_from_slice(&bytes[..5 * values.len()]);
}

/// Ints of both widths and NULLs. Every value is written with its full width, and only the step to the next one
/// depends on what it is: the lower half of a little-endian i64 is the i32, and nothing branches.
fn put_mixed(out: &mut Vec<u8>, values: &[i64], valid: u64) {
    let mut bytes = [0; 9 * BLOCK];
    let mut at = 0;
    for (bit, value) in values.iter().enumerate() {
        let small = i64::from(*value as i32) == *value;
        let (tag, width) = if small { (tag::INT, 5) } else { (tag::INT64, 9) };
        let (tag, width) = if valid >> bit & 1 == 1 { (tag, width) } else { (tag::NONE, 1) };
        let slot = &mut bytes[at..at + 9];
        slot[0] = tag;
        slot[1..].copy_from_slice(&value.to_le_bytes());
        at += width;
    }
    out.extend_from_slice(&bytes[..at]);
}

pub(super) struct Floats<'a, T, F> {
    pub(super) values: &'a [T],
    pub(super) nulls: Option<&'a NullBuffer>,
    pub(super) convert: F,
}

impl<T: Copy, F: Fn(T) -> f64> Encode for Floats<'_, T, F> {
    fn encode(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), FrameError> {
        if rows.len() < FEW {
            for row in rows {
                match self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
                    true => out.push(tag::NONE),
                    false => put_float(out, (self.convert)(self.values[row])),
                }
            }
            return Ok(());
        }
        out.reserve(rows.len() * 9);
        blocks(self.nulls, rows, |rows, valid| {
            let values = &self.values[rows];
            let mut bytes = [tag::FLOAT; 9 * BLOCK];
            let mut at = 0;
            if valid == bits::ones(values.len()) {
                for (slot, value) in bytes.chunks_exact_mut(9).zip(values) {
                    slot[1..].copy_from_slice(&(self.convert)(*value).to_le_bytes());
                }
                at = 9 * values.len();
            } else {
                for (bit, value) in values.iter().enumerate() {
                    let (tag, width) = if valid >> bit & 1 == 1 { (tag::FLOAT, 9) } else { (tag::NONE, 1) };
                    let slot = &mut bytes[at..at + 9];
                    slot[0] = tag;
                    slot[1..].copy_from_slice(&(self.convert)(*value).to_le_bytes());
                    at += width;
                }
            }
            out.extend_from_slice(&bytes[..at]);
        });
        Ok(())
    }
}

pub(super) struct Decimals<'a, T: ArrowPrimitiveType> {
    pub(super) array: &'a PrimitiveArray<T>,
    pub(super) scale: i8,
}

impl<T: ArrowPrimitiveType> Encode for Decimals<'_, T>
where
    T::Native: Unscaled,
{
    fn encode(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), FrameError> {
        let mut text = Text::new();
        for row in rows {
            if self.array.is_null(row) {
                out.push(tag::NONE);
            } else {
                put_str(out, text.format(self.array.values()[row], self.scale), true)?;
            }
        }
        Ok(())
    }
}

/// Tuples of months, days and nanoseconds.
pub(super) struct Intervals<'a, T: ArrowPrimitiveType> {
    pub(super) array: &'a PrimitiveArray<T>,
    pub(super) parts: fn(T::Native) -> (i32, i32, i64),
}

impl<T: ArrowPrimitiveType> Encode for Intervals<'_, T> {
    fn encode(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), FrameError> {
        for row in rows {
            if self.array.is_null(row) {
                out.push(tag::NONE);
                continue;
            }
            let (months, days, nanoseconds) = (self.parts)(self.array.values()[row]);
            put_count(out, tag::TUPLE, 3)?;
            put_int(out, months.into());
            put_int(out, days.into());
            put_int(out, nanoseconds);
        }
        Ok(())
    }
}
