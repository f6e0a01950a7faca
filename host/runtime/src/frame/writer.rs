//! Writes marshal values for requests. The counts that a caller gives are believed: must never be used with data that
//! did not come from this process.

use arrow::array::Array;

use super::{FrameError, encode_column, tag};

/// Appends marshal values to a buffer. A container's count comes first and its values after it.
#[derive(Debug, Default)]
pub struct Writer {
    buffer: Vec<u8>,
    too_large: bool,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Writer::default()
    }

    /// A writer that appends to `buffer`.
    pub fn reusing(buffer: Vec<u8>) -> Self {
        Writer { buffer, too_large: false }
    }

    /// What was written. A str or bytes beyond 2 GiB, which the format cannot hold, stands there as None, and the
    /// harness refuses the request; [`Self::finish`] gives an error that says so.
    pub fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }

    /// What was written.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] if a value was beyond what the format holds.
    pub fn finish(self) -> Result<Vec<u8>, FrameError> {
        if self.too_large {
            return Err(FrameError::TooLarge("a str or bytes of a request is larger than 2 GiB".into()));
        }
        Ok(self.buffer)
    }

    /// Opens a tuple; `count` values follow.
    pub fn tuple(&mut self, count: usize) -> &mut Self {
        self.counted(tag::TUPLE, count)
    }

    /// Opens a list; `count` values follow.
    pub fn list(&mut self, count: usize) -> &mut Self {
        self.counted(tag::LIST, count)
    }

    /// Opens a dict; keys and values follow in turn, then [`Self::dict_end`].
    pub fn dict_start(&mut self) -> &mut Self {
        self.buffer.push(tag::DICT);
        self
    }

    /// Ends a dict.
    pub fn dict_end(&mut self) -> &mut Self {
        self.buffer.push(tag::END);
        self
    }

    /// Writes None.
    pub fn none(&mut self) -> &mut Self {
        self.buffer.push(tag::NONE);
        self
    }

    /// Writes a bool.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.buffer.push(if value { tag::TRUE } else { tag::FALSE });
        self
    }

    /// Writes an int.
    pub fn int(&mut self, value: i64) -> &mut Self {
        put_int(&mut self.buffer, value);
        self
    }

    /// Writes a float.
    pub fn float(&mut self, value: f64) -> &mut Self {
        put_float(&mut self.buffer, value);
        self
    }

    /// Writes a str.
    pub fn str(&mut self, value: &str) -> &mut Self {
        if put_str(&mut self.buffer, value.as_bytes(), value.is_ascii()).is_err() {
            self.replace();
        }
        self
    }

    /// Writes bytes.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        if put_bytes(&mut self.buffer, value).is_err() {
            self.replace();
        }
        self
    }

    /// Writes `array` as a list.
    ///
    /// # Errors
    /// Those of [`encode_column`].
    pub fn column(&mut self, array: &dyn Array) -> Result<&mut Self, FrameError> {
        encode_column(&mut self.buffer, array)?;
        Ok(self)
    }

    fn counted(&mut self, tag: u8, count: usize) -> &mut Self {
        if put_count(&mut self.buffer, tag, count).is_err() {
            self.replace();
        }
        self
    }

    fn replace(&mut self) {
        self.too_large = true;
        self.none();
    }
}

/// Writes `tag` and a length or count.
#[inline]
pub(super) fn put_count(out: &mut Vec<u8>, tag: u8, count: usize) -> Result<(), FrameError> {
    let Ok(count) = i32::try_from(count) else {
        return Err(FrameError::TooLarge(format!("{count} bytes or items in one value: the most is {}", i32::MAX)));
    };
    let [a, b, c, d] = count.to_le_bytes();
    out.extend_from_slice(&[tag, a, b, c, d]);
    Ok(())
}

/// Writes an int of up to 64 bits.
#[inline]
pub(super) fn put_int(out: &mut Vec<u8>, value: i64) {
    if let Ok(small) = i32::try_from(value) {
        let [a, b, c, d] = small.to_le_bytes();
        out.extend_from_slice(&[tag::INT, a, b, c, d]);
    } else {
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        out.extend_from_slice(&[tag::INT64, a, b, c, d, e, f, g, h]);
    }
}

/// Writes an int of any size.
pub(super) fn put_wide_int(out: &mut Vec<u8>, value: i128) {
    if let Ok(value) = i64::try_from(value) {
        return put_int(out, value);
    }
    let mut magnitude = value.unsigned_abs();
    // 128 bits are 9 digits of 15 bits.
    let count = (128 - magnitude.leading_zeros()).div_ceil(15) as i32;
    out.push(tag::LONG);
    out.extend_from_slice(&(if value < 0 { -count } else { count }).to_le_bytes());
    while magnitude != 0 {
        out.extend_from_slice(&((magnitude & 0x7FFF) as u16).to_le_bytes());
        magnitude >>= 15;
    }
}

/// Writes a float.
#[inline]
pub(super) fn put_float(out: &mut Vec<u8>, value: f64) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    out.extend_from_slice(&[tag::FLOAT, a, b, c, d, e, f, g, h]);
}

/// Writes a str, as ASCII if the caller knows that it is: Python then need not look for the widest character.
#[inline]
pub(super) fn put_str(out: &mut Vec<u8>, text: &[u8], ascii: bool) -> Result<(), FrameError> {
    match u8::try_from(text.len()) {
        Ok(length) if ascii => out.extend_from_slice(&[tag::SHORT_ASCII, length]),
        _ => put_count(out, if ascii { tag::ASCII } else { tag::STR }, text.len())?,
    }
    out.extend_from_slice(text);
    Ok(())
}

/// Writes bytes.
#[inline]
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), FrameError> {
    put_count(out, tag::BYTES, bytes.len())?;
    out.extend_from_slice(bytes);
    Ok(())
}
