//! Embeds the Python sources and, under the feature `image`, builds the wasm image.
//!
//! Writes only below `OUT_DIR`. Says precisely what it depends on, so that a change of the host rebuilds nothing here.

#[cfg(feature = "image")]
#[path = "build/image.rs"]
mod image;
#[cfg(feature = "image")]
#[path = "build/shim.rs"]
mod shim;
#[path = "build/sources.rs"]
mod sources;
#[cfg(feature = "image")]
#[path = "build/zones.rs"]
mod zones;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

fn main() -> Result<()> {
    let manifest = variable("CARGO_MANIFEST_DIR")?;
    let out = variable("OUT_DIR")?;
    for path in ["build.rs", "build", "wit"] {
        println!("cargo:rerun-if-changed={path}");
    }
    let package = sources::collect(&manifest.join("python"), "cloister")?;
    write(&out.join("sources.rs"), sources::embed(&package).as_bytes())?;
    #[cfg(feature = "image")]
    {
        let app = sources::collect(&manifest.join("python"), "image")?;
        let image = image::build(&manifest, &out, &package, &app)?;
        write(&out.join("image.rs"), image.constants().as_bytes())?;
    }
    Ok(())
}

fn variable(name: &str) -> Result<PathBuf> {
    Ok(std::env::var_os(name).with_context(|| format!("cargo sets {name}"))?.into())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// The SHA-256 digest of `parts`, each preceded by its length, in lower-case hexadecimal.
fn digest<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
