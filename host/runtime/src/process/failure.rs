//! What a sandbox worker says instead of a reply, as the error that the job's caller gets, and what it says of its
//! sandbox's memory. The worker may say anything: kinds are checked, texts are capped and escaped, sizes are bounded, and
//! what the host knows itself (the limits, whether a deadline has passed) is not taken from it.

use cloister_proto::v1::failure::Kind;
use cloister_proto::v1::{Denied, Failure, Sandbox};

use super::program::SandboxTerms;
use crate::error::{Scope, clean};
use crate::executor::CallContext;
use crate::{Error, ExecutionMode, Limit};

/// Cap on a text, in bytes.
const TEXT_CAP: usize = 4 << 10;

/// The most memory that a sandbox can ask for, in bytes: what 32 bits can say.
const MOST_MEMORY: u64 = 4 << 30;

/// What a failure means to the caller of the request that it answers, and whether the worker has lost no more than its
/// sandbox.
#[derive(Debug)]
pub struct Ended {
    pub error: Error,
    pub orderly: bool,
}

/// Reads the failure that answers a request made in `context`.
///
/// # Errors
/// How the worker broke the protocol.
pub fn read(
    failure: &Failure,
    state: &Sandbox,
    terms: &SandboxTerms,
    context: &CallContext<'_>,
) -> Result<Ended, &'static str> {
    let text = || clean(&failure.text, TEXT_CAP);
    let ended = |error: Error, orderly| Ok(Ended { error, orderly });
    match failure.kind() {
        Kind::Died => ended(Error::ExecutorDied { mode: ExecutionMode::Wasm, reason: text() }, false),
        Kind::Stack => ended(Limit::Stack { limit: terms.stack }.into(), true),
        Kind::Memory => match denied(state, terms) {
            Some(limit) => ended(limit.into(), true),
            None => Err("it was denied memory and does not say which"),
        },
        Kind::Deadline => match context.interruption() {
            Some(error) => ended(error, true),
            None => Err("it named a deadline that has not passed"),
        },
        Kind::Missing => {
            let text = text();
            let (what, mend) = text.split_once('\n').unwrap_or((&text, ""));
            ended(Error::missing(what, mend), false)
        }
        Kind::Internal => ended(Error::internal(format!("in a sandbox worker: {}", text())), false),
        Kind::Unspecified => Err("it failed in an unknown way"),
    }
}

/// The limit because of which memory was denied to the sandbox.
pub fn denied(state: &Sandbox, terms: &SandboxTerms) -> Option<Limit> {
    state.denied.map(|Denied { used, machine }| match machine {
        true => Limit::Memory { limit: 0, used: None, scope: Scope::Host },
        false => {
            let used = Some(used.min(MOST_MEMORY)).filter(|used| *used > 0);
            Limit::Memory { limit: terms.memory, used, scope: Scope::Executor }
        }
    })
}

/// The most memory that the sandbox has held, as far as that can be.
pub fn peak(state: &Sandbox, terms: &SandboxTerms) -> u64 {
    state.memory.min(terms.memory)
}

/// See [`crate::fuzzing::worker`].
pub fn fuzz(failure: &Failure, state: &Sandbox) {
    let terms = SandboxTerms { memory: 1 << 20, stack: 1 << 20, log: 0, image: "" };
    let account = crate::account::Account::of_tenant("none", &crate::TenantLimits::default());
    let context = CallContext { deadline: None, cancelled: &Default::default(), token: None, account: &account };
    if let Ok(Ended { error, orderly }) = read(failure, state, &terms, &context) {
        assert!(!matches!(error, Error::User(_) | Error::Limit(Limit::Deadline { .. }) | Error::Cancelled));
        assert_eq!(orderly, matches!(error, Error::Limit(_)));
        // Escaping makes a character up to ten times as long.
        assert!(error.to_string().len() <= TEXT_CAP + 200);
    }
    assert!(peak(state, &terms) <= terms.memory);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::TenantLimits;
    use crate::account::Account;

    const TERMS: SandboxTerms = SandboxTerms { memory: 100, stack: 200, log: 0, image: "" };

    fn error(kind: i32, text: &str, state: Sandbox, deadline: Option<Instant>) -> Result<Ended, &'static str> {
        let account = Account::of_tenant("t", &TenantLimits::default());
        let deadline = deadline.map(|at| (at, Duration::from_secs(1)));
        let context = CallContext { deadline, cancelled: &Default::default(), token: None, account: &account };
        read(&Failure { kind, text: text.into() }, &state, &TERMS, &context)
    }

    #[test]
    fn limits_are_the_hosts_own_and_texts_are_capped_and_escaped() {
        let said = error(Kind::Stack as i32, "99", Sandbox::default(), None).expect("a stack that is exhausted");
        assert!(said.orderly && matches!(said.error, Error::Limit(Limit::Stack { limit: 200 })));
        let denied = Some(Denied { used: u64::MAX, machine: false });
        let said = error(Kind::Memory as i32, "", Sandbox { memory: 0, denied }, None).expect("memory that was denied");
        let Error::Limit(limit) = said.error else { panic!("{said:?}") };
        assert_eq!(limit, Limit::Memory { limit: 100, used: Some(MOST_MEMORY), scope: Scope::Executor });
        let long = format!("\u{1b}[2J{}", "x".repeat(1 << 20));
        let said = error(Kind::Died as i32, &long, Sandbox::default(), None).expect("a death");
        let Error::ExecutorDied { mode: ExecutionMode::Wasm, reason } = &said.error else { panic!("{said:?}") };
        assert!(!said.orderly && reason.starts_with("\\u{1b}[2Jx") && reason.len() < TEXT_CAP + 10);
    }

    #[test]
    fn a_deadline_must_have_passed_and_unknown_kinds_break_the_protocol() {
        let now = Instant::now();
        let said = error(Kind::Deadline as i32, "", Sandbox::default(), Some(now)).expect("it has passed");
        assert!(said.orderly && matches!(said.error, Error::Limit(Limit::Deadline { .. })));
        for deadline in [None, now.checked_add(Duration::from_secs(1_000))] {
            assert!(error(Kind::Deadline as i32, "", Sandbox::default(), deadline).is_err());
        }
        assert!(error(Kind::Memory as i32, "", Sandbox::default(), None).is_err());
        assert!(error(0, "", Sandbox::default(), None).is_err());
        assert!(error(77, "", Sandbox::default(), None).is_err());
    }
}
