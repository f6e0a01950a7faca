//! Where process mode keeps what lives as long as this process: the socket, and the workers' working directories, in
//! one directory that only this user can enter. A host that was killed cannot tidy up; the next one does it for it.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::sys;
use crate::Error;

const PREFIX: &str = "cloister-host-";
const LOCK: &str = "lock";
const SOCKET: &str = "socket";

/// What a Unix socket's path may measure (`sun_path` of Linux has 108 bytes, of macOS 104).
const MOST_PATH: usize = 103;

/// The directory of one host process. Dropping it removes it and all that is in it.
#[derive(Debug)]
pub struct Place {
    directory: TempDir,
    /// Locked as long as this process lives: what is not locked belongs to nobody any more.
    _lock: File,
}

impl Place {
    /// Makes the directory, and removes those of hosts that are gone.
    pub fn new() -> Result<Place, Error> {
        let fail = |error: io::Error| {
            Error::missing(
                format!("no directory for the sockets of process mode can be made: {error}"),
                "set TMPDIR to a directory that this user can write to",
            )
        };
        let parent = std::env::temp_dir();
        remove_orphans(&parent);
        let room = MOST_PATH - PREFIX.len() - SOCKET.len() - 16;
        let parent = if parent.as_os_str().as_bytes().len() < room { parent } else { PathBuf::from("/tmp") };
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(fail)?;
        let lock = lock(directory.path()).map_err(fail)?;
        Ok(Place { directory, _lock: lock })
    }

    /// The path of the socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join(SOCKET)
    }

    /// A new, empty directory for one worker to work in.
    pub fn working_directory(&self) -> Result<TempDir, Error> {
        tempfile::Builder::new()
            .prefix("worker-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(self.directory.path())
            .map_err(|error| Error::internal(format!("no working directory for a worker: {error}")))
    }
}

/// Creates the lock under another name first, so that a lock that can be seen is held.
fn lock(directory: &Path) -> io::Result<File> {
    let new = directory.join("lock.new");
    let file = File::create(&new)?;
    file.lock()?;
    fs::rename(new, directory.join(LOCK))?;
    Ok(file)
}

/// Removes directories whose host is gone. Failing to is of no consequence.
fn remove_orphans(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.filter_map(Result::ok) {
        if entry.file_name().as_bytes().starts_with(PREFIX.as_bytes())
            && entry.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == sys::user())
            && let Ok(lock) = File::open(entry.path().join(LOCK))
            && lock.try_lock().is_ok()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_private_and_goes_with_its_owner() {
        let place = Place::new().unwrap();
        let socket = place.socket();
        let directory = socket.parent().unwrap().to_owned();
        assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
        let worker = place.working_directory().unwrap();
        assert_eq!(fs::metadata(worker.path()).unwrap().mode() & 0o777, 0o700);
        drop(worker);
        drop(place);
        assert!(!directory.exists());
    }

    #[test]
    fn what_a_killed_host_left_is_removed_and_what_a_living_one_holds_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let (dead, living, young) = (
            parent.path().join("cloister-host-a"),
            parent.path().join("cloister-host-b"),
            parent.path().join("cloister-host-c"),
        );
        for directory in [&dead, &living, &young] {
            fs::create_dir(directory).unwrap();
        }
        drop(lock(&dead).unwrap());
        let _held = lock(&living).unwrap();
        remove_orphans(parent.path());
        assert!(!dead.exists());
        assert!(living.exists());
        assert!(young.exists(), "one that has no lock yet is being made");
    }
}
