//! Groups on a tree of plain files, and on this kernel's own where the tests may make groups there.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::*;
use crate::process::sys::confine::{Step, confine};

/// A group as the kernel shows one, of plain files.
fn shown(controllers: &str, lent: &str, processes: &str) -> TempDir {
    let group = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("cgroup.controllers", controllers),
        ("cgroup.subtree_control", lent),
        ("cgroup.procs", processes),
        ("cgroup.events", "populated 1\n"),
    ] {
        fs::write(group.path().join(name), text).unwrap();
    }
    group
}

fn found(controllers: &str, lent: &str, processes: &str) -> Result<(), &'static str> {
    look(shown(controllers, lent, processes).path(), CONTROLLERS)
}

#[test]
fn the_hosts_own_group_is_found_by_mounts_and_membership() {
    let mounts = "22 1 0:20 / /proc rw - proc proc rw\n\
                  31 30 0:27 /a /mnt rw - cgroup2 cgroup2 rw\n\
                  33 30 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    let place = |membership| place(mounts, membership);
    assert_eq!(place("4:memory:/x\n0::/b/c\n"), Some("/sys/fs/cgroup/b/c".into()));
    assert_eq!(place("0::/a/b\n"), Some("/mnt/b".into()), "a mount of a part shows that part");
    assert_eq!(place("0::/\n"), Some("/sys/fs/cgroup".into()));
    for membership in ["4:memory:/x\n", "0::/../b\n", ""] {
        assert_eq!(place(membership), None, "{membership}");
    }
    assert_eq!(super::place("33 30 0:28 / /a\\040b rw - cgroup2 x rw\n", "0::/b\n"), None);
}

#[test]
fn what_keeps_a_host_from_making_groups_is_told() {
    let own = format!("{}\n", std::process::id());
    assert_eq!(found("cpu memory pids\n", "", &own), Ok(()));
    assert_eq!(found("cpu memory pids\n", "cpu memory pids\n", ""), Ok(()), "it lends them already");
    assert_eq!(found("cpu memory\n", "", &own), Err(NO_CONTROLLERS));
    assert_eq!(found("hugetlb\n", "", &own), Err(NO_CONTROLLERS));
    assert_eq!(found("memory pids\n", "", &format!("1\n{own}")), Err(NOT_ALONE));
    let root = shown("memory pids\n", "", "1\n2\n");
    fs::remove_file(root.path().join("cgroup.events")).unwrap();
    assert_eq!(look(root.path(), CONTROLLERS), Ok(()), "the root may lend in any case");
    fs::remove_file(root.path().join("cgroup.procs")).unwrap();
    assert_eq!(look(root.path(), CONTROLLERS), Err(NOT_OURS));
}

#[test]
fn a_group_is_limited_by_what_is_written() {
    let own = shown("memory pids\n", "memory pids\n", "");
    let groups = Arc::new(Groups::below(own.path(), CONTROLLERS).unwrap());
    let text = |path: PathBuf| fs::read_to_string(path).unwrap();
    assert_eq!(text(groups.directory.join("cgroup.subtree_control")), "+memory +pids");
    let group = groups.worker(Some(99)).unwrap();
    group.limit_memory(1 << 20).unwrap();
    for (name, value) in [("pids.max", "99"), ("memory.oom.group", "1"), ("memory.max", "1048576")] {
        assert_eq!(text(group.directory.join(name)), value, "{name}");
    }
    assert_eq!(text(group.directory.join("memory.swap.max")), "0");
    let unlimited = groups.worker(None).unwrap();
    assert!(!unlimited.directory.join("pids.max").exists() && unlimited.directory != group.directory);
    for (events, expected) in [("oom 1\noom_kill 1\n", true), ("oom 3\noom_kill 0\noom_group_kill 0\n", false)] {
        fs::write(group.directory.join("memory.events"), events).unwrap();
        assert_eq!(group.ran_out_of_memory(), expected);
    }
}

#[test]
fn a_host_that_is_alone_steps_aside_before_its_group_lends() {
    let own = shown("memory pids\n", "", &format!("{}\n", std::process::id()));
    let groups = Groups::below(own.path(), CONTROLLERS).unwrap();
    // Plain files refuse nothing, so that the host need not have moved; that it does is shown on the kernel's own.
    assert!(lists(&own.path().join("cgroup.subtree_control"), &["+memory", "+pids"]));
    step_aside(own.path(), CONTROLLERS).unwrap();
    assert_eq!(fs::read_to_string(own.path().join(SELF).join("cgroup.procs")).unwrap(), "0");
    fs::write(own.path().join("cgroup.procs"), "1\n").unwrap();
    assert!(step_aside(own.path(), CONTROLLERS).is_err(), "there is another one");
    drop(groups);
}

#[test]
fn groups_of_hosts_that_are_gone_are_removed_and_those_of_living_ones_are_not() {
    let own = tempfile::tempdir().unwrap();
    let living = Groups::below(own.path(), &[]).unwrap();
    let dead = own.path().join("cloister-host-1-0");
    fs::create_dir_all(dead.join("worker-0")).unwrap();
    let stranger = own.path().join("stranger");
    fs::create_dir(&stranger).unwrap();
    let second = Groups::below(own.path(), &[]).unwrap();
    let left: BTreeSet<PathBuf> = directories(own.path()).into_iter().collect();
    // In a tree of files the order to kill stays behind as one.
    assert!(!dead.join("worker-0").exists() || dead.join("worker-0/cgroup.kill").exists());
    assert!(left.is_superset(&[living.directory.clone(), second.directory.clone(), stranger].into()));
    drop(living);
    assert!(second.directory.exists());
}

/// A group of the test's own on this kernel, if it may make one.
fn on_this_kernel() -> Option<PathBuf> {
    let own = own().ok()?;
    let test = own.join(format!("cloister-test-{}-{:?}", std::process::id(), std::thread::current().id()));
    match fs::create_dir(&test) {
        Ok(()) => Some(test),
        Err(error) => {
            // Then it must be that no host can, and is told.
            assert!(missing().is_some(), "{error}");
            None
        }
    }
}

fn processes(group: &Path) -> Vec<String> {
    fs::read_to_string(group.join("cgroup.procs")).unwrap().lines().map(str::to_owned).collect()
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

#[test]
fn a_process_enters_before_it_runs_and_all_of_its_kin_end_with_the_group() {
    let Some(own) = on_this_kernel() else { return };
    let groups = Arc::new(Groups::below(&own, &[]).unwrap());
    let group = groups.worker(None).unwrap();
    let mut command = Command::new("/bin/sh");
    // What it starts leaves its session and process group, not its control group.
    let script = "setsid sleep 1000 >/dev/null & cat /proc/self/cgroup; exec >/dev/null; wait";
    command.args(["-c", script]).stdout(Stdio::piped()).process_group(0);
    confine(&mut command, vec![Step::Group(group.door().unwrap())]);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut told = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut told).unwrap();
    assert!(told.contains(group.directory.file_name().unwrap().to_str().unwrap()), "{told}");
    wait_until(|| processes(&group.directory).len() == 2);
    assert!(processes(&group.directory).contains(&child.id().to_string()));
    group.kill();
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGKILL));
    wait_until(|| processes(&group.directory).is_empty());
    let directory = group.directory.clone();
    drop(group);
    wait_until(|| {
        groups.remove_ended();
        !directory.exists()
    });
    let host = groups.directory.clone();
    drop(groups);
    assert!(!host.exists());
    fs::remove_dir(own).unwrap();
}

#[test]
fn what_a_killed_host_left_running_is_ended_by_the_next() {
    let Some(own) = on_this_kernel() else { return };
    let groups = Arc::new(Groups::below(&own, &[]).unwrap());
    let group = groups.worker(None).unwrap();
    let mut command = Command::new("/bin/sleep");
    command.arg("1000");
    confine(&mut command, vec![Step::Group(group.door().unwrap())]);
    let mut child = command.spawn().unwrap();
    drop(command);
    // As the end of a host leaves it: nothing is tidied up, and the lock is gone.
    let host = groups.directory.clone();
    let Groups { _lock: lock, .. } = &*groups;
    lock.unlock().unwrap();
    remove_orphans(&own);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()), Some(libc::SIGKILL));
    wait_until(|| {
        remove_orphans(&own);
        !host.exists()
    });
    drop((group, groups));
    fs::remove_dir(own).unwrap();
}
