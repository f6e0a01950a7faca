//! The Python package on disk: the embedded sources, written once into the private cache under the name of their
//! content, and compiled once for each version of Python, because workers write no caches; and how a worker is started
//! with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::environment;
use super::interpreter::{Interpreter, isolated};
use super::program::Program;
use crate::{Error, cache};

/// The directory above the package, complete and compiled for `interpreter`.
///
/// # Errors
/// [`Error::Missing`] when the cache cannot be used.
pub fn directory(interpreter: &Interpreter) -> Result<PathBuf, Error> {
    let folder = cache::private_directory(environment::FOLDER)?;
    let place = folder.join(format!("guest-{}", &cloister_guest::SOURCES_SHA256[..16]));
    if !place.exists() {
        write(&folder, &place).map_err(|error| {
            Error::missing(
                format!("the Python package cannot be written to the cache: {error}"),
                format!("make room on the disk, or set {} to another place", cache::CACHE_VARIABLE),
            )
        })?;
    }
    compile(interpreter, &place);
    Ok(place)
}

/// A worker of `interpreter` with the package, whose code can read `paths` as well.
///
/// # Errors
/// [`Error::Missing`] when the cache cannot be used.
pub fn program(interpreter: &Interpreter, paths: &[PathBuf]) -> Result<Program, Error> {
    let place = directory(interpreter)?;
    let Some(argument) = place.to_str() else {
        return Err(Error::missing(
            "the cache directory has a name that is not UTF-8",
            format!("set {} to another place", cache::CACHE_VARIABLE),
        ));
    };
    const MAIN: &str = "import sys; sys.path.insert(0, sys.argv.pop(1)); from cloister.worker import main; main()";
    // -I: nothing of the host's Python settings, user packages or working directory. -B: writes no caches.
    let arguments = ["-I", "-B", "-X", "utf8", "-c", MAIN, argument];
    Ok(Program {
        name: "interpreter",
        executable: interpreter.executable.clone(),
        arguments: arguments.map(str::to_owned).to_vec(),
        environment: vec![("LANG", "C.UTF-8".into())],
        reads: std::iter::once(&place).chain(paths).chain(&interpreter.reads).cloned().collect(),
        reads_system: true,
        runs: interpreter.runs.clone(),
        mend_missing: "give the path of a Python interpreter (CPython 3.9 or later)".into(),
        mend_silent: format!("see what this says: {} -I -c 'import grpc'", interpreter.executable.display()),
        sandbox: None,
    })
}

/// Writes all files elsewhere and renames: what has the name is complete.
fn write(folder: &Path, place: &Path) -> io::Result<()> {
    let new = tempfile::Builder::new().prefix("guest-new-").tempdir_in(folder)?;
    for (name, text) in cloister_guest::PYTHON_SOURCES {
        let path = new.path().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    match fs::rename(new.path(), place) {
        // Another process was quicker.
        Err(_) if place.exists() => Ok(()),
        other => other,
    }
}

/// Compiles the package for this Python. A worker starts without it too, only slower.
fn compile(interpreter: &Interpreter, place: &Path) {
    let Some(tag) = &interpreter.cache_tag else { return };
    if place.join(format!("cloister/__pycache__/worker.{tag}.pyc")).exists() {
        return;
    }
    // Never checked against the sources: both lie under the name of the sources' content.
    let arguments = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"];
    let mut command = isolated(&interpreter.executable, &arguments);
    match command.arg(place.join("cloister")).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => tracing::debug!("the package does not compile: {}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => tracing::debug!("the package does not compile: {error}"),
    }
}
