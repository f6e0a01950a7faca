//! Compiles the shim (`guest/shim/*.c`) with the clang of the wheel `ziglang`: the one C compiler for wasm that pip can
//! fetch, so that building needs nothing but what it needs anyway. Owns the installation of it below `OUT_DIR`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use cloister_flatten::Shim;

/// The environment variable that names a `zig` to use instead of a fetched one.
const ZIG_VARIABLE: &str = "CLOISTER_ZIG";

/// What takes the place of what. `free` and `realloc` of the C library are among them, because a block may be freed by
/// another function than the one that belongs to its maker.
const REPLACE: &[(&str, &str)] = &[
    ("libpython3.14.so!PyObject_Malloc", "python_malloc"),
    ("libpython3.14.so!PyObject_Calloc", "python_calloc"),
    ("libpython3.14.so!PyObject_Realloc", "python_realloc"),
    ("libpython3.14.so!PyObject_Free", "any_free"),
    ("libpython3.14.so!PyMem_Malloc", "python_malloc"),
    ("libpython3.14.so!PyMem_Calloc", "python_calloc"),
    ("libpython3.14.so!PyMem_Realloc", "python_realloc"),
    ("libpython3.14.so!PyMem_Free", "any_free"),
    ("libc.so!free", "any_free"),
    ("libc.so!realloc", "any_realloc"),
];

/// No C library, no built-in functions (the program's own are imported by name), position-independent.
const FLAGS: &[&str] = &[
    "-target",
    "wasm32-freestanding",
    "-std=c11",
    "-O3",
    "-g0",
    "-fPIC",
    "-ffreestanding",
    "-fno-builtin",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Werror",
];

/// The compiled shim.
pub fn build(manifest: &Path, out: &Path) -> Result<Shim> {
    let sources = manifest.join("shim");
    println!("cargo:rerun-if-changed={}", sources.display());
    println!("cargo:rerun-if-env-changed={ZIG_VARIABLE}");
    let zig = zig(&sources.join("requirements.txt"), out)?;
    let objects = out.join("shim");
    std::fs::create_dir_all(&objects).context("cannot make a directory for the shim")?;
    let mut link: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(&sources).context("cannot list the shim's sources")? {
        let source = entry?.path();
        if source.extension() == Some(OsStr::new("c")) {
            let object = objects.join(source.with_extension("o").file_name().context("a source has a name")?);
            run(zig_command(&zig, out).arg("cc").args(FLAGS).arg("-c").arg(&source).arg("-o").arg(&object))?;
            link.push(object);
        }
    }
    link.sort();
    let module = objects.join("shim.wasm");
    let options = ["-shared", "--experimental-pic", "--no-entry", "--strip-debug", "-o"];
    run(zig_command(&zig, out).arg("wasm-ld").args(options).arg(&module).args(&link))?;
    let replace = REPLACE.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())).collect();
    Ok(Shim { module: std::fs::read(&module).context("cannot read the shim")?, replace })
}

/// The path of `zig`, which is fetched from the Python package index when it is not there yet.
fn zig(requirements: &Path, out: &Path) -> Result<PathBuf> {
    if let Some(zig) = std::env::var_os(ZIG_VARIABLE) {
        return Ok(zig.into());
    }
    let wanted = std::fs::read(requirements).context("cannot read the shim's requirements")?;
    let (place, ready) = (out.join("zig"), out.join("zig-ready"));
    let zig = place.join("ziglang").join(format!("zig{}", std::env::consts::EXE_SUFFIX));
    if std::fs::read(&ready).is_ok_and(|made| made == wanted) && zig.exists() {
        return Ok(zig);
    }
    if place.exists() {
        std::fs::remove_dir_all(&place).context("cannot remove an old compiler")?;
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--only-binary", ":all:", "--require-hashes", "--target"]).arg(&place).arg("-r").arg(requirements);
    run(&mut pip).with_context(|| {
        format!(
            "the image's build needs the C compiler of the package ziglang, and pip cannot fetch it: see that python3 \
             has pip and reaches a package index, or set {ZIG_VARIABLE} to the path of a zig 0.13"
        )
    })?;
    std::fs::write(&ready, wanted).context("cannot note that the compiler is there")?;
    Ok(zig)
}

/// `zig` with its caches below `out`.
fn zig_command(zig: &Path, out: &Path) -> Command {
    let mut command = Command::new(zig);
    command.env("ZIG_GLOBAL_CACHE_DIR", out.join("zig-cache")).env("ZIG_LOCAL_CACHE_DIR", out.join("zig-cache"));
    command
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!("{} failed:\n{}", command.get_program().display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
