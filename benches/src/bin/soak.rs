//! Honest and hostile tenants side by side, for minutes:
//! `cargo run --release --bin soak -- [--minutes 10] [--tenants 50] [--mode wasm]`.
//!
//! Every fifth tenant is hostile: in turns its calls spin, eat memory, recurse, flood the output, exit and tamper with
//! the interpreter, and each of them must end in the error that it should. The others compute, and every result is
//! checked. Memory, threads and open files of this process are printed on the way, and compared at the end with what
//! they were when all tenants had run once. Ends with code 1 when anything was not as it should be.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use cloister::{Error, ExecutionMode, Function, JobOptions, Limit, Limits, Session, TenantLimits};
use cloister_benches::interleave::quartiles;

const ROWS: i64 = 100;

const HONEST: &str = "def f(x: int) -> int:\n    s = 0\n    for i in range(50):\n        s += x * i\n    return s\n";

/// What `f` of [`HONEST`] gives for `x`.
fn expected(x: i64) -> i64 {
    x * (0..50).sum::<i64>()
}

/// One function for each kind of hostility, and whether an error is one with which it may end.
type Ends = fn(&Error) -> bool;
const HOSTILE: [(&str, &str, Ends); 6] = [
    (
        "spin",
        "def spin(x: int) -> int:\n    while True:\n        try:\n            while True:\n                pass\n        \
         except BaseException:\n            pass\n",
        |error| matches!(error, Error::Limit(Limit::Deadline { .. })),
    ),
    (
        "eat",
        "def eat(x: int) -> int:\n    kept = []\n    while True:\n        kept.append(bytearray(1 << 20))\n",
        |error| matches!(error, Error::Limit(Limit::Memory { .. })),
    ),
    ("recurse", "def recurse(x: int) -> int:\n    return recurse(x) + 1\n", |error| matches!(error, Error::User(_))),
    (
        "flood",
        "def flood(x: int) -> int:\n    for i in range(200):\n        print('flood ' * 100)\n    raise ValueError('x' * 10**6)\n",
        |error| matches!(error, Error::User(_)),
    ),
    ("leave", "def leave(x: int) -> int:\n    import os\n    os._exit(3)\n", |error| {
        matches!(error, Error::ExecutorDied { .. } | Error::User(_))
    }),
    (
        "tamper",
        "def tamper(x: int) -> int:\n    import builtins, sys, json\n    builtins.sum = builtins.range = None\n    \
         json.dumps = None\n    sys.modules.clear()\n    raise KeyboardInterrupt\n",
        |_| true,
    ),
];

struct Settings {
    minutes: f64,
    tenants: usize,
    mode: ExecutionMode,
}

impl Settings {
    fn parse() -> Result<Settings> {
        let mut settings = Settings { minutes: 10.0, tenants: 50, mode: ExecutionMode::Wasm };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().with_context(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--minutes" => settings.minutes = value.parse().context("--minutes is a number")?,
                "--tenants" => settings.tenants = value.parse().context("--tenants is a number")?,
                "--mode" => settings.mode = value.parse().map_err(anyhow::Error::msg)?,
                _ => bail!("unknown option {name}: use --minutes, --tenants or --mode"),
            }
        }
        ensure!(settings.mode != ExecutionMode::Thread, "thread mode contains nothing: use wasm or process");
        ensure!(settings.tenants >= 5, "five tenants at least: every fifth is hostile");
        Ok(settings)
    }
}

/// What all tenants write to.
#[derive(Default)]
struct Tally {
    honest: AtomicU64,
    hostile: AtomicU64,
    wrong: Mutex<Vec<String>>,
    /// Latencies of honest calls, in milliseconds.
    latencies: Mutex<Vec<f64>>,
}

impl Tally {
    fn wrong(&self, what: String) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        // The first ones tell most.
        if wrong.len() < 20 {
            wrong.push(what);
        }
    }
}

fn main() -> Result<()> {
    let settings = Settings::parse()?;
    let session = Session::new();
    let (tally, stop) = (Tally::default(), AtomicBool::new(false));
    let warm = Barrier::new(settings.tenants + 1);
    let (before, after) = std::thread::scope(|scope| -> Result<_> {
        for number in 0..settings.tenants {
            let (session, tally, stop, warm, mode) = (&session, &tally, &stop, &warm, settings.mode);
            scope.spawn(move || {
                let mut tenant = tenant(session, mode, number);
                // All get as far as this, so that nobody waits for ever.
                if let Ok(tenant) = &mut tenant {
                    tenant.round(tally);
                }
                warm.wait();
                match tenant {
                    Ok(mut tenant) => {
                        while !stop.load(Ordering::Relaxed) {
                            tenant.round(tally);
                        }
                    }
                    Err(error) => tally.wrong(format!("tenant {number} did not start: {error:#}")),
                }
            });
        }
        warm.wait();
        let before = Usage::now()?;
        println!("all {} tenants have run once: {before}", settings.tenants);
        let end = Instant::now() + Duration::from_secs_f64(settings.minutes * 60.0);
        while Instant::now() < end {
            std::thread::sleep(end.saturating_duration_since(Instant::now()).min(Duration::from_secs(30)));
            let calls = (tally.honest.load(Ordering::Relaxed), tally.hostile.load(Ordering::Relaxed));
            let left = end.saturating_duration_since(Instant::now()).as_secs();
            println!("{left:>4} s left; {} honest and {} hostile calls; {}", calls.0, calls.1, Usage::now()?);
        }
        let after = Usage::now()?;
        stop.store(true, Ordering::Relaxed);
        Ok((before, after))
    })?;
    let latencies = tally.latencies.lock().unwrap_or_else(PoisonError::into_inner);
    if !latencies.is_empty() {
        let [low, median, high] = quartiles(latencies.iter().copied());
        println!("honest calls of {ROWS} rows: median {median:.1} ms, quartiles {low:.1} and {high:.1} ms");
    }
    println!("before: {before}\nafter:  {after}");
    let wrong = tally.wrong.lock().unwrap_or_else(PoisonError::into_inner);
    for what in wrong.iter() {
        println!("WRONG: {what}");
    }
    ensure!(wrong.is_empty(), "not everything was as it should be");
    println!("every honest result was right, and every hostile call ended in the error that it should");
    Ok(())
}

/// One tenant's job.
enum Tenant {
    Honest { function: Function, column: ArrayRef, latencies: u64 },
    Hostile { functions: Vec<Function>, next: usize },
}

fn tenant(session: &Session, mode: ExecutionMode, number: usize) -> Result<Tenant> {
    let name = format!("tenant {number}");
    session.tenant(&name, TenantLimits::default());
    let limits = Limits::default().memory(64 << 20);
    if number.is_multiple_of(5) {
        let source: String = HOSTILE.iter().map(|(_, source, _)| *source).collect();
        // Long enough for the slowest of the others to fill its memory on a machine with fifty busy tenants.
        let limits = limits.deadline(Duration::from_secs(5));
        let job = session.job(JobOptions::new(mode).tenant(&name).source("udf.py", source).limits(limits))?;
        let functions = HOSTILE.iter().map(|(name, ..)| job.function(name)).collect::<Result<_, _>>()?;
        return Ok(Tenant::Hostile { functions, next: number });
    }
    let limits = limits.deadline(None);
    let job = session.job(JobOptions::new(mode).tenant(&name).source("udf.py", HONEST).limits(limits))?;
    let column = Arc::new((0..ROWS).map(|row| row * number as i64).collect::<Int64Array>());
    Ok(Tenant::Honest { function: job.function("f")?, column, latencies: 0 })
}

impl Tenant {
    fn round(&mut self, tally: &Tally) {
        match self {
            Tenant::Honest { function, column, latencies } => {
                let start = Instant::now();
                let result = function.call(std::slice::from_ref(column), column.len());
                // Every hundredth is enough for quartiles.
                if latencies.is_multiple_of(100) {
                    let elapsed = start.elapsed().as_secs_f64() * 1e3;
                    tally.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(elapsed);
                }
                *latencies += 1;
                tally.honest.fetch_add(1, Ordering::Relaxed);
                let values = |array: &ArrayRef| array.as_primitive::<Int64Type>().values().to_vec();
                match result {
                    Ok(result) => {
                        let wanted: Vec<i64> = values(column).into_iter().map(expected).collect();
                        if values(&result) != wanted {
                            tally.wrong("an honest result is wrong".into());
                        }
                    }
                    Err(error) => tally.wrong(format!("an honest call failed: {error}")),
                }
            }
            Tenant::Hostile { functions, next } => {
                let (name, _, ends) = HOSTILE[*next % HOSTILE.len()];
                // What was tampered with may break in the next call; its sandbox is then replaced.
                let tampered = HOSTILE[(*next + HOSTILE.len() - 1) % HOSTILE.len()].0 == "tamper";
                let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
                let result = functions[*next % HOSTILE.len()].call(&[column], 1);
                *next += 1;
                tally.hostile.fetch_add(1, Ordering::Relaxed);
                match result {
                    Err(error) if ends(&error) => {}
                    Err(Error::Internal(_)) if tampered => {}
                    Err(error) => tally.wrong(format!("'{name}' ended in the wrong error: {error}")),
                    Ok(_) => tally.wrong(format!("'{name}' returned")),
                }
            }
        }
    }
}

/// What this process holds.
struct Usage {
    private_mb: u64,
    threads: usize,
    files: usize,
}

impl Usage {
    fn now() -> Result<Usage> {
        let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").context("/proc/self/smaps_rollup")?;
        let private: u64 = rollup
            .lines()
            .filter(|line| line.starts_with("Private_Dirty:"))
            .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
            .sum();
        let count = |directory: &str| -> Result<usize> { Ok(std::fs::read_dir(directory)?.count()) };
        Ok(Usage { private_mb: private / 1024, threads: count("/proc/self/task")?, files: count("/proc/self/fd")? })
    }
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} MB private, {} threads, {} open files", self.private_mb, self.threads, self.files)
    }
}
