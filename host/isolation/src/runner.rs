//! Runs many cases in many modes, some at a time, each thread with stages of its own.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::case::{After, Breach, Case, Expected};
use crate::judge::{self, Verdict};
use crate::place::Place;
use crate::stage::{Ending, Stage};

/// How long a case may take that is expected to end. A machine that is busy with other things must not fail it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one may take that is expected never to end: ten times and more what its deadline allows.
const HANG: Duration = Duration::from_secs(2);

/// How a stage is started: a program that calls [`serve`](crate::serve).
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The program in which sandboxes run that have a process of their own. `None`: the same, which must call
    /// [`cloister::worker::run_if_asked`] when it starts.
    pub worker: Option<PathBuf>,
}

impl Launch {
    /// This program again, with other arguments.
    ///
    /// # Errors
    /// When the system does not say where this program's file is.
    pub fn this_program(arguments: &[&str]) -> Result<Launch> {
        let program = std::env::current_exe().context("this program's own file")?;
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Ok(Launch { program, arguments, worker: None })
    }

    /// With `program` for sandboxes in processes of their own.
    pub fn worker(mut self, program: impl Into<PathBuf>) -> Launch {
        self.worker = Some(program.into());
        self
    }
}

/// Does the first-time work of a place (compiling the image, making an environment), so that it can be shown and is not
/// done by many stages at once. `progress` hears what takes long.
///
/// # Errors
/// What the mode lacks on this machine, with the command that mends it.
#[allow(unused_variables, reason = "which modes there are depends on the features")]
pub fn prepare(place: Place, launch: &Launch, progress: &dyn Fn(&str)) -> Result<(), cloister::Error> {
    if let Some(problem) = place.mode().report().problems.into_iter().next() {
        return Err(problem);
    }
    match place {
        #[cfg(feature = "wasm")]
        Place::Wasm => cloister::wasm::prepare(progress),
        #[cfg(feature = "wasm")]
        Place::WasmWorker => {
            cloister::wasm::prepare(progress)?;
            // Whether such a worker starts here is only known by starting one.
            cloister::Session::new().job(place.options(launch.worker.as_deref())).map(drop)
        }
        #[cfg(feature = "process")]
        Place::Process => cloister::process::prepare(progress),
        _ => Ok(()),
    }
}

/// Runs each of `cases` in those of `modes` that it is for, which are prepared; `seen` hears of each verdict as it
/// comes. The verdicts come in the order of the cases and modes; when `cancelled` is set there are fewer.
///
/// # Errors
/// When no stage can be started. What goes wrong in a case is its verdict.
pub fn run(
    cases: &[Case],
    modes: &[Place],
    launch: &Launch,
    cancelled: &AtomicBool,
    seen: &(dyn Fn(&Verdict) + Sync),
) -> Result<Vec<Verdict>> {
    let all = || cases.iter().flat_map(|case| modes.iter().map(move |mode| (case, *mode)));
    let mut queue: Vec<(usize, &Case, Place)> = all()
        .filter(|(case, mode)| case.expected(*mode).is_some())
        .enumerate()
        .map(|(place, (case, mode))| (place, case, mode))
        .collect();
    // Taken from the end: what waits longest goes first, and each thread stays with a mode as long as it can.
    queue.sort_by_key(|(_, case, mode)| (patience(case, *mode) == HANG, mode.is_process()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from) + 2;
    let queue = Mutex::new(queue);
    let verdicts = Mutex::new(Vec::new());
    let work = || -> Result<()> {
        let mut stages: HashMap<Place, Stage> = HashMap::new();
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((place, case, mode)) = next else { return Ok(()) };
            let Some(verdict) = one(case, mode, launch, cancelled, &mut stages)? else { return Ok(()) };
            seen(&verdict);
            verdicts.lock().unwrap_or_else(PoisonError::into_inner).push((place, verdict));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        // All are joined before the first error is looked at.
        let ends: Vec<_> = workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        ends.into_iter().try_for_each(|end| end.unwrap_or_else(|_| anyhow::bail!("a panic")))
    })?;
    let mut verdicts = verdicts.into_inner().unwrap_or_else(PoisonError::into_inner);
    verdicts.sort_by_key(|(place, _)| *place);
    Ok(verdicts.into_iter().map(|(_, verdict)| verdict).collect())
}

fn one(
    case: &Case,
    mode: Place,
    launch: &Launch,
    cancelled: &AtomicBool,
    stages: &mut HashMap<Place, Stage>,
) -> Result<Option<Verdict>> {
    if cancelled.load(Ordering::SeqCst) {
        return Ok(None);
    }
    let stage = match stages.entry(mode) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => match Stage::start(launch, cancelled) {
            Ok(stage) => entry.insert(stage),
            Err(_) if cancelled.load(Ordering::SeqCst) => return Ok(None),
            Err(error) => return Err(error),
        },
    };
    let begun = Instant::now();
    let ending = stage.run(case, mode, patience(case, mode), cancelled)?;
    let verdict = judge::judge(case, mode, &ending, begun.elapsed());
    // What was not contained may show later: the next case gets a host that has seen nothing.
    let clean = matches!(&ending, Ending::Observed(observation) if observation.breaches.is_empty());
    let shared = mode == Place::Thread && case.abuse.after == After::NewJob;
    if !clean || shared || case.abuse.kill_host || case.is_uncontained(mode) {
        stages.remove(&mode);
    }
    Ok(verdict)
}

fn patience(case: &Case, mode: Place) -> Duration {
    let hangs = case.expected(mode).is_some_and(|all| all.contains(&Expected::NotContained(Breach::Hangs)));
    if hangs { HANG } else { PATIENCE }
}
