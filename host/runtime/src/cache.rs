//! The private directory on disk for what is made once per machine: compiled images, the guest package, managed
//! virtual environments. Never holds anything of a tenant's data.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::Error;

/// The environment variable that moves the cache.
pub const CACHE_VARIABLE: &str = "CLOISTER_CACHE";

/// The cache's place: `$CLOISTER_CACHE`, else the user's cache directory (`$XDG_CACHE_HOME` or `~/.cache`) with
/// `cloister` appended. Not created by this call.
///
/// # Errors
/// [`Error::Missing`] when none of these is set.
pub fn directory() -> Result<PathBuf, Error> {
    if let Some(place) = std::env::var_os(CACHE_VARIABLE).filter(|place| !place.is_empty()) {
        return Ok(PathBuf::from(place));
    }
    dirs::cache_dir().map(|place| place.join("cloister")).ok_or_else(|| {
        Error::missing(
            "no cache directory: neither HOME nor XDG_CACHE_HOME is set",
            format!("set {CACHE_VARIABLE} to a directory that this user can write to"),
        )
    })
}

/// Creates `name` below the cache with mode 0700 and checks that it is ours: code is loaded from it, so another user
/// who could write there could run code as us.
///
/// # Errors
/// [`Error::Missing`] with the step that mends it when the directory cannot be made or belongs to another user.
pub fn private_directory(name: &str) -> Result<PathBuf, Error> {
    let root = directory()?;
    let place = root.join(name);
    let refuse = |problem: String| {
        Error::missing(
            format!("the cache directory {} cannot be used: {problem}", place.display()),
            format!("mend its owner and mode, or set {CACHE_VARIABLE} to a directory of this user's own"),
        )
    };
    create(&root).and_then(|()| create(&place)).map_err(|error| refuse(error.to_string()))?;
    for path in [&root, &place] {
        let metadata = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?;
        // SAFETY: geteuid has no preconditions and cannot fail.
        let user = unsafe { libc::geteuid() };
        if metadata.uid() != user {
            return Err(refuse("it belongs to another user".into()));
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(refuse("other users may write to it".into()));
        }
    }
    Ok(place)
}

fn create(path: &Path) -> io::Result<()> {
    // A confined process may use what is there, and not even try to make it.
    if path.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file so that it is either whole or absent: to a temporary name beside it, then renamed.
#[cfg(any(feature = "process", feature = "wasm"))]
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    io::Write::write_all(&mut file, bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
