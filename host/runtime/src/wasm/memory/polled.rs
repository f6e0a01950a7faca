//! The memory that a sandbox's code polls: while it can be read the code goes on.

use std::io;
use std::ptr::NonNull;

use super::{WASM_PAGE, space};

/// The place of such a memory: one wasm page of zeros, which nobody writes to.
#[derive(Debug, Clone, Copy)]
pub struct Polled(NonNull<u8>);

// SAFETY: the address is only used to change the protection of what lies there, which any thread may do.
unsafe impl Send for Polled {}

const _: () = assert!(cloister_guest::FLAG_BYTES <= WASM_PAGE, "a page holds all that is polled");

impl Polled {
    /// The memory of `length` bytes at `start`; `None` if it is no page.
    ///
    /// # Safety
    /// It must be the whole memory of a slot of zeros, be there for as long as the value and its copies are used, and be
    /// read by nothing but code whose faults wasmtime turns into traps.
    pub unsafe fn of(start: *mut u8, length: usize) -> Option<Polled> {
        NonNull::new(start).filter(|_| length == WASM_PAGE).map(Polled)
    }

    /// Lets the code go on, or makes its next poll a trap.
    ///
    /// # Errors
    /// When the kernel has no memory for it; the access is then as it was.
    pub fn set_readable(self, readable: bool) -> io::Result<()> {
        // SAFETY: the range is a mapping of its own between guards, of a live memory, by the promise of `of`'s caller.
        unsafe { space::protect(self.0, WASM_PAGE, readable) }
    }
}
