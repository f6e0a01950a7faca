//! Ctrl-C: the first stops measuring, and what there is so far is written; the second ends the program at once.

use std::sync::atomic::{AtomicBool, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Installs the handler.
///
/// # Errors
/// When the system refuses.
pub fn install() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("stopping; what was measured is written (Ctrl-C again: at once, nothing is written)");
    })
}

/// Whether the user wants the measuring to end.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
