//! Configuration and start of the embedded interpreter, without the calls of CPython that end the process when
//! something is missing.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;

use pyo3::ffi;

/// Starts the interpreter on this thread, unless the host process already runs one, and detaches from it.
///
/// The configuration is the isolated one of CPython: no environment variable, no user site directory, no arguments, no
/// signal handler, no buffering of the host's C streams. On top of it: UTF-8 whatever the host's locale is, and no
/// bytecode is written. `program` is where the interpreter's prefix is searched from, so that the packages of that
/// Python can be imported.
///
/// Gives whether it was this that started it.
///
/// # Errors
/// What CPython says. A second try after an error is not possible in one process.
pub(in crate::thread) fn start(program: Option<&CStr>) -> Result<bool, String> {
    // SAFETY: may be called at any time, from any thread.
    if unsafe { ffi::Py_IsInitialized() } != 0 {
        return Ok(false);
    }
    let mut early = MaybeUninit::<ffi::PyPreConfig>::uninit();
    // SAFETY: the first call fills every field of the structure, so that it is a value afterwards; the second only
    // reads it. No interpreter runs yet, and `crate::thread` calls this from one thread only.
    check(unsafe {
        ffi::PyPreConfig_InitIsolatedConfig(early.as_mut_ptr());
        let early = early.assume_init_mut();
        early.utf8_mode = 1;
        ffi::Py_PreInitialize(early)
    })?;
    let mut config = MaybeUninit::<ffi::PyConfig>::uninit();
    // SAFETY: fills every field of the structure, so that it is a value afterwards. Python is pre-initialised.
    let config = unsafe {
        ffi::PyConfig_InitIsolatedConfig(config.as_mut_ptr());
        config.assume_init_mut()
    };
    config.write_bytecode = 0;
    let started = match program {
        // SAFETY: the field belongs to the structure, and CPython copies the string.
        Some(program) => check(unsafe {
            let field = &raw mut config.program_name;
            ffi::PyConfig_SetBytesString(config, field, program.as_ptr())
        }),
        None => Ok(()),
    };
    // SAFETY: a structure that was initialised above; on success this thread holds the interpreter.
    let started = started.and_then(|()| check(unsafe { ffi::Py_InitializeFromConfig(config) }));
    // SAFETY: gives back the strings of the structure, which is not used any more.
    unsafe { ffi::PyConfig_Clear(config) };
    started?;
    // SAFETY: this thread is attached, by the successful start above. Its state stays for when it attaches again.
    unsafe { ffi::PyEval_SaveThread() };
    Ok(true)
}

fn check(status: ffi::PyStatus) -> Result<(), String> {
    // SAFETY: only reads the value that it is given.
    if unsafe { ffi::PyStatus_Exception(status) } == 0 {
        return Ok(());
    }
    if status.err_msg.is_null() {
        return Err(format!("exit code {}", status.exitcode));
    }
    // SAFETY: not null, and CPython's messages are static strings.
    Err(unsafe { CStr::from_ptr(status.err_msg) }.to_string_lossy().into_owned())
}

/// `path` for [`start`].
pub(in crate::thread) fn program(path: &str) -> Option<CString> {
    if path.is_empty() { None } else { CString::new(path).ok() }
}
