//! Control groups, version 2: one for each worker, where the host may make them. The kernel counts all that is in a
//! group as one, page cache and its own memory for it included, and ends it as one: a second wall behind the limits that
//! a worker has of its own.
//!
//! ```text
//! the host's own group     lends the controllers to the groups below it
//! ├─ cloister-self         the host itself, where it stood in the way: a group with processes in it lends nothing
//! └─ cloister-host-…       one for each host process, locked as long as it lives
//!    └─ worker-…
//! ```
//!
//! Never makes anything beside or above the host's own group: what limits the host must limit its workers too. Moves no
//! process but the host itself, and that only if there is no other in its group.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

const PREFIX: &str = "cloister-host-";
const SELF: &str = "cloister-self";

/// What limits a group: its memory, and how many processes and threads it has.
const CONTROLLERS: &[&str] = &["memory", "pids"];

/// Names that are tried for a host's group before it is given up.
const TRIES: u32 = 16;

// Why there are none.
const NO_HIERARCHY: &str = "it needs Linux with version 2 of control groups, mounted";
const NO_CONTROLLERS: &str = "it needs the controllers memory and pids, lent to the host's group of version 2";
const NOT_OURS: &str = "it needs the right to make groups below the host's own (systemd: Delegate=yes)";
const NOT_ALONE: &str = "it needs a group in which the host is alone (systemd: Delegate=yes)";
const NOT_MADE: &str = "a group below the host's own could not be made";

/// Why making the groups failed although nothing had spoken against it.
static FAILED: OnceLock<&str> = OnceLock::new();

/// Why the host cannot put its workers into groups; `None`: it can. Only looks, once, and changes nothing.
pub fn missing() -> Option<&'static str> {
    FAILED.get().copied().or_else(|| found().err())
}

/// The host's own group, if groups can be made below it. Decided once: a child of the host, which is in its group for a
/// moment, must not change what is reported.
fn found() -> Result<&'static Path, &'static str> {
    static FOUND: OnceLock<Result<PathBuf, &str>> = OnceLock::new();
    let found = FOUND.get_or_init(|| own().and_then(|own| look(&own, CONTROLLERS).map(|()| own)));
    found.as_deref().map_err(|reason| *reason)
}

/// The groups of this host's workers. Dropping it removes them.
#[derive(Debug)]
pub struct Groups {
    directory: PathBuf,
    /// Locked as long as this host lives.
    _lock: File,
    controllers: &'static [&'static str],
    started: AtomicU64,
    /// Groups whose last process was still ending when they should have gone.
    ending: Mutex<Vec<PathBuf>>,
}

impl Groups {
    /// Makes the host's group, and removes those of hosts that are gone. `None` where it cannot be made: the report
    /// then says why.
    pub fn new() -> Option<Arc<Groups>> {
        let made = Groups::below(found().ok()?, CONTROLLERS).inspect_err(|error| {
            tracing::warn!("workers have no groups: {error}");
            let _ = FAILED.set(NOT_MADE);
        });
        made.ok().map(Arc::new)
    }

    fn below(own: &Path, controllers: &'static [&'static str]) -> io::Result<Groups> {
        remove_orphans(own);
        let (directory, lock) = make(own)?;
        // Removes the group again if it cannot be used.
        let groups =
            Groups { directory, _lock: lock, controllers, started: AtomicU64::new(0), ending: Mutex::default() };
        if !lends(own, controllers) && lend(own, controllers).is_err() {
            step_aside(own, controllers)?;
        }
        lend(&groups.directory, controllers)?;
        Ok(groups)
    }

    /// A group for one worker, which may have as many processes and threads as `tasks` says.
    pub fn worker(self: &Arc<Self>, tasks: Option<u64>) -> io::Result<Group> {
        self.remove_ended();
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let directory = self.directory.join(format!("worker-{number}"));
        fs::create_dir(&directory)?;
        let group = Group { directory, groups: self.clone() };
        if self.controllers.contains(&"memory") {
            // What is in a group belongs together: it ends as one.
            group.set("memory.oom.group", 1)?;
        }
        if let Some(tasks) = tasks.filter(|_| self.controllers.contains(&"pids")) {
            group.set("pids.max", tasks)?;
        }
        Ok(group)
    }

    fn ending(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove_ended(&self) {
        self.ending().retain(|directory| fs::remove_dir(directory).is_err());
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.remove_ended();
        // If a process is still ending the next host does it.
        let _ = fs::remove_dir(&self.directory);
    }
}

/// The group of one worker. Dropping it ends whatever is still in it.
#[derive(Debug)]
pub struct Group {
    directory: PathBuf,
    groups: Arc<Groups>,
}

impl Group {
    /// Where a process writes `0` to enter.
    pub fn door(&self) -> io::Result<OwnedFd> {
        OpenOptions::new().write(true).open(self.directory.join("cgroup.procs")).map(OwnedFd::from)
    }

    /// Limits the memory of all that is in it, and lets it have no swap beside that.
    pub fn limit_memory(&self, bytes: u64) -> io::Result<()> {
        self.set("memory.max", bytes)?;
        match self.set("memory.swap.max", 0) {
            // This kernel does not count swap.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Whether the kernel has ended it because its memory was used up.
    pub fn ran_out_of_memory(&self) -> bool {
        fs::read_to_string(self.directory.join("memory.events")).is_ok_and(|events| killed(&events))
    }

    /// Kills all that is in it.
    pub fn kill(&self) {
        kill(&self.directory);
    }

    fn set(&self, name: &str, value: u64) -> io::Result<()> {
        fs::write(self.directory.join(name), value.to_string())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        if fs::remove_dir(&self.directory).is_err_and(|error| error.kind() != ErrorKind::NotFound) {
            self.groups.ending().push(std::mem::take(&mut self.directory));
        }
    }
}

/// Kernels before 5.14 cannot; what is left is killed as the worker's process group.
fn kill(group: &Path) {
    let _ = fs::write(group.join("cgroup.kill"), "1");
}

/// Whether `memory.events` counts something that was killed.
fn killed(events: &str) -> bool {
    events.lines().filter_map(|line| line.strip_prefix("oom_kill ")).any(|count| count.trim() != "0")
}

/// The host's own group, where it was started.
fn own() -> Result<PathBuf, &'static str> {
    let read = |path: &str| fs::read_to_string(path).map_err(|_| NO_HIERARCHY);
    let own = place(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?).ok_or(NO_HIERARCHY)?;
    Ok(match own.parent() {
        Some(parent) if own.ends_with(SELF) => parent.to_owned(),
        _ => own,
    })
}

/// Where the group lies that `membership` (`/proc/self/cgroup`) names, by the mounts of `/proc/self/mountinfo`.
fn place(mounts: &str, membership: &str) -> Option<PathBuf> {
    let path = Path::new(membership.lines().find_map(|line| line.strip_prefix("0::"))?);
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let [root, point] = mount.split(' ').skip(3).take(2).collect::<Vec<_>>().try_into().ok()?;
        // The kernel escapes blanks; nobody has them here.
        let plain = kind.starts_with("cgroup2 ") && !point.contains('\\');
        let below = path.strip_prefix(root).ok().filter(|_| plain)?;
        // A group outside of this process's namespace begins with `..`.
        let inside = below.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        inside.then(|| Path::new(point).join(below))
    })
}

/// Whether groups can be made below `own`, as far as one can tell without doing it.
fn look(own: &Path, controllers: &[&str]) -> Result<(), &'static str> {
    if !lists(&own.join("cgroup.controllers"), controllers) {
        return Err(NO_CONTROLLERS);
    }
    let writable = |name: &str| OpenOptions::new().write(true).open(own.join(name)).is_ok();
    if !writable("cgroup.procs") || !writable("cgroup.subtree_control") {
        return Err(NOT_OURS);
    }
    // The root of the hierarchy, which has no events, may lend although processes are in it.
    let is_root = !own.join("cgroup.events").exists();
    if is_root || lends(own, controllers) || is_alone(own) { Ok(()) } else { Err(NOT_ALONE) }
}

fn lists(file: &Path, controllers: &[&str]) -> bool {
    let listed = fs::read_to_string(file).unwrap_or_default();
    controllers.iter().all(|controller| listed.split_whitespace().any(|word| word == *controller))
}

fn lends(group: &Path, controllers: &[&str]) -> bool {
    lists(&group.join("cgroup.subtree_control"), controllers)
}

fn lend(group: &Path, controllers: &[&str]) -> io::Result<()> {
    if controllers.is_empty() {
        return Ok(());
    }
    let all: Vec<String> = controllers.iter().map(|controller| format!("+{controller}")).collect();
    fs::write(group.join("cgroup.subtree_control"), all.join(" "))
}

/// Whether this process is the only one in the group.
fn is_alone(group: &Path) -> bool {
    let own = std::process::id().to_string();
    fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|pids| pids.lines().all(|pid| pid == own))
}

/// Moves this process into a group below its own, so that that one can lend its controllers.
fn step_aside(own: &Path, controllers: &[&str]) -> io::Result<()> {
    if !is_alone(own) {
        return Err(io::Error::new(ErrorKind::ResourceBusy, NOT_ALONE));
    }
    let aside = own.join(SELF);
    match fs::create_dir(&aside) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let moved = fs::write(aside.join("cgroup.procs"), "0");
    moved.and_then(|()| lend(own, controllers)).inspect_err(|_| {
        let _ = fs::write(own.join("cgroup.procs"), "0").and_then(|()| fs::remove_dir(&aside));
    })
}

/// A new group for a host, locked.
fn make(own: &Path) -> io::Result<(PathBuf, File)> {
    for number in 0..TRIES {
        let directory = own.join(format!("{PREFIX}{}-{number}", std::process::id()));
        match fs::create_dir(&directory) {
            // One of this host's earlier ones, or of a host in another namespace of processes.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            made => made?,
        }
        // Before it was locked another host may have taken it for an orphan.
        let Ok(lock) = File::open(&directory) else { continue };
        lock.lock()?;
        let same = |there: fs::Metadata| lock.metadata().is_ok_and(|locked| locked.ino() == there.ino());
        if fs::metadata(&directory).is_ok_and(same) {
            return Ok((directory, lock));
        }
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, "no name is free"))
}

/// Removes the groups of hosts that are gone, and ends what they left in them. Failing to is of no consequence.
fn remove_orphans(own: &Path) {
    for host in directories(own) {
        let is_host = host.file_name().is_some_and(|name| name.as_bytes().starts_with(PREFIX.as_bytes()));
        if is_host
            && let Ok(lock) = File::open(&host)
            && lock.try_lock().is_ok()
        {
            for worker in directories(&host) {
                kill(&worker);
                let _ = fs::remove_dir(&worker);
            }
            let _ = fs::remove_dir(&host);
        }
    }
}

fn directories(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests;
