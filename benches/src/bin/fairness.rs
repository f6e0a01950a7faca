//! What a bystander notices of a tenant whose calls spin: the latency of its calls quiet and under attack, and the ratio
//! of the two. `fairness [--mode wasm|process] [--calls 100] [--seconds 5]`; the tenants have equal weights.
//!
//! The attacker's calls spin until their deadline of 500 ms and are made again at once, each in a sandbox or worker of
//! its own; how long after the deadline they end is told last. Quiet and attacked phases take turns, so that what else the machine does falls on both.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use arrow::array::ArrayRef;
use cloister::{
    Argument, CallOptions, CancelToken, Error, ExecutionMode, Function, Job, JobOptions, Limit, Limits, Session,
    TenantLimits,
};
use cloister_benches::{ADD, JSON, documents, ints};

const SPIN: &str = "def f(x: int) -> int:\n    while True: pass\n";
const ROUNDS: u32 = 3;
const DEADLINE: Duration = Duration::from_millis(500);

struct Settings {
    mode: ExecutionMode,
    calls: usize,
    phase: Duration,
}

/// A bystander: what it calls.
struct Bystander {
    name: &'static str,
    _job: Job,
    function: Function,
    column: ArrayRef,
}

fn main() -> Result<()> {
    let settings = settings()?;
    let session = Session::new();
    session.tenant("bystander", TenantLimits::default());
    session.tenant("attacker", TenantLimits::default());
    let bystanders = [
        ("x + 1, one row", ADD, ints(1)),
        ("x + 1, 1,000 rows", ADD, ints(1_000)),
        ("JSON 1 kB, 500 rows", JSON, documents(1_000, 500)),
    ];
    let start = |source| {
        let options = JobOptions::new(settings.mode).source("udf.py", source).tenant("bystander");
        let job = session.job(options)?;
        let function = job.function("f")?;
        Ok::<_, Error>((job, function))
    };
    let limits = Limits::default().deadline(DEADLINE);
    let options = JobOptions::new(settings.mode).source("udf.py", SPIN).tenant("attacker").limits(limits);
    // It is there from the start: what a tenant could do weighs as much as what it does.
    let attacker = session.job(options.parallelism(settings.calls))?;
    println!("{} mode, {} spinning calls of another tenant, {} rounds", settings.mode, settings.calls, ROUNDS);
    println!("{:22} {:>24} {:>24} {:>14}", "bystander", "quiet p50 / p99, us", "attacked p50 / p99, us", "p99 ratio");
    let mut lateness = Vec::new();
    for (name, source, column) in bystanders {
        let (job, function) = start(source)?;
        let bystander = Bystander { name, _job: job, function, column };
        bystander.warm_up()?;
        let (mut quiet, mut attacked) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bystander.measure(settings.phase / ROUNDS, &mut quiet)?;
            let late = attack(&attacker, settings.calls, || bystander.measure(settings.phase / ROUNDS, &mut attacked))?;
            lateness.extend(late);
        }
        bystander.tell(&mut quiet, &mut attacked);
    }
    let [half, most] = [percentile(&mut lateness, 0.5), percentile(&mut lateness, 0.99)];
    println!(
        "{} calls ended after their deadline of {DEADLINE:?} by p50 / p99 {half:.0} / {most:.0} us",
        lateness.len()
    );
    Ok(())
}

fn settings() -> Result<Settings> {
    let mut settings = Settings { mode: ExecutionMode::Wasm, calls: 100, phase: Duration::from_secs(6) };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--mode" => settings.mode = value.parse().map_err(anyhow::Error::msg)?,
            "--calls" => settings.calls = value.parse()?,
            "--seconds" => settings.phase = Duration::from_secs_f64(value.parse()?),
            _ => bail!("unknown option {name}"),
        }
    }
    Ok(settings)
}

/// Runs `meanwhile` while `calls` threads spin. Gives how long after their deadline the spinning calls ended.
fn attack(attacker: &Job, calls: usize, meanwhile: impl FnOnce() -> Result<()>) -> Result<Vec<Duration>> {
    let token = CancelToken::new();
    let options = CallOptions::default().cancel(token.clone());
    let function = attacker.function("f")?;
    let spin = || {
        let mut lateness = Vec::new();
        while !token.is_cancelled() {
            match function.evaluate_with(&[Argument::Column(ints(1))], 1, &options) {
                Err(Error::Limit(Limit::Deadline { limit, used })) => lateness.push(used - limit),
                Err(Error::Cancelled) => {}
                other => bail!("a call that spins gave {other:?}"),
            }
        }
        Ok(lateness)
    };
    std::thread::scope(|scope| {
        let spinners: Vec<_> = (0..calls).map(|_| scope.spawn(spin)).collect();
        // Until as many spin as ever will.
        std::thread::sleep(Duration::from_millis(300));
        let result = meanwhile();
        token.cancel();
        let mut lateness = Vec::new();
        for spinner in spinners {
            lateness.extend(spinner.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??);
        }
        result.map(|()| lateness)
    })
}

impl Bystander {
    fn call(&self) -> Result<()> {
        self.function.call(std::slice::from_ref(&self.column), self.column.len())?;
        Ok(())
    }

    fn warm_up(&self) -> Result<()> {
        (0..100).try_for_each(|_| self.call())
    }

    fn measure(&self, phase: Duration, times: &mut Vec<Duration>) -> Result<()> {
        let end = Instant::now() + phase;
        loop {
            let start = Instant::now();
            self.call()?;
            let now = Instant::now();
            times.push(now - start);
            if now >= end {
                return Ok(());
            }
        }
    }

    fn tell(&self, quiet: &mut [Duration], attacked: &mut [Duration]) {
        let quiet = [percentile(quiet, 0.5), percentile(quiet, 0.99)];
        let attacked = [percentile(attacked, 0.5), percentile(attacked, 0.99)];
        let pair = |[half, most]: [f64; 2]| format!("{half:.1} / {most:.1}");
        println!("{:22} {:>24} {:>24} {:>14.2}", self.name, pair(quiet), pair(attacked), attacked[1] / quiet[1]);
    }
}

/// In microseconds.
fn percentile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let place = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
    times.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}
