//! The Python package on disk: the embedded sources, written once into the private cache under the name of their
//! content, and compiled once for each version of Python, because workers write no caches.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::environment;
use super::interpreter::{Interpreter, isolated};
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
