//! A thread of the host and the interpreter.

use std::cell::Cell;

use pyo3::{Python, ffi};

/// Runs `run` with this thread attached to the interpreter, which must have been started.
///
/// The first time, the thread gets a thread state that it keeps until it ends: making one takes longer than a call.
pub(in crate::thread) fn attached<R>(run: impl for<'py> FnOnce(Python<'py>) -> R) -> R {
    Python::attach(|py| {
        // Fails only while the thread ends; then a passing thread state does.
        let _ = KEPT.try_with(|kept| kept.keep(py));
        run(py)
    })
}

/// The identity of this thread as Python knows it.
pub(in crate::thread) fn thread_id(_py: Python<'_>) -> usize {
    // SAFETY: may be called at any time.
    unsafe { ffi::PyThread_get_thread_ident() as usize }
}

thread_local! {
    static KEPT: Kept = const { Kept { state: Cell::new(None) } };
}

/// One use of this thread's state more than there are calls, so that it outlives them.
struct Kept {
    state: Cell<Option<ffi::PyGILState_STATE>>,
}

impl Kept {
    #[inline]
    fn keep(&self, _py: Python<'_>) {
        if self.state.get().is_none() {
            // SAFETY: the interpreter runs, as the token proves; the release is in `drop`, on the same thread.
            self.state.set(Some(unsafe { ffi::PyGILState_Ensure() }));
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // When the main thread ends, the process does, and waiting for other threads' Python would only delay it.
        if self.state.get().is_none() || is_main_thread() {
            return;
        }
        // SAFETY: the interpreter is never ended, and this thread is not attached: no frame of it is left. The first
        // release undoes the ensure before it, the second the one of `keep`, which was the thread state's last use;
        // that one also detaches.
        unsafe {
            ffi::PyGILState_Ensure();
            ffi::PyGILState_Release(ffi::PyGILState_STATE::PyGILState_LOCKED);
            ffi::PyGILState_Release(ffi::PyGILState_STATE::PyGILState_UNLOCKED);
        }
    }
}

#[cfg(target_os = "linux")]
fn is_main_thread() -> bool {
    // SAFETY: neither has a precondition.
    unsafe { libc::gettid() == libc::getpid() }
}

#[cfg(not(target_os = "linux"))]
fn is_main_thread() -> bool {
    std::thread::current().name() == Some("main")
}
