//! A switch for tests and benches that compare the two ways of a bundle: converted column by column, or in a frame.

use std::cell::Cell;

thread_local! {
    static ON: Cell<bool> = const { Cell::new(false) };
}

/// Jobs that `run` starts on this thread send every bundle in a frame, in the modes that have another way too (thread
/// and wasm).
pub fn with_frames_only<R>(run: impl FnOnce() -> R) -> R {
    let before = ON.replace(true);
    let result = run();
    ON.set(before);
    result
}

/// Whether a job that is started now is one of those.
#[cfg(any(feature = "thread", feature = "wasm"))]
pub(crate) fn is_on() -> bool {
    ON.get()
}
