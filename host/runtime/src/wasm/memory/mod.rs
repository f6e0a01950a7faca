//! The memories of sandboxes, owned by the host: a sandbox starts as a copy-on-write mapping of an image, and any
//! sandbox's memory can become an image for others.
//!
//! `space` (address space and system calls), `pagemap` and `written` (which pages were written to), `image` and `changes`
//! (what a memory starts as), `slot` (one memory's place, reused), and here the hand-over to wasmtime.
//!
//! # What wasmtime asks of a `MemoryCreator`, and how it is met
//!
//! 1. *Reserve `reserved_size_in_bytes`, and leave `guard_size_in_bytes` behind it unmapped; compiled code elides its
//!    bounds checks on that ground.* Every slot reserves [`ROOM`] bytes and [`GUARD`] bytes before and behind it
//!    (`Slot::new`); `settings` tells wasmtime the same two constants, and [`Memories::new_memory`] refuses anything
//!    larger. No method of `Space` can map a byte of the guards. A 32-bit address and a 32-bit offset reach at most
//!    8 GiB: wasmtime checks what the reservation and the guard do not cover.
//! 2. *Memory is zero-filled, or holds what the caller of instantiation wants it to start as.* wasmtime wants zeros
//!    because it writes the module's data segments itself; our module has none (`split` takes them out, and they become
//!    the base image). A memory that no image is meant for (the one that is polled) is zeros.
//! 3. *`minimum` bytes are accessible from the start.* An image smaller than `minimum` is refused.
//! 4. *The base pointer never moves; `byte_size` bytes from it are accessible until the memory is dropped.* A slot's
//!    address space is reserved once; `grow_to` only adds mappings behind the end, and nothing shrinks a live memory.
//! 5. *`byte_capacity` bounds growth without a move.* It is [`ROOM`]; `grow_to` refuses more.
//! 6. *The memory is owned by wasmtime; nobody else modifies it.* The slot is inside of the `LinearMemory`: it comes
//!    back to us only when wasmtime drops that. The host reads and writes a memory through `wasmtime::Memory` alone. What
//!    `Polled` does to a memory of zeros is to take the access to it away and to give it back: the host never reads it,
//!    and the guest's reads then trap as they do outside of a memory.
//! 7. *Send and Sync.* A slot is plain addresses; the list of idle ones is behind a lock.

mod changes;
mod image;
mod pagemap;
mod polled;
mod slot;
mod space;
#[cfg(test)]
mod tests;
mod written;

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use super::settings::{self, GUARD, ROOM};
use crate::Error;

pub use image::{Base, Image, NoImage};
pub use polled::Polled;
use slot::Slot;
pub use written::Written;

/// The size of a page of WebAssembly.
pub const WASM_PAGE: usize = 64 << 10;

/// Idle slots of the base image, and of any other, whose pages stay in memory, ready for the next tenant.
const WARM_SLOTS: usize = 64;
const WARM_SLOTS_OF_AN_IMAGE: usize = 4;

thread_local! {
    /// The slot for the memory that is created next on this thread, and what it reads as.
    static PREPARED: RefCell<Option<(Slot, Arc<Image>)>> = const { RefCell::new(None) };
}

/// Makes memories for wasmtime, and keeps the slots of those that have gone.
#[derive(Debug, Default)]
pub struct Memories {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Idle slots of zeros. Those with an image are the image's.
    zeros: Mutex<Vec<Slot>>,
    live: AtomicU32,
}

/// One of the process's sandboxes, counted while it lives.
#[derive(Debug)]
pub struct Ticket(Arc<Shared>);

impl Memories {
    /// Runs `instantiate`, whose first memory starts as `image`.
    ///
    /// # Errors
    /// [`Limit::Executors`](crate::Limit::Executors) when there are as many as may be; [`Error::Missing`] when the
    /// system has no more address space or mappings.
    pub fn starting<R>(&self, image: &Arc<Image>, instantiate: impl FnOnce() -> R) -> Result<(R, Ticket), Error> {
        let ticket = self.ticket()?;
        let slot = slot_of(image).map_err(|error| no_memory(&error, &self.shared))?;
        PREPARED.set(Some((slot, image.clone())));
        let _taken_back = Prepared;
        Ok((instantiate(), ticket))
    }

    /// Makes a slot ready for the next sandbox that starts from `image`.
    pub fn prepare(&self, image: &Arc<Image>) -> io::Result<()> {
        let slot = slot_of(image)?;
        image.idle().push(slot);
        Ok(())
    }

    fn ticket(&self) -> Result<Ticket, Error> {
        let ticket = Ticket(self.shared.clone());
        if ticket.0.live.fetch_add(1, Ordering::Relaxed) >= settings::SANDBOXES {
            return Err(settings::too_many());
        }
        Ok(ticket)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes back what was not used when it is dropped.
struct Prepared;

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some((slot, image)) = PREPARED.take() {
            give_back(slot, &image);
        }
    }
}

/// A clean slot that reads as `image`.
fn slot_of(image: &Arc<Image>) -> io::Result<Slot> {
    let idle = image.idle().pop();
    if let Some(slot) = idle {
        return Ok(slot);
    }
    if let Some(root) = image.root() {
        let mut slot = slot_of(root)?;
        slot.apply(image)?;
        return Ok(slot);
    }
    let mut slot = Slot::new()?;
    slot.fill(image)?;
    Ok(slot)
}

/// Cleans the slot of a tenant that started from `image`, and keeps it. One that cannot be cleaned is dropped, and its
/// memory with it.
fn give_back(mut slot: Slot, image: &Arc<Image>) {
    let keeps = |image: &Image, most| image.idle().len() < most;
    let (image, warm) = match image.root() {
        None => (image, keeps(image, WARM_SLOTS)),
        // An image that nobody else holds starts no sandbox any more.
        Some(_) if Arc::strong_count(image) > 1 && keeps(image, WARM_SLOTS_OF_AN_IMAGE) => (image, true),
        Some(root) => (root, image.is_copied() && keeps(root, WARM_SLOTS)),
    };
    match slot.reset(image, warm) {
        Ok(()) => image.idle().push(slot),
        Err(error) => tracing::warn!("a sandbox's memory is not used again: {error}"),
    }
}

impl Drop for Image {
    /// Its slots become the base's, where that takes no mapping.
    fn drop(&mut self) {
        let Some(root) = self.root().filter(|_| self.is_copied()) else { return };
        for mut slot in std::mem::take(&mut *self.idle()) {
            if root.idle().len() < WARM_SLOTS && slot.take_back(self).is_ok() {
                root.idle().push(slot);
            }
        }
    }
}

impl Shared {
    fn zero_slot(&self, length: usize) -> io::Result<Slot> {
        let idle = lock(&self.zeros).pop();
        let mut slot = idle.map_or_else(Slot::new, Ok)?;
        slot.fill_with_zeros(length)?;
        Ok(slot)
    }

    fn give_back_zeros(&self, mut slot: Slot) {
        match slot.clear() {
            Ok(()) => lock(&self.zeros).push(slot),
            Err(error) => tracing::warn!("what a sandbox polled is not used again: {error}"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error for a system that has no room for another memory.
fn no_memory(error: &io::Error, shared: &Shared) -> Error {
    let live = shared.live.load(Ordering::Relaxed).saturating_sub(1);
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    Error::missing(
        format!(
            "no memory for another sandbox beside {live}: {error}. Each takes address space and at least 5 mappings of \
             memory, of which this system allows a process {}",
            if limit.is_empty() { "a limited number" } else { limit.trim() },
        ),
        "allow more mappings (`sysctl -w vm.max_map_count=262144`) and address space (`ulimit -v unlimited`)",
    )
}

// SAFETY: the module's documentation goes through the contract point by point.
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _type: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved_size: Option<usize>,
        guard_size: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        if reserved_size.is_none_or(|size| size > ROOM) || guard_size > GUARD || minimum > ROOM {
            return Err("a memory larger than a slot".into());
        }
        let (slot, image) = match PREPARED.take() {
            Some((slot, image)) => (slot, Some(image)),
            None => (self.shared.zero_slot(minimum).map_err(|error| error.to_string())?, None),
        };
        let memory = Linear { slot: Some(slot), image, shared: self.shared.clone() };
        if memory.byte_size() < minimum {
            return Err("an image smaller than the module's memory".into());
        }
        Ok(Box::new(memory))
    }
}

/// A memory of a live instance.
struct Linear {
    /// `None` only while it is dropped.
    slot: Option<Slot>,
    /// What it started as; `None`: as zeros.
    image: Option<Arc<Image>>,
    shared: Arc<Shared>,
}

// SAFETY: see the module's documentation.
unsafe impl LinearMemory for Linear {
    fn byte_size(&self) -> usize {
        self.slot.as_ref().map_or(0, Slot::length)
    }

    fn byte_capacity(&self) -> usize {
        ROOM
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        let slot = self.slot.as_mut().ok_or_else(|| wasmtime::Error::msg("a memory that is gone"))?;
        if new_size > ROOM {
            return Err(wasmtime::Error::msg("a memory beyond its room"));
        }
        slot.grow(new_size).map_err(wasmtime::Error::new)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.slot.as_ref().map_or(std::ptr::null_mut(), |slot| slot.start().as_ptr())
    }
}

impl Drop for Linear {
    fn drop(&mut self) {
        match (self.slot.take(), &self.image) {
            (Some(slot), Some(image)) => give_back(slot, image),
            (Some(slot), None) => self.shared.give_back_zeros(slot),
            (None, _) => {}
        }
    }
}
