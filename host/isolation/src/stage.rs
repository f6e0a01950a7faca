//! A stage: a host process of its own in which cases run, seen from both ends. [`serve`] is what happens inside;
//! [`Stage`] is the handle of who watches it from outside and sees its death or its silence.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use cloister::Session;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::attack::{self, Observation, Seen, Surroundings};
use crate::bait::{self, Bait};
use crate::case::{Breach, Case};
use crate::footprint;
use crate::place::Place;
use crate::runner::Launch;
use crate::witness::Witness;

/// The environment variable that makes a process a stage: the directory of its bait and its socket.
const STAGE_VARIABLE: &str = "CLOISTER_ISOLATION_STAGE";
const SOCKET: &str = "socket";

/// How long a stage may take to start, and to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a watcher looks at the process and at the cancellation.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Serialize, Deserialize)]
struct Order {
    place: Place,
    /// The program of sandbox workers, if it is not that of the stage.
    worker: Option<PathBuf>,
    case: Case,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    Ready,
    /// The case that is to be killed with its host has started; the children of the host.
    Started(Vec<u32>),
    Observed(Box<Observation>),
}

/// Serves cases when this process was started as a stage, until its watcher is gone. `false`: it was not.
///
/// A program that gives [`Launch`] calls this first of all.
///
/// # Errors
/// A stage that was not set up as one.
pub fn serve() -> Result<bool> {
    let Some(directory) = std::env::var_os(STAGE_VARIABLE).map(PathBuf::from) else { return Ok(false) };
    let socket = UnixStream::connect(directory.join(SOCKET))?;
    let bait = Bait::new(&directory)?;
    let orders = orders(socket.try_clone()?);
    let socket = Mutex::new(socket);
    let send = |message: &Message| -> Result<()> {
        let line = serde_json::to_string(message)? + "\n";
        let mut socket = socket.lock().map_err(|_| anyhow::anyhow!("a sender has panicked"))?;
        Ok(socket.write_all(line.as_bytes())?)
    };
    send(&Message::Ready)?;
    let session = Session::new();
    let mut witnesses: HashMap<Place, Witness> = HashMap::new();
    while let Ok(Order { place, worker, case }) = orders.recv() {
        let started = || {
            let _ = send(&Message::Started(footprint::children().unwrap_or_default()));
        };
        let witness = match witnesses.entry(place) {
            std::collections::hash_map::Entry::Occupied(there) => Ok(there.into_mut()),
            std::collections::hash_map::Entry::Vacant(free) => {
                let options = place.options(worker.as_deref());
                Witness::start(&session, options, &bait.tenant_secret).map(|witness| free.insert(witness))
            }
        };
        let observation = match witness {
            Ok(witness) => {
                let (session, bait, worker) = (&session, &bait, worker.as_deref());
                attack::run(&case, place, &Surroundings { session, bait, witness, worker, started: &started })
            }
            Err(error) => {
                Observation { problem: Some(format!("no bystander can start: {error}")), ..Observation::default() }
            }
        };
        send(&Message::Observed(Box::new(observation)))?;
    }
    Ok(true)
}

/// What the watcher asks for. The end of the stream ends the process, even one that hangs in a case.
fn orders(socket: UnixStream) -> mpsc::Receiver<Order> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let lines = BufReader::new(socket).lines().map_while(io::Result::ok);
        for order in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
            if sender.send(order).is_err() {
                return;
            }
        }
        drop(sender);
        thread::sleep(PATIENCE / 10);
        std::process::exit(1);
    });
    receiver
}

/// How a case ended, as seen from outside.
#[derive(Debug)]
pub enum Ending {
    /// The stage has reported.
    Observed(Observation),
    /// The stage has ended.
    Died(String),
    /// The stage has not answered, and was ended.
    Hung,
    /// The watcher was told to stop.
    Cancelled,
}

/// A stage, from outside. Dropping it ends it.
#[derive(Debug)]
pub struct Stage {
    child: Child,
    socket: Option<BufReader<UnixStream>>,
    worker: Option<PathBuf>,
    // Removed after the process has ended.
    _directory: TempDir,
}

impl Stage {
    /// Starts a stage and waits until it is ready.
    pub fn start(launch: &Launch, cancelled: &AtomicBool) -> Result<Stage> {
        let directory = tempfile::Builder::new().prefix("cloister-stage-").tempdir()?;
        bait::lay_out(directory.path())?;
        let listener = UnixListener::bind(directory.path().join(SOCKET))?;
        let output = std::fs::File::create(directory.path().join(bait::OUTPUT))?;
        let child = Command::new(&launch.program)
            .args(&launch.arguments)
            .env(STAGE_VARIABLE, directory.path())
            .env(bait::SECRET_VARIABLE, bait::secret("ENVIRONMENT"))
            // An interrupt from the keyboard is for the watcher.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", launch.program.display()))?;
        let mut stage = Stage { child, socket: None, worker: launch.worker.clone(), _directory: directory };
        stage.accept(&listener, cancelled)?;
        Ok(stage)
    }

    fn accept(&mut self, listener: &UnixListener, cancelled: &AtomicBool) -> Result<()> {
        listener.set_nonblocking(true)?;
        let begun = Instant::now();
        loop {
            if let Ok((socket, _)) = listener.accept() {
                socket.set_nonblocking(false)?;
                socket.set_read_timeout(Some(LOOK))?;
                self.socket = Some(BufReader::new(socket));
                break;
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("a host process for the cases ended at its start: {}{}", ended(status), self.last_words());
            }
            if begun.elapsed() > PATIENCE || cancelled.load(Ordering::SeqCst) {
                bail!("a host process for the cases did not start");
            }
            thread::sleep(Duration::from_millis(1));
        }
        match self.receive(PATIENCE, cancelled)? {
            Received::Message(Message::Ready) => Ok(()),
            _ => bail!("a host process for the cases did not get ready{}", self.last_words()),
        }
    }

    /// Runs a case. After anything but [`Ending::Observed`] the stage is of no more use.
    pub fn run(&mut self, case: &Case, place: Place, patience: Duration, cancelled: &AtomicBool) -> Result<Ending> {
        let order = serde_json::to_string(&Order { place, worker: self.worker.clone(), case: case.clone() })? + "\n";
        if let Some(socket) = &mut self.socket {
            // A stage that has ended cannot be written to; reading tells how it did.
            let _ = socket.get_mut().write_all(order.as_bytes());
        }
        match self.receive(patience, cancelled)? {
            Received::Message(Message::Observed(observation)) => Ok(Ending::Observed(*observation)),
            Received::Message(Message::Started(children)) => {
                self.child.kill()?;
                self.child.wait()?;
                Ok(Ending::Observed(orphans(&children)))
            }
            Received::Message(Message::Ready) => bail!("a host process for the cases got ready twice"),
            Received::End => {
                let status = ended(self.child.wait()?);
                Ok(Ending::Died(status + &self.last_words()))
            }
            Received::Silence => {
                self.child.kill()?;
                Ok(Ending::Hung)
            }
            Received::Cancelled => Ok(Ending::Cancelled),
        }
    }

    fn receive(&mut self, patience: Duration, cancelled: &AtomicBool) -> Result<Received> {
        let Some(socket) = &mut self.socket else { return Ok(Received::End) };
        let begun = Instant::now();
        let mut line = Vec::new();
        loop {
            match socket.read_until(b'\n', &mut line) {
                Ok(_) if line.ends_with(b"\n") => return Ok(Received::Message(serde_json::from_slice(&line)?)),
                Ok(_) => return Ok(Received::End),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Ok(Received::End),
            }
            if cancelled.load(Ordering::SeqCst) {
                return Ok(Received::Cancelled);
            }
            if begun.elapsed() > patience {
                return Ok(Received::Silence);
            }
        }
    }

    /// The end of what the stage wrote to its standard streams.
    fn last_words(&self) -> String {
        let text = std::fs::read(self._directory.path().join(bait::OUTPUT)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[text.len().saturating_sub(300)..]).trim().to_owned();
        if text.is_empty() { text } else { format!("; it wrote: {}", text.escape_debug()) }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The end of the stream is the word to end. What a stage in order holds it then gives back itself.
        if let Some(socket) = self.socket.take() {
            let _ = socket.get_ref().shutdown(std::net::Shutdown::Both);
        }
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE / 20 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

enum Received {
    Message(Message),
    End,
    Silence,
    Cancelled,
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (_, Some(signal)) => format!("killed by signal {signal}"),
        _ => "ended".into(),
    }
}

/// Whether anything lives on after its host was killed.
fn orphans(children: &[u32]) -> Observation {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE / 2 {
        if children.iter().all(|child| footprint::has_ended(*child)) {
            return Observation { seen: vec![Seen::Value("gone".into())], ..Observation::default() };
        }
        thread::sleep(Duration::from_millis(2));
    }
    let living = children.iter().filter(|child| !footprint::has_ended(**child)).count();
    Observation {
        breaches: vec![(Breach::Keeps, format!("{living} orphans of a killed host"))],
        ..Observation::default()
    }
}
