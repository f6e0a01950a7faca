//! `--files`: modules, packages and data as the job's files, by the relative paths under which the function finds
//! them. A directory keeps its name: `lib/` gives `lib/…`, so that `import lib` works.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::failure::usage;
use crate::table::missing_file;
use crate::units::human_size;

/// Every executor of the job gets the files: more than this is a mistake, or wants process mode's `--python`.
const MOST_BYTES: u64 = 256 << 20;

/// A job's files: relative paths with `/`, and contents.
pub type Files = Vec<(String, Vec<u8>)>;

/// Reads the files and directories at `paths`.
///
/// # Errors
/// [`Usage`](crate::failure::Usage) for a path that is not there, two files of one name, and too much of it.
pub fn gather(paths: &[PathBuf]) -> Result<Files> {
    let (mut files, mut bytes) = (Files::new(), 0);
    for path in paths {
        if !path.exists() {
            return Err(usage(format!("--files {}: {}", path.display(), missing_file(path))));
        }
        // For `.` and `dir/..`: the name that the directory has.
        let whole = path.canonicalize().with_context(|| path.display().to_string())?;
        let Some(name) = whole.file_name() else {
            return Err(usage(format!("--files {}: give a file or a directory with a name", path.display())));
        };
        let name = name.to_string_lossy().into_owned();
        if files.iter().any(|(other, _)| other.split('/').next() == Some(name.as_str())) {
            return Err(usage(format!("--files: there are two of the name '{name}'")));
        }
        add(&whole, name, &mut files, &mut bytes)?;
    }
    Ok(files)
}

/// Reads what is in a directory, without the directory's own name.
pub fn contents(directory: &Path) -> Result<Files> {
    let mut files = Files::new();
    add_directory(directory, "", &mut files, &mut 0)?;
    Ok(files)
}

fn add(path: &Path, name: String, files: &mut Files, bytes: &mut u64) -> Result<()> {
    let context = || path.display().to_string();
    if path.is_dir() {
        return add_directory(path, &format!("{name}/"), files, bytes);
    }
    *bytes += path.metadata().with_context(context)?.len();
    if *bytes > MOST_BYTES {
        return Err(usage(format!("the files are more than {} in all", human_size(MOST_BYTES))));
    }
    files.push((name, std::fs::read(path).with_context(context)?));
    Ok(())
}

fn add_directory(directory: &Path, prefix: &str, files: &mut Files, bytes: &mut u64) -> Result<()> {
    let context = || directory.display().to_string();
    let mut entries: Vec<PathBuf> = std::fs::read_dir(directory)
        .with_context(context)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, std::io::Error>>()
        .with_context(context)?;
    entries.sort();
    for entry in entries {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Compiled files are of another interpreter, hidden ones (.git, .venv) of other programs; links may lead round.
        let linked_directory = entry.is_symlink() && entry.is_dir();
        if name.starts_with('.') || name == "__pycache__" || name.ends_with(".pyc") || linked_directory {
            continue;
        }
        add(&entry, format!("{prefix}{name}"), files, bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_keep_their_name_and_lose_what_is_hidden() {
        let place = tempfile::tempdir().unwrap();
        let package = place.path().join("pkg");
        std::fs::create_dir_all(package.join("__pycache__")).unwrap();
        std::fs::create_dir_all(package.join("data")).unwrap();
        for (path, text) in
            [("__init__.py", "x = 1"), ("data/words.txt", "w"), ("__pycache__/a.pyc", ""), (".hidden", "")]
        {
            std::fs::write(package.join(path), text).unwrap();
        }
        std::fs::write(place.path().join("one.py"), "y = 2").unwrap();
        let files = gather(&[package.clone(), place.path().join("one.py")]).unwrap();
        let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["pkg/__init__.py", "pkg/data/words.txt", "one.py"]);
        assert_eq!(contents(&package).unwrap()[0].0, "__init__.py");
        assert!(gather(&[package.clone(), package]).is_err());
    }
}
