//! What the stream of one worker and the executor that owns the worker share: which reply is awaited, and the events
//! that the executor blocks on. Every message of a worker is hostile: one that the protocol does not allow at its point
//! gets the worker killed, here, whether somebody waits for it or not.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};

use cloister_proto::v1::worker_message::Body;
use cloister_proto::v1::{Failure, Hello, Sandbox, WorkerMessage};
use prost::bytes::Bytes;

use super::failure;
use super::worker::Killer;
use crate::log::{JobLog, LogStream};

/// What an executor can be told.
#[derive(Debug)]
pub enum Event {
    /// The worker is ready. Comes once, before any reply.
    Hello(Hello),
    /// The awaited reply, and what a sandbox worker says of its sandbox.
    Reply(Bytes, Sandbox),
    /// Instead of the awaited reply.
    Failed(Failure, Sandbox),
    /// Nothing more comes from the stream.
    Closed(Closed),
    /// The process has ended. What it wrote before may still come.
    Exited,
}

/// Why a stream gives nothing more.
#[derive(Debug)]
pub enum Closed {
    /// It ended, or its connection did.
    Ended,
    /// The worker did what the protocol does not allow, and was killed for it.
    Broken(String),
    /// The worker announced a message of so many bytes, more than the job's limit on replies, and was killed for it.
    TooLarge(u64),
}

/// The host's end of one worker's stream.
#[derive(Debug)]
pub struct Link {
    /// The id of the request that has no reply yet; 0: none.
    awaited: AtomicU64,
    greeted: AtomicBool,
    open: AtomicBool,
    events: Sender<Event>,
    killer: OnceLock<Killer>,
    log: Arc<JobLog>,
}

impl Link {
    /// A link, and the events that it will give.
    pub fn new(log: Arc<JobLog>) -> (Arc<Link>, Receiver<Event>) {
        let (events, receiver) = mpsc::channel();
        let link = Link {
            awaited: AtomicU64::new(0),
            greeted: AtomicBool::new(false),
            open: AtomicBool::new(true),
            events,
            killer: OnceLock::new(),
            log,
        };
        (Arc::new(link), receiver)
    }

    /// Says how to kill the worker. Until then a broken one is only disconnected.
    pub fn attach(&self, killer: Killer) {
        let _ = self.killer.set(killer);
    }

    /// From now on the reply to request `id` is allowed, once.
    pub fn allow_reply(&self, id: u64) {
        self.awaited.store(id, Ordering::Release);
    }

    /// Whether the worker can still answer.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Whether the worker has said hello. Until then it runs no code of the job's.
    pub fn is_greeted(&self) -> bool {
        self.greeted.load(Ordering::Acquire)
    }

    /// Takes one message of the worker.
    pub fn accept(&self, message: WorkerMessage) -> Result<(), Closed> {
        let broken = |what: &str| Err(Closed::Broken(what.to_owned()));
        let greeted = self.greeted.load(Ordering::Relaxed);
        match message.body {
            Some(Body::Hello(_)) if greeted => broken("it said hello twice"),
            Some(Body::Hello(hello)) => {
                self.greeted.store(true, Ordering::Release);
                self.tell(Event::Hello(hello));
                Ok(())
            }
            _ if !greeted => broken("its first message was no hello"),
            Some(body @ (Body::Reply(_) | Body::Failure(_))) => {
                let id = message.id;
                if id == 0 || self.awaited.compare_exchange(id, 0, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                    return broken("it replied to a request that was not made");
                }
                let sandbox = message.sandbox.unwrap_or_default();
                match body {
                    Body::Reply(reply) => self.tell(Event::Reply(reply, sandbox)),
                    Body::Failure(failure) => self.tell(Event::Failed(failure, sandbox)),
                    _ => {}
                }
                Ok(())
            }
            Some(Body::Log(log)) => {
                let stream = if log.stream == 2 { LogStream::Stderr } else { LogStream::Stdout };
                self.log.write(stream, &log.data);
                self.log.count_dropped(log.dropped);
                Ok(())
            }
            None => broken("it sent a message without a body"),
        }
    }

    /// The stream has ended.
    pub fn close(&self, why: Closed) {
        self.open.store(false, Ordering::Release);
        if !matches!(why, Closed::Ended)
            && let Some(killer) = self.killer.get()
        {
            killer.kill();
        }
        self.tell(Event::Closed(why));
    }

    /// The process has ended.
    pub fn exited(&self) {
        self.open.store(false, Ordering::Release);
        self.tell(Event::Exited);
    }

    fn tell(&self, event: Event) {
        // An executor that is gone wants to hear nothing.
        let _ = self.events.send(event);
    }
}

/// See [`crate::fuzzing::worker`]. A message of no bytes stands for a request of the host's.
pub fn fuzz(mut input: &[u8]) {
    let (link, events) = Link::new(Arc::new(JobLog::new(1 << 10)));
    let (mut asked, mut awaited) = (0, false);
    while let Some((length, rest)) = input.split_first() {
        let (message, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        input = rest;
        if message.is_empty() {
            asked += 1;
            awaited = true;
            link.allow_reply(asked);
            continue;
        }
        let Ok(message) = <WorkerMessage as prost::Message>::decode(message) else { return };
        let (id, greeted) = (message.id, link.is_greeted());
        if link.accept(message).is_err() {
            return;
        }
        match events.try_recv() {
            Ok(Event::Hello(_)) => assert!(!greeted, "a second hello"),
            Ok(event @ (Event::Reply(..) | Event::Failed(..))) => {
                assert!(greeted && awaited && id == asked, "a reply that nobody asked for");
                awaited = false;
                if let Event::Failed(failure, sandbox) = event {
                    failure::fuzz(&failure, &sandbox);
                }
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => assert!(greeted, "a message before the hello"),
        }
    }
}

#[cfg(test)]
mod tests {
    use cloister_proto::v1::Log;

    use super::*;

    fn link() -> (Arc<Link>, Receiver<Event>, Arc<JobLog>) {
        let log = Arc::new(JobLog::new(100));
        let (link, events) = Link::new(log.clone());
        (link, events, log)
    }

    fn message(id: u64, body: Body) -> WorkerMessage {
        WorkerMessage { id, body: Some(body), sandbox: None }
    }

    fn reply(id: u64) -> WorkerMessage {
        message(id, Body::Reply(Bytes::from_static(b"r")))
    }

    fn hello() -> WorkerMessage {
        message(0, Body::Hello(Hello::default()))
    }

    fn refusal(link: &Link, message: WorkerMessage) -> String {
        match link.accept(message) {
            Err(Closed::Broken(what)) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_worker_must_say_hello_first_and_once() {
        let (link, events, _) = link();
        assert!(refusal(&link, reply(0)).contains("no hello"));
        link.accept(hello()).unwrap();
        assert!(matches!(events.try_recv(), Ok(Event::Hello(_))));
        assert!(refusal(&link, hello()).contains("twice"));
        assert!(events.try_recv().is_err());
    }

    #[test]
    fn only_the_awaited_reply_is_taken_and_only_once() {
        let (link, events, _) = link();
        link.accept(hello()).unwrap();
        let _ = events.try_recv();
        assert!(refusal(&link, reply(0)).contains("not made"));
        assert!(refusal(&link, reply(1)).contains("not made"));
        link.allow_reply(7);
        assert!(refusal(&link, reply(6)).contains("not made"));
        link.accept(reply(7)).unwrap();
        assert!(matches!(events.try_recv(), Ok(Event::Reply(..))));
        assert!(refusal(&link, reply(7)).contains("not made"));
        let failure = |id| message(id, Body::Failure(Failure::default()));
        assert!(refusal(&link, failure(7)).contains("not made"));
        link.allow_reply(8);
        link.accept(failure(8)).unwrap();
        assert!(matches!(events.try_recv(), Ok(Event::Failed(..))));
        assert!(refusal(&link, reply(8)).contains("not made"));
    }

    #[test]
    fn output_goes_to_the_log_and_an_empty_message_is_refused() {
        let (link, _events, log) = link();
        link.accept(hello()).unwrap();
        let data = Bytes::from_static(b"text");
        link.accept(message(0, Body::Log(Log { stream: 2, data, dropped: u64::MAX }))).unwrap();
        assert_eq!(log.take(), [(LogStream::Stderr, "text".to_owned())]);
        link.accept(message(0, Body::Log(Log { dropped: 1, ..Log::default() }))).unwrap();
        assert_eq!(log.dropped_bytes(), u64::MAX);
        assert!(refusal(&link, WorkerMessage::default()).contains("without a body"));
    }
}
