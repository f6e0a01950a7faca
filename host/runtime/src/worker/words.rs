//! What a sandbox worker says of its sandbox, and the errors with which a request ends it, as messages. The other side
//! is `process/failure.rs`.

use cloister_proto::v1::failure::Kind;
use cloister_proto::v1::{Denied, Failure, Sandbox};

use crate::error::{Error, Limit, Scope};
use crate::executor::Executor;

/// The error of a request. None is the user's code's: those are replies.
pub fn failure(error: &Error) -> Failure {
    let (kind, text) = match error {
        Error::ExecutorDied { reason, .. } => (Kind::Died, reason.clone()),
        Error::Limit(Limit::Stack { .. }) => (Kind::Stack, String::new()),
        Error::Limit(Limit::Memory { .. }) => (Kind::Memory, String::new()),
        Error::Limit(Limit::Deadline { .. }) => (Kind::Deadline, String::new()),
        Error::Missing { what, mend } => (Kind::Missing, format!("{}\n{mend}", what.replace('\n', " "))),
        other => (Kind::Internal, other.to_string()),
    };
    Failure { kind: kind.into(), text }
}

/// The memory of the sandbox that has run a request, which has failed with `error`.
pub fn state(sandbox: Option<&dyn Executor>, error: Option<&Error>) -> Sandbox {
    let of_error = match error {
        Some(Error::Limit(limit @ Limit::Memory { .. })) => Some(limit.clone()),
        _ => None,
    };
    let denied = of_error.or_else(|| sandbox.and_then(Executor::denied_memory));
    Sandbox { memory: sandbox.map_or(0, Executor::peak_memory), denied: denied.as_ref().and_then(self::denied) }
}

fn denied(limit: &Limit) -> Option<Denied> {
    match limit {
        Limit::Memory { used, scope, .. } => Some(Denied { used: used.unwrap_or(0), machine: *scope == Scope::Host }),
        _ => None,
    }
}
