//! What can go wrong between a column and its bytes. Must never carry more guest text than its caps allow.

use std::fmt::Display;

/// The longest value that an error shows, in characters, as the harness has it too.
const VALUE_CAP: usize = 80;

/// Why a column could not be written or read. Rows count from 0 and are always rows of the bundle, however deep in a
/// nested type the value stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The bytes do not follow the protocol. The guest's harness is broken, or the guest is hostile.
    #[error("byte {offset}: {what}")]
    Malformed {
        /// Where in the reply.
        offset: usize,
        /// What is wrong there.
        what: String,
    },
    /// A value of another type than the column's.
    #[error("row {row}: expected {expected}, got {actual}")]
    Mismatch {
        /// The row.
        row: usize,
        /// The type that was expected, for example `int64 (int) as a list item`.
        expected: String,
        /// The Python type that came, for example `str`.
        actual: String,
        /// The value came as bytes where none were expected: marshal writes whatever has a buffer so (a numpy scalar,
        /// a bytearray, an array), and only the harness can still tell what it is.
        ambiguous: bool,
    },
    /// A value of the right type that the column's type cannot hold exactly.
    #[error("row {row}: expected {expected}, got {value}")]
    OutOfRange {
        /// The row.
        row: usize,
        /// The column's type.
        expected: String,
        /// The value, why it does not fit, and what to do about it.
        value: String,
    },
    /// A type that this protocol cannot carry.
    #[error("{0}")]
    Unsupported(String),
    /// More than the format, or one Arrow array, can hold.
    #[error("{0}")]
    TooLarge(String),
}

impl FrameError {
    /// The same error in row `change(row)`. A column reports rows of its own; the column around it, which knows the
    /// row that they belong to, passes them on with this.
    pub(super) fn map_row(mut self, change: impl FnOnce(usize) -> usize) -> Self {
        if let FrameError::Mismatch { row, .. } | FrameError::OutOfRange { row, .. } = &mut self {
            *row = change(*row);
        }
        self
    }

    /// The same error of a value that stands in `place` of the value around it.
    pub(super) fn within(mut self, place: impl Display) -> Self {
        if let FrameError::Mismatch { expected, .. } | FrameError::OutOfRange { expected, .. } = &mut self {
            expected.push(' ');
            expected.push_str(&place.to_string());
        }
        self
    }
}

/// Guest text for an error: control characters escaped, long text cut.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(VALUE_CAP).flat_map(char::escape_debug).collect();
    if text.chars().nth(VALUE_CAP).is_some() {
        shown.push('…');
    }
    shown
}
