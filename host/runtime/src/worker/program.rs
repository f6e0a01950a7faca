//! Which program is started as the worker of a sandbox, and what it must be allowed to read: it is asked itself, once, by
//! starting it unconfined with a word to describe itself. The program is the embedder's and is trusted.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{ARGUMENT, CALLED};
use crate::error::clean;
use crate::job::WorkerProgram;
use crate::process::{self, Program, SandboxTerms};
use crate::{Error, cache};

/// The second argument of a program that is to describe itself.
pub const DESCRIBE: &str = "describe";

/// What a program says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Description {
    /// The hash of the image that it was built with.
    image: String,
    /// The shared libraries that it is linked with.
    reads: Vec<PathBuf>,
    /// Itself, behind all links, and the loader of shared libraries.
    runs: Vec<PathBuf>,
}

/// The program of a job's workers.
///
/// # Errors
/// [`Error::Missing`] when it cannot be one: with what mends it.
pub fn find(choice: &WorkerProgram, terms: SandboxTerms) -> Result<Program, Error> {
    let executable = locate(choice)?;
    let Description { reads, runs, .. } = ask(&executable)?;
    let not_utf8 = || {
        Error::missing(
            "the cache directory has a name that is not UTF-8",
            format!("set {} to another place", cache::CACHE_VARIABLE),
        )
    };
    let cache = std::path::absolute(cache::directory()?).map_err(Error::internal)?;
    // Of the cache only this: its other folders are for other programs.
    let compiled = crate::wasm::compiled_image()?.parent().map(Path::to_owned);
    Ok(Program {
        name: "sandbox worker",
        arguments: vec![ARGUMENT.into()],
        environment: vec![(cache::CACHE_VARIABLE, cache.to_str().ok_or_else(not_utf8)?.to_owned())],
        reads: reads.into_iter().chain(compiled).collect(),
        reads_system: false,
        runs,
        mend_missing: "name a program that calls cloister::worker::run_if_asked() first in main".into(),
        mend_silent: "see what it wrote to stderr, or run without sandboxes in worker processes".into(),
        executable,
        sandbox: Some(terms),
    })
}

/// The file of the program.
///
/// # Errors
/// [`Error::Missing`] when this program cannot be started as a worker, or there is no such file.
pub fn locate(choice: &WorkerProgram) -> Result<PathBuf, Error> {
    match choice {
        WorkerProgram::This if !CALLED.load(Ordering::Relaxed) => Err(Error::missing(
            "this program cannot be started as the worker of a sandbox",
            "call cloister::worker::run_if_asked() first in its main, or name a program that does",
        )),
        WorkerProgram::This => std::env::current_exe()
            .map_err(|error| Error::missing(format!("this program's own file is not known: {error}"), "name one")),
        WorkerProgram::At(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            if path.is_file() { Ok(path) } else { Err(unfit(&path, "there is no such file")) }
        }
    }
}

fn unfit(path: &Path, how: &str) -> Error {
    Error::missing(
        format!("{} cannot be started as the worker of a sandbox: {how}", path.display()),
        "name a program that calls cloister::worker::run_if_asked() first in main, built like this one",
    )
}

/// Asks the program at `path`; one that has answered is not asked again.
///
/// # Errors
/// [`Error::Missing`] when it does not answer, or has another image.
pub fn ask(path: &Path) -> Result<Description, Error> {
    static KNOWN: Mutex<Option<HashMap<PathBuf, Description>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(description) = known.as_ref().and_then(|known| known.get(path)) {
        return Ok(description.clone());
    }
    let mut command = Command::new(path);
    command.args([ARGUMENT, DESCRIBE]).env_clear();
    let answer = process::ask(command).map_err(|error| unfit(path, &error.to_string()))?;
    let description: Description = match serde_json::from_slice(&answer.stdout) {
        Ok(description) if answer.succeeded => description,
        _ => {
            let said = clean(String::from_utf8_lossy(&answer.stderr).trim(), 300);
            return Err(unfit(path, &format!("it does not say what it is ({said})")));
        }
    };
    if description.image != cloister_guest::IMAGE_SHA256 {
        return Err(unfit(path, "it was built with another image"));
    }
    known.get_or_insert_default().insert(path.to_owned(), description.clone());
    Ok(description)
}

/// Writes what this program is to stdout and ends the process.
pub fn describe() -> ! {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mapped = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    let mapped: BTreeSet<PathBuf> = mapped.filter(|name| name.starts_with('/')).map(PathBuf::from).collect();
    let own = std::env::current_exe().and_then(|own| own.canonicalize()).ok();
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let loaders = mapped.iter().filter(|path| name(path).starts_with("ld")).cloned();
    let description = Description {
        image: cloister_guest::IMAGE_SHA256.into(),
        runs: own.into_iter().chain(loaders).collect(),
        reads: mapped.iter().filter(|path| name(path).contains(".so")).cloned().collect(),
    };
    match serde_json::to_writer(std::io::stdout().lock(), &description) {
        Ok(()) => std::process::exit(0),
        Err(_) => std::process::exit(1),
    }
}
