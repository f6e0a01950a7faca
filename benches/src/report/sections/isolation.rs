//! The abuse suite: which of its cases each mode contains, wasm mode in both ways. How long it takes does not depend on the plan.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cloister_isolation::{Case, Launch, Place, Verdict, suite};

use crate::report::context::Context;
use crate::report::interrupt;
use crate::report::matrix::Matrix;
use crate::report::plan::Plan;

/// Runs the suite in all modes that work here.
pub fn run(context: &mut Context) {
    context.step("abuse cases");
    let matrix = Launch::this_program(&[]).and_then(|launch| {
        let mut places = Vec::new();
        for place in Place::ALL {
            let prepared = cloister_isolation::prepare(place, &launch, &|message| context.progress.line(message));
            places.extend(context.keep(&format!("abuse cases, {place}"), prepared.map_err(Into::into)).map(|()| place));
        }
        in_places(context, &places, &launch)
    });
    context.report.isolation = context.keep("abuse cases", matrix);
}

fn in_places(context: &Context, places: &[Place], launch: &Launch) -> Result<Matrix> {
    let cases: Vec<Case> = suite::built_in()?.into_iter().step_by(context.plan.abuse_step).collect();
    let all = cases.iter().flat_map(|case| places.iter().filter(|place| case.expected(**place).is_some())).count();
    let (cancelled, over, done) = (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0));
    let seen = |verdict: &Verdict| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        let message = format!("abuse cases: {} ({})", verdict.group, verdict.mode);
        context.progress.within(&message, done as f64 / all.max(1) as f64);
    };
    let latest = latest(context);
    let verdicts = std::thread::scope(|scope| {
        scope.spawn(|| cancel(&cancelled, &over, latest));
        let verdicts = cloister_isolation::run(&cases, places, launch, &cancelled, &seen);
        over.store(true, Ordering::Relaxed);
        verdicts
    })?;
    // A part of the suite would show shares that mean something else.
    ensure!(verdicts.len() == all, "the suite was ended after {} of {all} cases, to end in time", verdicts.len());
    Ok(Matrix::of(verdicts))
}

/// When the suite is given up. What comes after it can do with half of the time that the estimates give it.
fn latest(context: &Context) -> Instant {
    let (running, later) = context.progress.running_and_later();
    context.budget.until(Instant::now(), running, later / 2.0)
}

/// Passes on that the user wants an end, and that it is too late.
fn cancel(cancelled: &AtomicBool, over: &AtomicBool, latest: Instant) {
    while !over.load(Ordering::Relaxed) {
        if interrupt::requested() || Instant::now() > latest {
            cancelled.store(true, Ordering::SeqCst);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How long it takes, about, in seconds, each step.
pub fn estimate(plan: &Plan) -> Vec<f64> {
    vec![100.0 / plan.abuse_step as f64]
}
