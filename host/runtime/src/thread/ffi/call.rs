//! One fast call after another of the same function, with positional arguments.

use pyo3::ffi;
use pyo3::prelude::*;

/// The most arguments.
pub(in crate::thread) const MOST: usize = 8;

/// A function and the arguments of its next call. Owns the references to them.
pub(in crate::thread) struct Call<'a, 'py> {
    function: &'a Bound<'py, PyAny>,
    /// The arguments follow a slot that the called function may use for itself.
    slots: [*mut ffi::PyObject; MOST + 1],
    arity: usize,
}

impl<'a, 'py> Call<'a, 'py> {
    /// Calls of `function` with `arguments`; none if there are more than [`MOST`].
    pub(in crate::thread) fn new(function: &'a Bound<'py, PyAny>, arguments: Vec<Bound<'py, PyAny>>) -> Option<Self> {
        if arguments.len() > MOST {
            return None;
        }
        let mut call = Call { function, slots: [std::ptr::null_mut(); MOST + 1], arity: arguments.len() };
        for (slot, argument) in call.slots[1..].iter_mut().zip(arguments) {
            *slot = argument.into_ptr();
        }
        Some(call)
    }

    /// Replaces the argument at `position`.
    ///
    /// # Panics
    /// When there is no such argument.
    #[inline]
    pub(in crate::thread) fn set(&mut self, position: usize, argument: Bound<'py, PyAny>) {
        let slot = &mut self.slots[1..=self.arity][position];
        let previous = std::mem::replace(slot, argument.into_ptr());
        // SAFETY: the slot owned that reference, and holds another one now. This thread is attached for `'py`.
        unsafe { ffi::Py_DECREF(previous) };
    }

    /// Calls the function; none if it raised, and then the exception is set.
    #[inline]
    pub(in crate::thread) fn run(&mut self) -> Option<Bound<'py, PyAny>> {
        let arguments = self.slots.as_mut_ptr();
        // SAFETY: this thread is attached for `'py`. `arity` slots after the first hold references that live through
        // the call, and the slot before them may be written to, which the flag allows the function to do. It gives a
        // new reference, or null and an exception.
        unsafe {
            let result = ffi::PyObject_Vectorcall(
                self.function.as_ptr(),
                arguments.add(1),
                self.arity | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET,
                std::ptr::null_mut(),
            );
            Bound::from_owned_ptr_or_opt(self.function.py(), result)
        }
    }
}

impl Drop for Call<'_, '_> {
    fn drop(&mut self) {
        for slot in &self.slots[1..=self.arity] {
            // SAFETY: the slot owns that reference, and is not used any more. This thread is attached for `'py`.
            unsafe { ffi::Py_DECREF(*slot) };
        }
    }
}
