//! Virtual environments of peers, made once below the cache directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

/// A package and the Pythons that it has wheels for.
pub struct Package {
    /// The requirement, as pip takes it.
    pub requirement: &'static str,
    /// Minor versions of CPython 3, the best first.
    pub minors: &'static [u32],
}

/// The interpreter of an environment with `package`, made if it is not there. `progress` hears what takes long.
///
/// # Errors
/// What is missing, with the command that mends it.
pub fn interpreter(package: &Package, progress: &dyn Fn(&str)) -> Result<PathBuf> {
    let place = cloister::cache::private_directory("peers")?.join(package.requirement.replace("==", "-"));
    let python = place.join("bin").join("python");
    // Written last: an environment without it was not finished.
    let finished = place.join("finished");
    if finished.exists() {
        return Ok(python);
    }
    let base = find(package.minors)?;
    progress(&format!("installing {} from PyPI (once; some minutes) …", package.requirement));
    run(Command::new(base).args(["-m", "venv", "--clear"]).arg(&place)).context("making a virtual environment")?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", package.requirement]))
        .with_context(|| format!("pip install {}", package.requirement))?;
    std::fs::write(&finished, "")?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", errors.lines().last().unwrap_or("it failed without a word"));
    Ok(())
}

/// An interpreter of one of these versions: on the path, or one of pyenv's.
fn find(minors: &[u32]) -> Result<PathBuf> {
    for minor in minors {
        let names = [PathBuf::from(format!("python3.{minor}")), PathBuf::from("python3")];
        if let Some(python) = names.into_iter().chain(of_pyenv(*minor)).find(|python| minor_of(python) == Some(*minor))
        {
            return Ok(python);
        }
    }
    let (first, last) =
        (minors.iter().min().copied().unwrap_or_default(), minors.iter().max().copied().unwrap_or_default());
    bail!(
        "needs a CPython from 3.{first} to 3.{last} with venv: `apt-get install python3.{last}-venv`, or `pyenv install 3.{last}`"
    )
}

fn of_pyenv(minor: u32) -> Vec<PathBuf> {
    let root = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let Some(root) = root.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv"))) else {
        return Vec::new();
    };
    let Ok(versions) = std::fs::read_dir(root.join("versions")) else { return Vec::new() };
    let fits =
        |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("3.{minor}.")));
    versions
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| fits(path))
        .map(|path| path.join("bin/python3"))
        .collect()
}

fn minor_of(python: &Path) -> Option<u32> {
    let output = Command::new(python).args(["-c", "import sys, venv; print(sys.version_info[1])"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_what_mends_it() {
        let error = find(&[1, 2]).expect_err("no such Python").to_string();
        assert!(error.contains("from 3.1 to 3.2") && error.contains("pyenv install 3.2"), "{error}");
        assert!(minor_of(Path::new("python3")).is_some_and(|minor| minor >= 9));
    }
}
