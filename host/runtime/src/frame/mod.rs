//! Arrow columns to bytes and back, in a subset of Python's `marshal` format, version 2: the only codec of Python's
//! standard library whose loop over a column runs in C, both ways. Knows no mode.
//!
//! | file | holds |
//! |---|---|
//! | [`Writer`] | requests: control values and columns |
//! | [`encode_column`] | an Arrow array as one marshal list |
//! | [`encode_argument`] | an argument: as the bytes of a C array where the harness takes that, else as a list |
//! | [`Reader`] | replies: checked reads, every byte of which is hostile |
//! | [`decode_column`] | one marshal list as an Arrow array of a given type |
//!
//! Must never trust a count or a length that it reads (memory is reserved only for bytes that are there), never cast a
//! value silently (a value that is not exactly of the column's type is an error), and never recurse deeper than a type
//! nests, which [`crate::types::MAX_DEPTH`] bounds.
//!
//! The format is described by `Python/marshal.c` of CPython. A value is a tag byte and its content, numbers in little
//! endian order:
//!
//! | tag | value | content |
//! |---|---|---|
//! | `N` `T` `F` | None, True, False | |
//! | `i` `I` | int | 4 bytes, 8 bytes (read by every CPython 3, written by none) |
//! | `l` | int | i32 count of 15-bit digits of 2 bytes each, least first; a negative count is a negative int |
//! | `g` | float | 8 bytes |
//! | `u` `t` `a` `A` | str | i32 length, UTF-8 (`a`, `A`: ASCII) |
//! | `z` `Z` | str | u8 length, ASCII |
//! | `s` | bytes | i32 length, bytes |
//! | `(` `)` `[` | tuple, tuple, list | i32 count (`)`: u8), values |
//! | `{` | dict | key, value, ..., `0` |

mod bits;
mod decimal;
mod decode;
mod encode;
mod error;
mod packed;
mod reader;
mod tag;
mod units;
mod writer;

#[cfg(test)]
mod tests;

pub use decode::decode_column;
pub use encode::encode_column;
pub use error::FrameError;
pub use packed::encode_argument;
pub use reader::Reader;
#[cfg(feature = "wasm")]
pub(crate) use units::Ratio;
pub use writer::Writer;
