//! The gRPC server that workers dial: one for this process, on a Unix socket in a private directory, alive as long as a
//! job of process mode is. A worker is let in by its token alone, which opens one stream and is then worthless.

use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use cloister_proto::v1::worker_host_server::{WorkerHost, WorkerHostServer};
use cloister_proto::v1::{HostMessage, WorkerMessage};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;
use tonic::{Request, Response, Status, Streaming};

use super::group::Groups;
use super::link::{Closed, Link};
use super::place::Place;
use crate::Error;

/// HTTP/2 windows: how much of a reply may be under way before we have read it. Large, so that a bundle's column needs
/// no round trip for permission.
const WINDOW: u32 = 16 << 20;

/// The largest HTTP/2 frame that we take.
const FRAME: u32 = 1 << 20;

/// A reply's limit is the job's; the message around it is a little larger.
const SLACK: usize = 1 << 10;

/// The server. Dropping the last reference stops it and removes its directory.
#[derive(Debug)]
pub struct Server {
    place: Place,
    /// Control groups for the workers, where the host can make them.
    pub groups: Option<Arc<Groups>>,
    socket: PathBuf,
    guests: Arc<Guests>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// The server of this process, started if it does not run.
    pub fn shared() -> Result<Arc<Server>, Error> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Ok(server);
        }
        let server = Arc::new(Server::start()?);
        *shared = Arc::downgrade(&server);
        Ok(server)
    }

    fn start() -> Result<Server, Error> {
        let runtime = crate::threads::runtime()?;
        let place = Place::new()?;
        let socket = place.socket();
        let _context = runtime.enter();
        let listener = UnixListener::bind(&socket)
            .map_err(|error| Error::internal(format!("the socket of process mode cannot be made: {error}")))?;
        let guests = Arc::new(Guests::default());
        let serving = tonic::transport::Server::builder()
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(FRAME)
            .max_concurrent_streams(4)
            .add_service(Door(guests.clone()))
            .serve_with_incoming(UnixListenerStream::new(listener));
        let accepting = runtime.spawn(async move {
            if let Err(error) = serving.await {
                tracing::warn!("the server of process mode has stopped: {error}");
            }
        });
        Ok(Server { place, groups: Groups::new(), socket, guests, accepting })
    }

    /// Where to dial.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A new, empty directory for one worker to work in.
    pub fn working_directory(&self) -> Result<TempDir, Error> {
        self.place.working_directory()
    }

    /// Expects a worker, whose messages go to `link` and whose replies may measure `most` bytes.
    pub fn expect(&self, link: Arc<Link>, most: usize) -> Result<Ticket, Error> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| Error::internal(format!("no randomness: {error}")))?;
        let token: Token = hexadecimal(&random);
        let (sender, outgoing) = mpsc::unbounded_channel();
        self.guests.lock().push(Expected { token, link, outgoing, most: most.saturating_add(SLACK) });
        Ok(Ticket { token, sender, guests: self.guests.clone() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// 256 random bits in hexadecimal.
type Token = [u8; 64];

fn hexadecimal(bytes: &[u8; 32]) -> Token {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut token = [0; 64];
    for (digits, byte) in token.chunks_exact_mut(2).zip(bytes) {
        digits[0] = DIGITS[usize::from(byte >> 4)];
        digits[1] = DIGITS[usize::from(byte & 15)];
    }
    token
}

/// The host's half of the invitation of one worker. Dropping it takes the invitation back, if it was not used.
pub struct Ticket {
    token: Token,
    /// What is sent here goes to the worker.
    pub sender: UnboundedSender<HostMessage>,
    guests: Arc<Guests>,
}

impl Ticket {
    /// The token that lets the worker in.
    pub fn token(&self) -> &str {
        std::str::from_utf8(&self.token).unwrap_or_default()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // This reads the token without care for time, but it is ours and not a guess.
        self.guests.lock().retain(|expected| expected.token != self.token);
    }
}

struct Expected {
    token: Token,
    link: Arc<Link>,
    outgoing: UnboundedReceiver<HostMessage>,
    most: usize,
}

/// The workers that were started and have not dialled yet.
#[derive(Default)]
struct Guests(Mutex<Vec<Expected>>);

impl Guests {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Expected>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out the worker that `token` belongs to.
    fn claim(&self, token: &[u8]) -> Option<Expected> {
        let mut expected = self.lock();
        let mut found = None;
        // All are compared, and each in the same time, so that time tells nothing of a token.
        for (index, guest) in expected.iter().enumerate() {
            if equal_in_constant_time(&guest.token, token) {
                found = Some(index);
            }
        }
        found.map(|index| expected.swap_remove(index))
    }
}

impl fmt::Debug for Guests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guests").field(&self.lock().len()).finish()
    }
}

fn equal_in_constant_time(secret: &Token, given: &[u8]) -> bool {
    if given.len() != secret.len() {
        return false;
    }
    let difference = secret.iter().zip(given).fold(0, |difference, (a, b)| difference | (a ^ b));
    // Keeps the compiler from leaving the loop at the first difference.
    std::hint::black_box(difference) == 0
}

/// Lets workers in, before a byte of their stream is read, and gives each a service of its own.
#[derive(Clone)]
struct Door(Arc<Guests>);

impl NamedService for Door {
    const NAME: &'static str = <WorkerHostServer<Connection> as NamedService>::NAME;
}

impl Service<http::Request<Body>> for Door {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let token = request.headers().get(cloister_proto::TOKEN_METADATA);
        match token.and_then(|token| self.0.claim(token.as_bytes())) {
            Some(expected) => {
                let most = expected.most;
                WorkerHostServer::new(Connection(Mutex::new(Some(expected))))
                    .max_decoding_message_size(most)
                    .call(request)
            }
            None => Box::pin(ready(Ok(Status::unauthenticated("unknown token").into_http()))),
        }
    }
}

/// The one stream of one worker.
struct Connection(Mutex<Option<Expected>>);

#[tonic::async_trait]
impl WorkerHost for Connection {
    type ConnectStream = Outgoing;

    async fn connect(&self, request: Request<Streaming<WorkerMessage>>) -> Result<Response<Outgoing>, Status> {
        let expected = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Expected { link, outgoing, most, .. }) = expected else {
            return Err(Status::unauthenticated("the token was used"));
        };
        tokio::spawn(async move {
            let why = receive(request.into_inner(), &link, most).await;
            link.close(why);
        });
        Ok(Response::new(Outgoing(outgoing)))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Nobody opened the stream: the connection ended, or the worker called something else.
        if let Some(expected) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            expected.link.close(Closed::Ended);
        }
    }
}

/// Takes the worker's messages until there are no more.
async fn receive(mut messages: Streaming<WorkerMessage>, link: &Link, most: usize) -> Closed {
    loop {
        match messages.message().await {
            Ok(Some(message)) => {
                if let Err(why) = link.accept(message) {
                    return why;
                }
            }
            Ok(None) => return Closed::Ended,
            Err(status) => return cause(&status, most),
        }
    }
}

/// What a failed read means. The codes are tonic's: it decodes, and it says so by the code only.
fn cause(status: &Status, most: usize) -> Closed {
    match status.code() {
        tonic::Code::OutOfRange => {
            // The size is in the text and nowhere else; without it, it is at least this.
            let size = status.message().split_once("found ").and_then(|(_, rest)| rest.split_once(' '));
            let size = size.and_then(|(number, _)| number.parse().ok());
            Closed::TooLarge(size.unwrap_or((most as u64).saturating_add(1)))
        }
        tonic::Code::Internal | tonic::Code::InvalidArgument | tonic::Code::Unimplemented => {
            Closed::Broken("it sent what is no message".into())
        }
        _ => Closed::Ended,
    }
}

/// What the host sends: gRPC's side of the executor's channel. Ends when the executor is dropped.
struct Outgoing(UnboundedReceiver<HostMessage>);

impl Stream for Outgoing {
    type Item = Result<HostMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|message| message.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::JobLog;

    fn guests_with(server: &Server) -> Ticket {
        let (link, _events) = Link::new(Arc::new(JobLog::new(0)));
        server.expect(link, 1).unwrap()
    }

    #[test]
    fn a_token_lets_in_once_and_only_whom_it_belongs_to() {
        let server = Server::start().unwrap();
        let (one, two) = (guests_with(&server), guests_with(&server));
        assert_ne!(one.token(), two.token());
        assert!(server.guests.claim(b"").is_none());
        assert!(server.guests.claim(&[b'0'; 64]).is_none());
        assert!(server.guests.claim(&one.token().as_bytes()[..63]).is_none());
        let claimed = server.guests.claim(two.token().as_bytes()).unwrap();
        assert_eq!(claimed.token, two.token);
        assert!(server.guests.claim(two.token().as_bytes()).is_none());
        let token = one.token().to_owned();
        drop(one);
        assert!(server.guests.claim(token.as_bytes()).is_none());
    }

    #[test]
    fn the_server_goes_with_its_last_user() {
        let server = Server::start().unwrap();
        let socket = server.socket().to_owned();
        assert!(socket.exists());
        drop(server);
        assert!(!socket.exists());
    }

    #[test]
    fn the_size_of_a_reply_that_is_too_large_is_told() {
        let status =
            Status::out_of_range("Error, decoded message length too large: found 77 bytes, the limit is: 5 bytes");
        assert!(matches!(cause(&status, 5), Closed::TooLarge(77)));
        assert!(matches!(cause(&Status::out_of_range("?"), 5), Closed::TooLarge(6)));
    }
}
