//! Copies of sandboxes: forks of a job, and the further sandboxes of a job, which start from an image of the loaded
//! one.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use cloister::{Error, ExecutionMode, Job, JobOptions, Limit, Limits, Session};
use cloister_tests::wait_for;

fn job(source: &str) -> Job {
    start(JobOptions::new(ExecutionMode::Wasm).source("udf.py", source))
}

fn start(options: JobOptions) -> Job {
    Session::new().job(options).expect("a job")
}

fn try_call(job: &Job, function: &str, value: i64) -> Result<i64, Error> {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![value]));
    let result = job.function(function)?.call(&[column], 1)?;
    Ok(result.as_primitive::<Int64Type>().value(0))
}

fn call(job: &Job, function: &str, value: i64) -> i64 {
    try_call(job, function, value).expect("a result")
}

fn printed(job: &Job) -> String {
    job.log().take().into_iter().map(|(_, text)| text).collect()
}

const COUNTER: &str = "
kept = {'count': 0}
def f(x: int) -> int:
    kept['count'] += x
    return kept['count']
";

#[test]
fn a_fork_has_the_state_and_goes_its_own_way() {
    let parent = job(COUNTER);
    assert_eq!(call(&parent, "f", 5), 5);
    let child = parent.fork().expect("a fork");
    let second = parent.fork().expect("another of the same moment");
    assert_eq!(call(&child, "f", 1), 6);
    assert_eq!(call(&parent, "f", 10), 15);
    assert_eq!(call(&child, "f", 1), 7);
    assert_eq!(call(&second, "f", 0), 5);
    let later = parent.fork().expect("a later fork");
    let grandchild = child.fork().expect("a fork of a fork");
    drop(parent);
    drop(child);
    assert_eq!(call(&later, "f", 0), 15);
    assert_eq!(call(&grandchild, "f", 100), 107);
    assert_eq!(later.stats().executors, 1, "a fork counts for itself");
}

#[test]
fn a_large_state_is_forked_too() {
    let parent = job("
DATA = [str(n) * 10 for n in range(200_000)]
def f(x: int) -> int:
    DATA[x] = 'changed'
    return sum(map(len, DATA[:1000]))
");
    let before = call(&parent, "f", 1500);
    let child = parent.fork().expect("a fork");
    assert_eq!(call(&child, "f", 5), before - 10 + 7);
    assert_eq!(call(&parent, "f", 1501), before);
    assert!(child.stats().peak_memory_bytes >= parent.stats().peak_memory_bytes, "a fork's memory counts whole");
}

#[test]
fn forks_share_no_randomness() {
    let source = "
import random, secrets, uuid
from random import getrandbits
def drawn(x: int) -> int:
    return random.getrandbits(60)
def held(x: int) -> int:
    return getrandbits(60)
def normal(x: int) -> int:
    return int(random.gauss(0, 1) * 2**50)
def secret(x: int) -> int:
    return secrets.randbits(60)
def unique(x: int) -> int:
    return uuid.uuid4().int >> 68
def timed(x: int) -> int:
    return uuid.uuid7().int & (2**60 - 1)
def node(x: int) -> int:
    return uuid.uuid1().node
def seeded(x: int) -> int:
    random.seed(7)
    return 0
";
    let names = ["drawn", "held", "normal", "secret", "unique", "timed", "node"];
    for prepare in [None, Some("drawn"), Some("normal"), Some("seeded")] {
        let parent = job(source);
        if let Some(function) = prepare {
            call(&parent, function, 0);
            call(&parent, "node", 0);
            call(&parent, "timed", 0);
        }
        let forks: Vec<Job> = (0..4).map(|_| parent.fork().expect("a fork")).collect();
        for name in names {
            let values: HashSet<i64> = forks.iter().chain([&parent]).map(|job| call(job, name, 0)).collect();
            assert_eq!(values.len(), 5, "after {prepare:?}, '{name}' is the same in two sandboxes");
        }
    }
}

#[test]
fn a_fork_inherits_limits_and_has_a_log_of_its_own() {
    let mut limits = Limits::default();
    limits.memory = Some(64 << 20);
    limits.deadline = Some(Duration::from_millis(300));
    let source = "
print('loaded')
def hog(x: int) -> int:
    return len(bytearray(x))
def spin(x: int) -> int:
    while True: pass
def say(x: int) -> int:
    print('said', x)
    return x
";
    let parent = start(JobOptions::new(ExecutionMode::Wasm).source("udf.py", source).limits(limits));
    call(&parent, "say", 1);
    let child = parent.fork().expect("a fork");
    call(&child, "say", 2);
    assert_eq!(printed(&parent), "loaded\nsaid 1\n");
    assert_eq!(printed(&child), "said 2\n");
    call(&child, "hog", 20 << 20);
    let error = try_call(&child, "hog", 60 << 20).expect_err("beyond the limit");
    assert!(matches!(error, Error::Limit(Limit::Memory { limit, .. }) if limit == 64 << 20), "{error}");
    let error = try_call(&child, "spin", 0).expect_err("beyond the deadline");
    assert!(matches!(error, Error::Limit(Limit::Deadline { .. })), "{error}");
    assert_eq!(call(&child, "say", 3), 3, "the fork goes on with a new sandbox");
    assert_eq!(printed(&child), "said 3\n", "which was not loaded again");
    assert_eq!(call(&parent, "say", 4), 4);
}

#[test]
fn a_fork_beyond_the_limit_is_refused_and_leaves_nothing() {
    let source = "
import random
kept = []
def keep(x: int) -> int:
    kept.append(random.randbytes(x))
    return len(kept)
";
    let limits = Limits::default().checkpoint(8 << 20);
    let parent = start(JobOptions::new(ExecutionMode::Wasm).source("udf.py", source).limits(limits));
    call(&parent, "keep", 1 << 20);
    let child = parent.fork().expect("within the limit");
    call(&parent, "keep", 8 << 20);
    let before = parent.stats();
    match parent.fork() {
        Err(Error::Limit(Limit::CheckpointSize { limit, used })) => {
            assert_eq!(limit, 8 << 20);
            assert!(used > 9 << 20, "{used}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(parent.stats().memory_bytes, before.memory_bytes, "what was not kept is not charged");
    assert_eq!(call(&parent, "keep", 1), 3, "the job goes on");
    call(&child, "keep", 8 << 20);
    let error = child.fork().expect_err("a fork has the limit too");
    assert!(error.to_string().contains("limit of 8388608 bytes"), "{error}");
    assert_eq!(call(&child, "keep", 1), 3);
}

#[test]
fn cancelling_ends_one_of_parent_and_fork() {
    let parent = job(COUNTER);
    call(&parent, "f", 1);
    let child = parent.fork().expect("a fork");
    parent.cancel();
    assert!(matches!(parent.fork(), Err(Error::Cancelled)));
    assert_eq!(call(&child, "f", 1), 2);
    let grandchild = child.fork().expect("a fork");
    child.cancel();
    assert!(matches!(try_call(&child, "f", 1), Err(Error::Cancelled)));
    assert_eq!(call(&grandchild, "f", 1), 3);
}

#[test]
fn each_fork_has_all_that_was_written_since_the_last_on_whatever_thread() {
    let parent = job("
table = {}
def f(x: int) -> int:
    table[x] = [x] * (x * 37 % 3000)
    return digest(0)
def digest(_: int) -> int:
    return sum((number + 1) * sum(values) + len(values) for number, values in table.items())
");
    for round in 0..60 {
        let expected = match round % 3 {
            0 => std::thread::scope(|scope| scope.spawn(|| call(&parent, "f", round)).join().expect("no panic")),
            _ => call(&parent, "f", round),
        };
        let child = parent.fork().expect("a fork");
        assert_eq!(call(&child, "digest", 0), expected, "round {round}");
        if round % 2 == 0 {
            call(&child, "f", 1_000 + round);
            assert_eq!(call(&parent, "digest", 0), expected, "round {round}");
        }
    }
}

#[test]
fn a_fork_of_a_busy_job_waits_and_one_of_a_dead_sandbox_is_loaded_anew() {
    let parent = job("
import time
kept = [0]
def nap(x: int) -> int:
    print('napping', flush=True)
    time.sleep(x / 1000)
    kept[0] += 1
    return kept[0]
def die(x: int) -> int:
    return sum(range(10**15))
");
    let naps = std::thread::scope(|scope| {
        let busy = scope.spawn(|| call(&parent, "nap", 200));
        wait_for(&parent, "napping");
        let child = parent.fork().expect("a fork");
        busy.join().expect("no panic");
        call(&child, "nap", 0)
    });
    assert_eq!(naps, 2, "the fork has what the call did");

    let mut limits = Limits::default();
    limits.deadline = Some(Duration::from_millis(200));
    let parent = start(JobOptions::new(ExecutionMode::Wasm).source("udf.py", COUNTER_AND_SPIN).limits(limits));
    assert_eq!(call(&parent, "f", 1), 1);
    try_call(&parent, "spin", 0).expect_err("the deadline");
    assert_eq!(call(&parent.fork().expect("a fork"), "f", 1), 1, "what the dead sandbox knew is gone");
}

const COUNTER_AND_SPIN: &str = "
print('loaded')
count = 0
def f(x: int) -> int:
    global count
    count += x
    return count
def spin(x: int) -> int:
    while True: pass
";

#[test]
fn open_does_not_run_again_in_a_fork() {
    let parent = job("
from cloister import ScalarFunction, udf
class Counting(ScalarFunction):
    def open(self, context):
        print('opened')
        self.calls = 0
    def eval(self, x: int) -> int:
        self.calls += 1
        return self.calls
f = udf(Counting(), result_type='BIGINT')
");
    assert_eq!(call(&parent, "f", 0), 1);
    let child = parent.fork().expect("a fork");
    assert_eq!(call(&child, "f", 0), 2);
    assert_eq!(printed(&parent), "opened\n");
    assert_eq!(printed(&child), "");
}

#[test]
fn clocks_of_a_fork_do_not_run_backwards() {
    let parent = job("
import time
last = 0
def f(x: int) -> int:
    global last
    now = time.monotonic_ns()
    since, last = now - last, now
    return since
");
    call(&parent, "f", 0);
    let child = parent.fork().expect("a fork");
    assert!(call(&child, "f", 0) > 0);
}

#[test]
fn only_wasm_mode_forks() {
    for mode in [ExecutionMode::Process, ExecutionMode::Thread] {
        let job = start(JobOptions::new(mode).source("udf.py", COUNTER));
        let error = job.fork().expect_err("no other mode can");
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(error.to_string().contains("choose wasm mode"), "{error}");
    }
}

/// Calls `f` in as many sandboxes of the job at once.
fn side_by_side(job: &Job, sandboxes: usize) -> Vec<i64> {
    let barrier = std::sync::Barrier::new(sandboxes);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..sandboxes)
            .map(|_| {
                scope.spawn(|| {
                    let function = job.function("f").expect("f");
                    barrier.wait();
                    // Long enough that the calls overlap and none finds another's sandbox idle.
                    let column: ArrayRef = Arc::new(Int64Array::from(vec![200]));
                    function.call(&[column], 1).expect("a result").as_primitive::<Int64Type>().value(0)
                })
            })
            .collect();
        calls.into_iter().map(|call| call.join().expect("no panic")).collect()
    })
}

#[test]
fn further_sandboxes_of_a_job_are_loaded_once_and_draw_numbers_of_their_own() {
    let source = |seed: &str| {
        format!(
            "
import random, time
print('loaded')
{seed}
calls = 0
def f(x: int) -> int:
    global calls
    calls += 1
    assert calls == 1, 'a call of another sandbox is seen'
    time.sleep(x / 1000)
    return random.getrandbits(60)
"
        )
    };
    let parallel =
        |seed: &str| start(JobOptions::new(ExecutionMode::Wasm).source("udf.py", source(seed)).parallelism(4));
    for seed in ["", "random.random()", "random.seed()"] {
        let job = parallel(seed);
        let drawn: HashSet<i64> = side_by_side(&job, 4).into_iter().collect();
        assert_eq!(drawn.len(), 4, "after '{seed}' two sandboxes of a job draw the same");
        assert_eq!(job.stats().executors, 4);
        assert_eq!(printed(&job), "loaded\n");
    }
    // A seed of the job's own is kept, as if each had loaded the source.
    let drawn: HashSet<i64> = side_by_side(&parallel("random.seed(7)"), 4).into_iter().collect();
    assert_eq!(drawn.len(), 1, "a job's own seed is lost");
}

#[test]
fn a_copy_of_the_loaded_state_beyond_the_limit_is_not_kept() {
    let source = "
import time
print('loaded')
def f(x: int) -> int:
    time.sleep(x / 1000)
    return x
";
    for (limits, loads) in [(Limits::default(), 1), (Limits::default().checkpoint(1), 3)] {
        let options = JobOptions::new(ExecutionMode::Wasm).source("udf.py", source).limits(limits);
        let job = start(options.parallelism(3));
        assert_eq!(side_by_side(&job, 3), [200; 3]);
        assert_eq!((job.stats().executors, printed(&job).matches("loaded").count()), (3, loads));
    }
}

#[test]
fn a_replacement_starts_from_the_loaded_state() {
    let mut limits = Limits::default();
    limits.deadline = Some(Duration::from_millis(200));
    let options = JobOptions::new(ExecutionMode::Wasm).source("udf.py", COUNTER_AND_SPIN).limits(limits);
    // A job of one sandbox makes no image until it needs a second, unless its loading was slow.
    for (parallelism, worth_an_image, expected) in
        [(1, Duration::MAX, 2), (1, Duration::ZERO, 1), (2, Duration::MAX, 1)]
    {
        let mut options = options.clone().parallelism(parallelism);
        options.worth_an_image = worth_an_image;
        let job = start(options);
        for _ in 0..3 {
            assert_eq!(call(&job, "f", 3), 3, "a replacement knows what a call of the dead sandbox did");
            try_call(&job, "spin", 0).expect_err("the deadline");
        }
        let loads = printed(&job).matches("loaded").count();
        assert_eq!(loads, expected, "with {parallelism} sandboxes, an image after {worth_an_image:?}");
    }
}
