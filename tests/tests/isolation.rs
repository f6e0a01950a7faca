//! Jobs beside each other: what one does, the others do not see, and a job whose executor died goes on.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use cloister::{Error, ExecutionMode, Job, JobOptions, Session};

const CONTAINED: [ExecutionMode; 2] = [ExecutionMode::Wasm, ExecutionMode::Process];

fn job(session: &Session, mode: ExecutionMode, source: &str) -> Job {
    session.job(JobOptions::new(mode).source("udf.py", source)).unwrap_or_else(|error| panic!("{mode}: {error}"))
}

fn call(job: &Job, value: i64) -> Result<i64, Error> {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![value]));
    let result = job.function("f")?.call(&[column], 1)?;
    Ok(result.as_primitive::<Int64Type>().value(0))
}

/// Tampering with what jobs of one interpreter would share: modules, builtins, the harness itself.
const VANDAL: &str = "
import builtins, json, sys, gc
def f(x: int) -> int:
    json.loads = lambda text: 666
    builtins.len = lambda thing: 666
    sys.modules['math'] = None
    secret = 42
    globals()['kept'] = x
    for name, module in list(sys.modules.items()):
        if name.startswith('cloister'):
            for attribute in dir(module):
                if not attribute.startswith('__'):
                    try: setattr(module, attribute, None)
                    except Exception: pass
    return x
";

const BYSTANDER: &str = "
import json
def f(x: int) -> int:
    import math
    return len(json.loads('[1, 2]')) + math.floor(x) + ('kept' in globals())
";

#[test]
fn what_one_job_does_to_its_interpreter_another_does_not_see() {
    let session = Session::new();
    for mode in CONTAINED {
        let (before, vandal) = (job(&session, mode, BYSTANDER), job(&session, mode, VANDAL));
        assert_eq!(call(&before, 1).expect("a result"), 3, "{mode}");
        // The vandal may break itself; that is its own affair.
        let _ = call(&vandal, 7);
        let _ = call(&vandal, 7);
        assert_eq!(call(&before, 2).expect("a result"), 4, "{mode}: a job that ran before");
        drop(vandal);
        assert_eq!(call(&job(&session, mode, BYSTANDER), 3).expect("a result"), 5, "{mode}: a job made after");
    }
}

#[test]
fn a_job_whose_executor_died_goes_on_with_a_new_one() {
    let source = "import os\ndef f(x: int) -> int:\n    if x < 0: os._exit(1)\n    return x + 1\n";
    let session = Session::new();
    for mode in CONTAINED {
        let (victim, bystander) = (job(&session, mode, source), job(&session, mode, source));
        for round in 0..3 {
            assert_eq!(call(&victim, round).expect("a result"), round + 1, "{mode}");
            let error = call(&victim, -1).expect_err("the executor ends");
            assert!(matches!(error, Error::ExecutorDied { .. }), "{mode}: {error}");
            assert_eq!(call(&bystander, round).expect("a result"), round + 1, "{mode}");
        }
        // The last death is not followed by a call.
        assert_eq!((victim.stats().executors, bystander.stats().executors), (3, 1), "{mode}");
    }
}

#[test]
fn a_cancelled_job_ends_and_its_neighbour_does_not() {
    let spin = "def f(x: int) -> int:\n    while True: pass\n";
    let session = Session::new();
    for mode in CONTAINED {
        let (spinning, bystander) = (job(&session, mode, spin), job(&session, mode, BYSTANDER));
        std::thread::scope(|scope| {
            let running = scope.spawn(|| call(&spinning, 1));
            assert_eq!(call(&bystander, 1).expect("a result"), 3, "{mode}");
            spinning.cancel();
            let error = running.join().expect("no panic").expect_err("it was cancelled");
            assert!(matches!(error, Error::Cancelled), "{mode}: {error}");
        });
        assert_eq!(call(&bystander, 1).expect("a result"), 3, "{mode}");
    }
}

#[test]
fn sandboxes_draw_different_random_numbers() {
    let source = "import random\ndef f(x: int) -> int:\n    return random.getrandbits(62)\n";
    let session = Session::new();
    let drawn: std::collections::HashSet<i64> =
        (0..20).map(|_| call(&job(&session, ExecutionMode::Wasm, source), 0).expect("a number")).collect();
    assert_eq!(drawn.len(), 20);
}
