//! Finds the Python files and writes the list that embeds them. Owns which files belong to a package.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A Python file.
pub struct Source {
    /// Path relative to `guest/python`, with `/`.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// Reads every `.py` file of the package `package` in `root`, sorted by name, and tells cargo to watch it.
///
/// Files are watched one by one and not their directories: an interpreter that runs from here leaves caches beside
/// them, and those must not rebuild the image. A new file is seen as soon as any other one changes, and a unit test
/// compares the list with the directory.
pub fn collect(root: &Path, package: &str) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut directories = vec![root.join(package)];
    while let Some(directory) = directories.pop() {
        let entries = std::fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "__pycache__") {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "py") {
                sources.push(read(root, path)?);
            }
        }
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sources)
}

fn read(root: &Path, path: PathBuf) -> Result<Source> {
    println!("cargo:rerun-if-changed={}", path.display());
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.strip_prefix(root)?.to_str().context("a Python file has a name in UTF-8")?;
    Ok(Source { name: name.replace('\\', "/"), text })
}

/// Rust source of the constants `PYTHON_SOURCES` and `SOURCES_SHA256`.
pub fn embed(sources: &[Source]) -> String {
    let mut rust = String::from(
        "/// The files of the Python package `cloister`: path relative to the directory above the package, and text.\n\
         pub const PYTHON_SOURCES: &[(&str, &str)] = &[\n",
    );
    for Source { name, .. } in sources {
        let _ = writeln!(
            rust,
            "    ({name:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {:?}))),",
            format!("/python/{name}")
        );
    }
    let digest = crate::digest(sources.iter().flat_map(|source| [source.name.as_bytes(), source.text.as_bytes()]));
    let _ = write!(
        rust,
        "];\n\n/// SHA-256 of the names and texts in [`PYTHON_SOURCES`], in hexadecimal.\n\
         pub const SOURCES_SHA256: &str = {digest:?};\n",
    );
    rust
}
