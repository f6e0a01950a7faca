//! The Python file with the functions, and `FILE.py::FUNCTION`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use cloister::Error;

use crate::failure::usage;
use crate::table::missing_file;

/// A Python file's text.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    text: String,
}

/// Splits `FILE.py::FUNCTION`.
pub fn split_target(target: &str) -> (PathBuf, Option<&str>) {
    match target.rsplit_once("::") {
        Some((file, function)) => (file.into(), Some(function)),
        None => (target.into(), None),
    }
}

impl Source {
    /// Reads the file.
    ///
    /// # Errors
    /// [`Usage`](crate::failure::Usage) for a file that is not there, not a file, or not UTF-8.
    pub fn read(path: &Path) -> Result<Source> {
        let refuse = |what: String| usage(format!("{}: {what}", path.display()));
        match std::fs::read(path) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Source { path: path.to_owned(), text }),
                Err(_) => Err(refuse("is not UTF-8 text; give a Python source file".into())),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(refuse(missing_file(path))),
            Err(_) if path.is_dir() => Err(refuse("is a directory; give a Python file".into())),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name for tracebacks: without directories, which are nothing for a sandbox to know.
    pub fn filename(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What to add to `error` when the module that is missing lies beside the file.
    pub fn hint(&self, error: &Error) -> Option<String> {
        let message = error.to_string();
        let (_, rest) = message.split_once("No module named '")?;
        let module = rest.split(['\'', '.']).next()?;
        let directory = self.path.parent()?;
        let beside = [directory.join(format!("{module}.py")), directory.join(module)];
        let found = beside.iter().find(|path| path.exists())?;
        Some(format!("it lies beside {}: add `--files {}`", self.filename(), found.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_split_at_the_last_colons() {
        assert_eq!(split_target("a/b.py"), ("a/b.py".into(), None));
        assert_eq!(split_target("a/b.py::f"), ("a/b.py".into(), Some("f")));
        assert_eq!(split_target("a::b.py::f"), ("a::b.py".into(), Some("f")));
    }
}
