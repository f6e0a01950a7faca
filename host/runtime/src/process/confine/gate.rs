//! The host's side of a worker's gate: answers the calls that the worker's filter holds. One program is started, the
//! interpreter; until the worker has said hello, dialling leads to this host's own socket, whatever address the worker
//! names; everything else is refused. So no code in a worker, not even that of its packages, opens a connection.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Error;
use crate::process::link::Link;
use crate::process::sys::notify::receive_listener;

/// Starts to answer for the worker that sends its listener through `worker`. Ends with the worker.
pub fn attend(worker: OwnedFd, socket: PathBuf, link: Arc<Link>) -> Result<(), Error> {
    let runtime = crate::threads::runtime()?;
    runtime.spawn(async move {
        // A worker that is gone, or that never came up, is told elsewhere.
        if let Err(error) = answer(worker, &socket, &link).await {
            tracing::debug!("a worker's gate has closed: {error}");
        }
    });
    Ok(())
}

async fn answer(worker: OwnedFd, socket: &Path, link: &Link) -> io::Result<()> {
    let Some(listener) = receive_listener(worker).await? else { return Ok(()) };
    let mut started = false;
    loop {
        let notice = listener.next().await?;
        match notice.call {
            libc::SYS_execve if !started => {
                started = true;
                listener.permit(notice);
            }
            libc::SYS_connect if !link.is_greeted() => match dial(socket) {
                Ok(stream) => listener.replace(notice, notice.first as u32, stream.as_fd()),
                Err(_) => listener.refuse(notice, libc::ECONNREFUSED),
            },
            _ => listener.refuse(notice, libc::EPERM),
        }
    }
}

fn dial(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}
