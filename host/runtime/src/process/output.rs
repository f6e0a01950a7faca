//! What a worker writes to its standard streams: read without end, so that it never blocks on us, into the job's log,
//! which keeps what its limit allows. Remembers the last of stderr, which says why a worker died.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;

use crate::Error;
use crate::error::clean;
use crate::log::{JobLog, LogStream};

/// Bytes read at once: what a pipe holds.
const CHUNK: usize = 64 << 10;

/// Chunks read in one go. A worker that writes faster than we read must not hold its reader for ever.
const MOST_CHUNKS: usize = 4;

/// Bytes of stderr that are remembered.
const TAIL: usize = 2 << 10;

/// The two streams of one worker. Dropping it stops the reading.
#[derive(Debug)]
pub struct Output {
    pipes: [Arc<Pipe>; 2],
    readers: [JoinHandle<()>; 2],
}

impl Output {
    /// Starts to read, on the shared runtime.
    pub fn new(stdout: OwnedFd, stderr: OwnedFd, log: &Arc<JobLog>) -> Result<Output, Error> {
        let runtime = crate::threads::runtime()?;
        let _context = runtime.enter();
        let start = |descriptor: OwnedFd, stream| -> io::Result<(Arc<Pipe>, JoinHandle<()>)> {
            let pipe = Arc::new(Pipe::new(descriptor.try_clone()?, stream, log.clone()));
            // Makes reads return at once when there is nothing, through the clone too.
            let receiver = Receiver::from_owned_fd(descriptor)?;
            Ok((pipe.clone(), runtime.spawn(read(pipe, receiver))))
        };
        let fail = |error| Error::internal(format!("a worker's output cannot be read: {error}"));
        let (out, out_reader) = start(stdout, LogStream::Stdout).map_err(fail)?;
        let (err, err_reader) = start(stderr, LogStream::Stderr).map_err(fail)?;
        Ok(Output { pipes: [out, err], readers: [out_reader, err_reader] })
    }

    /// Takes what has been written so far: after this, what a worker wrote before its reply is in the log.
    pub fn drain(&self) {
        for pipe in &self.pipes {
            pipe.drain();
        }
    }

    /// The last of stderr, escaped; empty if there was nothing.
    pub fn last_words(&self) -> String {
        self.drain();
        let reading = self.pipes[1].reading.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, second) = reading.tail.as_slices();
        let text = [first, second].concat();
        clean(String::from_utf8_lossy(&text).trim(), usize::MAX)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.drain();
        for reader in &self.readers {
            reader.abort();
        }
    }
}

async fn read(pipe: Arc<Pipe>, receiver: Receiver) {
    while receiver.readable().await.is_ok() {
        match pipe.take(|chunk| receiver.try_read(chunk)) {
            Taken::All => {}
            Taken::Some => tokio::task::yield_now().await,
            Taken::Last => return,
        }
    }
}

#[derive(Debug)]
struct Pipe {
    file: File,
    stream: LogStream,
    log: Arc<JobLog>,
    /// Held while reading and logging, so that two readers keep the order.
    reading: Mutex<Reading>,
}

#[derive(Debug)]
struct Reading {
    chunk: Box<[u8]>,
    tail: VecDeque<u8>,
}

enum Taken {
    /// There is nothing more now.
    All,
    /// There may be more.
    Some,
    /// There will never be more.
    Last,
}

impl Pipe {
    fn new(descriptor: OwnedFd, stream: LogStream, log: Arc<JobLog>) -> Pipe {
        let reading = Reading { chunk: vec![0; CHUNK].into_boxed_slice(), tail: VecDeque::new() };
        Pipe { file: File::from(descriptor), stream, log, reading: Mutex::new(reading) }
    }

    fn drain(&self) {
        self.take(|chunk| (&self.file).read(chunk));
    }

    fn take(&self, mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> Taken {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let Reading { chunk, tail } = &mut *reading;
        for _ in 0..MOST_CHUNKS {
            match read(chunk) {
                Ok(0) => return Taken::Last,
                Ok(length) => {
                    let bytes = &chunk[..length];
                    self.log.write(self.stream, bytes);
                    if self.stream == LogStream::Stderr {
                        remember(tail, bytes);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Taken::All,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Taken::Last,
            }
        }
        Taken::Some
    }
}

fn remember(tail: &mut VecDeque<u8>, bytes: &[u8]) {
    tail.extend(&bytes[bytes.len().saturating_sub(TAIL)..]);
    let excess = tail.len().saturating_sub(TAIL);
    tail.drain(..excess);
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_was_written_before_is_in_the_log_after_draining() {
        let log = Arc::new(JobLog::new(10));
        let (out_end, mut out) = io::pipe().unwrap();
        let (err_end, mut err) = io::pipe().unwrap();
        let output = Output::new(out_end.into(), err_end.into(), &log).unwrap();
        out.write_all(b"one").unwrap();
        output.drain();
        assert_eq!(log.take(), [(LogStream::Stdout, "one".to_owned())]);
        // More than the pipe holds: only a reader that never stops lets this end.
        err.write_all(&vec![b'x'; 1 << 20]).unwrap();
        err.write_all(b"last\x1b words").unwrap();
        let words = output.last_words();
        assert!(words.ends_with("last\\u{1b} words"), "{words}");
        assert!(words.len() <= TAIL + 20);
        assert_eq!(log.take(), [(LogStream::Stderr, "x".repeat(7))]);
    }
}
