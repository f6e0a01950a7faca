//! One worker process, whatever it runs: started in a session of its own with an empty environment, watched by a thread of its own,
//! killed with its whole process group, and always reaped. Knows nothing of the protocol.

use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::group::Group;
use super::output::Output;
use super::sys;
use super::sys::confine::{Step, confine};
use crate::Error;
use crate::log::JobLog;

/// Stack of the thread that watches a worker: it starts it and sleeps.
const WATCHER_STACK: usize = 128 << 10;

/// How long dropping a worker waits for the kernel to end it. Only a process that hangs in the kernel takes longer.
const BURIAL: Duration = Duration::from_secs(10);

/// How to start a worker.
pub struct Spec<'a> {
    /// The program, and what messages call it.
    pub program: &'a Path,
    pub name: &'a str,
    /// What to do when it cannot be started.
    pub mend: &'a str,
    /// Its arguments.
    pub arguments: &'a [&'a str],
    /// All of its environment.
    pub environment: &'a [(&'a str, &'a str)],
    /// Where it works; removed with the worker.
    pub directory: TempDir,
    /// What confines it, beside a session of its own.
    pub confinement: Vec<Step>,
    /// The control group that it enters, where there is one: gone with the worker.
    pub group: Option<Group>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// What it left to its parent.
    pub status: ExitStatus,
    /// Whether the kernel ended it because the memory of its group was used up.
    pub out_of_memory: bool,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status.signal(), self.status.code()) {
            (Some(signal), _) => match signal_name(signal) {
                Some(name) => write!(f, "it was killed by signal {signal} ({name})"),
                None => write!(f, "it was killed by signal {signal}"),
            },
            (None, code) => write!(f, "it exited with status {}", code.unwrap_or(0)),
        }
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGTERM => "SIGTERM",
        libc::SIGINT => "SIGINT",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

/// A running or ended worker. Dropping it kills and reaps the process.
#[derive(Debug)]
pub struct Worker {
    /// Its process id: valid until it has been reaped.
    pub pid: u32,
    /// What it writes to its standard streams.
    pub output: Output,
    /// Its control group, as long as it lives.
    pub group: Option<Arc<Group>>,
    life: Arc<Life>,
    _directory: TempDir,
}

#[derive(Debug)]
struct Life {
    pid: u32,
    end: Mutex<Option<End>>,
    ended: Condvar,
}

/// Kills one worker; can be kept anywhere, and does nothing once the worker has ended.
#[derive(Debug, Clone)]
pub struct Killer(Arc<Life>);

impl Killer {
    /// Kills the worker's process group.
    pub fn kill(&self) {
        let end = self.0.end.lock().unwrap_or_else(PoisonError::into_inner);
        // Reaping happens under the same lock: as long as there is no end the number is the worker's.
        if end.is_none() {
            sys::kill_group(self.0.pid);
        }
    }
}

impl Worker {
    /// Starts a worker. `on_end` is called once, from another thread, when the process has ended; it is reaped right
    /// after.
    ///
    /// # Errors
    /// [`Error::Missing`] when the program cannot be started.
    pub fn start(spec: Spec<'_>, log: &Arc<JobLog>, on_end: impl FnOnce() + Send + 'static) -> Result<Worker, Error> {
        let mut command = Command::new(spec.program);
        command.args(spec.arguments).env_clear().envs(spec.environment.iter().copied());
        command.current_dir(spec.directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        sys::isolate(&mut command);
        confine(&mut command, spec.confinement);
        let group = spec.group.map(Arc::new);
        let left = group.clone();
        let (sender, started) = mpsc::sync_channel(1);
        // The kernel kills a worker when the thread that started it ends, so that thread is the one that waits for it.
        thread::Builder::new()
            .name("cloister-worker".into())
            .stack_size(WATCHER_STACK)
            .spawn(move || watch(command, &sender, left, on_end))
            .map_err(|error| Error::internal(format!("no thread for a worker: {error}")))?;
        let started = started.recv().map_err(|_| Error::internal("a worker's thread failed"))?;
        let Started { life, stdout, stderr } = started.map_err(|error| {
            Error::missing(
                format!("the {} {} cannot be started: {error}", spec.name, spec.program.display()),
                spec.mend,
            )
        })?;
        let killer = Killer(life.clone());
        let output = Output::new(stdout, stderr, log).inspect_err(|_| killer.kill())?;
        Ok(Worker { pid: life.pid, output, group, life, _directory: spec.directory })
    }

    /// How to kill it from elsewhere.
    pub fn killer(&self) -> Killer {
        Killer(self.life.clone())
    }

    /// Kills its process group.
    pub fn kill(&self) {
        self.killer().kill();
    }

    /// How it ended, if it does so within `patience`.
    pub fn end_within(&self, patience: Duration) -> Option<End> {
        let end = self.life.end.lock().unwrap_or_else(PoisonError::into_inner);
        *self
            .life
            .ended
            .wait_timeout_while(end, patience, |end| end.is_none())
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
        if self.end_within(BURIAL).is_none() {
            tracing::warn!("worker {} does not end; it is left to the kernel", self.pid);
        }
    }
}

struct Started {
    life: Arc<Life>,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// The thread of one worker: starts it, waits, kills what it left behind, reaps.
fn watch(
    mut command: Command,
    started: &mpsc::SyncSender<std::io::Result<Started>>,
    group: Option<Arc<Group>>,
    on_end: impl FnOnce(),
) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    // With it goes what only the child needed.
    drop(command);
    let pid = child.id();
    let life = Arc::new(Life { pid, end: Mutex::default(), ended: Condvar::new() });
    if let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) {
        let begun = Started { life: life.clone(), stdout: stdout.into(), stderr: stderr.into() };
        let _ = started.send(Ok(begun));
    }
    if let Err(error) = sys::wait_until_ended(pid) {
        tracing::warn!("worker {pid} cannot be waited for: {error}");
    }
    // Told before it is reaped: whoever sees that the process is gone finds that it was told.
    on_end();
    let mut end = life.end.lock().unwrap_or_else(PoisonError::into_inner);
    // Children that it left in its group go with it. Its own number is still taken: it has not been reaped.
    sys::kill_group(pid);
    let out_of_memory = group.as_ref().is_some_and(|group| group.ran_out_of_memory());
    // And so do those that have left it, where the kernel knows them by their control group.
    if let Some(group) = &group {
        group.kill();
    }
    let status = child.wait().inspect_err(|error| tracing::warn!("worker {pid} cannot be reaped: {error}"));
    // Before anybody hears of the end: the worker's own reference is then the last.
    drop(group);
    *end = Some(End { status: status.unwrap_or_default(), out_of_memory });
    life.ended.notify_all();
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn start(script: &str, on_end: impl FnOnce() + Send + 'static) -> (Worker, Arc<JobLog>) {
        let log = Arc::new(JobLog::new(1 << 10));
        let spec = Spec {
            program: Path::new("/bin/sh"),
            name: "shell",
            mend: "",
            arguments: &["-c", script],
            environment: &[("ONLY", "this")],
            directory: tempfile::tempdir().unwrap(),
            confinement: Vec::new(),
            group: None,
        };
        (Worker::start(spec, &log, on_end).unwrap(), log)
    }

    fn wait_until(mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < BURIAL);
            thread::yield_now();
        }
    }

    fn logged(worker: &Worker, log: &JobLog) -> String {
        worker.end_within(BURIAL).unwrap();
        worker.output.drain();
        log.take().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn it_tells_how_it_ended() {
        let (sender, ended) = mpsc::channel();
        let (worker, _) = start("exit 3", move || sender.send(()).unwrap());
        ended.recv_timeout(BURIAL).unwrap();
        assert_eq!(worker.end_within(BURIAL).unwrap().to_string(), "it exited with status 3");
        let (worker, _) = start("kill -SEGV $$", || {});
        assert_eq!(worker.end_within(BURIAL).unwrap().to_string(), "it was killed by signal 11 (SIGSEGV)");
    }

    #[test]
    fn its_environment_is_what_was_given_and_its_directory_is_empty_and_its_own() {
        let (worker, log) = start("/usr/bin/env | grep -v -E '^(PWD|SHLVL|_|OLDPWD)='; ls -A", || {});
        assert_eq!(logged(&worker, &log), "ONLY=this\n");
        let directory = worker._directory.path().to_owned();
        drop(worker);
        assert!(!directory.exists());
    }

    #[test]
    fn dropping_it_ends_it_and_its_children() {
        let (worker, log) = start("sleep 1000 & echo $!; wait", || {});
        let mut child = None;
        wait_until(|| {
            worker.output.drain();
            child = log.take().pop().map(|(_, text)| text.trim().to_owned());
            child.is_some()
        });
        let own = format!("/proc/{}", worker.pid);
        let stat = format!("/proc/{}/stat", child.unwrap());
        drop(worker);
        assert!(!Path::new(&own).exists(), "it was not reaped");
        // The child was killed at the same time, but its end is not ours to wait for, nor is it ours to reap.
        wait_until(|| std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")));
    }

    #[test]
    fn it_lives_on_when_the_thread_that_asked_for_it_ends() {
        let (worker, log) = thread::spawn(|| start("read line; echo $line", || {})).join().unwrap();
        assert_eq!(logged(&worker, &log), "\n");
        assert!(worker.end_within(BURIAL).unwrap().status.success());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let spec = Spec {
            program: Path::new("/no/such/python"),
            name: "interpreter",
            mend: "give another one",
            arguments: &[],
            environment: &[],
            directory: tempfile::tempdir().unwrap(),
            confinement: Vec::new(),
            group: None,
        };
        let log = Arc::new(JobLog::new(0));
        let error = Worker::start(spec, &log, || {}).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("the interpreter /no/such/python") && text.ends_with("give another one"), "{text}");
    }
}
