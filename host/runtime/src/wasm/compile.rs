//! Ahead-of-time compilation of the image, once per machine: the compiled module and the memory that it starts with lie
//! beside each other in the private cache, keyed by the image's content and by all that wasmtime says it depends on
//! (its version, its settings, the CPU's features).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use wasmtime::{Engine, Module};

use super::memory::{Base, Memories};
use super::{bake, split};
use crate::{Error, cache};

/// Compiled images that stay in the cache; older ones are removed when a new one is made.
const KEPT: usize = 4;

const FOLDER: &str = "wasm";

/// Where the compiled image of this build lies.
pub fn place(engine: &Engine) -> Result<PathBuf, Error> {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    bake::version(&mut hasher);
    let image = &cloister_guest::IMAGE_SHA256[..16];
    Ok(cache::directory()?.join(FOLDER).join(format!("{image}-{:016x}.cwasm", hasher.finish())))
}

/// The extension of the file that holds the memory, beside the compiled module.
const MEMORY: &str = "memory";

/// The compiled image and the memory that it starts with: mapped from the cache, or compiled and baked now.
pub fn module(
    engine: &Engine,
    memories: &Arc<Memories>,
    progress: &dyn Fn(&str),
) -> Result<(Module, Arc<Base>), Error> {
    let folder = cache::private_directory(FOLDER)?;
    let path = place(engine)?;
    if path.exists() {
        match load(engine, &path) {
            Ok(loaded) => return Ok(loaded),
            // A damaged file is made anew.
            Err(error) => tracing::warn!("the compiled image in the cache is not usable, compiling again: {error:#}"),
        }
    }
    progress("compiling the Python image for this machine (once; about 10 s) …");
    let start = Instant::now();
    let (code, memory) = split::split(cloister_guest::IMAGE)
        .map_err(|error| Error::internal(format!("the image is not of the form that it should be: {error}")))?;
    let compiled = engine
        .precompile_module(&code)
        .map_err(|error| Error::internal(format!("the image does not compile: {error:#}")))?;
    // SAFETY: wasmtime has just made these bytes.
    let module = unsafe { Module::deserialize(engine, &compiled) };
    let module = module.map_err(|error| Error::internal(format!("the compiled image does not load: {error:#}")))?;
    let memory = bake::bake(engine, memories, &module, &memory)?;
    prune(&folder);
    // The module last: who finds it finds the memory too.
    for (path, content) in [(&path.with_extension(MEMORY), &memory), (&path, &compiled)] {
        cache::write_atomically(path, content).map_err(|error| {
            Error::missing(
                format!("the compiled image ({} MiB) cannot be written: {error}", content.len() >> 20),
                format!("make room on the disk, or set {} to another place", cache::CACHE_VARIABLE),
            )
        })?;
    }
    progress(&format!("compiled the Python image in {:.1} s", start.elapsed().as_secs_f64()));
    load(engine, &path).map_err(|error| Error::internal(format!("the compiled image does not load: {error:#}")))
}

fn load(engine: &Engine, path: &Path) -> wasmtime::Result<(Module, Arc<Base>)> {
    // SAFETY: the file is machine code that runs as us. It lies in a directory that only this user can write to
    // (checked by `cache::private_directory`), was written by this library, and wasmtime checks version and settings.
    let module = unsafe { Module::deserialize_file(engine, path)? };
    Ok((module, Base::open(&path.with_extension(MEMORY))?))
}

/// Removes all but the newest compiled images. Failing to is of no consequence.
fn prune(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut images: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "cwasm"))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    images.sort();
    images.reverse();
    for (_, path) in images.into_iter().skip(KEPT - 1) {
        let _ = std::fs::remove_file(path.with_extension(MEMORY));
        let _ = std::fs::remove_file(path);
    }
}
