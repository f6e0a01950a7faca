//! Which files a worker may read, as a landlock ruleset: its program with its libraries (of a Python, its packages and
//! the worker's own sources), what the job names, and the little of the system that starting a program takes. Nothing is writable but /dev/null. The
//! ruleset also denies TCP, signals to other processes and abstract sockets, as far as the kernel knows them.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};

/// The newest version of landlock whose rights are known here; an older kernel enforces those that it knows.
const NEWEST: ABI = ABI::V9;

/// What the dynamic loader reads before it looks for libraries.
const LOADER: &[&str] = &["/etc/ld.so.cache", "/etc/ld.so.preload"];

/// What the C library, Python and its C extensions read of the system besides. All of it is the same for every user and
/// holds no secrets.
#[rustfmt::skip]
const SYSTEM: &[&str] = &[
    "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64",
    "/nix/store", "/usr/share/zoneinfo", "/etc/localtime",
    "/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf", "/etc/crypto-policies", "/usr/share/crypto-policies",
    "/dev/null", "/dev/random", "/dev/urandom", "/proc/cpuinfo", "/sys/devices/system/cpu",
];

/// Where the system's list of library directories stands.
const LIBRARY_LISTS: [&str; 2] = ["/etc/ld.so.conf", "/etc/ld.so.conf.d"];

/// What one worker needs beyond the system's files. A path that does not exist is left out.
pub struct Needs<'a> {
    /// Files and directories to read.
    pub read: Vec<&'a Path>,
    /// Whether also [`SYSTEM`] and the directories that the loader is configured to look in.
    pub system: bool,
    /// Programs to execute: the worker's own, and what loads it.
    pub run: &'a [PathBuf],
    /// A socket to dial, where the host cannot do that for the worker.
    pub dial: Option<&'a Path>,
}

/// The ruleset for one worker; `None` where the kernel has no landlock.
pub fn ruleset(needs: &Needs<'_>) -> Result<Option<OwnedFd>, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let (system, libraries) = if needs.system { (SYSTEM, library_directories()) } else { Default::default() };
    let created = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(LOADER, read))?
        .add_rules(path_beneath_rules(system, read))?
        .add_rules(path_beneath_rules(libraries, read))?
        .add_rules(path_beneath_rules(&needs.read, read))?
        .add_rules(path_beneath_rules(needs.run, AccessFs::Execute | AccessFs::ReadFile))?
        .add_rules(path_beneath_rules(["/dev/null"], AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(needs.dial, AccessFs::ResolveUnix))?;
    Ok(created.into())
}

/// The directories that the loader is configured to look for libraries in: packages may need those of CUDA, say.
fn library_directories() -> Vec<PathBuf> {
    let lists = LIBRARY_LISTS.iter().map(PathBuf::from).flat_map(|list| match std::fs::read_dir(&list) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(_) => vec![list],
    });
    let lines = lists.filter_map(|list| std::fs::read_to_string(list).ok());
    lines.flat_map(|text| directories_of(&text)).collect()
}

fn directories_of(list: &str) -> Vec<PathBuf> {
    let lines = list.lines().map(str::trim).filter(|line| line.starts_with('/') && line.len() > 1);
    lines.map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_name_a_directory_count() {
        let text = "# /secret\ninclude /etc/ld.so.conf.d/*.conf\n/\n /usr/local/cuda/lib64 \n\n/opt/lib\n";
        assert_eq!(directories_of(text), [Path::new("/usr/local/cuda/lib64"), Path::new("/opt/lib")]);
    }
}
