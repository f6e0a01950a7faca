//! Thread mode: what is its own. What it shares with the other modes is in the conformance cases.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::*;
use arrow::datatypes::DataType;
use cloister::{
    Argument, CallOptions, Error, ExecutionMode, Function, FunctionOptions, Job, JobOptions, Limit, Limits, LogStream,
    Session, with_frames_only,
};
use cloister_tests::wait_for;

fn options(source: &str) -> JobOptions {
    JobOptions::new(ExecutionMode::Thread).source("udf.py", source)
}

fn job(source: &str) -> Job {
    Session::new().job(options(source)).expect("a job")
}

fn function(job: &Job, name: &str) -> Function {
    job.function(name).expect("the function")
}

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Int64Array>())
}

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

#[test]
fn the_most_bytes_of_a_result_are_kept() {
    for result in [DataType::Utf8, DataType::LargeUtf8, DataType::Binary, DataType::LargeBinary] {
        let value = if result.is_binary() { "b'x'" } else { "'x'" };
        let source = format!("def f(n): return {value} * n");
        let job = Session::new().job(options(&source).limits(limits(|limits| limits.result = 1000))).expect("a job");
        let function = job.function_with("f", FunctionOptions::default().result(result)).expect("the function");
        function.call(&[ints([500, 400])], 2).expect("below the limit");
        let error = function.call(&[ints([500, 600])], 2).expect_err("above the limit");
        assert!(matches!(error, Error::Limit(Limit::ResultSize { limit: 1000, used: 1100 })), "{error:?}");
        function.call(&[ints([500])], 1).expect("works again");
    }
}

#[test]
fn no_reference_is_lost_or_kept() {
    let source = "
import sys
INT, FLOAT, STR, BYTES = 10**12, 1.5e10, ''.join(['té', 'xt'] * 30), bytes(100)
class Sub(int): pass
SUB = Sub(7)
KEPT = []
def f_int(x): return INT
def f_float(x): return FLOAT
def f_str(x): return STR
def f_bytes(x): return BYTES
def f_sub(x): return SUB
def f_wrong(x): return STR
def f_raise(x): raise ValueError(STR)
def f_late(x): return SUB if x < 3 else None
def keep(x, y):
    KEPT[:] = [x, y]
    return x
def counts() -> str:
    return repr([sys.getrefcount(v) for v in [INT, FLOAT, STR, BYTES, SUB] + KEPT])
";
    let job = job(source);
    let bind = |name: &str, result: DataType| {
        job.function_with(name, FunctionOptions::default().result(result)).expect("the function")
    };
    let functions = [
        bind("f_int", DataType::Int64),
        bind("f_float", DataType::Float32),
        bind("f_str", DataType::Utf8),
        bind("f_bytes", DataType::LargeBinary),
        bind("f_sub", DataType::Int32),
        bind("f_wrong", DataType::Int64),
        bind("f_raise", DataType::Int64),
        bind("f_late", DataType::Int64),
    ];
    let keep = bind("keep", DataType::Utf8);
    let counts = function(&job, "counts");
    let text: ArrayRef = Arc::new(StringArray::from(vec!["first one", "second one", "third one"]));
    let round = || {
        for function in &functions {
            let _ = function.call(&[ints(1..=4)], 4);
        }
        let constant: ArrayRef = Arc::new(Int64Array::from(vec![1 << 40]));
        keep.evaluate(&[text.clone().into(), Argument::Constant(constant)], 3).expect("a result");
        let counts = counts.call(&[], 1).expect("the counts");
        counts.as_string::<i32>().value(0).to_owned()
    };
    let first = round();
    for _ in 0..200 {
        assert_eq!(round(), first);
    }
}

#[test]
fn memory_does_not_grow() {
    let job = job(
        "import gc, sys\ndef f(x: int) -> int:\n    return x * 1000003\ndef blocks() -> int:\n    gc.collect()\n    return sys.getallocatedblocks()\n",
    );
    let (f, blocks) = (function(&job, "f"), function(&job, "blocks"));
    let blocks = || blocks.call(&[], 1).expect("a count").as_primitive::<arrow::datatypes::Int64Type>().value(0);
    f.call(&[ints(0..100)], 100).expect("a result");
    let before = blocks();
    for _ in 0..1_000 {
        f.call(&[ints(0..100)], 100).expect("a result");
    }
    // Other tests run in the same interpreter meanwhile; a leak of one object a row would be 100,000.
    let grown = blocks() - before;
    assert!(grown < 50_000, "{grown}");
}

#[test]
fn what_is_printed_goes_to_the_log_of_its_job() {
    let source = "
import sys, threading
def f(x: int) -> int:
    print('out', NAME, x)
    print('err', NAME, file=sys.stderr)
    thread = threading.Thread(target=lambda: print('thread', NAME))
    thread.start()
    thread.join()
    sys.stdout.buffer.write(b'bytes\\n')
    sys.stdout.write('\\ud800\\n')
    sys.stdout.flush()
    return sys.stdout.fileno() if x == 2 else x
def reads() -> str:
    return input()
";
    let jobs = ["one", "two"].map(|name| job(&format!("NAME = '{name}'\n{source}")));
    for (job, name) in jobs.iter().zip(["one", "two"]) {
        function(job, "f").call(&[ints([1])], 1).expect("a result");
        let log = job.log().take();
        let expected = [
            (LogStream::Stdout, format!("out {name} 1\n")),
            (LogStream::Stderr, format!("err {name}\n")),
            (LogStream::Stdout, format!("thread {name}\nbytes\n\\ud800\n")),
        ];
        assert_eq!(log, expected);
        assert!(matches!(function(job, "f").call(&[ints([2])], 1), Err(Error::User(_))), "no descriptor");
        let error = function(job, "reads").call(&[], 1).expect_err("nobody types");
        assert!(matches!(error, Error::User(ref error) if error.exception == "EOFError"), "{error:?}");
    }
}

#[test]
fn two_jobs_have_separate_namespaces() {
    let source = "count = 0\ndef f() -> int:\n    global count\n    count += 1\n    return count\n";
    let (one, two) = (job(source), job(source));
    let count = |job: &Job, rows| {
        let result = function(job, "f").call(&[], rows).expect("a result");
        result.as_primitive::<arrow::datatypes::Int64Type>().value(rows - 1)
    };
    assert_eq!((count(&one, 3), count(&two, 1), count(&one, 1)), (3, 1, 4));
}

#[test]
fn a_job_leaves_no_module_behind() {
    let files = vec![("helper_of_one_job.py".to_owned(), b"VALUE = 1".to_vec())];
    let first =
        Session::new().job(options("import helper_of_one_job\ndef f() -> int: return 1").files(files)).expect("a job");
    function(&first, "f").call(&[], 1).expect("a result");
    drop(first);
    let error = Session::new().job(options("import helper_of_one_job")).expect_err("the file is gone");
    assert!(error.to_string().contains("helper_of_one_job"), "{error}");
    let second = job("import sys\ndef f() -> int: return sum(n.startswith('helper_of_one_job') for n in sys.modules)");
    assert_eq!(&function(&second, "f").call(&[], 1).expect("a result"), &ints([0]));
}

const SPIN: &str = "
import time
count = 0
def f(x: int) -> int:
    global count
    count += 1
    while x == 1: pass
    while x == 2:
        try:
            while True: pass
        except BaseException:
            if count < 0: return x
            count = -1
    if x == 3: time.sleep(0.4)
    return count
";

#[test]
fn a_deadline_interrupts_python_code() {
    let spin = |frames: bool| {
        let deadline = limits(|limits| limits.deadline = Some(Duration::from_millis(150)));
        let start = || Session::new().job(options(SPIN).limits(deadline)).expect("a job");
        let job = if frames { with_frames_only(start) } else { start() };
        let f = function(&job, "f");
        f.call(&[ints([0])], 1).expect("in time");
        for x in [1, 2, 3] {
            let error = f.call(&[ints([0, x])], 2).expect_err("too late");
            assert!(matches!(error, Error::Limit(Limit::Deadline { .. })), "{error:?}");
            // A new executor, so that the module is a new one too.
            assert_eq!(&f.call(&[ints([0])], 1).expect("in time again"), &ints([1]));
        }
    };
    spin(false);
    spin(true);
}

#[test]
fn a_deadline_holds_for_loading_too() {
    let deadline = limits(|limits| limits.deadline = Some(Duration::from_millis(150)));
    let error = Session::new().job(options("while True: pass").limits(deadline)).expect_err("too late");
    assert!(matches!(error, Error::Limit(Limit::Deadline { .. })), "{error:?}");
}

#[test]
fn an_interruption_never_reaches_another_call() {
    // The deadline comes at any point of the call, also at its very end.
    let hurried = CallOptions::default().deadline(Duration::from_millis(20));
    let source = "import time\ndef f(x: int) -> int:\n    end = time.perf_counter() + x / 1e6\n    while time.perf_counter() < end: pass\n    return x\n";
    let job = job(source);
    let f = function(&job, "f");
    for x in 0..60 {
        match f.evaluate_with(&[ints([18_000 + 150 * x]).into()], 1, &hurried) {
            Ok(_) | Err(Error::Limit(Limit::Deadline { .. })) => {}
            Err(error) => panic!("{error:?}"),
        }
        f.call(&[ints([0])], 1).expect("another call");
    }
}

#[test]
fn a_job_can_be_cancelled() {
    let job = job("def f(x: int) -> int:\n    print('running', flush=True)\n    while True: pass\n");
    let f = function(&job, "f");
    let running = std::thread::spawn(move || f.call(&[ints([1])], 1));
    wait_for(&job, "running");
    job.cancel();
    let error = running.join().expect("no panic").expect_err("cancelled");
    assert!(matches!(error, Error::Cancelled), "{error:?}");
}

#[test]
fn calls_come_from_many_threads() {
    let job = Session::new().job(options("def f(x: int) -> int: return x + 1").parallelism(3)).expect("a job");
    let f = function(&job, "f");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for round in 0..50 {
                    assert_eq!(
                        &f.call(&[ints(round..round + 100)], 100).expect("a result"),
                        &ints(round + 1..round + 101)
                    );
                }
            });
        }
    });
    assert!(job.stats().executors <= 3);
}

#[test]
fn deep_recursion_is_an_exception() {
    // Test threads have 2 MiB of stack, as the threads of most runtimes.
    let job = job("
import json
class Deep:
    def __repr__(self): return repr(self)
def f(x: int) -> str:
    if x == 0: return repr(Deep())
    if x == 1: return json.dumps(json.loads('[' * 100000))
    deep = []
    for _ in range(100000): deep = [deep]
    return repr(deep) if x == 2 else str(deep == [deep])
");
    for x in 0..4 {
        let error = function(&job, "f").call(&[ints([x])], 1).expect_err("too deep");
        assert!(matches!(error, Error::User(ref error) if error.exception == "RecursionError"), "{x}: {error:?}");
    }
}

#[test]
fn what_the_mode_cannot_do_is_refused() {
    let session = Session::new();
    let error = session.job(options("").limits(limits(|limits| limits.memory = Some(1 << 30)))).expect_err("no limit");
    assert_eq!(error.to_string(), "thread mode cannot keep a memory limit: choose process or wasm mode");
    let error = session.job(options("").interpreter("python3")).expect_err("no interpreter");
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
}

#[test]
fn the_interpreter_is_isolated() {
    let job = job("
import sys, signal, threading
def f() -> str:
    return repr((sys.flags.isolated, sys.flags.ignore_environment, sys.flags.no_user_site, sys.flags.utf8_mode,
                 sys.dont_write_bytecode, signal.getsignal(signal.SIGINT) is signal.default_int_handler,
                 threading.current_thread() is threading.main_thread(), '' in sys.path))
");
    let result = function(&job, "f").call(&[], 1).expect("a result");
    assert_eq!(result.as_string::<i32>().value(0), "(1, 1, 1, 1, True, False, False, False)");
}

/// What the child process of the test below does.
fn print_in_thread_mode() {
    let job = job(
        "import os, sys\nprint('loading')\ndef f() -> str:\n    print('calling')\n    print('err', file=sys.stderr)\n    print('direct', file=sys.__stdout__)\n    return os.environ.get('LD_LIBRARY_PATH', 'none')\n",
    );
    let result = function(&job, "f").call(&[], 1).expect("a result");
    assert_eq!(result.as_string::<i32>().value(0), "none");
}

/// The test runs itself again, in a process whose environment and streams it controls.
#[test]
fn the_library_is_found_without_help_and_the_hosts_streams_stay_clean() {
    const CHILD: &str = "CLOISTER_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return print_in_thread_mode();
    }
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "the_library_is_found_without_help_and_the_hosts_streams_stay_clean", "--nocapture"])
        .env(CHILD, "1")
        .env_remove("LD_LIBRARY_PATH")
        .env("PYTHONHOME", "/nowhere")
        .env("PYTHONPATH", "/nowhere")
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
    for word in ["loading", "calling", "err", "direct"] {
        assert!(!text.contains(word), "{text}");
    }
}
