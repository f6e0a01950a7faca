//! One executor of a job and how far it has followed the job's bindings.

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
}

impl Slot {
    /// Whether the slot can take another call.
    pub fn is_usable(&self) -> bool {
        !self.broken && self.executor.is_alive()
    }

    /// Sends the BIND request that is next for this harness, and checks that the harness counts as the job does.
    pub fn bind(&mut self, request: &[u8], context: &CallContext<'_>) -> Result<(), Error> {
        let mut handle = -1;
        self.executor.request(request, context, &mut |reply| {
            handle = protocol::read_int(reply)?;
            Ok(())
        })?;
        if handle != self.bound as i64 {
            return Err(Error::internal("the harness answered with a wrong handle"));
        }
        self.bound += 1;
        Ok(())
    }
}
