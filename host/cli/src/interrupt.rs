//! Ctrl-C and termination signals: the first stops the running job and lets the program clean up, the second ends it at
//! once. Temporary files that are registered here are removed in either case.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cloister::Job;

use crate::failure;

static SIGNALLED: AtomicBool = AtomicBool::new(false);
static STATE: Mutex<State> = Mutex::new(State { running: None, temporary: Vec::new() });

struct State {
    /// Stops what is running.
    running: Option<Box<dyn Fn() + Send>>,
    temporary: Vec<PathBuf>,
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs the handler. Without one (the system refuses), signals end the program as they always do.
pub fn install() {
    if let Err(error) = ctrlc::set_handler(on_signal) {
        tracing::debug!("no signal handler: {error}");
    }
}

fn on_signal() {
    let again = SIGNALLED.swap(true, Ordering::SeqCst);
    let state = state();
    match &state.running {
        Some(stop) if !again => stop(),
        // Nothing is running that could be stopped in order, or it does not stop.
        _ => {
            for path in &state.temporary {
                let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
            }
            failure::eprint_line("interrupted");
            std::process::exit(i32::from(failure::INTERRUPTED));
        }
    }
}

/// Whether a signal has come.
pub fn signalled() -> bool {
    flag().load(Ordering::SeqCst)
}

/// Set when a signal has come.
pub fn flag() -> &'static AtomicBool {
    &SIGNALLED
}

/// While the guard lives, the first signal cancels `job`; who runs it looks at [`signalled`].
pub fn while_running(job: &Job) -> RunningGuard {
    let job = job.clone();
    while_stoppable(move || job.cancel())
}

/// While the guard lives, the first signal calls `stop` instead of ending the program.
pub fn while_stoppable(stop: impl Fn() + Send + 'static) -> RunningGuard {
    state().running = Some(Box::new(stop));
    RunningGuard(())
}

/// See [`while_running`].
pub struct RunningGuard(());

impl Drop for RunningGuard {
    fn drop(&mut self) {
        state().running = None;
    }
}

/// While the guard lives, a signal that ends the program at once removes `path`.
pub fn remove_on_signal(path: &Path) -> TemporaryGuard {
    state().temporary.push(path.to_owned());
    TemporaryGuard(path.to_owned())
}

/// See [`remove_on_signal`].
#[derive(Debug)]
pub struct TemporaryGuard(PathBuf);

impl Drop for TemporaryGuard {
    fn drop(&mut self) {
        state().temporary.retain(|path| path != &self.0);
    }
}
