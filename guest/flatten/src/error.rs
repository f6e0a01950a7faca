//! The reasons why a component is not flattened. Owns the error type and nothing else.

use wasmparser::BinaryReaderError;

/// Why a component could not be flattened.
///
/// Flattening refuses whatever it does not understand: the flattened module would otherwise behave differently from
/// the component, and nothing at run time would notice.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not a valid component, or use a proposal that is not supported.
    #[error("not a valid component: {0}")]
    Invalid(#[from] BinaryReaderError),
    /// The bytes are a core module (or nothing at all), not a component.
    #[error("not a component")]
    NotAComponent,
    /// The component uses something that cannot be flattened.
    #[error("cannot be flattened: {0}")]
    Unsupported(String),
    /// Two parts of the component do not fit each other.
    #[error("cannot be linked: {0}")]
    Link(String),
    /// A function could not be written again.
    #[error("function {function} cannot be written: {reason}")]
    Encode {
        /// The function's name as in the name section of the result.
        function: String,
        /// What the encoder said.
        reason: String,
    },
}

impl Error {
    /// A feature that is refused.
    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }

    /// A contradiction between two parts.
    pub(crate) fn link(what: impl Into<String>) -> Self {
        Self::Link(what.into())
    }

    /// An index that points nowhere. Validation makes this impossible, but an index is never trusted.
    pub(crate) fn index(space: &'static str, index: impl std::fmt::Display) -> Self {
        Self::Link(format!("{space} {index} does not exist"))
    }
}
