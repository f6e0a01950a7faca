//! Scalar functions of simple types without a frame: the host writes the columns' buffers into the guest's memory, a
//! native loop there (`guest/shim/columns.c`) makes Python objects of them, calls the function and writes the results.
//!
//! `plan` (where everything lies, and what the loop is told), `kind` (how it sees a type), `arguments` (Arrow to
//! buffers), `results` (buffers to Arrow). The meaning is that of the way by frames, which serves all other types; what is not plain is judged and
//! worded by the same harness. Every byte that comes back is hostile: places are checked against the memory, offsets
//! and text by arrow's own checks, numbers against their type.

mod arguments;
mod kind;
mod plan;
mod results;
#[cfg(test)]
mod tests;

use arrow::array::ArrayRef;
use wasmtime::{Memory, Store, TypedFunc};

use super::state::State;
use crate::error::{Error, Limit, Scope};
use crate::function::{Argument, Binding};
use crate::protocol;

use plan::Plan;

/// Scratch memory beyond this is given back after the call.
const KEPT: usize = 1 << 20;

/// Answers of `columns_run`: `enum status` there.
const DONE: u32 = 0;
const SAID: u32 = 1;
const FULL: u32 = 2;
const NO_MEMORY: u32 = 3;

/// What the loop needs of a binding, as the harness gave it: addresses in the guest's memory, which only the guest uses.
type Native = [u32; 10];

/// The column loop of one sandbox.
pub(super) struct Columns {
    run: TypedFunc<u32, u32>,
    release: TypedFunc<(), ()>,
    known: Known,
}

/// What the loop knows of its sandbox's memory: true of every copy of that memory too.
#[derive(Clone)]
pub(super) struct Known {
    /// By the bindings' handles.
    natives: Vec<Option<Native>>,
    /// A block of the guest's, in which plans and columns are put.
    scratch: Option<Block>,
    /// The most bytes of a result.
    reply_limit: usize,
}

impl Known {
    /// Nothing, of a memory in which nothing is bound. `reply_limit`: the most bytes of a result.
    pub fn nothing(reply_limit: usize) -> Known {
        Known { natives: Vec::new(), scratch: None, reply_limit }
    }
}

/// The pointer is the guest's word: that the block lies in its memory is checked at each use.
#[derive(Clone, Copy)]
struct Block {
    pointer: u32,
    capacity: usize,
}

/// What the loop uses of its sandbox.
pub(super) struct Guest<'s> {
    pub store: &'s mut Store<State>,
    pub memory: Memory,
    pub realloc: &'s TypedFunc<(u32, u32, u32, u32), u32>,
    pub free: &'s TypedFunc<u32, ()>,
}

impl Columns {
    pub fn new(run: TypedFunc<u32, u32>, release: TypedFunc<(), ()>, known: Known) -> Columns {
        Columns { run, release, known }
    }

    /// What it knows of its sandbox's memory.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// The plan for a bundle, if its types are ones of this module.
    pub fn plan(&self, binding: &Binding, arguments: &[Argument], rows: usize) -> Option<Plan> {
        Plan::new(binding, arguments, rows, self.known.reply_limit)
    }

    /// Whether the harness has said where this binding's function lies.
    pub fn knows(&self, binding: &Binding) -> bool {
        usize::try_from(binding.handle).is_ok_and(|handle| self.known.natives.get(handle).is_some_and(Option::is_some))
    }

    /// Takes the harness's reply to [`protocol::native`].
    pub fn learn(&mut self, binding: &Binding, reply: &[u8]) -> Result<(), Error> {
        let handle = usize::try_from(binding.handle).map_err(|_| Error::internal("a handle that was not bound"))?;
        if self.known.natives.len() <= handle {
            self.known.natives.resize(handle + 1, None);
        }
        self.known.natives[handle] = Some(protocol::read_native(reply)?);
        Ok(())
    }

    /// Evaluates a bundle whose binding is known. Every outer error means that the instance is dead.
    pub fn evaluate(
        &mut self,
        guest: &mut Guest<'_>,
        binding: &Binding,
        arguments: &[Argument],
        plan: &Plan,
    ) -> wasmtime::Result<Result<ArrayRef, Error>> {
        let native = usize::try_from(binding.handle).ok().and_then(|handle| self.known.natives.get(handle).copied());
        let native = native.flatten().ok_or_else(|| broken("an unknown binding"))?;
        let Some(block) = self.reserve(guest, plan.size)? else {
            return Ok(Err(out_of_memory()));
        };
        let space = space(guest.memory.data_mut(&mut *guest.store), block, plan.size)?;
        plan.write(space, block.pointer, &native, arguments);
        let status = self.run.call(&mut *guest.store, block.pointer)?;
        let memory = guest.memory.data(&*guest.store);
        let space = &memory[block.pointer as usize..][..plan.size];
        let said = plan::said(space, memory)?;
        let large = block.capacity > KEPT || said.bytes.len() > KEPT;
        let outcome = match status {
            DONE => Ok(results::read(plan, space, &said)?),
            SAID => {
                let text = std::str::from_utf8(said.bytes).map_err(|_| broken("an error that is no text"))?;
                Err(protocol::parse_error(text))
            }
            FULL => Err(Error::Limit(Limit::ResultSize { limit: plan.limit as u64, used: u64::from(said.length) })),
            NO_MEMORY => Err(out_of_memory()),
            _ => Err(Error::internal("the harness answered the column loop with something else")),
        };
        if large {
            self.release.call(&mut *guest.store, ())?;
            self.known.scratch = None;
            guest.free.call(&mut *guest.store, block.pointer)?;
        }
        Ok(outcome)
    }

    /// Forgets all bindings, and gives back what is kept between calls.
    pub fn forget(&mut self, guest: &mut Guest<'_>) -> wasmtime::Result<()> {
        self.known.natives.clear();
        self.release.call(&mut *guest.store, ())?;
        match self.known.scratch.take() {
            Some(block) => guest.free.call(&mut *guest.store, block.pointer),
            None => Ok(()),
        }
    }

    /// A block of at least `size` bytes; none when the guest has no memory for it.
    fn reserve(&mut self, guest: &mut Guest<'_>, size: usize) -> wasmtime::Result<Option<Block>> {
        if let Some(block) = self.known.scratch {
            if block.capacity >= size {
                return Ok(Some(block));
            }
            self.known.scratch = None;
            guest.free.call(&mut *guest.store, block.pointer)?;
        }
        let capacity = size.next_power_of_two().max(4096).min(size.max(KEPT));
        let length = u32::try_from(capacity).map_err(|_| broken("a bundle beyond 4 GiB"))?;
        let pointer = guest.realloc.call(&mut *guest.store, (0, 0, plan::ALIGNMENT, length))?;
        if pointer == 0 {
            return Ok(None);
        }
        self.known.scratch = Some(Block { pointer, capacity });
        Ok(self.known.scratch)
    }
}

fn space(memory: &mut [u8], block: Block, size: usize) -> wasmtime::Result<&mut [u8]> {
    let rest = memory.get_mut(block.pointer as usize..);
    rest.and_then(|rest| rest.get_mut(..size)).ok_or_else(|| broken("a block outside of its memory"))
}

/// The guest did what it never does by itself: its memory is corrupted.
fn broken(what: &'static str) -> wasmtime::Error {
    wasmtime::Error::msg(what)
}

/// Python's own `MemoryError`; the job fills in the figures.
fn out_of_memory() -> Error {
    Error::Limit(Limit::Memory { limit: 0, used: None, scope: Scope::Executor })
}
