//! One executor of a job and how far it has followed the job's bindings.

use std::sync::Arc;

use super::copy::Origin;
use crate::Error;
use crate::account::{ExecutorCharge, MemoryCharge};
use crate::executor::{CallContext, Executor};
use crate::protocol;

/// An executor and how far it has followed the job.
pub(super) struct Slot {
    /// First, so that it is gone when what it used is given back.
    pub executor: Box<dyn Executor>,
    pub _place: ExecutorCharge,
    pub _memory: MemoryCharge,
    pub bound: usize,
    /// Whether the harness has answered nonsense: the job's code may have tampered with it.
    pub broken: bool,
    /// The request buffer, kept between calls.
    pub buffer: Vec<u8>,
    /// Whether it is as starting left it, for all that was bound: no function has been called, no binding failed.
    pub pristine: bool,
    /// A copy of the harness as it is now.
    pub copied: Option<Arc<Origin>>,
}

impl Slot {
    pub fn new(executor: Box<dyn Executor>, place: ExecutorCharge, memory: MemoryCharge, bound: usize) -> Slot {
        Slot {
            executor,
            _place: place,
            _memory: memory,
            bound,
            broken: false,
            buffer: Vec::new(),
            pristine: true,
            copied: None,
        }
    }

    /// Whether the slot can take another call.
    pub fn is_usable(&self) -> bool {
        !self.broken && self.executor.is_alive()
    }

    /// Sends the BIND request that is next for this harness, and checks that the harness counts as the job does.
    pub fn bind(&mut self, request: &[u8], context: &CallContext<'_>) -> Result<(), Error> {
        // Binding may run the user's `open()`: a harness where that fails is not like others any more.
        let pristine = std::mem::replace(&mut self.pristine, false);
        self.copied = None;
        let mut handle = -1;
        self.executor.request(request, context, &mut |reply| {
            handle = protocol::read_int(reply)?;
            Ok(())
        })?;
        if handle != self.bound as i64 {
            return Err(Error::internal("the harness answered with a wrong handle"));
        }
        self.bound += 1;
        self.pristine = pristine;
        Ok(())
    }
}
