//! How the program ends when it does not succeed: which exit code, which line on stderr. Must never print a panic
//! message or a backtrace.

use std::fmt;
use std::io;

/// Success.
pub const OK: u8 = 0;
/// The work failed: the user's code raised, a limit was hit, a file cannot be read, the environment lacks something.
pub const FAILED: u8 = 1;
/// The command line asks for something that does not exist or does not fit.
pub const USAGE: u8 = 2;
/// Stopped by a signal (128 + SIGINT).
pub const INTERRUPTED: u8 = 130;

/// A mistake in what was asked for; the message says what to ask for instead.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An [`anyhow::Error`] that ends the program with [`USAGE`].
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// Ctrl-C or a termination signal.
#[derive(Debug)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// The exit code for `error`; prints its message to stderr, if there is one to print.
pub fn report(error: &anyhow::Error) -> u8 {
    if error.chain().any(is_closed_pipe) {
        // Who read our output has seen enough: `cloister run … | head`.
        return OK;
    }
    if error.is::<Interrupted>() {
        eprint_line("interrupted");
        return INTERRUPTED;
    }
    eprint_line(format!("error: {error:#}").trim_end());
    let usage = error.is::<Usage>()
        || error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<cloister::Error>())
            .any(|cause| matches!(cause, cloister::Error::Call(_) | cloister::Error::Refused { .. }));
    if usage { USAGE } else { FAILED }
}

fn is_closed_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Writes a line to stderr; `eprintln!` would panic when stderr is closed.
pub fn eprint_line(line: &str) {
    use io::Write as _;
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Makes a panic of the program one line that asks for a report, in place of Rust's message and backtrace.
pub fn tame_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
        tracing::debug!("panic{place}: {:?}", panic.payload().downcast_ref::<&str>());
    }));
}
