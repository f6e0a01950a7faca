//! Runs the program in a directory of its own.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Once;

use tempfile::TempDir;

/// A function of one, two and any arguments, and one that fails.
pub const FUNCTIONS: &str = r#"
from typing import Optional

def length(s: Optional[str]) -> Optional[int]:
    """How long it is."""
    return None if s is None else len(s)

def add(a: int, b: int) -> int:
    return a + b

def divide(a: int, b: int) -> int:
    return a // b

def wrong(a: int) -> int:
    return "x" if a == 7 else a
"#;

/// A directory that is removed again.
pub struct Place(TempDir);

impl Place {
    /// An empty directory with `f.py`, which holds [`FUNCTIONS`].
    pub fn new() -> Place {
        let place = Place(TempDir::new().unwrap());
        place.write("f.py", FUNCTIONS);
        place
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The names of the files in it.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The program with these arguments, about to be started in this directory.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        prepare();
        let mut command = program();
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    /// Runs the program with the words of `line`; `'…'` keeps words together.
    pub fn run(&self, line: &str) -> Outcome {
        self.command(words(line)).output().unwrap().into()
    }

    /// As [`Self::run`], with `input` on stdin.
    pub fn pipe(&self, line: &str, input: &str) -> Outcome {
        let mut command = self.command(words(line));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A program that refuses its arguments does not read its input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap().into()
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Fails the test unless the run succeeded.
    #[track_caller]
    pub fn done(self) -> Outcome {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// Fails the test unless the run failed with `code`, and its message holds all of `parts`.
    #[track_caller]
    pub fn refused(self, code: i32, parts: &[&str]) -> Outcome {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in {}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked") && !self.stderr.contains("RUST_BACKTRACE"), "{}", self.stderr);
        self
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_cloister"))
}

/// Lets one process compile the image before many want it at once.
fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let place = TempDir::new().unwrap();
        let file = place.path().join("empty.py");
        std::fs::write(&file, "").unwrap();
        let output = program().arg("functions").arg(file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (position, part) in line.split('\'').enumerate() {
        if position % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}
