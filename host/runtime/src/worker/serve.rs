//! The main of a sandbox worker: one sandbox, one request after the other, on the main thread. After a request that has
//! ended the sandbox, and nothing worse, the next request begins another one.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use cloister_proto::v1::host_message::Body;
use cloister_proto::v1::worker_message::Body as Answer;
use cloister_proto::v1::{Hello, HostMessage, Limits, Log, WorkerMessage};
use cloister_proto::{SOCKET_VARIABLE, TOKEN_VARIABLE};
use prost::bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

use super::{stream, sys, words};
use crate::account::Account;
use crate::executor::{CallContext, Executor};
use crate::log::{JobLog, LogStream};
use crate::{Error, TenantLimits, protocol, wasm};

/// How a worker ends that is not in order.
const FAULT: i32 = 1;
const BAD_START: i32 = 2;

/// Runs the worker; ends the process.
pub fn serve() -> ! {
    let (Ok(socket), Ok(token)) = (std::env::var(SOCKET_VARIABLE), std::env::var(TOKEN_VARIABLE)) else {
        let needed = format!("{SOCKET_VARIABLE} and {TOKEN_VARIABLE} must be set (the host does that)");
        leave(BAD_START, &needed);
    };
    // Before the hello: what the host waits for afterwards is the job's.
    if let Err(error) = wasm::prepare(&|_| {}) {
        leave(FAULT, &error.to_string());
    }
    let (incoming, messages) = mpsc::channel();
    let outgoing = match stream::open(socket, token, incoming) {
        Ok(outgoing) => outgoing,
        Err(error) => leave(FAULT, &error.to_string()),
    };
    let hello = Hello {
        python: cloister_guest::GUEST_PYTHON.into(),
        pid: std::process::id(),
        harness: cloister_guest::IMAGE_SHA256.into(),
    };
    let _ = outgoing.send(WorkerMessage { id: 0, body: Some(Answer::Hello(hello)), sandbox: None });
    let mut served = None;
    for HostMessage { id, body, patience } in messages {
        match (body, &mut served) {
            (Some(Body::Limits(limits)), None) => match Served::new(&limits, outgoing.clone()) {
                Ok(new) => served = Some(new),
                Err(error) => leave(FAULT, &format!("the memory cannot be limited: {error}")),
            },
            (Some(Body::Request(request)), Some(served)) => served.answer(id, &request, patience),
            (Some(Body::Shutdown(_)), served) => {
                if let Some(served) = served {
                    served.close();
                }
                std::process::exit(0);
            }
            _ => leave(FAULT, "the host said what it may not say now"),
        }
    }
    // The stream has ended, and its thread is about to end the process.
    loop {
        std::thread::park();
    }
}

/// Ends the process with a message for whoever runs the host.
pub fn leave(code: i32, message: &str) -> ! {
    eprintln!("cloister sandbox worker: {message}");
    std::process::exit(code)
}

/// What the worker serves from, once it knows its limits.
struct Served {
    memory: u64,
    log: Arc<JobLog>,
    /// What the log has dropped, as far as the host knows.
    dropped: u64,
    /// Never set: the host kills a worker that it wants nothing from.
    cancelled: Arc<AtomicBool>,
    /// Limits nothing: the host counts.
    account: Arc<Account>,
    sandbox: Option<Box<dyn Executor>>,
    outgoing: UnboundedSender<WorkerMessage>,
}

impl Served {
    fn new(limits: &Limits, outgoing: UnboundedSender<WorkerMessage>) -> std::io::Result<Served> {
        sys::limit_data(limits.memory)?;
        let sender = outgoing.clone();
        // As it is written, not with the reply: the host may wait for a word of a call that never ends.
        let forward = move |stream, bytes: &[u8]| {
            let stream = if stream == LogStream::Stderr { 2 } else { 1 };
            let log = Log { stream, data: Bytes::copy_from_slice(bytes), dropped: 0 };
            let _ = sender.send(WorkerMessage { id: 0, body: Some(Answer::Log(log)), sandbox: None });
        };
        let most = usize::try_from(limits.log).unwrap_or(usize::MAX);
        Ok(Served {
            memory: limits.sandbox,
            log: Arc::new(JobLog::forwarding(most, Box::new(forward))),
            dropped: 0,
            cancelled: Arc::default(),
            account: Account::of_tenant("worker", &TenantLimits::default()),
            sandbox: None,
            outgoing,
        })
    }

    /// Carries the request to the sandbox, and sends what came of it.
    fn answer(&mut self, id: u64, request: &[u8], patience: u64) {
        let patience = Some(Duration::from_nanos(patience)).filter(|patience| !patience.is_zero());
        let deadline = patience.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
        let mut reply = None;
        let outcome = self.request(request, deadline, &mut |bytes| reply = Some(Bytes::copy_from_slice(bytes)));
        let state = words::state(self.sandbox.as_deref(), outcome.as_ref().err());
        // Gone before the host hears of it: its memory is free for what comes next.
        self.sandbox = self.sandbox.take().filter(|sandbox| sandbox.is_alive());
        let body = match (outcome, reply) {
            (Ok(()), Some(reply)) => Answer::Reply(reply),
            (Err(error), _) => Answer::Failure(words::failure(&error)),
            (Ok(()), None) => Answer::Failure(words::failure(&Error::internal("no reply"))),
        };
        let dropped = self.log.dropped_bytes();
        if dropped > self.dropped {
            let log = Log { dropped: dropped - self.dropped, ..Log::default() };
            self.dropped = dropped;
            self.send(WorkerMessage { id: 0, body: Some(Answer::Log(log)), sandbox: None });
        }
        self.send(WorkerMessage { id, body: Some(body), sandbox: Some(state) });
    }

    fn request(
        &mut self,
        request: &[u8],
        deadline: Option<(Instant, Duration)>,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Error> {
        let context = CallContext { deadline, cancelled: &self.cancelled, token: None, account: &self.account };
        let sandbox = match &mut self.sandbox {
            Some(sandbox) => sandbox,
            None => self.sandbox.insert(wasm::sandbox(self.memory, &self.log, &context)?),
        };
        sandbox.request(request, &context, &mut |reply| {
            take(reply);
            Ok(())
        })
    }

    /// Has the code close what it has opened.
    fn close(&mut self) {
        let _ = self.request(&protocol::close(), None, &mut |_| {});
    }

    fn send(&self, message: WorkerMessage) {
        // Where the stream has ended, its thread ends the process.
        let _ = self.outgoing.send(message);
    }
}
