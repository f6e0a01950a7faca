//! The executor of a worker, whatever it runs: one worker, one stream. Sends a request, blocks until the reply, the
//! deadline, a cancellation or the worker's death; after anything but a reply the worker is killed and the executor is
//! dead. A sandbox worker can also say that it has lost its sandbox, and can then be used for another one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use cloister_proto::v1::{Hello, HostMessage, Limits, host_message};
use cloister_proto::{SOCKET_VARIABLE, TOKEN_VARIABLE};
use prost::bytes::Bytes;

use super::confine::{self, Bounds};
use super::inside::{Ended, Inside};
use super::link::{Closed, Event, Link};
use super::memory::{self, PeakMemory};
use super::program::Program;
use super::server::{Server, Ticket};
use super::worker::{End, Spec, Worker};
use crate::cpu::CpuClock;
use crate::error::Scope;
use crate::executor::{CallContext, Executor, ReadReply};
use crate::log::JobLog;
use crate::{Error, ExecutionMode, Hardening, Limit};

/// How long a worker may take from its start to its hello. It imports gRPC meanwhile, or maps the image, from a disk that
/// may be cold.
const STARTUP: Duration = Duration::from_secs(60);

/// How often a waiting call looks whether it was cancelled.
const POLL: Duration = Duration::from_millis(20);

/// How long a process whose stream has ended may take to end, and the other way round. Both come within milliseconds,
/// unless a child that the worker left behind holds the stream open, or the worker closed it and lives on.
const PARTING: Duration = Duration::from_millis(500);

/// Threads of a confined worker. No limit of the kernel's counts those of one process, and none holds for root, so they
/// are counted while a call waits.
const MOST_THREADS: u64 = 1_000;

/// Processes and threads of a confined worker's control group: above what is counted, so that it is the count that ends a
/// worker, and tells why.
const MOST_TASKS: u64 = MOST_THREADS + 24;

/// Memory of a control group above its worker's limit on data: stacks, code, the page cache, what the kernel holds for it.
/// So Python gets its `MemoryError` first.
const GROUP_ROOM: u64 = 64 << 20;

/// The most bytes of a request: gRPC counts a message's length in 32 bits.
const MOST_REQUEST: usize = u32::MAX as usize - 1024;

/// What every worker of a job is started with.
pub struct Start {
    pub server: Arc<Server>,
    pub program: Program,
    pub hardening: Hardening,
    /// Bytes of data that a worker without a sandbox may have.
    pub memory: Option<u64>,
    pub stack: Option<u64>,
    pub reply: usize,
    pub log: Arc<JobLog>,
}

/// One worker and its stream.
pub struct ProcessExecutor {
    /// Declared first: the worker is killed and buried before its invitation and its link go.
    worker: Worker,
    ticket: Ticket,
    link: Arc<Link>,
    events: Receiver<Event>,
    /// The id of the last request.
    last: u64,
    alive: bool,
    reply_limit: usize,
    memory_limit: u64,
    confined: bool,
    peak: PeakMemory,
    /// The worker's CPU clock, and what of it the job's account has.
    cpu: Option<(CpuClock, Duration)>,
    mode: ExecutionMode,
    sandbox: Option<Inside>,
}

impl ProcessExecutor {
    /// Starts a worker and waits for its hello.
    ///
    /// # Errors
    /// [`Error::Missing`] with what the worker wrote to stderr when it does not come up, [`Error::Cancelled`].
    pub fn start(start: &Start, context: &CallContext<'_>) -> Result<ProcessExecutor, Error> {
        let (link, events) = Link::new(start.log.clone());
        let ticket = start.server.expect(link.clone(), start.reply)?;
        let socket = path_text(start.server.socket())?;
        let directory = start.server.working_directory()?;
        let program = &start.program;
        let terms = program.sandbox.as_ref();
        let tasks = (start.hardening != Hardening::Off).then_some(MOST_TASKS);
        let group = start.server.groups.as_ref().map(|groups| groups.worker(tasks)).transpose();
        let group = group.map_err(|error| Error::internal(format!("no control group for a worker: {error}")))?;
        let confinement = confine::steps(Bounds {
            hardening: start.hardening,
            program,
            directory: directory.path(),
            memory_limited: start.memory.is_some() || terms.is_some(),
            stack: start.stack,
            group: group.as_ref(),
            socket: start.server.socket(),
            link: &link,
        })?;
        let arguments: Vec<&str> = program.arguments.iter().map(String::as_str).collect();
        let mut environment = vec![(SOCKET_VARIABLE, socket), (TOKEN_VARIABLE, ticket.token())];
        environment.extend(program.environment.iter().map(|(name, value)| (*name, value.as_str())));
        let spec = Spec {
            program: &program.executable,
            name: program.name,
            mend: &program.mend_missing,
            arguments: &arguments,
            environment: &environment,
            directory,
            confinement,
            group,
        };
        // What a sandbox prints comes as messages; what its worker writes itself is not for the tenant.
        let log = if terms.is_some() { Arc::new(JobLog::new(0)) } else { start.log.clone() };
        let observer = link.clone();
        let worker = Worker::start(spec, &log, move || observer.exited())?;
        link.attach(worker.killer());
        let peak = PeakMemory::new(worker.pid);
        let cpu = CpuClock::of_process(worker.pid).map(|clock| (clock, Duration::ZERO));
        let mut executor = ProcessExecutor {
            worker,
            ticket,
            link,
            events,
            last: 0,
            alive: true,
            reply_limit: start.reply,
            memory_limit: start.memory.or(terms.map(|terms| terms.memory)).unwrap_or(0),
            confined: start.hardening != Hardening::Off,
            peak,
            cpu,
            mode: program.mode(),
            sandbox: terms.map(Inside::new),
        };
        executor.welcome(context).map_err(|failure| executor.not_started(failure, program))?;
        if let Some(memory) = executor.sandbox.as_ref().map(Inside::data).or(start.memory) {
            // What it holds already (its libraries, the stacks of its threads) is not the job's.
            let memory = memory.saturating_add(memory::data(executor.worker.pid));
            if let Some(group) = &executor.worker.group {
                let limited = group.limit_memory(memory.saturating_add(GROUP_ROOM));
                limited.map_err(|error| Error::internal(format!("a worker's memory cannot be limited: {error}")))?;
            }
            let (sandbox, log) = terms.map_or((0, 0), |terms| (terms.memory, terms.log));
            executor.send(0, 0, host_message::Body::Limits(Limits { memory, sandbox, log }));
        }
        Ok(executor)
    }

    /// Whether it is dead only because its sandbox is gone.
    #[cfg(feature = "wasm")]
    pub fn can_begin_again(&self) -> bool {
        self.link.is_open() && self.sandbox.as_ref().is_some_and(Inside::is_gone)
    }

    /// Makes it a new executor, with a sandbox in which nothing is loaded. Only for one that [`Self::can_begin_again`].
    #[cfg(feature = "wasm")]
    pub fn begin_again(&mut self) {
        if let Some(sandbox) = &mut self.sandbox {
            sandbox.begin_again();
            self.alive = true;
        }
    }

    /// Waits for the hello. The deadline of a call does not hold here: starting is not the user's code.
    fn welcome(&mut self, context: &CallContext<'_>) -> Result<(), Failure> {
        let patience = (Instant::now() + STARTUP, STARTUP);
        let context = CallContext { deadline: Some(patience), ..*context };
        match self.next_event(&context)? {
            Event::Hello(hello) => {
                if let Some(sandbox) = &self.sandbox
                    && !sandbox.has_image(&hello.harness)
                {
                    return Err(Failure::Closed(Closed::Broken("its program was built with another image".into())));
                }
                let Hello { python, .. } = hello;
                tracing::debug!(pid = self.worker.pid, python, "worker ready");
                if let Some((clock, counted)) = &mut self.cpu {
                    *counted = clock.read().unwrap_or_default();
                }
                Ok(())
            }
            _ => Err(Failure::Closed(Closed::Ended)),
        }
    }

    fn not_started(&self, failure: Failure, program: &Program) -> Error {
        let how = match failure {
            Failure::Interrupted(Error::Limit(Limit::Deadline { .. })) => {
                format!("it did not say hello within {} s", STARTUP.as_secs())
            }
            // A cancellation, or a CPU budget that is used up.
            Failure::Interrupted(error) => return error,
            Failure::Crowded => format!("it had more than {MOST_THREADS} threads"),
            Failure::Closed(Closed::Broken(how)) => how,
            Failure::Closed(_) => match self.worker.end_within(PARTING) {
                Some(end) => end.to_string(),
                None => "it closed its connection".into(),
            },
        };
        self.worker.kill();
        let name = if program.sandbox.is_some() { program.name } else { "Python worker" };
        Error::missing(format!("the {name} did not start: {how}{}", self.last_words()), program.mend_silent.as_str())
    }

    fn send(&self, id: u64, patience: u64, body: host_message::Body) {
        // A stream that has ended is an event of its own.
        let _ = self.ticket.sender.send(HostMessage { id, body: Some(body), patience });
    }

    /// Tells the job's account what CPU time the worker has used since the last time. Starting it is not counted.
    fn count_cpu(&mut self, context: &CallContext<'_>) {
        if let Some((clock, counted)) = &mut self.cpu
            && let Some(now) = clock.read()
        {
            context.account.spend_cpu(now.saturating_sub(*counted));
            *counted = now;
        }
    }

    /// The next event that says something: a hello or a reply.
    fn next_event(&mut self, context: &CallContext<'_>) -> Result<Event, Failure> {
        loop {
            let left = context.deadline.map_or(POLL, |(at, _)| at.saturating_duration_since(Instant::now()).min(POLL));
            match self.events.recv_timeout(left) {
                Ok(Event::Closed(why)) => return Err(Failure::Closed(why)),
                Ok(Event::Exited) => return self.remains(),
                Ok(event) => return Ok(event),
                Err(RecvTimeoutError::Timeout) => {
                    self.count_cpu(context);
                    if let Some(error) = context.interruption() {
                        return Err(Failure::Interrupted(error));
                    }
                    if self.confined && memory::threads(self.worker.pid) > MOST_THREADS {
                        return Err(Failure::Crowded);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err(Failure::Closed(Closed::Ended)),
            }
        }
    }

    /// What an ended process still had to say: a reply that it sent just before does not count, but that it broke the
    /// protocol, or what the reader finds in the stream, does.
    fn remains(&self) -> Result<Event, Failure> {
        let until = Instant::now() + PARTING;
        loop {
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Event::Closed(why)) => return Err(Failure::Closed(why)),
                Ok(_) => {}
                Err(_) => return Err(Failure::Closed(Closed::Ended)),
            }
        }
    }

    /// Ends the worker for good and says why it was.
    fn death(&mut self, failure: Failure) -> Error {
        let reason = match failure {
            Failure::Interrupted(error) => {
                self.worker.kill();
                return error;
            }
            Failure::Closed(Closed::TooLarge(used)) => {
                self.worker.kill();
                return Error::Limit(Limit::ResultSize { limit: self.reply_limit as u64, used });
            }
            Failure::Crowded => {
                self.worker.kill();
                return self.died(format!("the worker was killed because it had more than {MOST_THREADS} threads"));
            }
            Failure::Closed(Closed::Broken(how)) => {
                self.worker.kill();
                return self.died(format!("the worker was killed because it broke the protocol ({how})"));
            }
            Failure::Closed(Closed::Ended) => match self.worker.end_within(PARTING) {
                Some(End { out_of_memory: true, .. }) => {
                    let (limit, used) = (self.memory_limit, None);
                    return Error::Limit(Limit::Memory { limit, used, scope: Scope::Executor });
                }
                Some(end) => end.to_string(),
                None => {
                    self.worker.kill();
                    "it closed its connection and was killed".into()
                }
            },
        };
        if self.sandbox.is_some() {
            // No code of the tenant's writes there.
            tracing::warn!("a sandbox worker has died: {reason}{}", self.last_words());
            return self.died(format!("its worker has died: {reason}"));
        }
        self.died(format!("{reason}{}", without_places(self.last_words())))
    }

    fn died(&self, reason: String) -> Error {
        Error::ExecutorDied { mode: self.mode, reason }
    }

    /// What the worker last wrote to stderr, as the end of a sentence.
    fn last_words(&self) -> String {
        let words = self.worker.output.last_words();
        if words.is_empty() { words } else { format!("; its stderr ends with:\n{words}\n") }
    }
}

/// Text for a tenant: the interpreter's own words name its files, and with them places of the host.
fn without_places(mut words: String) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    for place in [crate::cache::directory().ok(), home].into_iter().flatten() {
        if place.components().count() > 1 {
            words = words.replace(&*place.to_string_lossy(), "…");
        }
    }
    words
}

/// Why there is no reply.
enum Failure {
    /// The host wants no reply any more.
    Interrupted(Error),
    /// None can come.
    Closed(Closed),
    /// The worker has more threads than it may.
    Crowded,
}

fn path_text(path: &Path) -> Result<&str, Error> {
    path.to_str().ok_or_else(|| {
        Error::missing("the directory for temporary files has a name that is not UTF-8", "set TMPDIR to another one")
    })
}

impl Executor for ProcessExecutor {
    fn request(&mut self, request: &[u8], context: &CallContext<'_>, read: ReadReply<'_>) -> Result<(), Error> {
        if !self.alive {
            return Err(Error::internal("a dead worker was called"));
        }
        if request.len() > MOST_REQUEST {
            return Err(Error::Call("the bundle exceeds 4 GiB: use smaller bundles".into()));
        }
        let (mut waiting, mut patience) = (*context, 0);
        if let Some(sandbox) = &self.sandbox {
            sandbox.admit(request)?;
            (waiting.deadline, patience) = Inside::patience(context);
        }
        self.last += 1;
        // Dead until proven otherwise, also when something below panics.
        self.alive = false;
        self.link.allow_reply(self.last);
        self.send(self.last, patience, host_message::Body::Request(Bytes::copy_from_slice(request)));
        let event = self.next_event(&waiting);
        self.count_cpu(context);
        match event {
            Ok(Event::Reply(reply, state)) => {
                // What the call printed was written before its reply.
                self.worker.output.drain();
                self.peak.note();
                self.alive = self.sandbox.as_mut().is_none_or(|sandbox| sandbox.lives_after(&state));
                read(&reply)
            }
            Ok(Event::Failed(failure, state)) => {
                let ended = match &mut self.sandbox {
                    Some(sandbox) => sandbox.ended(&failure, &state, context),
                    None => Err("it answered out of turn"),
                };
                match ended {
                    Ok(Ended { error, orderly: true }) => Err(error),
                    Ok(Ended { error, orderly: false }) => {
                        self.worker.kill();
                        Err(error)
                    }
                    Err(how) => Err(self.death(Failure::Closed(Closed::Broken(how.into())))),
                }
            }
            Ok(_) => Err(self.death(Failure::Closed(Closed::Broken("it answered out of turn".into())))),
            // The deadline of the call, not that of the answer.
            Err(Failure::Interrupted(error)) => {
                Err(self.death(Failure::Interrupted(context.interruption().unwrap_or(error))))
            }
            Err(failure) => Err(self.death(failure)),
        }
    }

    fn is_alive(&self) -> bool {
        self.alive && self.link.is_open()
    }

    fn peak_memory(&self) -> u64 {
        self.sandbox.as_ref().map_or_else(|| self.peak.value(), Inside::peak)
    }

    fn denied_memory(&self) -> Option<Limit> {
        self.sandbox.as_ref().and_then(Inside::denied)
    }
}
