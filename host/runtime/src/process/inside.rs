//! What the host knows of the sandbox in a sandbox worker: what it may have, how long a request to it may take, and what
//! its worker says of it. Knows nothing of the worker's process and stream.

use std::time::{Duration, Instant};

use cloister_proto::v1::{Failure, Sandbox};

use super::failure;
use super::program::SandboxTerms;
use crate::error::{Limit, Scope};
use crate::executor::CallContext;

pub use super::failure::Ended;

/// How long a worker may take beyond a call's deadline to say that it has ended its sandbox. A machine that is busy with
/// other things may take as long to run it at all; what takes longer is ended with the worker.
const GRACE: Duration = Duration::from_millis(250);

/// What a worker may have of data beside its sandbox, for each byte of that: a request on its way in and a reply on its
/// way out are no larger than the sandbox, and each is there up to twice while a buffer grows.
const BESIDE_SANDBOX: u64 = 4;

/// And for its stacks and its allocator.
const BESIDE: u64 = 128 << 20;

/// The sandbox of one worker.
pub struct Inside {
    terms: SandboxTerms,
    peak: u64,
    denied: Option<Limit>,
    /// Whether it is gone and its worker waits for a request that begins another one.
    gone: bool,
}

impl Inside {
    /// One of which nothing is known yet.
    pub fn new(terms: &SandboxTerms) -> Inside {
        Inside { terms: terms.clone(), peak: 0, denied: None, gone: false }
    }

    /// Whether a worker with the image of this name is of the same build.
    pub fn has_image(&self, name: &str) -> bool {
        name == self.terms.image
    }

    /// Bytes of data that its worker may have, beside what it held before.
    pub fn data(&self) -> u64 {
        self.terms.memory.saturating_mul(1 + BESIDE_SANDBOX).saturating_add(BESIDE)
    }

    /// Refuses a request that it cannot hold: it would not even fit into the worker.
    pub fn admit(&self, request: &[u8]) -> Result<(), Limit> {
        let (limit, used) = (self.terms.memory, request.len() as u64);
        if used > limit { Err(Limit::Memory { limit, used: Some(used), scope: Scope::Executor }) } else { Ok(()) }
    }

    /// For a call: until when the host waits for its worker, and the nanoseconds that the worker is told.
    pub fn patience(context: &CallContext<'_>) -> (Option<(Instant, Duration)>, u64) {
        let Some((at, limit)) = context.deadline else { return (None, 0) };
        let left = at.saturating_duration_since(Instant::now()).as_nanos();
        // A deadline beyond what the clock can hold is none.
        (at.checked_add(GRACE).map(|at| (at, limit)), u64::try_from(left).unwrap_or(u64::MAX).max(1))
    }

    /// Takes what came with a reply; whether the sandbox can take another request.
    pub fn lives_after(&mut self, state: &Sandbox) -> bool {
        self.peak = self.peak.max(failure::peak(state, &self.terms));
        self.denied = failure::denied(state, &self.terms);
        self.gone = self.denied.is_some();
        !self.gone
    }

    /// Takes what came instead of a reply.
    ///
    /// # Errors
    /// How the worker broke the protocol.
    pub fn ended(
        &mut self,
        failure: &Failure,
        state: &Sandbox,
        context: &CallContext<'_>,
    ) -> Result<Ended, &'static str> {
        let ended = failure::read(failure, state, &self.terms, context)?;
        self.lives_after(state);
        self.gone = ended.orderly;
        Ok(ended)
    }

    /// Whether it is gone, and nothing worse has happened.
    #[cfg(feature = "wasm")]
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Another sandbox takes its place.
    #[cfg(feature = "wasm")]
    pub fn begin_again(&mut self) {
        (self.peak, self.denied, self.gone) = (0, None, false);
    }

    /// The most memory that it has held, in bytes.
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// The limit because of which memory was denied to it.
    pub fn denied(&self) -> Option<Limit> {
        self.denied.clone()
    }
}
