//! The typed error of the library. Separates whose fault it is: the user's code, a limit, the call, the environment,
//! or ourselves. Text that came from a guest is capped and its control characters are escaped before it gets here
//! ([`clean`]); no host path or backtrace belongs into a message that a tenant sees.

use std::fmt;
use std::time::Duration;

use crate::ExecutionMode;

/// What went wrong, and what to do about it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The user's code raised.
    #[error("{0}")]
    User(Box<UserError>),
    /// A result or an argument is of the wrong type or out of its type's range.
    #[error("{0}")]
    Type(Box<TypeError>),
    /// A limit was hit.
    #[error("{0}")]
    Limit(Limit),
    /// The call is malformed: unknown function, wrong arity, a kind that cannot be called this way.
    #[error("{0}")]
    Call(String),
    /// The mode cannot do what the job asks for; the message names the mode that can.
    #[error("{mode} mode {reason}")]
    Refused {
        /// The mode that the job asked for.
        mode: ExecutionMode,
        /// Why, and which mode can: a phrase that follows "`mode` mode".
        reason: String,
    },
    /// The mode or the environment lacks something.
    #[error("{what}\n{mend}")]
    Missing {
        /// What is missing.
        what: String,
        /// The command or step that mends it.
        mend: String,
    },
    /// The worker or sandbox ended in the middle of a call (it was killed or crashed). The next call gets a new one.
    #[error("the {mode} executor ended during the call: {reason}; the next call starts a new one")]
    ExecutorDied {
        /// The mode that ran.
        mode: ExecutionMode,
        /// How it ended, for example `killed by signal 9` or a wasm trap.
        reason: String,
    },
    /// The call was cancelled from the host.
    #[error("the call was cancelled")]
    Cancelled,
    /// A fault of the runtime, or a guest that answers nonsense.
    #[error("internal fault: {0}")]
    Internal(String),
}

/// An exception of the user's code.
#[derive(Debug, Clone, PartialEq)]
pub struct UserError {
    /// The function that was called, if one was (loading a file calls none).
    pub function: Option<String>,
    /// The row of the bundle, counted from 0.
    pub row: Option<u64>,
    /// The class of the exception, qualified unless it is a builtin one.
    pub exception: String,
    /// `str(exception)`.
    pub message: String,
    /// The traceback, user frames only.
    pub traceback: Option<String>,
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(function) = &self.function {
            write!(f, "function '{function}'")?;
            if let Some(row) = self.row {
                write!(f, ", row {row}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.exception)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(traceback) = &self.traceback {
            write!(f, "\n{}", traceback.trim_end())?;
        }
        Ok(())
    }
}

/// A value of the wrong type.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeError {
    /// The function.
    pub function: Option<String>,
    /// The row of the bundle, counted from 0.
    pub row: Option<u64>,
    /// The declared type, for example `int64 (int)`.
    pub expected: Option<String>,
    /// The type that came, for example `str`.
    pub actual: Option<String>,
    /// The whole sentence.
    pub message: String,
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Whose limit it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// One sandbox or worker of the job.
    Executor,
    /// The job.
    Job,
    /// All jobs of the tenant of this name.
    Tenant(String),
    /// The host process.
    Host,
}

/// A limit that was hit, with the limit and the use where they are known.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Limit {
    /// Memory, in bytes.
    Memory {
        /// The limit; 0 if there is none and the machine has no more.
        limit: u64,
        /// What the code had and asked for, if known.
        used: Option<u64>,
        /// Whose limit it is.
        scope: Scope,
    },
    /// Wall time of the call.
    Deadline {
        /// The limit.
        limit: Duration,
        /// How long the call had run when it was ended.
        used: Duration,
    },
    /// CPU time of all calls together.
    Cpu {
        /// The limit.
        limit: Duration,
        /// What was used.
        used: Duration,
        /// Whose limit it is.
        scope: Scope,
    },
    /// Size of a result, in bytes.
    ResultSize {
        /// The limit.
        limit: u64,
        /// The size that the guest announced.
        used: u64,
    },
    /// Size of source and files, in bytes.
    SourceSize {
        /// The limit.
        limit: u64,
        /// Their size.
        used: u64,
    },
    /// Size of a sandbox's copy, in bytes.
    CheckpointSize {
        /// The limit.
        limit: u64,
        /// Its size.
        used: u64,
    },
    /// The stack of the sandbox.
    Stack {
        /// Its size, in bytes.
        limit: u64,
    },
    /// Sandboxes and workers that may live at once.
    Executors {
        /// The limit.
        limit: u64,
        /// Whose limit it is.
        scope: Scope,
    },
}

impl fmt::Display for Scope {
    /// As it follows the name of a limit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Executor => Ok(()),
            Scope::Job => f.write_str(" for the job"),
            Scope::Tenant(name) => write!(f, " for all jobs of tenant '{name}'"),
            Scope::Host => f.write_str(" for this process"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Memory { limit: 0, .. } => f.write_str("out of memory; use smaller bundles"),
            Limit::Memory { limit, used, scope } => {
                // What is asked for at once may be more than can be asked of the host, which then does not hear of it.
                let how = if used.is_some_and(|used| used < *limit) { "would be passed" } else { "reached" };
                write!(f, "memory limit of {} MiB{scope} {how}", limit >> 20)?;
                if let Some(used) = used {
                    write!(f, " (in use: {} MiB)", used >> 20)?;
                }
                f.write_str("; raise the memory limit or use smaller bundles")
            }
            Limit::Deadline { limit, .. } => {
                write!(f, "deadline of {limit:?} for one call reached; raise the deadline or use smaller bundles")
            }
            Limit::Cpu { limit, used, scope } => {
                write!(f, "CPU budget of {limit:?}{scope} used up (used: {used:.3?}); raise the CPU limit")
            }
            Limit::ResultSize { limit, used } => {
                write!(f, "result of {used} bytes exceeds the limit of {limit} bytes; use smaller bundles")
            }
            Limit::SourceSize { limit, used } => {
                write!(f, "source and files of {used} bytes exceed the limit of {limit} bytes")
            }
            Limit::CheckpointSize { limit, used } => {
                write!(f, "copy of {used} bytes exceeds the limit of {limit} bytes; raise the checkpoint limit")
            }
            Limit::Stack { limit } => {
                write!(f, "stack of the sandbox ({} MiB) exhausted; recurse less deeply", limit >> 20)
            }
            Limit::Executors { limit, scope } => {
                write!(f, "limit of {limit} sandboxes or workers{scope} reached; close jobs that are done")
            }
        }
    }
}

impl From<Limit> for Error {
    fn from(limit: Limit) -> Self {
        Error::Limit(limit)
    }
}

impl Error {
    pub(crate) fn missing(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Error::Missing { what: what.into(), mend: mend.into() }
    }

    pub(crate) fn internal(what: impl fmt::Display) -> Self {
        Error::Internal(what.to_string())
    }

    #[cfg(any(feature = "process", feature = "thread", feature = "wasm"))]
    pub(crate) fn refused(mode: ExecutionMode, reason: impl Into<String>) -> Self {
        Error::Refused { mode, reason: reason.into() }
    }
}

/// Caps guest text at `cap` bytes and escapes control characters other than newline and tab, so that it cannot forge
/// log lines or drive a terminal.
pub(crate) fn clean(text: &str, cap: usize) -> String {
    let mut out = String::with_capacity(text.len().min(cap));
    for character in text.chars() {
        if out.len() >= cap {
            out.push('…');
            break;
        }
        match character {
            '\n' | '\t' => out.push(character),
            c if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c) => {
                out.extend(c.escape_unicode());
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Limit, Scope, clean};

    #[test]
    fn a_memory_limit_tells_what_was_in_use() {
        let text = |used| Limit::Memory { limit: 256 << 20, used, scope: Scope::Executor }.to_string();
        assert!(text(Some(257 << 20)).starts_with("memory limit of 256 MiB reached (in use: 257 MiB); raise"));
        assert!(text(Some(28 << 20)).starts_with("memory limit of 256 MiB would be passed (in use: 28 MiB); raise"));
        assert!(text(None).starts_with("memory limit of 256 MiB reached; raise"));
    }

    #[test]
    fn control_characters_are_escaped_and_text_is_capped() {
        assert_eq!(clean("a\u{1b}[2Jb\nc", 100), "a\\u{1b}[2Jb\nc");
        assert_eq!(clean("\u{202e}x", 100), "\\u{202e}x");
        let long = clean(&"é".repeat(100), 10);
        assert_eq!(long.chars().filter(|c| *c == 'é').count(), 5);
        assert!(long.ends_with('…'));
    }
}
