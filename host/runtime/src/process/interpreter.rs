//! Python interpreters of this machine: finds one, asks it what it is, and says in one message what it lacks. Runs
//! nothing but a fixed script in them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::question;
use crate::Error;
use crate::error::clean;

/// The oldest Python that the guest package runs on.
pub const OLDEST: (u32, u32) = (3, 9);

/// The newest minor version of Python 3 that is looked for by its own name.
const NEWEST_MINOR: u32 = 14;

/// Written for any Python there is, so that an old one is recognised as such.
const PROBE: &str = r#"
import sys
text = {"executable": sys.executable, "version": list(sys.version_info[:3])}
text["implementation"] = getattr(getattr(sys, "implementation", None), "name", "cpython")
text["tag"] = getattr(getattr(sys, "implementation", None), "cache_tag", None)
text["grpcio"] = None
text["venv"] = False
text["reads"] = []
text["runs"] = []
if sys.version_info >= (3, 8):
    from importlib.util import find_spec
    text["venv"] = bool(find_spec("venv") and find_spec("ensurepip"))
    if find_spec("grpc"):
        from importlib.metadata import version
        try:
            text["grpcio"] = version("grpcio")
        except Exception:
            text["grpcio"] = "unknown"
    import os, sysconfig
    reads = list(sys.path) + list(sysconfig.get_paths().values())
    reads += [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix]
    # Where Debian keeps a part of the standard library.
    reads.append("/etc/python%d.%d" % sys.version_info[:2])
    runs = [os.path.realpath(sys.executable)]
    try:
        with open("/proc/self/maps") as maps:
            mapped = [line.split(None, 5)[5].strip() for line in maps if "/" in line]
    except Exception:
        mapped = []
    for path in sorted(set(mapped)):
        if os.path.basename(path).startswith("ld"):
            runs.append(path)
        if ".so" in os.path.basename(path):
            reads.append(os.path.dirname(path))
    shared = ("/", "/usr", "/usr/local", "/opt", "/home", "/root", "/etc", "/var", "/tmp")
    shared += ("/bin", "/usr/bin", "/usr/local/bin", os.path.expanduser("~"))
    text["reads"] = [path for path in dict.fromkeys(reads) if os.path.isabs(path) and path not in shared]
    text["runs"] = runs
import json
print(json.dumps(text))
"#;

/// A Python interpreter, as it describes itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interpreter {
    /// The program itself, behind shims and relative paths.
    pub executable: PathBuf,
    /// Its version.
    pub version: (u32, u32, u32),
    /// Its kind: `cpython`.
    pub implementation: String,
    /// What names its compiled files, for example `cpython-311`.
    #[serde(rename = "tag")]
    pub cache_tag: Option<String>,
    /// The version of grpcio that it can import.
    pub grpcio: Option<String>,
    /// Whether it can make virtual environments.
    pub venv: bool,
    /// The files and directories that it reads: its installation, its packages and their libraries.
    #[serde(default)]
    pub reads: Vec<PathBuf>,
    /// The programs that run when it is started: itself, behind all links, and the loader of shared libraries.
    #[serde(default)]
    pub runs: Vec<PathBuf>,
}

impl Interpreter {
    /// Asks the interpreter at `path` (a path, or a name to look for in PATH).
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none, it is no CPython, or too old.
    pub fn probe(path: &Path) -> Result<Interpreter, Error> {
        static KNOWN: Mutex<Option<HashMap<PathBuf, Interpreter>>> = Mutex::new(None);
        let path = resolve(path).ok_or_else(|| no_python(&format!("there is no {}", path.display())))?;
        if let Some(known) = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|k| k.get(&path)) {
            return Ok(known.clone());
        }
        let found = ask(&path)?;
        // One that lacks something is asked again: the user may have mended it.
        if found.grpcio.is_some() {
            let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
            known.get_or_insert_default().insert(path, found.clone());
        }
        Ok(found)
    }

    /// The `python3` of this machine from which environments can be made.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none that is new enough, or none with the venv module.
    pub fn system() -> Result<Interpreter, Error> {
        static FOUND: Mutex<Option<Interpreter>> = Mutex::new(None);
        let mut known = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(found) => Ok(found.clone()),
            None => Ok(known.insert(Interpreter::search()?).clone()),
        }
    }

    fn search() -> Result<Interpreter, Error> {
        let versioned = (OLDEST.1..=NEWEST_MINOR).rev().map(|minor| format!("python3.{minor}"));
        let mut first_problem = None;
        for name in std::iter::once("python3".to_owned()).chain(versioned) {
            if resolve(Path::new(&name)).is_none() {
                continue;
            }
            match Interpreter::probe(Path::new(&name)) {
                Ok(found) if found.venv => return Ok(found),
                Ok(found) => drop(first_problem.get_or_insert_with(|| found.no_venv())),
                Err(error) => drop(first_problem.get_or_insert(error)),
            }
        }
        Err(first_problem.unwrap_or_else(|| no_python("there is no python3 in PATH")))
    }

    /// The version as text.
    pub fn version_text(&self) -> String {
        let (major, minor, micro) = self.version;
        format!("{major}.{minor}.{micro}")
    }

    /// The error for an interpreter without grpcio.
    pub fn no_grpcio(&self) -> Error {
        let python = self.executable.display();
        Error::missing(
            format!("the Python interpreter {python} has no grpcio, which a worker needs"),
            format!("install it: {python} -m pip install grpcio"),
        )
    }

    fn no_venv(&self) -> Error {
        let python = self.executable.display();
        Error::missing(
            format!("{python} cannot make virtual environments: its venv module is missing"),
            "install it (Debian, Ubuntu: apt-get install python3-venv), or name an interpreter that has grpcio",
        )
    }
}

fn no_python(problem: &str) -> Error {
    let (major, minor) = OLDEST;
    Error::missing(
        format!("process mode needs CPython {major}.{minor} or later: {problem}"),
        "install it (Debian, Ubuntu: apt-get install python3 python3-venv), or name an interpreter that has grpcio",
    )
}

/// The absolute path of `path`; a bare name is looked for in PATH. Symbolic links stay: a virtual environment is one.
fn resolve(path: &Path) -> Option<PathBuf> {
    if path.components().count() > 1 || path.is_absolute() {
        return std::path::absolute(path).ok().filter(|path| path.is_file());
    }
    let directories = std::env::var_os("PATH")?;
    std::env::split_paths(&directories).map(|directory| directory.join(path)).find(|candidate| candidate.is_file())
}

/// A command that runs `interpreter` without the settings, packages and working directory of this process's user.
pub fn isolated(interpreter: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(interpreter);
    command.arg("-I").args(arguments).stdin(Stdio::null());
    for variable in ["PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__"] {
        command.env_remove(variable);
    }
    command
}

fn ask(path: &Path) -> Result<Interpreter, Error> {
    let answer = question::ask(isolated(path, &["-c", PROBE]))
        .map_err(|error| no_python(&format!("{} cannot be asked what it is: {error}", path.display())))?;
    let mut found: Interpreter = match serde_json::from_slice(&answer.stdout) {
        Ok(found) if answer.succeeded => found,
        _ => {
            let said = clean(last_lines(&answer.stderr, 1).trim(), 300);
            return Err(no_python(&format!("{} is no Python, or too old ({said})", path.display())));
        }
    };
    if (found.version.0, found.version.1) < OLDEST {
        return Err(no_python(&format!("{} is Python {}", path.display(), found.version_text())));
    }
    if found.implementation != "cpython" {
        return Err(no_python(&format!("{} is {}", path.display(), clean(&found.implementation, 40))));
    }
    if found.executable.as_os_str() == OsStr::new("") {
        found.executable = path.to_owned();
    }
    Ok(found)
}

/// The last lines of what a program printed.
pub fn last_lines(bytes: &[u8], count: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn script(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("python");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (directory, path)
    }

    #[test]
    fn the_machines_python_says_what_it_is() {
        let found = Interpreter::system().unwrap();
        assert!(found.executable.is_absolute());
        assert!((found.version.0, found.version.1) >= OLDEST);
        assert!(found.cache_tag.as_ref().is_some_and(|tag| tag.starts_with("cpython-")));
    }

    #[test]
    fn what_is_no_python_or_an_old_one_is_one_clear_message() {
        let cases = [
            ("echo 'Unknown option: -I' >&2; exit 2", "Unknown option: -I"),
            ("echo hello", "is no Python"),
            (
                r#"echo '{"executable":"/x","version":[3,8,1],"implementation":"cpython","tag":null,"grpcio":null,"venv":true}'"#,
                "is Python 3.8.1",
            ),
            (
                r#"echo '{"executable":"/x","version":[3,11,1],"implementation":"pypy","tag":null,"grpcio":null,"venv":true}'"#,
                "is pypy",
            ),
        ];
        for (text, expected) in cases {
            let (_directory, path) = script(text);
            let error = Interpreter::probe(&path).unwrap_err();
            assert!(matches!(error, Error::Missing { .. }));
            let message = error.to_string();
            assert!(message.contains(expected) && message.contains("apt-get install"), "{message}");
        }
        let error = Interpreter::probe(Path::new("/no/such/python")).unwrap_err().to_string();
        assert!(error.contains("there is no /no/such/python"), "{error}");
    }
}
