//! `--requirements`: packages from an index, installed once per content of the file and kept in the cache. pip does the
//! work; it runs as the user, outside of any sandbox, and in wasm mode takes pure-Python wheels only, so that no code of
//! a package runs while it is installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, anyhow};
use cloister::{ExecutionMode, JobOptions, cache};
use sha2::{Digest as _, Sha256};

use super::files;
use crate::failure::usage;
use crate::interrupt;
use crate::progress::Progress;
use crate::table::missing_file;

/// The folder of the cache.
pub const FOLDER: &str = "packages";

/// Installs the packages and gives them to the job.
pub fn install(path: &Path, options: &mut JobOptions, progress: &Progress) -> Result<()> {
    if !path.is_file() {
        return Err(usage(missing_file(path)));
    }
    match options.mode {
        ExecutionMode::Wasm => {
            let packages = pip(path, Target::wasm(), progress)?;
            let mut all = files::contents(&packages)?;
            // The job's own files come later, and so win.
            all.append(&mut options.files);
            options.files = all;
        }
        ExecutionMode::Thread => options.paths.push(pip(path, Target::thread(), progress)?),
        ExecutionMode::Process => {
            #[cfg(feature = "process")]
            {
                let show = |message: &str| progress.preparing(message);
                options.interpreter = Some(cloister::process::install_requirements(path, &show)?);
            }
        }
    }
    Ok(())
}

/// For which interpreter packages are installed.
struct Target {
    mode: ExecutionMode,
    /// `3.14`.
    python: String,
    /// The interpreters to run pip with, the best first.
    interpreters: Vec<PathBuf>,
}

impl Target {
    /// Any interpreter's pip can fetch for the guest: nothing of a package runs.
    fn wasm() -> Target {
        let python = version(&fact(ExecutionMode::Wasm, "guest Python"));
        Target { mode: ExecutionMode::Wasm, python, interpreters: vec!["python3".into()] }
    }

    /// It must be the embedded interpreter's own version, or compiled packages would not load.
    fn thread() -> Target {
        let python = version(&fact(ExecutionMode::Thread, "embedded Python"));
        let name = format!("python{python}");
        let beside = Path::new(&fact(ExecutionMode::Thread, "prefix")).join("bin").join(&name);
        Target { mode: ExecutionMode::Thread, python, interpreters: vec![beside, name.into()] }
    }

    fn arguments(&self) -> Vec<&str> {
        match self.mode {
            ExecutionMode::Wasm => vec![
                "--only-binary=:all:",
                "--platform=any",
                "--implementation=py",
                "--abi=none",
                "--python-version",
                &self.python,
            ],
            _ => Vec::new(),
        }
    }
}

/// A fact of a mode's report; empty if it has none of this name.
fn fact(mode: ExecutionMode, name: &str) -> String {
    let facts = mode.report().facts;
    facts.into_iter().find(|(other, _)| other == name).map(|(_, value)| value).unwrap_or_default()
}

/// Major and minor of a version.
fn version(text: &str) -> String {
    text.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

/// The directory with the packages of the requirements file at `path`.
fn pip(path: &Path, target: Target, progress: &Progress) -> Result<PathBuf> {
    let folder = cache::private_directory(FOLDER)?;
    let mut hasher = Sha256::new();
    hasher.update(format!("{} {}\n", target.mode, target.python));
    hash(path, &mut hasher, 0)?;
    let key: String = hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let place = folder.join(format!("{}-{key}", target.mode));
    if place.is_dir() {
        return Ok(place);
    }
    progress.preparing(&format!("installing {} for {} mode (once) …", path.display(), target.mode));
    let temporary = tempfile::Builder::new().prefix(".new-").tempdir_in(&folder)?;
    let _guard = interrupt::remove_on_signal(temporary.path());
    let output = run_pip(&target, temporary.path(), path)?;
    if !output.status.success() {
        return Err(explain(&String::from_utf8_lossy(&output.stderr), target.mode));
    }
    // Another run may have been faster: its packages are as good.
    match std::fs::rename(temporary.path(), &place) {
        Ok(()) => drop(temporary.keep()),
        Err(_) if place.is_dir() => {}
        Err(error) => return Err(error).with_context(|| place.display().to_string()),
    }
    Ok(place)
}

fn run_pip(target: &Target, place: &Path, path: &Path) -> Result<Output> {
    for python in &target.interpreters {
        let ran = Command::new(python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile"])
            .arg("--target")
            .arg(place)
            .args(target.arguments())
            .arg("-r")
            .arg(path)
            .output();
        match ran {
            Ok(output) => return Ok(output),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| python.display().to_string()),
        }
    }
    Err(anyhow!(
        "{} is not there to run pip with\ninstall it with pip (Debian: apt-get install python3 python3-pip)",
        target.interpreters.last().map(|path| path.display().to_string()).unwrap_or_default()
    ))
}

/// The file's content and that of the files it includes: what the installed packages depend on.
fn hash(path: &Path, hasher: &mut Sha256, depth: usize) -> Result<()> {
    const DEEPEST: usize = 8;
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    hasher.update(text.as_bytes());
    hasher.update([0]);
    for line in text.lines() {
        let included = ["-r", "--requirement", "-c", "--constraint"]
            .iter()
            .find_map(|option| line.trim().strip_prefix(option)?.strip_prefix([' ', '=']).map(str::trim));
        if let Some(included) = included
            && depth < DEEPEST
        {
            hash(&path.parent().unwrap_or(Path::new("")).join(included), hasher, depth + 1)?;
        }
    }
    Ok(())
}

/// pip's error as one message that says what to do.
fn explain(stderr: &str, mode: ExecutionMode) -> anyhow::Error {
    let after = |marker: &str| {
        let (_, rest) = stderr.split_once(marker)?;
        Some(rest.lines().next()?.trim().to_owned())
    };
    if stderr.contains("No module named pip") {
        return anyhow!("pip is not installed\ninstall it (Debian: apt-get install python3-pip)");
    }
    if stderr.contains("Retrying (") || stderr.contains("NewConnectionError") {
        return anyhow!("the package index cannot be reached\n{}", last_error(stderr));
    }
    if mode == ExecutionMode::Wasm
        && let Some(package) = after("No matching distribution found for ")
    {
        let package = package.split(" (from").next().unwrap_or_default();
        return usage(format!(
            "there is no pure-Python wheel of '{package}', and wasm mode runs no C extensions\n\
             use --mode process for it (or --mode thread), or mend its name or version if that is wrong"
        ));
    }
    anyhow!("pip failed\n{}", last_error(stderr))
}

/// The lines in which pip says what went wrong; all of it if there are none.
fn last_error(stderr: &str) -> String {
    let errors: Vec<&str> = stderr.lines().filter_map(|line| line.strip_prefix("ERROR: ")).collect();
    if errors.is_empty() { stderr.trim().to_owned() } else { errors.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Usage;

    #[test]
    fn included_files_are_part_of_the_key() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(place.path().join(name), text).unwrap();
        let key = || {
            let mut hasher = Sha256::new();
            hash(&place.path().join("a.txt"), &mut hasher, 0).unwrap();
            hasher.finalize()
        };
        write("a.txt", "humanize\n-r b.txt\n");
        write("b.txt", "six==1.16\n");
        let first = key();
        assert_eq!(first, key());
        write("b.txt", "six==1.17\n");
        assert_ne!(first, key());
    }

    #[test]
    fn a_package_without_a_pure_wheel_is_named() {
        let stderr = "ERROR: Could not find a version that satisfies the requirement numpy (from versions: none)\n\
                      ERROR: No matching distribution found for numpy\n";
        let error = explain(stderr, ExecutionMode::Wasm);
        assert!(error.is::<Usage>() && error.to_string().contains("'numpy'") && error.to_string().contains("process"));
        assert!(!explain(stderr, ExecutionMode::Thread).is::<Usage>());
    }
}
