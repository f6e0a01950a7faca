//! Process mode with real workers: their life and death, what they find around them, and what the host does with one
//! that does not keep to the protocol. Every assertion is made on the host.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use cloister::ExecutionMode::Process;
use cloister::{Error, Hardening, Job, JobOptions, Limit, Limits, LogStream, Session};

/// Far more than anything here takes; a test that gets there fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn options(source: &str) -> JobOptions {
    JobOptions::new(Process).source("udf.py", source)
}

fn job(source: &str) -> Job {
    Session::new().job(options(source)).unwrap_or_else(|error| panic!("{error}"))
}

/// A job whose code may use the machine.
fn free_job(source: &str) -> Job {
    Session::new().job(options(source).hardening(Hardening::Off)).unwrap_or_else(|error| panic!("{error}"))
}

/// Calls the function `name` of one int argument.
fn call(job: &Job, name: &str, argument: i64) -> Result<ArrayRef, Error> {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![argument]));
    job.function(name)?.call(&[column], 1)
}

fn int(job: &Job, name: &str, argument: i64) -> Result<i64, Error> {
    call(job, name, argument).map(|column| column.as_primitive::<Int64Type>().value(0))
}

fn text(job: &Job, name: &str, argument: i64) -> Result<String, Error> {
    call(job, name, argument).map(|column| column.as_string::<i32>().value(0).to_owned())
}

/// Whether there is a process of this number, dead ones that nobody has reaped included.
fn exists(pid: i64) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::yield_now();
    }
}

const PID: &str = "import os\ndef pid(x: int) -> int:\n    return os.getpid()\n";

#[test]
fn a_function_runs_in_a_process_of_its_own() {
    let source = format!("{PID}def add(x: int) -> int:\n    return x + 1\n");
    let job = job(&source);
    assert_eq!(int(&job, "add", 41).unwrap(), 42);
    let pid = int(&job, "pid", 0).unwrap();
    assert_ne!(pid, i64::from(std::process::id()));
    assert_eq!(int(&job, "pid", 0).unwrap(), pid, "the worker is kept between calls");
    assert!(job.stats().peak_memory_bytes > 1 << 20);
    assert_eq!(job.stats().executors, 1);
}

#[test]
fn a_large_bundle_goes_through_and_comes_back() {
    let job = job("def twice(s: str) -> str:\n    return s + s\n");
    let long = "ü".repeat(500_000);
    let column: ArrayRef = Arc::new(StringArray::from(vec![long.as_str(); 40]));
    let result = job.function("twice").unwrap().call(&[column], 40).unwrap();
    let result = result.as_string::<i32>();
    assert_eq!(result.len(), 40);
    assert!(result.iter().flatten().all(|value| value.len() == 4 * 500_000));
}

#[test]
fn the_worker_is_gone_when_its_job_is() {
    let job = job(PID);
    let pid = int(&job, "pid", 0).unwrap();
    assert!(exists(pid));
    drop(job);
    assert!(!exists(pid), "neither running nor a zombie");
}

#[test]
fn a_job_may_outlive_the_thread_that_started_it() {
    let (job, pid) = thread::spawn(|| {
        let job = job(PID);
        let pid = int(&job, "pid", 0).unwrap();
        (job, pid)
    })
    .join()
    .unwrap();
    assert_eq!(int(&job, "pid", 0).unwrap(), pid);
}

#[test]
fn a_worker_that_dies_in_a_call_is_an_error_and_the_next_call_works() {
    let cases = [
        ("os.kill(os.getpid(), 9)", "killed by signal 9 (SIGKILL)"),
        ("os.kill(os.getpid(), 11)", "killed by signal 11 (SIGSEGV)"),
        ("os.abort()", "killed by signal 6 (SIGABRT)"),
        ("os.write(2, b'last words\\n'); os._exit(7)", "exited with status 7; its stderr ends with:\nlast words\n"),
        ("import ctypes; ctypes.string_at(8)", "killed by signal 11 (SIGSEGV)"),
    ];
    for (statement, expected) in cases {
        let job = job(&format!("{PID}def die(x: int) -> int:\n    {statement}\n    return x\n"));
        let first = int(&job, "pid", 0).unwrap();
        match int(&job, "die", 1) {
            Err(Error::ExecutorDied { mode: Process, reason }) => {
                assert!(reason.contains(expected), "{statement}: {reason:?}");
            }
            other => panic!("{statement}: {other:?}"),
        }
        let second = int(&job, "pid", 0).unwrap();
        assert_ne!(first, second);
        assert!(!exists(first));
        assert_eq!(job.stats().executors, 2);
    }
}

#[test]
fn a_worker_that_dies_between_calls_is_replaced_without_an_error() {
    let job = job(PID);
    let first = int(&job, "pid", 0).unwrap();
    assert!(Command::new("kill").args(["-9", &first.to_string()]).status().unwrap().success());
    wait_until("the worker is reaped", || !exists(first));
    assert_ne!(int(&job, "pid", 0).unwrap(), first);
}

#[test]
fn children_of_a_worker_go_with_it() {
    let source = "import subprocess, sys\ndef child(x: int) -> int:\n    return subprocess.Popen([sys.executable, '-c', \
                  'import signal; signal.pause()'], stdout=subprocess.DEVNULL).pid\n";
    let job = free_job(source);
    let child = int(&job, "child", 0).unwrap();
    assert!(exists(child));
    drop(job);
    let state = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    wait_until("the child has ended", || !exists(child) || state().contains(") Z "));
}

#[test]
fn a_deadline_ends_code_that_catches_everything() {
    let source = format!(
        "{PID}def spin(x: int) -> int:\n    while True:\n        try:\n            while True:\n                pass\n        \
         except BaseException:\n            pass\n"
    );
    let mut limits = Limits::default();
    limits.deadline = Some(Duration::from_millis(300));
    let job = Session::new().job(options(&source).limits(limits)).unwrap();
    let pid = int(&job, "pid", 0).unwrap();
    match int(&job, "spin", 0) {
        Err(Error::Limit(Limit::Deadline { limit, .. })) => assert_eq!(limit, Duration::from_millis(300)),
        other => panic!("{other:?}"),
    }
    assert!(!exists(pid));
    assert_ne!(int(&job, "pid", 0).unwrap(), pid);
}

#[test]
fn a_job_can_be_cancelled_in_the_middle_of_a_call() {
    let job = job("import os\ndef spin(x: int) -> int:\n    os.write(1, b'started')\n    while True:\n        pass\n");
    let other = job.clone();
    let canceller = thread::spawn(move || {
        wait_until("the call has started", || other.log().take().iter().any(|(_, text)| text.contains("started")));
        other.cancel();
    });
    assert!(matches!(int(&job, "spin", 0), Err(Error::Cancelled)));
    canceller.join().unwrap();
}

#[test]
fn calls_run_side_by_side_up_to_the_parallelism() {
    let directory = tempfile::tempdir().unwrap();
    let source = format!(
        "import os, time\ndef meet(x: int) -> int:\n    there = {:?}\n    open(there + str(x), 'w').close()\n    while \
         not os.path.exists(there + str(1 - x)):\n        time.sleep(0.001)\n    return os.getpid()\n",
        directory.path().join("caller-")
    );
    let job = Session::new().job(options(&source).parallelism(2).hardening(Hardening::Off)).unwrap();
    let other = job.clone();
    let second = thread::spawn(move || int(&other, "meet", 1).unwrap());
    let first = int(&job, "meet", 0).unwrap();
    assert_ne!(first, second.join().unwrap());
}

#[test]
fn memory_beyond_the_limit_is_a_memory_error_and_the_worker_lives_on() {
    let source = format!("{PID}def hoard(x: int) -> int:\n    return len(bytearray(x))\n");
    let mut limits = Limits::default();
    limits.memory = Some(256 << 20);
    let job = Session::new().job(options(&source).limits(limits)).unwrap();
    let pid = int(&job, "pid", 0).unwrap();
    assert_eq!(int(&job, "hoard", 64 << 20).unwrap(), 64 << 20);
    match int(&job, "hoard", 1 << 30) {
        Err(Error::Limit(Limit::Memory { limit, .. })) => assert_eq!(limit, 256 << 20),
        other => panic!("{other:?}"),
    }
    assert_eq!(int(&job, "pid", 0).unwrap(), pid);
}

#[test]
fn what_a_function_prints_is_in_the_log_after_the_call() {
    let source = "import os, sys, subprocess\ndef shout(x: int) -> int:\n    print('from print')\n    \
                  print('from stderr', file=sys.stderr)\n    sys.stdout.flush()\n    os.write(1, b'from write\\n')\n    \
                  subprocess.run(['/bin/echo', 'from a child'])\n    return x\n";
    let job = free_job(source);
    int(&job, "shout", 1).unwrap();
    let log = job.log().take();
    let of = |stream| log.iter().filter(|(of, _)| *of == stream).map(|(_, text)| text.as_str()).collect::<String>();
    assert_eq!(of(LogStream::Stdout), "from print\nfrom write\nfrom a child\n");
    assert_eq!(of(LogStream::Stderr), "from stderr\n");
}

#[test]
fn output_never_comes_later_than_the_reply() {
    let job = job("def count(x: int) -> int:\n    print(x)\n    return x\n");
    for number in 0..1_000 {
        int(&job, "count", number).unwrap();
        assert_eq!(job.log().take(), [(LogStream::Stdout, format!("{number}\n"))]);
    }
}

#[test]
fn a_worker_that_prints_more_than_the_log_holds_is_not_held_up() {
    let source = "import os\ndef flood(x: int) -> int:\n    for _ in range(x):\n        os.write(1, b'x' * 65536)\n    \
                  return x\n";
    let mut limits = Limits::default();
    limits.log = 1000;
    let job = Session::new().job(options(source).limits(limits)).unwrap();
    assert_eq!(int(&job, "flood", 100).unwrap(), 100);
    let kept: usize = job.log().take().iter().map(|(_, text)| text.len()).sum();
    assert_eq!((kept, job.log().dropped_bytes()), (1000, 100 * 65536 - 1000));
}

#[test]
fn a_worker_finds_an_empty_environment_and_an_empty_directory() {
    let source = "import json, os, sys\ndef around(x: int) -> str:\n    return json.dumps([sorted(os.environ), \
                  os.listdir(), sys.argv, os.stat('.').st_mode & 0o777, sys.stdin.read(), os.getcwd()])\n";
    let job = job(source);
    let found: serde_json::Value = serde_json::from_str(&text(&job, "around", 0).unwrap()).unwrap();
    let directory = PathBuf::from(found[5].as_str().unwrap());
    let expected = serde_json::json!([["LANG"], [], ["-c"], 0o700, "", directory]);
    assert_eq!(found, expected);
    assert!(directory.exists());
    drop(job);
    assert!(!directory.exists());
}

#[test]
fn the_door_opens_to_an_unused_token_only() {
    // The user's code knows the socket and its own worker's token; the token is used up.
    let source = r#"
import grpc, itertools, json
def dial(x: int) -> str:
    with open("/proc/self/environ", "rb") as f:
        given = dict(entry.split(b"=", 1) for entry in f.read().split(b"\0") if entry)
    own = given[b"CLOISTER_TOKEN"].decode()
    target = "unix:" + given[b"CLOISTER_SOCKET"].decode()
    answers = []
    for token in (own, "0" * 64, own[:-1], "", None):
        with grpc.insecure_channel(target, [("grpc.default_authority", "localhost")]) as channel:
            connect = channel.stream_stream("/cloister.worker.v1.WorkerHost/Connect")
            metadata = () if token is None else (("cloister-token", token),)
            try:
                answers.append(next(connect(iter([b"\x12\x00"]), metadata=metadata)).hex())
            except grpc.RpcError as error:
                answers.append(error.code().name)
    return json.dumps(answers)
"#;
    // Nothing but the token keeps this code out: its worker may dial.
    let job = free_job(source);
    let answers: Vec<String> = serde_json::from_str(&text(&job, "dial", 0).unwrap()).unwrap();
    assert_eq!(answers, ["UNAUTHENTICATED"; 5]);
}

/// What the test below starts as a host of its own: prints its worker's number, and then nothing ever.
#[test]
fn host_of_its_own() {
    if std::env::var_os("CLOISTER_TEST_HOST").is_none() {
        return;
    }
    // A call that holds the interpreter's lock: nothing in the worker itself can notice that its host is gone.
    let source = format!(
        "{PID}import ctypes\ndef hold(x: int) -> int:\n    os.write(1, b'held')\n    return ctypes.PyDLL(None).pause()\n"
    );
    let mut limits = Limits::default();
    limits.deadline = None;
    let job = thread::spawn(move || Session::new().job(options(&source).limits(limits)).unwrap()).join().unwrap();
    let pid = int(&job, "pid", 0).unwrap();
    let watched = job.clone();
    thread::spawn(move || {
        wait_until("the call has started", || watched.log().take().iter().any(|(_, text)| text.contains("held")));
        println!("\nworker {pid}");
    });
    let _ = int(&job, "hold", 0);
}

#[test]
fn a_worker_does_not_outlive_a_host_that_is_killed() {
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["host_of_its_own", "--exact", "--nocapture"])
        .env("CLOISTER_TEST_HOST", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(host.stdout.take().unwrap()).lines();
    let pid: i64 = lines
        .map(|line| line.unwrap())
        .find_map(|line| line.strip_prefix("worker ").map(|number| number.parse().unwrap()))
        .expect("the host tells its worker's number");
    assert!(exists(pid));
    host.kill().unwrap();
    host.wait().unwrap();
    // Whoever inherits it reaps it, soon or late: what counts is that it does not run.
    let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    wait_until("the worker has ended", || !exists(pid) || state().contains(") Z "));
}

/// A virtual environment without pip, beside the packages of `site` if given.
fn environment(directory: &Path, site: Option<&str>) -> PathBuf {
    let created =
        Command::new("python3").args(["-I", "-m", "venv", "--without-pip"]).arg(directory).status().expect("python3");
    assert!(created.success());
    if let Some(site) = site {
        std::fs::write(site_packages(directory).join("others.pth"), format!("{site}\n")).expect("the file is written");
    }
    directory.join("bin/python")
}

/// Where the virtual environment keeps its packages.
fn site_packages(directory: &Path) -> PathBuf {
    let mut versions = std::fs::read_dir(directory.join("lib")).expect("a virtual environment");
    versions.next().expect("a version of Python").expect("an entry").path().join("site-packages")
}

#[test]
fn an_interpreter_that_cannot_serve_is_one_message_that_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let without_grpc = environment(&directory.path().join("venv"), None);
    let not_python = PathBuf::from("/bin/cat");
    let absent = directory.path().join("absent/python");
    let cases =
        [(&without_grpc, "pip install grpcio"), (&not_python, "/bin/cat is no Python"), (&absent, "absent/python")];
    for (interpreter, expected) in cases {
        match Session::new().job(options(PID).interpreter(interpreter)) {
            Err(error @ Error::Missing { .. }) => assert!(error.to_string().contains(expected), "{error}"),
            other => panic!("{}: {other:?}", interpreter.display()),
        }
    }
}

#[test]
fn requirements_are_installed_once_into_an_environment_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("requirements.txt");
    std::fs::write(&file, "six==1.17.0\n").unwrap();
    let interpreter = cloister::process::install_requirements(&file, &|_| {}).unwrap();
    let again = cloister::process::install_requirements(&file, &|message| panic!("made again: {message}")).unwrap();
    assert_eq!(interpreter, again);
    let source = "import six\ndef version(x: int) -> str:\n    return six.__version__\n";
    let job = Session::new().job(options(source).interpreter(interpreter)).unwrap();
    assert_eq!(text(&job, "version", 0).unwrap(), "1.17.0");
}

#[test]
fn requirements_that_do_not_install_are_told_in_pips_words() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("requirements.txt");
    std::fs::write(&file, "./there-is-no-such-package\n").unwrap();
    let error = cloister::process::install_requirements(&file, &|_| {}).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }));
    assert!(error.to_string().contains("there-is-no-such-package"), "{error}");
    let error = cloister::process::install_requirements(&directory.path().join("absent.txt"), &|_| {}).unwrap_err();
    assert!(error.to_string().contains("absent.txt cannot be read"), "{error}");
}

/// What a broken worker is made of: the real one's parts, and `misbehave`, which each case defines.
const ROGUE: &str = r#"
import marshal, os, sys, types

def main():
    import grpc, queue
    from cloister import _wire as wire
    from cloister._harness import Harness
    token, socket = os.environ["CLOISTER_TOKEN"], os.environ["CLOISTER_SOCKET"]
    out = queue.SimpleQueue()
    hello = wire.encode_hello("3.11.0", os.getpid(), "rogue")
    handle = Harness().handle
    def on_start():
        out.put(hello)
    def on_eval(id, reply):
        out.put(wire.encode_reply(id, reply))
# CASE
    channel = grpc.insecure_channel("unix:" + socket, [("grpc.default_authority", "localhost"),
        ("grpc.max_send_message_length", -1)])
    on_start()
    connect = channel.stream_stream("/cloister.worker.v1.WorkerHost/Connect")
    try:
        for data in connect(iter(out.get, None), metadata=(("cloister-token", token),)):
            message = wire.decode_host_message(data)
            if message.request is not None:
                reply = handle(message.request)
                if marshal.loads(message.request)[0] == 0:
                    on_eval(message.id, reply)
                else:
                    out.put(wire.encode_reply(message.id, reply))
    except grpc.RpcError as error:
        print(error.code().name, file=sys.stderr, flush=True)
        # A broken worker does not end by itself.
        if error.code().name != "UNAUTHENTICATED":
            import signal
            signal.pause()

module = types.ModuleType("cloister.worker")
module.main = main
sys.modules["cloister.worker"] = module
"#;

#[test]
fn a_worker_that_breaks_the_protocol_is_killed_and_the_host_says_why() {
    let honest =
        job("import sys\ndef site(x: int) -> str:\n    return next(p for p in sys.path if 'site-packages' in p)\n");
    let site = text(&honest, "site", 0).unwrap();
    let starts = [
        ("def on_start(): out.put(wire.encode_reply(0, b'')); out.put(hello)", "its first message was no hello"),
        ("def on_start(): out.put(b'\\xff\\xff\\xff')", "it sent what is no message"),
        ("token = '0' * 64", "UNAUTHENTICATED"),
        (
            "print('no start today', file=sys.stderr); sys.exit(5)",
            "exited with status 5; its stderr ends with:\nno start",
        ),
    ];
    let evaluations = [
        ("def on_eval(id, reply): out.put(hello)", "it said hello twice"),
        ("def on_eval(id, reply): out.put(wire.encode_reply(id + 1, reply))", "a request that was not made"),
        ("def on_eval(id, reply): out.put(wire.encode_reply(id - 1, reply))", "a request that was not made"),
        ("def on_eval(id, reply): out.put(wire.encode_reply(0, reply))", "a request that was not made"),
        ("def on_eval(id, reply): out.put(b'\\x1a\\xff\\xff\\xff\\xff\\x0f')", "it sent what is no message"),
        ("def on_eval(id, reply): out.put(b'')", "a message without a body"),
        ("def on_eval(id, reply): out.put(None)", "it closed its connection"),
    ];
    let directory = tempfile::tempdir().unwrap();
    let mut number = 0;
    let mut rogue = |case: &str| {
        number += 1;
        let place = directory.path().join(number.to_string());
        let interpreter = environment(&place, Some(&site));
        let code = ROGUE.replace("# CASE", &format!("    {case}"));
        std::fs::write(site_packages(&place).join("sitecustomize.py"), code).unwrap();
        options(PID).interpreter(interpreter)
    };
    for (case, expected) in starts {
        match Session::new().job(rogue(case)) {
            Err(Error::Missing { what, .. }) => assert!(what.contains(expected), "{case}: {what:?}"),
            other => panic!("{case}: {other:?}"),
        }
    }
    for (case, expected) in evaluations {
        let job = Session::new().job(rogue(case)).unwrap_or_else(|error| panic!("{case}: {error}"));
        match int(&job, "pid", 0) {
            Err(Error::ExecutorDied { reason, .. }) => assert!(reason.contains(expected), "{case}: {reason:?}"),
            other => panic!("{case}: {other:?}"),
        }
    }
    // A second reply comes when nobody waits: the worker is killed all the same, and the next call gets a new one.
    let job =
        Session::new().job(rogue("def on_eval(id, reply): [out.put(wire.encode_reply(id, reply)) for _ in '12']"));
    let job = job.unwrap_or_else(|error| panic!("{error}"));
    let pid = int(&job, "pid", 0).unwrap();
    wait_until("the worker is reaped", || !exists(pid));
    assert_ne!(int(&job, "pid", 0).unwrap(), pid);
    // The size of a message is checked before it is read.
    let mut limits = Limits::default();
    limits.result = 1 << 20;
    let options = rogue("def on_eval(id, reply): out.put(wire.encode_reply(id, bytes(5 << 20)))").limits(limits);
    let job = Session::new().job(options).unwrap_or_else(|error| panic!("{error}"));
    match int(&job, "pid", 0) {
        Err(Error::Limit(Limit::ResultSize { limit, used })) => assert!(limit == 1 << 20 && used > 5 << 20, "{used}"),
        other => panic!("{other:?}"),
    }
}
