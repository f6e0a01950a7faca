//! Encoders of text and bytes.

use std::ops::Range;

use arrow::array::{Array, ArrayAccessor, GenericStringArray, MAX_INLINE_VIEW_LEN, OffsetSizeTrait, StringViewArray};

use super::super::writer::{put_bytes, put_str};
use super::super::{FrameError, tag};
use super::Encode;

/// Strings up to this length are copied as a block of this size: one move instead of a call.
const SHORT: usize = 16;

/// Below this many rows, zeroing the room for them costs more than it saves.
const FEW: usize = 8;

/// Strings in one buffer.
pub(super) struct Text<'a, O: OffsetSizeTrait> {
    array: &'a GenericStringArray<O>,
    /// Rows that are known to be ASCII, which is found out for all at once.
    ascii: Range<usize>,
}

impl<'a, O: OffsetSizeTrait> Text<'a, O> {
    pub(super) fn new(array: &'a GenericStringArray<O>, rows: Range<usize>) -> Self {
        let offsets = array.value_offsets();
        let used = offsets[rows.start].as_usize()..offsets[rows.end].as_usize();
        let ascii = if array.value_data()[used].is_ascii() { rows } else { 0..0 };
        Text { array, ascii }
    }

    /// Short ASCII strings: everything but the copies of 16 bytes is arithmetic.
    fn short(&self, out: &mut Vec<u8>, rows: Range<usize>, length: usize) -> Result<(), FrameError> {
        let data = self.array.value_data();
        let offsets = &self.array.value_offsets()[rows.start..=rows.end];
        let base = out.len();
        // A header is 2 bytes, or 5 for a long string; the last copy may write up to 16 bytes past its string.
        out.resize(base + length + 5 * rows.len() + SHORT, 0);
        let mut at = base;
        for (row, ends) in rows.zip(offsets.windows(2)) {
            let (start, end) = (ends[0].as_usize(), ends[1].as_usize());
            if self.array.is_null(row) {
                out[at] = tag::NONE;
                at += 1;
            } else if end - start <= SHORT
                && let Some(block) = data.get(start..start + SHORT)
            {
                let slot = &mut out[at..at + 2 + SHORT];
                slot[0] = tag::SHORT_ASCII;
                slot[1] = (end - start) as u8;
                slot[2..].copy_from_slice(block);
                at += 2 + end - start;
            } else {
                // The rare long one, and the last few of the buffer.
                let text = &data[start..end];
                let mut header = 2;
                match u8::try_from(text.len()) {
                    Ok(length) => out[at..at + 2].copy_from_slice(&[tag::SHORT_ASCII, length]),
                    Err(_) => {
                        let length = i32::try_from(text.len()).map_err(|_| too_large(text.len()))?;
                        out[at] = tag::ASCII;
                        out[at + 1..at + 5].copy_from_slice(&length.to_le_bytes());
                        header = 5;
                    }
                }
                out[at + header..at + header + text.len()].copy_from_slice(text);
                at += header + text.len();
            }
        }
        out.truncate(at);
        Ok(())
    }
}

fn too_large(length: usize) -> FrameError {
    FrameError::TooLarge(format!("a str of {length} bytes: the most is {}", i32::MAX))
}

impl<O: OffsetSizeTrait> Encode for Text<'_, O> {
    fn encode(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), FrameError> {
        let offsets = self.array.value_offsets();
        let length = offsets[rows.end].as_usize() - offsets[rows.start].as_usize();
        let ascii = self.ascii.start <= rows.start && rows.end <= self.ascii.end;
        if ascii && rows.len() >= FEW && length <= 2 * SHORT * rows.len() {
            return self.short(out, rows, length);
        }
        out.reserve(length + 2 * rows.len());
        for row in rows {
            if self.array.is_null(row) {
                out.push(tag::NONE);
            } else {
                let text = self.array.value(row).as_bytes();
                put_str(out, text, ascii || text.is_ascii())?;
            }
        }
        Ok(())
    }
}

/// Strings up to this length stand in the view itself.
const INLINE: usize = MAX_INLINE_VIEW_LEN as usize;

/// The high bits of 12 bytes.
const NOT_ASCII: u128 = 0x8080_8080_8080_8080_8080_8080;

/// Strings as views.
pub(super) struct TextView<'a> {
    pub(super) array: &'a StringViewArray,
}

impl Encode for TextView<'_> {
    fn encode(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), FrameError> {
        out.reserve(rows.len() * (2 + INLINE));
        for row in rows {
            if self.array.is_null(row) {
                out.push(tag::NONE);
                continue;
            }
            let view = self.array.views()[row];
            let length = view as u32 as usize;
            if length <= INLINE && view >> 32 & NOT_ASCII == 0 {
                // The length, then the string itself, then zeros, which are cut off.
                let end = out.len() + 2 + length;
                let mut bytes = [0; 2 + INLINE];
                bytes[..2].copy_from_slice(&[tag::SHORT_ASCII, length as u8]);
                bytes[2..].copy_from_slice(&view.to_le_bytes()[4..]);
                out.extend_from_slice(&bytes);
                out.truncate(end);
                continue;
            }
            let text = self.array.value(row);
            put_str(out, text.as_bytes(), text.is_ascii())?;
        }
        Ok(())
    }
}

/// Bytes of any kind of array.
pub(super) struct Bytes<A> {
    pub(super) array: A,
}

impl<'a, A: ArrayAccessor<Item = &'a [u8]>> Encode for Bytes<A> {
    fn encode(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), FrameError> {
        for row in rows {
            if self.array.is_null(row) {
                out.push(tag::NONE);
            } else {
                put_bytes(out, self.array.value(row))?;
            }
        }
        Ok(())
    }
}
