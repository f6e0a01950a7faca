//! Limits of jobs and tenants: what is hit is named, with the limit and the use, and nobody else notices.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use cloister::{
    Argument, CallOptions, CancelToken, Error, ExecutionMode, Job, JobOptions, Limit, Limits, Scope, Session,
    TenantLimits,
};

const CONTAINED: [ExecutionMode; 2] = [ExecutionMode::Wasm, ExecutionMode::Process];
const MIB: u64 = 1 << 20;

const SOURCE: &str = "
import time
kept = []
def echo(x: int) -> int: return x
def hoard(x: int) -> int:
    kept.append(bytearray(x))
    return x
def spin(x: int) -> int:
    while True:
        try:
            while True: pass
        except BaseException: pass
def work(x: int) -> int:
    end = time.monotonic() + x / 1000
    while time.monotonic() < end: pass
    return x
def nap(x: int) -> int:
    time.sleep(x / 1000)
    return x
";

fn options(mode: ExecutionMode) -> JobOptions {
    JobOptions::new(mode).source("udf.py", SOURCE)
}

fn start(session: &Session, options: JobOptions) -> Job {
    session.job(options).unwrap_or_else(|error| panic!("{error}"))
}

fn call(job: &Job, function: &str, value: i64) -> Result<i64, Error> {
    call_with(job, function, value, &CallOptions::default())
}

fn call_with(job: &Job, function: &str, value: i64, options: &CallOptions) -> Result<i64, Error> {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![value]));
    let result = job.function(function)?.evaluate_with(&[Argument::Column(column)], 1, options)?;
    Ok(result.column.as_primitive::<Int64Type>().value(0))
}

fn tenant(name: &str) -> Scope {
    Scope::Tenant(name.into())
}

#[test]
fn a_cpu_budget_ends_the_call_that_uses_it_up_and_no_later_one_starts() {
    let session = Session::new();
    for mode in CONTAINED {
        let budget = Duration::from_millis(300);
        let limited = start(&session, options(mode).limits(Limits::default().cpu(budget)));
        let bystander = start(&session, options(mode));
        assert_eq!(call(&limited, "echo", 1).expect("within the budget"), 1, "{mode}");
        // Time that is slept away is not used.
        assert_eq!(call(&limited, "nap", 400).expect("within the budget"), 400, "{mode}");
        let check = |result: Result<i64, Error>| match result {
            Err(Error::Limit(Limit::Cpu { limit, used, scope: Scope::Job })) => {
                assert_eq!(limit, budget, "{mode}");
                assert!(used >= budget, "{mode}: {used:?}");
            }
            other => panic!("{mode}: {other:?}"),
        };
        check(call(&limited, "spin", 0));
        check(call(&limited, "echo", 1));
        assert!(limited.stats().cpu >= budget, "{mode}");
        assert_eq!(call(&bystander, "echo", 2).expect("no limit"), 2, "{mode}");
    }
}

#[test]
fn a_tenants_cpu_budget_is_that_of_all_its_jobs() {
    let session = Session::new();
    let budget = Duration::from_millis(300);
    session.tenant("acme", TenantLimits::default().cpu(budget));
    let jobs = [(); 2].map(|()| start(&session, options(ExecutionMode::Wasm).tenant("acme")));
    let mut ended = None;
    // Each call needs less than the budget; together they need more. (In a sandbox the time that a call can measure is
    // wall time: on a busy machine it uses less.)
    for round in 0..10_000 {
        if let Err(error) = call(&jobs[round % 2], "work", 100) {
            ended = Some(error);
            break;
        }
    }
    let Some(Error::Limit(Limit::Cpu { limit, scope, .. })) = ended else { panic!("{ended:?}") };
    assert_eq!((limit, scope), (budget, tenant("acme")));
    for job in &jobs {
        assert!(matches!(call(job, "echo", 1), Err(Error::Limit(Limit::Cpu { .. }))));
    }
    // Another budget, and they go on.
    session.tenant("acme", TenantLimits::default());
    assert_eq!(call(&jobs[0], "echo", 1).expect("no limit any more"), 1);
}

#[test]
fn many_small_sandboxes_hit_their_tenants_memory() {
    let session = Session::new();
    let small = || start(&session, options(ExecutionMode::Wasm));
    let size = small().tenant().stats().peak_memory_bytes;
    let acme = session.tenant("acme", TenantLimits::default().memory(5 * size));
    let start_one = || session.job(options(ExecutionMode::Wasm).tenant("acme"));
    let mut jobs = Vec::new();
    let error = loop {
        match start_one() {
            Ok(job) => jobs.push(job),
            Err(error) => break error,
        }
        assert!(jobs.len() <= 5, "the limit does not hold");
    };
    let Error::Limit(Limit::Memory { limit, used: Some(used), scope }) = &error else { panic!("{error:?}") };
    assert_eq!((*limit, scope), (5 * size, &tenant("acme")));
    assert!(used > limit, "{used}");
    assert!(error.to_string().contains("tenant 'acme'"), "{error}");
    assert!(acme.stats().memory_bytes <= 5 * size);
    // Others go on, and so does the tenant when it makes room.
    assert_eq!(call(&small(), "echo", 1).expect("another tenant"), 1);
    assert_eq!(call(&jobs[0], "echo", 1).expect("a running job"), 1);
    jobs.pop();
    drop(start_one().unwrap_or_else(|error| panic!("{error}")));
    drop(jobs);
    assert_eq!((acme.stats().memory_bytes, acme.stats().jobs, acme.stats().executors), (0, 0, 0));
}

#[test]
fn growth_beyond_a_tenants_memory_is_a_memory_error_for_the_one_that_grows() {
    let session = Session::new();
    session.tenant("acme", TenantLimits::default().memory(160 * MIB));
    let jobs = [(); 2].map(|()| start(&session, options(ExecutionMode::Wasm).tenant("acme")));
    call(&jobs[0], "hoard", 60 * MIB as i64).expect("there is room");
    match call(&jobs[1], "hoard", 60 * MIB as i64) {
        Err(Error::Limit(Limit::Memory { limit, used: Some(used), scope })) => {
            assert_eq!((limit, scope), (160 * MIB, tenant("acme")));
            assert!(used > limit);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(call(&jobs[0], "echo", 1).expect("the neighbour lives"), 1);
    assert_eq!(call(&jobs[1], "echo", 1).expect("a new sandbox"), 1);
}

#[test]
fn a_jobs_memory_counts_its_sandboxes_and_what_the_host_holds() {
    let session = Session::new();
    let size = {
        let job = start(&session, options(ExecutionMode::Wasm));
        job.stats().memory_bytes
    };
    // Room for one sandbox, but not for a file of 8 MiB beside it.
    let limits = Limits::default().job_memory(size + 4 * MIB);
    assert_eq!(
        call(&start(&session, options(ExecutionMode::Wasm).limits(limits.clone())), "echo", 1).expect("it fits"),
        1
    );
    let files = vec![("data.bin".to_owned(), vec![0; 8 << 20])];
    let error = session.job(options(ExecutionMode::Wasm).limits(limits).files(files)).expect_err("too much");
    assert!(matches!(error, Error::Limit(Limit::Memory { scope: Scope::Job, .. })), "{error:?}");
}

#[test]
fn a_workers_memory_is_charged_in_advance() {
    let session = Session::new();
    let acme = session.tenant("acme", TenantLimits::default().memory(300 * MIB));
    let process = || options(ExecutionMode::Process).tenant("acme");
    let error = session.job(process()).expect_err("how much?");
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    let worker = || process().limits(Limits::default().memory(200 * MIB));
    let job = start(&session, worker());
    assert!(acme.stats().memory_bytes >= 200 * MIB);
    let error = session.job(worker()).expect_err("no room for a second");
    assert!(matches!(error, Error::Limit(Limit::Memory { .. })), "{error:?}");
    drop(job);
    assert_eq!(call(&start(&session, worker()), "echo", 1).expect("room again"), 1);
}

#[test]
fn a_tenants_executors_are_limited_in_every_mode() {
    let session = Session::new();
    session.tenant("acme", TenantLimits::default().executors(1));
    for mode in ExecutionMode::ALL {
        let job = start(&session, options(mode).tenant("acme"));
        let error = session.job(options(mode).tenant("acme")).expect_err("one is all");
        let Error::Limit(Limit::Executors { limit: 1, scope }) = &error else { panic!("{error:?}") };
        assert_eq!(*scope, tenant("acme"), "{mode}");
        assert_eq!(call(&job, "echo", 1).expect("the first"), 1, "{mode}");
        assert_eq!(job.tenant().stats().executors, 1, "{mode}");
    }
}

#[test]
fn source_and_files_are_limited_in_every_mode() {
    let session = Session::new();
    for mode in ExecutionMode::ALL {
        let limits = Limits::default().source(10_000);
        let files = |bytes| vec![("data.bin".to_owned(), vec![b'x'; bytes])];
        start(&session, options(mode).limits(limits.clone()).files(files(1_000)));
        match session.job(options(mode).limits(limits).files(files(10_000))) {
            Err(Error::Limit(Limit::SourceSize { limit: 10_000, used })) => assert!(used > 10_000, "{mode}"),
            other => panic!("{mode}: {other:?}"),
        }
    }
}

#[test]
fn results_are_limited_in_every_mode() {
    let source = "def f(x: int) -> str: return 'x' * x\n";
    for mode in ExecutionMode::ALL {
        let limits = Limits::default().result(10_000);
        let job = start(&Session::new(), JobOptions::new(mode).source("udf.py", source).limits(limits));
        let call = |length| {
            let column: ArrayRef = Arc::new(Int64Array::from(vec![length]));
            job.function("f")?.call(&[column], 1)
        };
        assert_eq!(call(1_000).expect("it fits").len(), 1, "{mode}");
        match call(100_000) {
            Err(Error::Limit(Limit::ResultSize { limit: 10_000, used })) => assert!(used >= 100_000, "{mode}"),
            other => panic!("{mode}: {other:?}"),
        }
        assert_eq!(call(1_000).expect("it goes on").len(), 1, "{mode}");
    }
}

#[test]
fn thread_mode_refuses_what_it_cannot_keep() {
    let session = Session::new();
    session.tenant("memory", TenantLimits::default().memory(MIB << 10));
    session.tenant("cpu", TenantLimits::default().cpu(Duration::from_secs(1)));
    let thread = || options(ExecutionMode::Thread);
    for refused in [
        thread().limits(Limits::default().memory(MIB << 10)),
        thread().limits(Limits::default().job_memory(MIB << 10)),
        thread().limits(Limits::default().cpu(Duration::from_secs(1))),
        thread().tenant("memory"),
        thread().tenant("cpu"),
    ] {
        let error = session.job(refused).expect_err("it cannot keep that");
        assert!(matches!(error, Error::Refused { mode: ExecutionMode::Thread, .. }), "{error:?}");
        assert!(error.to_string().contains("process or wasm"), "{error}");
    }
}

#[test]
fn a_stack_is_limited_where_it_can_be() {
    let session = Session::new();
    let source = "
def stack(x: int) -> int:
    import resource
    return resource.getrlimit(resource.RLIMIT_STACK)[x]
";
    let job = |mode, stack: u64| {
        session.job(JobOptions::new(mode).source("udf.py", source).limits(Limits::default().stack(stack)))
    };
    if cfg!(target_os = "linux") {
        let limited = job(ExecutionMode::Process, 2 * MIB).unwrap_or_else(|error| panic!("{error}"));
        for which in [0, 1] {
            assert_eq!(call(&limited, "stack", which).expect("a number"), 2 * MIB as i64);
        }
    }
    for (mode, stack, says) in [
        (ExecutionMode::Process, MIB / 2, "raise the stack limit"),
        (ExecutionMode::Thread, 2 * MIB, "choose process mode"),
        (ExecutionMode::Wasm, 2 * MIB, "a stack of 32 MiB in every sandbox"),
    ] {
        let error = job(mode, stack).expect_err("it cannot keep that");
        assert!(matches!(&error, Error::Refused { mode: refused, .. } if *refused == mode), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_tenant_that_was_not_defined_is_an_error() {
    let error = Session::new().job(options(ExecutionMode::Wasm).tenant("acmee")).expect_err("misspelt");
    assert!(matches!(&error, Error::Call(text) if text.contains("acmee")), "{error:?}");
}

#[test]
fn one_call_is_cancelled_and_its_neighbours_are_not() {
    let session = Session::new();
    for mode in CONTAINED {
        // Two calls of one job, and one of another job, that all spin: only the first is cancelled.
        let job = start(&session, options(mode).parallelism(2));
        let other = start(&session, options(mode));
        let (first, rest) = (CancelToken::new(), CancelToken::new());
        let spin = |job: &Job, token: &CancelToken| {
            let (job, options) = (job.clone(), CallOptions::default().cancel(token.clone()));
            thread::spawn(move || call_with(&job, "spin", 0, &options))
        };
        let cancelled = spin(&job, &first);
        let neighbours = [spin(&job, &rest), spin(&other, &rest)];
        first.cancel();
        assert!(matches!(cancelled.join().expect("no panic"), Err(Error::Cancelled)), "{mode}");
        assert!(neighbours.iter().all(|neighbour| !neighbour.is_finished()), "{mode}");
        rest.cancel();
        for neighbour in neighbours {
            assert!(matches!(neighbour.join().expect("no panic"), Err(Error::Cancelled)), "{mode}");
        }
        assert_eq!(call(&job, "echo", 1).expect("a new executor"), 1, "{mode}");
        assert_eq!(call(&other, "echo", 1).expect("a new executor"), 1, "{mode}");
        let late = call_with(&job, "echo", 1, &CallOptions::default().cancel(first));
        assert!(matches!(late, Err(Error::Cancelled)), "{mode}: {late:?}");
    }
}

#[test]
fn a_call_that_blocks_or_waits_for_an_executor_is_cancelled() {
    let session = Session::new();
    for mode in CONTAINED {
        let job = start(&session, options(mode));
        let (running, waiting) = (CancelToken::new(), CancelToken::new());
        let nap = |token: &CancelToken| {
            let (job, options) = (job.clone(), CallOptions::default().cancel(token.clone()));
            thread::spawn(move || call_with(&job, "nap", 1 << 40, &options))
        };
        // One of them has the job's only executor, the other waits for it: whichever, each ends when it is told.
        let calls = [nap(&running), nap(&waiting)];
        waiting.cancel();
        let [running_call, waiting_call] = calls;
        assert!(matches!(waiting_call.join().expect("no panic"), Err(Error::Cancelled)), "{mode}");
        running.cancel();
        assert!(matches!(running_call.join().expect("no panic"), Err(Error::Cancelled)), "{mode}");
        assert_eq!(call(&job, "echo", 1).expect("a new executor"), 1, "{mode}");
    }
}

#[test]
fn deadlines_of_many_tenants_hold_at_once_and_a_call_can_have_its_own() {
    let session = Session::new();
    let callers: Vec<_> = (0..8)
        .map(|number| {
            let (name, deadline) = (format!("tenant {number}"), Duration::from_millis(100 + 50 * number));
            session.tenant(&name, TenantLimits::default());
            let limits = Limits::default().deadline(deadline);
            let job = start(&session, options(ExecutionMode::Wasm).tenant(name).limits(limits));
            thread::spawn(move || (call(&job, "spin", 0), deadline, job))
        })
        .collect();
    for caller in callers {
        let (result, deadline, job) = caller.join().expect("no panic");
        match result {
            Err(Error::Limit(Limit::Deadline { limit, used })) => assert!(limit == deadline && used >= deadline),
            other => panic!("{other:?}"),
        }
        assert_eq!(call(&job, "echo", 1).expect("a new sandbox"), 1);
    }
    let job = start(&session, options(ExecutionMode::Wasm));
    let mine = Duration::from_millis(50);
    let before = Instant::now();
    match call_with(&job, "spin", 0, &CallOptions::default().deadline(mine)) {
        Err(Error::Limit(Limit::Deadline { limit, .. })) => assert_eq!(limit, mine),
        other => panic!("{other:?}"),
    }
    assert!(before.elapsed() < Duration::from_secs(30), "the job's own deadline");
}

#[test]
fn a_tenant_whose_calls_never_end_takes_no_slot_from_another_one() {
    for (mode, calls) in [(ExecutionMode::Wasm, 20), (ExecutionMode::Process, 4)] {
        let session = Session::with_concurrency(2);
        let attacker = session.tenant("attacker", TenantLimits::default());
        session.tenant("bystander", TenantLimits::default());
        let endless = Limits::default().deadline(None);
        let spinning = start(&session, options(mode).tenant("attacker").limits(endless).parallelism(calls));
        let bystander = start(&session, options(mode).tenant("bystander"));
        let token = CancelToken::new();
        let spinners: Vec<_> = (0..calls)
            .map(|_| {
                let (job, options) = (spinning.clone(), CallOptions::default().cancel(token.clone()));
                thread::spawn(move || call_with(&job, "spin", 0, &options))
            })
            .collect();
        // One of two slots is the bystander's, so that one call spins and the others wait.
        while attacker.stats().waiting + 1 < calls as u64 {
            thread::yield_now();
        }
        for value in 0..100 {
            assert_eq!(call(&bystander, "echo", value).expect("a turn"), value, "{mode}");
            assert_eq!(attacker.stats().running, 1, "{mode}");
        }
        // Those that wait are cancelled as well as the one that runs.
        token.cancel();
        for spinner in spinners {
            assert!(matches!(spinner.join().expect("no panic"), Err(Error::Cancelled)), "{mode}");
        }
        let stats = attacker.stats();
        assert_eq!((stats.running, stats.waiting), (0, 0), "{mode}");
        assert_eq!(call(&spinning, "echo", 1).expect("a new executor"), 1, "{mode}");
    }
}
