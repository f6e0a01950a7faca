//! Sandboxes in worker processes, from outside: what the kernel says of such a process, how it dies, what it costs its
//! host, and that errors are those of wasm mode. That results are is shown by `conformance.rs` and `roundtrip.rs`, what
//! hostile code comes to by `abuse.rs`, each of which runs there too.

use std::collections::BTreeSet;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use cloister::{
    Error, ExecutionMode, Hardening, Job, JobOptions, Limit, Limits, LogStream, Scope, Session, WorkerProgram, process,
};
use cloister_tests::proc::WorkerProcess;

/// The program that is started.
const PROGRAM: &str = env!("CARGO_BIN_EXE_sandbox_worker");

const MIB: u64 = 1 << 20;

const SOURCE: &str = "
import os, sys
kept = []
class Callable: pass
Callable.__call__ = Callable()
def echo(x: int) -> int: return x
def count(x: int) -> int:
    kept.append(x)
    return len(kept)
def hoard(x: int) -> int:
    while True: kept.append(bytearray(x))
def careful(x: int) -> int:
    try: return len(bytearray(x))
    except MemoryError: return -1
def spin(x: int) -> int:
    print('started', flush=True)
    while True:
        try:
            while True: pass
        except BaseException: pass
def deep(x: int) -> int: return Callable()()
def end(x: int) -> int: os._exit(x)
def say(x: int) -> int:
    for line in range(x): print('line', line)
    print('last', file=sys.stderr)
    return x
def raise_it(x: int) -> int: raise ValueError('no ' * x)
def large(x: int) -> str: return 'x' * x
";

/// The tests count the workers of this process: one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn options() -> JobOptions {
    JobOptions::new(ExecutionMode::Wasm).source("udf.py", SOURCE).worker(WorkerProgram::At(PROGRAM.into()))
}

fn job(options: JobOptions) -> Job {
    Session::new().job(options).unwrap_or_else(|error| panic!("{error}"))
}

fn call(job: &Job, function: &str, value: i64) -> Result<ArrayRef, Error> {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![value]));
    job.function(function)?.call(&[column], 1)
}

fn number(job: &Job, function: &str, value: i64) -> i64 {
    let column = call(job, function, value).unwrap_or_else(|error| panic!("{function}: {error}"));
    column.as_primitive::<Int64Type>().value(0)
}

/// The child processes of this process, ended ones that nobody has reaped included.
fn children() -> BTreeSet<u32> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("this process");
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).map(number_of).collect()
}

fn number_of(text: String) -> u32 {
    text.parse().expect("a number")
}

/// The one child that is not among `known`: the worker of the job that was just called.
fn new_child(known: &BTreeSet<u32>) -> u32 {
    let new: Vec<u32> = children().difference(known).copied().collect();
    assert_eq!(new.len(), 1, "{new:?} beside {known:?}");
    new[0]
}

/// Waits for what another thread or the kernel is about to do.
fn wait_until(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not come");
        std::thread::yield_now();
    }
}

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().expect("kill").success());
}

fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn has(layers: &[&str]) -> bool {
    process::hardening().iter().all(|layer| layer.is_in_force() || !layers.contains(&layer.name))
}

#[test]
fn what_the_kernel_says_of_a_worker() {
    let _alone = alone();
    let job = job(options());
    assert_eq!(number(&job, "echo", 7), 7);
    let pid = new_child(&BTreeSet::new());
    let worker = WorkerProcess(pid.to_string());
    if has(&["privileges", "connections", "system calls"]) {
        worker.assert_confined();
    }
    let limit = |name: &str| worker.limit(name).swap_remove(0);
    let data: u64 = limit("Max data size").parse().expect("a limit on data");
    assert!((256 * MIB..4096 * MIB).contains(&data), "{data}");
    assert_eq!(limit("Max core file size"), "0");
    if has(&["limits"]) {
        assert_eq!((limit("Max file size"), limit("Max open files")), ("0".into(), "512".into()));
    }
    assert_eq!(worker.environment(), ["CLOISTER_CACHE", "CLOISTER_SOCKET", "CLOISTER_TOKEN"]);
    let session = worker.read("stat").rsplit(") ").next().and_then(|rest| rest.split(' ').nth(3).map(str::to_owned));
    assert_eq!(session, Some(pid.to_string()), "a session of its own");
    // The memory that the image starts with is the one file of the host's that it has open.
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the worker's descriptors") {
        let target = std::fs::read_link(entry.expect("an entry").path()).expect("a descriptor");
        let target = target.to_string_lossy().into_owned();
        let own = ["/dev/null", "pipe:", "socket:", "anon_inode:"];
        let image = target.ends_with(".memory") || target.ends_with(".cwasm");
        assert!(image || own.iter().any(|prefix| target.starts_with(prefix)), "{target}");
    }
}

#[test]
fn what_a_worker_in_the_hands_of_an_attacker_reaches() {
    let _alone = alone();
    if !has(&["files", "connections", "system calls"]) {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let program = directory.path().join("program");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_hostile_worker"), &program).expect("a link");
    std::fs::write(directory.path().join("secret"), "secret").expect("written");
    let listener = UnixListener::bind(directory.path().join("socket")).expect("a listener");
    listener.set_nonblocking(true).expect("not blocking");
    let error = Session::new().job(options().worker(WorkerProgram::At(program))).expect_err("it does not say hello");
    let text = error.to_string();
    let (denied, forbidden) = (libc_error::EACCES, libc_error::EPERM);
    for (name, expected) in [
        ("read", denied),
        ("password", denied),
        ("environ", denied),
        ("list", denied),
        ("cache", denied),
        ("write", denied),
        ("zone", denied),
        ("tcp", forbidden),
        ("udp", forbidden),
        ("run", forbidden),
    ] {
        assert!(text.contains(&format!("{name}={expected}")), "{name}: {text}");
    }
    assert!(text.contains("exited with status 9") && !text.contains("REACHED"), "{text}");
    assert!(listener.accept().is_err(), "nobody dialled it");
}

/// As every Linux numbers them.
mod libc_error {
    pub const EPERM: i32 = 1;
    pub const EACCES: i32 = 13;
}

#[test]
fn a_killed_worker_is_an_error_of_its_call_alone_and_nothing_of_it_stays() {
    let _alone = alone();
    let descriptors = || std::fs::read_dir("/proc/self/fd").expect("this process").count();
    let bystander = job(options());
    assert_eq!(number(&bystander, "count", 1), 1);
    let (others, before) = (children(), descriptors());
    let job = job(options());
    assert_eq!(number(&job, "count", 1), 1);
    // Idle: the next call has a new sandbox.
    let idle = new_child(&others);
    kill(idle);
    wait_until(|| !exists(idle));
    assert_eq!(number(&job, "count", 1), 1);
    // In a call: the call fails, and says no more of the host than that.
    let busy = new_child(&others);
    let outcome = std::thread::scope(|scope| {
        let spinning = scope.spawn(|| call(&job, "spin", 0));
        wait_until(|| job.log().take().iter().any(|(_, text)| text.contains("started")));
        kill(busy);
        spinning.join().expect("no panic")
    });
    match outcome {
        Err(Error::ExecutorDied { mode: ExecutionMode::Wasm, reason }) => {
            assert!(reason.contains("killed by signal 9"), "{reason}");
            assert!(!reason.contains("stderr") && !reason.contains('/'), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!exists(busy));
    assert_eq!(number(&job, "count", 1), 1);
    assert_eq!(number(&bystander, "count", 1), 2);
    drop(job);
    assert_eq!(children(), others, "no zombie, and none that lives on");
    wait_until(|| descriptors() == before);
}

#[test]
fn a_call_that_costs_its_sandbox_does_not_cost_its_worker() {
    let _alone = alone();
    let limits = || Limits::default().memory(64 * MIB);
    let job = job(options().limits(limits().deadline(Duration::from_millis(300))));
    assert_eq!(number(&job, "count", 1), 1);
    let pid = new_child(&BTreeSet::new());
    let deadline = Duration::from_millis(300);
    match call(&job, "spin", 0) {
        Err(Error::Limit(Limit::Deadline { limit, used })) => assert!(limit == deadline && used >= deadline),
        other => panic!("{other:?}"),
    }
    // A new sandbox: what the last one held is gone. The worker is the same, unless the machine was too busy for it to
    // answer in time.
    assert_eq!(number(&job, "count", 1), 1);
    assert!(job.stats().executors == 2 && children().len() == 1);
    drop(job);
    assert!(!exists(pid));
    let generous = self::job(options().limits(limits()));
    assert_eq!(number(&generous, "count", 1), 1);
    let pid = new_child(&BTreeSet::new());
    match call(&generous, "hoard", MIB as i64) {
        Err(Error::Limit(Limit::Memory { limit, used: Some(used), scope: Scope::Executor })) => {
            assert_eq!(limit, 64 * MIB);
            assert!(used > limit && used < 80 * MIB, "{used}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(number(&generous, "careful", 100 * MIB as i64), -1, "Python sees MemoryError first");
    assert_eq!(number(&generous, "count", 1), 1, "the sandbox to which memory was denied is not used again");
    assert!(matches!(call(&generous, "deep", 1), Err(Error::User(_) | Error::Limit(Limit::Stack { .. }))));
    assert_eq!(number(&generous, "echo", 1), 1);
    assert_eq!(new_child(&BTreeSet::new()), pid, "the same worker");
    assert!(generous.stats().peak_memory_bytes <= 64 * MIB);
    // What is more than an orderly end is the end of the worker too.
    match call(&generous, "end", 3) {
        Err(Error::ExecutorDied { mode: ExecutionMode::Wasm, reason }) => assert!(reason.contains("os._exit")),
        other => panic!("{other:?}"),
    }
    assert_eq!(number(&generous, "count", 1), 1);
    assert_ne!(new_child(&BTreeSet::new()), pid);
}

#[test]
fn errors_and_logs_are_those_of_wasm_mode() {
    let _alone = alone();
    let limits = || Limits::default().memory(64 * MIB).log(100).result(MIB as usize);
    let inside = job(JobOptions::new(ExecutionMode::Wasm).source("udf.py", SOURCE).limits(limits()));
    let outside = job(options().limits(limits()));
    assert_eq!((inside.stats().in_worker, outside.stats().in_worker), (false, true));
    for (function, value) in [
        ("echo", 1),
        ("raise_it", 3),
        ("deep", 1),
        ("hoard", MIB as i64),
        ("end", 1),
        ("say", 20),
        ("large", 2 * MIB as i64),
        ("large", 100 * MIB as i64),
        ("nothing", 1),
    ] {
        let [one, two] = [&inside, &outside].map(|job| call(job, function, value));
        match (one, two) {
            (Ok(one), Ok(two)) => assert_eq!(&one, &two, "{function}"),
            (Err(one), Err(two)) => assert_eq!(steady(&one), steady(&two), "{function}"),
            (one, two) => panic!("{function}: {one:?}, in a worker {two:?}"),
        }
    }
    let [one, two] = [&inside, &outside].map(|job| (joined(job), job.log().dropped_bytes()));
    assert_eq!(one, two);
    assert!(one.1 > 0 && two.0.iter().map(|(_, text)| text.len()).sum::<usize>() == 100, "{two:?}");
}

/// The log, with what was written to one stream in one piece.
fn joined(job: &Job) -> Vec<(LogStream, String)> {
    let mut log: Vec<(LogStream, String)> = Vec::new();
    for (stream, text) in job.log().take() {
        match log.last_mut() {
            Some((last, all)) if *last == stream => all.push_str(&text),
            _ => log.push((stream, text)),
        }
    }
    log
}

/// The error without figures, which depend on how far the code got.
fn steady(error: &Error) -> String {
    format!("{error:?}").chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

#[test]
fn memory_is_charged_from_the_start_and_a_job_cannot_be_forked() {
    let _alone = alone();
    let job = job(options().limits(Limits::default().memory(64 * MIB)).parallelism(2));
    assert!(job.stats().memory_bytes >= 64 * MIB);
    let error = job.fork().expect_err("it cannot be copied");
    assert!(matches!(error, Error::Refused { mode: ExecutionMode::Wasm, .. }), "{error}");
    assert!(error.to_string().contains("worker processes"), "{error}");
    let full = Session::new().job(options().limits(Limits::default().job_memory(100 * MIB)));
    assert!(matches!(full, Err(Error::Limit(Limit::Memory { scope: Scope::Job, .. }))), "{full:?}");
}

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    let _alone = alone();
    let session = Session::new();
    for mode in [ExecutionMode::Process, ExecutionMode::Thread] {
        let error = session.job(JobOptions::new(mode).source("udf.py", SOURCE).worker(WorkerProgram::This));
        let error = error.expect_err("it has no sandboxes");
        assert!(matches!(&error, Error::Refused { mode: refused, .. } if *refused == mode), "{error}");
        assert!(error.to_string().contains("choose wasm mode"), "{error}");
    }
    // The main of this program is the test harness's.
    for (program, part) in [
        (WorkerProgram::This, "call cloister::worker::run_if_asked() first"),
        (WorkerProgram::At("/no/such/program".into()), "there is no such file"),
        (WorkerProgram::At("/bin/true".into()), "it does not say what it is"),
    ] {
        let error = session.job(options().worker(program)).expect_err("no worker");
        assert!(matches!(error, Error::Missing { .. }) && error.to_string().contains(part), "{error}");
    }
    if process::hardening().iter().all(cloister::Layer::is_in_force) {
        let hardened = job(options().hardening(Hardening::Required));
        assert_eq!(number(&hardened, "echo", 1), 1);
    }
}

#[test]
fn a_program_becomes_a_worker_by_its_arguments_and_its_environment_together() {
    let _alone = alone();
    let output = |arguments: &[&str], environment: bool| {
        let mut command = Command::new(PROGRAM);
        command.args(arguments);
        if environment {
            command.env("CLOISTER_SOCKET", "/no/such/socket").env("CLOISTER_TOKEN", "x");
        }
        let output = command.output().expect("the program");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    const ARGUMENT: &str = "--cloister-sandbox-worker";
    for arguments in [&[] as &[&str], &["x", ARGUMENT], &[ARGUMENT, "x"], &[ARGUMENT, "describe", "x"]] {
        assert_eq!(output(arguments, true), (Some(0), "an ordinary program\n".into()), "{arguments:?}");
    }
    let (code, said) = output(&[ARGUMENT], false);
    assert!(code == Some(2) && said.contains("CLOISTER_SOCKET"), "{said}");
    let (code, said) = output(&[ARGUMENT], true);
    assert!(code == Some(4) && said.contains("the host is gone"), "{said}");
}

#[test]
fn calls_side_by_side_have_a_worker_each_and_large_bundles_go_through() {
    let _alone = alone();
    let job = job(options().parallelism(2));
    let rows = 300_000;
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let echo = job.function("echo").expect("a function");
    std::thread::scope(|scope| {
        let calls: Vec<_> =
            (0..2).map(|_| scope.spawn(|| echo.call(std::slice::from_ref(&column), rows as usize))).collect();
        for call in calls {
            assert_eq!(&call.join().expect("no panic").expect("a result"), &column);
        }
    });
    assert!((1..=2).contains(&children().len()));
    // A request that no sandbox of the job could hold does not reach one.
    let small = self::job(options().limits(Limits::default().memory(32 * MIB)));
    let many: ArrayRef = Arc::new(Int64Array::from_iter_values(0..6 << 20));
    let error = small.function("echo").and_then(|echo| echo.call(&[many], 6 << 20)).expect_err("too large");
    assert!(matches!(error, Error::Limit(Limit::Memory { limit, .. }) if limit == 32 * MIB), "{error}");
    assert_eq!(number(&small, "echo", 5), 5);
}
