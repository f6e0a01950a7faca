//! The stack that guest code runs on: one for each thread that makes calls, made at its first call and kept.
//!
//! The thread's own stack is as large as the embedder made it, often 2 MiB, and what is left of it is not known. A
//! stack of our own is as large as deep recursion in the interpreter needs; only what is used of it takes memory.

use std::cell::Cell;

use corosensei::stack::DefaultStack;

use super::settings;
use crate::Error;

thread_local! {
    static KEPT: Cell<Option<DefaultStack>> = const { Cell::new(None) };
}

/// Runs `run` on this thread's stack for guests. A panic of `run` goes on in the caller.
///
/// # Errors
/// [`Error::Internal`] when there is no memory for a stack; `run` has not run then.
pub fn with<R>(run: impl FnOnce() -> R) -> Result<R, Error> {
    // Taken out, so that a call within a call gets another one.
    let mut stack = match KEPT.take() {
        Some(stack) => stack,
        None => DefaultStack::new(settings::NATIVE_STACK)
            .map_err(|error| Error::internal(format!("no memory for a stack: {error}")))?,
    };
    let result = corosensei::on_stack(&mut stack, run);
    KEPT.set(Some(stack));
    Ok(result)
}

/// Gives the thread's stack back to the system: after a call that may have used much of it.
pub fn release() {
    KEPT.take();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> usize {
        let local = 0_u8;
        std::hint::black_box(&raw const local) as usize
    }

    #[test]
    fn a_thread_keeps_its_stack_and_a_call_within_a_call_has_another() {
        let (outer, inner) = with(|| (place(), with(place).expect("a stack"))).expect("a stack");
        let distance = |a: usize, b: usize| a.abs_diff(b);
        assert!(distance(outer, inner) > settings::NATIVE_STACK / 2, "two stacks");
        assert!(distance(outer, place()) > settings::NATIVE_STACK / 2, "not the thread's own");
        let again = with(place).expect("a stack");
        assert!(distance(outer, again) < 4096 || distance(inner, again) < 4096, "one of them was kept");
        release();
    }

    #[test]
    fn a_panic_goes_on_in_the_caller() {
        let panic = std::panic::catch_unwind(|| with::<()>(|| panic!("oh")));
        assert_eq!(panic.expect_err("the panic").downcast_ref::<&str>(), Some(&"oh"));
        assert_eq!(with(|| 1).expect("a stack"), 1);
    }
}
