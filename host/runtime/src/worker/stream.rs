//! The worker's end of its stream, on a thread of its own, so that the end of the stream ends the worker even while its
//! sandbox runs.

use std::error::Error;
use std::sync::mpsc::Sender;
use std::thread;

use cloister_proto::TOKEN_METADATA;
use cloister_proto::v1::worker_host_client::WorkerHostClient;
use cloister_proto::v1::{HostMessage, WorkerMessage};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Request;
use tonic::transport::Endpoint;

use super::serve::leave;

/// As on the host's side: a bundle's columns need no round trip for permission.
const WINDOW: u32 = 16 << 20;
const FRAME: u32 = 1 << 20;

/// How a worker ends whose host is gone.
const NO_HOST: i32 = 4;

/// Stack of the thread.
const STACK: usize = 1 << 20;

/// Dials the host and opens the stream: what comes goes to `incoming`, what is sent to the result goes out.
pub fn open(
    socket: String,
    token: String,
    incoming: Sender<HostMessage>,
) -> std::io::Result<UnboundedSender<WorkerMessage>> {
    let (sender, outgoing) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("cloister-stream".into()).stack_size(STACK).spawn(move || {
        match runtime.block_on(carry(&socket, &token, outgoing, &incoming)) {
            Ok(()) => std::process::exit(0),
            Err(error) => leave(NO_HOST, &format!("the host is gone ({error})")),
        }
    })?;
    Ok(sender)
}

async fn carry(
    socket: &str,
    token: &str,
    outgoing: UnboundedReceiver<WorkerMessage>,
    incoming: &Sender<HostMessage>,
) -> Result<(), Box<dyn Error>> {
    let channel = Endpoint::from_shared(format!("unix:{socket}"))?
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(FRAME)
        .connect()
        .await?;
    let mut client =
        WorkerHostClient::new(channel).max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX);
    let mut request = Request::new(UnboundedReceiverStream::new(outgoing));
    request.metadata_mut().insert(TOKEN_METADATA, token.parse()?);
    let mut messages = client.connect(request).await?.into_inner();
    while let Some(message) = messages.message().await? {
        if incoming.send(message).is_err() {
            break;
        }
    }
    Ok(())
}
