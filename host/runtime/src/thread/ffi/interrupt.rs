//! Asynchronous exceptions: raised in another thread at its next step of Python code.

use std::ffi::c_long;

use pyo3::ffi;
use pyo3::prelude::*;

/// Makes the thread `thread` (see [`super::attach::thread_id`]) raise `exception`, a class.
pub(in crate::thread) fn raise(exception: &Bound<'_, PyAny>, thread: usize) {
    // SAFETY: this thread is attached, as the reference proves. An unknown thread is not an error but a zero.
    unsafe { ffi::PyThreadState_SetAsyncExc(thread as c_long, exception.as_ptr()) };
}

/// Takes back what [`raise`] asked of a thread and what it has not done yet.
pub(in crate::thread) fn forget(_py: Python<'_>, thread: usize) {
    // SAFETY: this thread is attached, as the token proves; null is how the interface spells "none".
    unsafe { ffi::PyThreadState_SetAsyncExc(thread as c_long, std::ptr::null_mut()) };
}
