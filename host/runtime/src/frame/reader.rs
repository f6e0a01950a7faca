//! Reads marshal values out of a reply. Every byte is hostile: a read is checked against its tag and against the bytes
//! that are left, a count is believed only as far as there are bytes for it, and nothing here panics or recurses.

use std::borrow::Cow;

use super::FrameError;
use super::tag;
use crate::types;

/// How deep [`Reader::skip`] follows: the deepest type, and the tuples and the list of the reply around it.
const SKIP_DEPTH: usize = types::MAX_DEPTH + 8;

/// How much memory the NULLs of one reply may take beyond what its bytes account for. A NULL of a wide type (a struct
/// of many fields, a long fixed-size list) is 1 byte on the wire and as wide as its type in Arrow, so that a guest
/// could ask for any amount of memory with a few bytes. 256 MiB are 10,000 NULL embeddings of 6,500 floats.
const PADDING_LIMIT: usize = 256 << 20;

/// An int of 3 to 5 digits at the start of `bytes`, and how many bytes it takes. `None` for everything else, also for
/// what is such an int but stands at the very end: this is only the fast way, without a branch that depends on the
/// digits. Ints of 32 bits have a tag of their own, so that nearly all that come as digits are these.
#[inline]
pub(super) fn long(bytes: &[u8]) -> Option<(i64, usize)> {
    let &[tag::LONG, a, b, c, d, d0, d1, d2, d3, d4, d5, d6, d7, d8, d9, ..] = bytes else { return None };
    let count = i32::from_le_bytes([a, b, c, d]);
    let digits = count.unsigned_abs();
    if !(3..=5).contains(&digits) {
        return None;
    }
    let low = u64::from_le_bytes([d0, d1, d2, d3, d4, d5, d6, d7]);
    let low = if digits == 3 { low & 0xFFFF_FFFF_FFFF } else { low };
    let high = if digits == 5 { u64::from(u16::from_le_bytes([d8, d9])) } else { 0 };
    // The highest digit is not 0, no digit has its 16th bit set, and all together have 63 bits.
    let highest = [low >> 32, low >> 48, high][digits as usize - 3];
    if highest == 0 || low & 0x8000_8000_8000_8000 != 0 || high > 7 {
        return None;
    }
    let low = low & 0x7FFF | low >> 1 & 0x7FFF << 15 | low >> 2 & 0x7FFF << 30 | low >> 3 & 0x7FFF << 45;
    let magnitude = (high << 60 | low) as i64;
    let value = if count < 0 { -magnitude } else { magnitude };
    Some((value, 5 + 2 * digits as usize))
}

/// A cursor over a reply.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    data: &'a [u8],
    at: usize,
    padding_left: usize,
}

/// An int that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Int<'a> {
    /// It fits.
    Small(i64),
    /// It came as digits and does not fit an i64.
    Big(Digits<'a>),
}

/// A big int: 15-bit digits of two bytes each, least first, the last one not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digits<'a> {
    negative: bool,
    digits: &'a [u8],
}

impl Digits<'_> {
    fn iter(&self) -> impl DoubleEndedIterator<Item = u16> + ExactSizeIterator + '_ {
        self.digits.chunks_exact(2).map(|digit| u16::from_le_bytes([digit[0], digit[1]]))
    }

    /// The value if it fits.
    pub(super) fn to_i128(self) -> Option<i128> {
        let magnitude = self
            .iter()
            .rev()
            .try_fold(0_i128, |value, digit| value.checked_mul(1 << 15)?.checked_add(i128::from(digit)))?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// The value if a float holds it exactly.
    pub(super) fn to_f64(self) -> Option<f64> {
        let first = self.iter().position(|digit| digit != 0)?;
        let last = self.digits.len() / 2 - 1;
        // 53 significant bits span at most 5 digits, and the largest float has 1024 bits, 69 digits.
        if last >= 69 || last - first >= 5 {
            return None;
        }
        let significant = self.iter().skip(first).rev().fold(0_u128, |value, digit| value << 15 | u128::from(digit));
        let significant = significant >> significant.trailing_zeros();
        if significant >= 1 << 53 {
            return None;
        }
        // Every prefix of the digits has no more significant bits than the whole, so that no step rounds.
        let magnitude = self.iter().rev().fold(0.0, |value, digit| value * 32768.0 + f64::from(digit));
        magnitude.is_finite().then_some(if self.negative { -magnitude } else { magnitude })
    }

    /// The value for an error; past 38 digits only its size.
    pub(super) fn shown(self) -> String {
        match self.to_i128() {
            Some(value) => value.to_string(),
            None => format!("an int of more than {} bits", (self.digits.len() / 2 - 1) * 15),
        }
    }
}

impl<'a> Reader<'a> {
    /// A reader at the start of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Reader { data, at: 0, padding_left: PADDING_LIMIT }
    }

    /// Whether every byte was read.
    pub fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    /// The position of the next byte.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The bytes not read yet.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.data.get(self.at..).unwrap_or_default()
    }

    /// Goes on by `count` bytes of [`Self::rest`].
    #[inline]
    pub(super) fn advance(&mut self, count: usize) {
        self.at += count;
    }

    /// The next tag, which stays unread.
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.data.get(self.at).copied()
    }

    /// An error at this place.
    #[cold]
    pub(super) fn malformed(&self, what: impl Into<String>) -> FrameError {
        FrameError::Malformed { offset: self.at, what: what.into() }
    }

    #[cold]
    fn truncated(&self) -> FrameError {
        self.malformed("the reply ends in the middle of a value")
    }

    /// The error for a value that is not `expected`, with the class of the value that is there.
    #[cold]
    fn unexpected(&self, expected: &str) -> FrameError {
        match self.peek() {
            None => self.truncated(),
            Some(tag) => match tag::python_class(tag) {
                Some(actual) => self.malformed(format!("expected {expected}, got {actual}")),
                None => self.malformed(format!("expected {expected}, got tag 0x{tag:02x}")),
            },
        }
    }

    /// The class of the next value; an error if none begins here.
    pub(super) fn class(&self) -> Result<&'static str, FrameError> {
        let tag = self.peek().ok_or_else(|| self.truncated())?;
        tag::python_class(tag).ok_or_else(|| self.malformed(format!("unknown tag 0x{tag:02x}")))
    }

    #[inline]
    fn take(&mut self, count: usize) -> Result<&'a [u8], FrameError> {
        let taken = self.rest().get(..count).ok_or_else(|| self.truncated())?;
        self.at += count;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let taken = *self.rest().first_chunk::<N>().ok_or_else(|| self.truncated())?;
        self.at += N;
        Ok(taken)
    }

    /// A length or count, which CPython writes as an i32 that is not negative.
    #[inline]
    fn length(&mut self) -> Result<usize, FrameError> {
        let length = i32::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| self.malformed("a negative length"))
    }

    /// A count of values that follow. Each takes a byte at least, so a count above the bytes that are left is a lie;
    /// after this check memory for `count` values may be reserved.
    #[inline]
    fn believable(&self, count: usize) -> Result<usize, FrameError> {
        if count > self.rest().len() {
            return Err(self.malformed(format!("a count of {count} in a reply that ends before")));
        }
        Ok(count)
    }

    /// Counts `bytes` of memory that the reply's bytes do not account for.
    pub(super) fn pad(&mut self, bytes: usize) -> Result<(), FrameError> {
        self.padding_left = self.padding_left.checked_sub(bytes).ok_or_else(|| {
            FrameError::TooLarge(format!(
                "the NULLs of this result take more than {} MiB; use a smaller bundle or a narrower type",
                PADDING_LIMIT >> 20
            ))
        })?;
        Ok(())
    }

    /// Opens a tuple and gives its count.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] if the next value is no tuple.
    pub fn tuple(&mut self) -> Result<usize, FrameError> {
        match self.peek() {
            Some(tag::TUPLE | tag::SMALL_TUPLE) => self.sequence(),
            _ => Err(self.unexpected("tuple")),
        }
    }

    /// Opens a list and gives its count.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] if the next value is no list.
    pub fn list(&mut self) -> Result<usize, FrameError> {
        match self.peek() {
            Some(tag::LIST) => self.sequence(),
            _ => Err(self.unexpected("list")),
        }
    }

    /// Opens the list or tuple that [`Self::peek`] has shown and gives its count.
    #[inline]
    pub(super) fn sequence(&mut self) -> Result<usize, FrameError> {
        let small = self.peek() == Some(tag::SMALL_TUPLE);
        self.advance(1);
        let count = if small { usize::from(self.array::<1>()?[0]) } else { self.length()? };
        self.believable(count)
    }

    /// Reads None if it is next.
    pub fn none(&mut self) -> bool {
        let none = self.peek() == Some(tag::NONE);
        self.at += usize::from(none);
        none
    }

    /// Reads an int.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] if the next value is no int, or one beyond 64 bits.
    pub fn int(&mut self) -> Result<i64, FrameError> {
        match self.integer()? {
            Some(Int::Small(value)) => Ok(value),
            Some(Int::Big(_)) => Err(self.malformed("an int beyond 64 bits")),
            None => Err(self.unexpected("int")),
        }
    }

    /// Reads an int of any size if one is next.
    #[inline]
    pub(super) fn integer(&mut self) -> Result<Option<Int<'a>>, FrameError> {
        match self.peek() {
            Some(tag::INT) => {
                self.advance(1);
                Ok(Some(Int::Small(i32::from_le_bytes(self.array()?).into())))
            }
            Some(tag::INT64) => {
                self.advance(1);
                Ok(Some(Int::Small(i64::from_le_bytes(self.array()?))))
            }
            Some(tag::LONG) => {
                self.advance(1);
                self.long().map(Some)
            }
            _ => Ok(None),
        }
    }

    #[inline]
    fn long(&mut self) -> Result<Int<'a>, FrameError> {
        let count = i32::from_le_bytes(self.array()?);
        let negative = count < 0;
        let bytes = usize::try_from(count.unsigned_abs()).ok().and_then(|count| count.checked_mul(2));
        let digits = self.take(bytes.ok_or_else(|| self.truncated())?)?;
        let digits = Digits { negative, digits };
        if digits.iter().any(|digit| digit >> 15 != 0) || digits.iter().next_back() == Some(0) {
            return Err(self.malformed("an int with digits that CPython does not write"));
        }
        let small = if digits.digits.len() > 10 { None } else { digits.to_i128() };
        Ok(match small.and_then(|value| i64::try_from(value).ok()) {
            Some(value) => Int::Small(value),
            None => Int::Big(digits),
        })
    }

    /// Reads a float if one is next.
    #[inline]
    pub(super) fn float(&mut self) -> Result<Option<f64>, FrameError> {
        if self.peek() != Some(tag::FLOAT) {
            return Ok(None);
        }
        self.advance(1);
        self.array().map(f64::from_le_bytes).map(Some)
    }

    /// Reads a str.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] if the next value is no str, or one with lone surrogates.
    pub fn str(&mut self) -> Result<&'a str, FrameError> {
        let offset = self.at;
        let bytes = self.text()?.ok_or_else(|| self.unexpected("str"))?;
        std::str::from_utf8(bytes).map_err(|_| FrameError::Malformed { offset, what: "a str that is not UTF-8".into() })
    }

    /// Reads a str and replaces lone surrogates.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] if the next value is no str.
    pub fn str_lossy(&mut self) -> Result<Cow<'a, str>, FrameError> {
        self.text()?.map(String::from_utf8_lossy).ok_or_else(|| self.unexpected("str"))
    }

    /// Reads a str if one is next, its content unchecked.
    #[inline]
    pub(super) fn text(&mut self) -> Result<Option<&'a [u8]>, FrameError> {
        let length = match self.peek() {
            Some(tag::STR | tag::INTERNED | tag::ASCII | tag::ASCII_INTERNED) => {
                self.advance(1);
                self.length()?
            }
            Some(tag::SHORT_ASCII | tag::SHORT_ASCII_INTERNED) => {
                self.advance(1);
                usize::from(self.array::<1>()?[0])
            }
            _ => return Ok(None),
        };
        self.take(length).map(Some)
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] if the next value is not bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], FrameError> {
        self.binary()?.ok_or_else(|| self.unexpected("bytes"))
    }

    /// Reads bytes if they are next.
    #[inline]
    pub(super) fn binary(&mut self) -> Result<Option<&'a [u8]>, FrameError> {
        if self.peek() != Some(tag::BYTES) {
            return Ok(None);
        }
        self.advance(1);
        let length = self.length()?;
        self.take(length).map(Some)
    }

    /// Reads one value of any kind and forgets it.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] for what is no value, or one that nests deeper than any type may.
    pub fn skip(&mut self) -> Result<(), FrameError> {
        // Values still to come at each open level; `None` is a dict, which ends with a tag of its own.
        let mut open: Vec<Option<usize>> = vec![Some(1)];
        while let Some(level) = open.last_mut() {
            match level {
                Some(0) => {
                    open.pop();
                    continue;
                }
                Some(left) => *left -= 1,
                None if self.peek() == Some(tag::END) => {
                    self.advance(1);
                    open.pop();
                    continue;
                }
                None => {}
            }
            match self.peek() {
                Some(tag::NONE | tag::TRUE | tag::FALSE | tag::ELLIPSIS) => self.advance(1),
                Some(tag::INT | tag::INT64 | tag::LONG) => {
                    self.integer()?;
                }
                Some(tag::FLOAT) => {
                    self.float()?;
                }
                Some(tag::COMPLEX) => {
                    self.array::<17>()?;
                }
                Some(tag::BYTES) => {
                    self.binary()?;
                }
                Some(tag::TUPLE | tag::SMALL_TUPLE | tag::LIST | tag::SET | tag::FROZENSET) => {
                    open.push(Some(self.sequence()?));
                }
                Some(tag::DICT) => {
                    self.advance(1);
                    open.push(None);
                }
                _ => {
                    self.text()?.ok_or_else(|| self.unexpected("a value"))?;
                }
            }
            if open.len() > SKIP_DEPTH {
                return Err(self.malformed(format!("a value that nests deeper than {SKIP_DEPTH} levels")));
            }
        }
        Ok(())
    }
}
