//! Managed virtual environments in the private cache: one with grpcio for jobs that name no interpreter, and one for
//! each set of requirements. Each is made once, under a lock, by `venv` and `pip`, and never changed afterwards.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Output;

use sha2::{Digest, Sha256};

use super::interpreter::{Interpreter, isolated, last_lines};
use crate::error::clean;
use crate::{Error, cache};

/// The folder of process mode in the cache.
pub const FOLDER: &str = "process";

/// What a worker needs beside the standard library.
const GRPCIO: &str = "grpcio>=1.60";

/// Changes when environments are made in another way, so that old ones are not used.
const RECIPE: &str = "2";

/// Written last, into the environment: it is complete, and this is its interpreter.
const READY: &str = "cloister.json";

/// The interpreter for jobs that name none.
///
/// # Errors
/// [`Error::Missing`] when Python, its venv module or the network is not there, with what mends it.
pub fn managed(progress: &dyn Fn(&str)) -> Result<Interpreter, Error> {
    let base = Interpreter::system()?;
    ensure(&folder_of(&base, None)?, &base, None, progress)
}

/// Where the environment for jobs that name no interpreter is, or will be, and its interpreter if it is there.
pub fn managed_place(base: &Interpreter) -> Result<(PathBuf, Option<Interpreter>), Error> {
    let place = folder_of(base, None)?;
    let ready = read_ready(&place);
    Ok((place, ready))
}

/// An environment with grpcio and what the file `requirements` names (in pip's format), made once for each content of
/// the file and version of Python. Gives the path of its interpreter, for [`JobOptions::interpreter`].
///
/// # Errors
/// [`Error::Missing`] when the file cannot be read, Python or its venv module is not there, or pip fails.
///
/// [`JobOptions::interpreter`]: crate::JobOptions::interpreter
pub fn install_requirements(requirements: &Path, progress: &dyn Fn(&str)) -> Result<PathBuf, Error> {
    let content = fs::read(requirements).map_err(|error| {
        Error::missing(
            format!("the requirements file {} cannot be read: {error}", requirements.display()),
            "give the path of a file in pip's requirements format",
        )
    })?;
    let base = Interpreter::system()?;
    let place = folder_of(&base, Some(&content))?;
    ensure(&place, &base, Some(requirements), progress).map(|interpreter| interpreter.executable)
}

/// The place of an environment: named by all that decides what is in it.
fn folder_of(base: &Interpreter, requirements: Option<&[u8]>) -> Result<PathBuf, Error> {
    let mut hash = Sha256::new();
    for part in [RECIPE.as_bytes(), base.executable.as_os_str().as_encoded_bytes(), base.version_text().as_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    if let Some(content) = requirements {
        hash.update(content);
    }
    let key: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let kind = if requirements.is_some() { "requirements" } else { "environment" };
    Ok(cache::private_directory(FOLDER)?.join(format!("{kind}-{key}")))
}

fn read_ready(place: &Path) -> Option<Interpreter> {
    let interpreter: Interpreter = serde_json::from_slice(&fs::read(place.join(READY)).ok()?).ok()?;
    // The Python that it was made from may be gone: the environment only links to it.
    interpreter.executable.exists().then_some(interpreter)
}

/// The interpreter of the environment at `place`, which is made if it is not there.
fn ensure(
    place: &Path,
    base: &Interpreter,
    requirements: Option<&Path>,
    progress: &dyn Fn(&str),
) -> Result<Interpreter, Error> {
    if let Some(interpreter) = read_ready(place) {
        return Ok(interpreter);
    }
    let _lock = lock(place, progress)?;
    // Another process may have made it meanwhile.
    if let Some(interpreter) = read_ready(place) {
        return Ok(interpreter);
    }
    let made = make(place, base, requirements, progress);
    if made.is_err() {
        let _ = fs::remove_dir_all(place);
    }
    made
}

/// One process at a time makes the environment at `place`.
fn lock(place: &Path, progress: &dyn Fn(&str)) -> Result<File, Error> {
    let path = place.with_extension("lock");
    let fail = |error: std::io::Error| unusable(&path, &error);
    let file = File::create(&path).map_err(fail)?;
    if file.try_lock().is_err() {
        progress("waiting for another process that makes the Python environment …");
        file.lock().map_err(fail)?;
    }
    Ok(file)
}

fn unusable(path: &Path, error: &std::io::Error) -> Error {
    Error::missing(
        format!("{} cannot be written: {error}", path.display()),
        format!("make room on the disk, or set {} to another place", cache::CACHE_VARIABLE),
    )
}

fn make(
    place: &Path,
    base: &Interpreter,
    requirements: Option<&Path>,
    progress: &dyn Fn(&str),
) -> Result<Interpreter, Error> {
    if place.exists() {
        fs::remove_dir_all(place).map_err(|error| unusable(place, &error))?;
    }
    let version = base.version_text();
    progress(&format!("making a Python {version} environment (once) …"));
    let place_text = place.to_string_lossy();
    run(base, &["-m", "venv", &place_text], "no virtual environment can be made", &|command| {
        format!("see what this says: {command}; on Debian and Ubuntu, apt-get install python3-venv often helps")
    })?;
    let python = Interpreter { executable: place.join("bin/python"), ..base.clone() };
    let what = if requirements.is_some() { "grpcio and the requirements" } else { "grpcio" };
    progress(&format!("installing {what} with pip (once) …"));
    let mut arguments =
        vec!["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--prefer-binary", GRPCIO];
    let file = requirements.map(|path| path.to_string_lossy());
    if let Some(file) = &file {
        arguments.extend(["-r", file]);
    }
    run(&python, &arguments, &format!("pip cannot install {what}"), &|_| match requirements {
        Some(_) => "mend the requirements, or the network (pip takes proxies and indexes from its own settings)".into(),
        None => "mend the network (pip takes proxies and indexes from its own settings), or name an interpreter that \
                 has grpcio"
            .into(),
    })?;
    let made = Interpreter::probe(&python.executable)?;
    if made.grpcio.is_none() {
        return Err(made.no_grpcio());
    }
    let ready = serde_json::to_vec(&made).map_err(Error::internal)?;
    cache::write_atomically(&place.join(READY), &ready).map_err(|error| unusable(place, &error))?;
    progress("the Python environment is ready");
    Ok(made)
}

/// Runs Python; a failure is one message with the end of what it said.
fn run(python: &Interpreter, arguments: &[&str], problem: &str, mend: &dyn Fn(&str) -> String) -> Result<(), Error> {
    let mut command = isolated(&python.executable, arguments);
    // Settings of the user's that would install elsewhere.
    for variable in ["PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV"] {
        command.env_remove(variable);
    }
    let line = format!("{} {}", python.executable.display(), arguments.join(" "));
    let fail = |said: String| Err(Error::missing(format!("{problem}: {said}"), mend(&line)));
    match command.output() {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { stdout, stderr, .. }) => {
            // venv complains on stdout, pip on stderr.
            let said = [last_lines(&stdout, 8), last_lines(&stderr, 8)];
            fail(clean(said.join("\n").trim(), 2 << 10))
        }
        Err(error) => fail(error.to_string()),
    }
}
