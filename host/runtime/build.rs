//! Finds the shared libpython that thread mode is linked with. Owns two promises: programs find that library by
//! themselves (rpath, no `LD_LIBRARY_PATH`), and a Python without one stops the build with one message that says what
//! to do. Never runs Python, and does nothing without the feature `thread`.
//!
//! A package whose programs contain this crate reads `DEP_CLOISTER_LIBPYTHON_DIR` in its own build script and passes
//! it on as an rpath, because cargo gives linker arguments to the targets of one package only.

use std::path::{Path, PathBuf};

use pyo3_build_config::InterpreterConfig;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_THREAD").is_none() {
        return;
    }
    // The one that pyo3 was configured with: `PYO3_PYTHON`, or the first python3 on the PATH.
    let config = pyo3_build_config::get();
    match library_directory(config) {
        Ok(directory) => {
            let directory = directory.display();
            println!("cargo::metadata=LIBPYTHON_DIR={directory}");
            println!("cargo::rustc-link-arg=-Wl,-rpath,{directory}");
        }
        Err(problem) => {
            println!("cargo::error={problem}");
            std::process::exit(1);
        }
    }
    // Where the embedded interpreter looks for its standard library and packages, as that interpreter would.
    println!("cargo::rustc-env=CLOISTER_PYTHON={}", config.executable().unwrap_or_default());
}

fn library_directory(config: &InterpreterConfig) -> Result<PathBuf, String> {
    let version = config.version();
    let python = config.executable().unwrap_or("python3");
    if config.is_free_threaded() {
        return Err(format!(
            "thread mode needs a Python with the global interpreter lock, and {python} ({version}) is built without. \
             {ADVICE}"
        ));
    }
    let name = config.lib_name().unwrap_or("python3");
    let directory = config.lib_dir().map(PathBuf::from);
    let found = directory.filter(|directory| has_library(directory, name));
    match found {
        Some(directory) if config.shared() => Ok(directory),
        _ => Err(format!(
            "thread mode needs the shared library of Python (lib{name}), and {python} ({version}) has none here. {ADVICE}"
        )),
    }
}

const ADVICE: &str = "Install one (Debian, Ubuntu: apt-get install python3 libpython3-dev; pyenv: \
                      PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install 3.11), or name another Python with \
                      PYO3_PYTHON, or build without thread mode: --no-default-features --features process,wasm";

fn has_library(directory: &Path, name: &str) -> bool {
    ["so", "dylib"].iter().any(|extension| directory.join(format!("lib{name}.{extension}")).exists())
        // A framework build of macOS names its library otherwise; the linker has the last word there.
        || cfg!(target_os = "macos")
}
