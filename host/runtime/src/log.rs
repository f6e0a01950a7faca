//! What a job's user code printed: captured, capped, never mixed with the host's own streams.

use std::sync::{Mutex, PoisonError};

/// Which stream the user code wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// `sys.stdout`.
    Stdout,
    /// `sys.stderr`.
    Stderr,
}

/// Where output goes that is not kept here.
type Forward = Box<dyn Fn(LogStream, &[u8]) + Send + Sync>;

/// The captured output of one job. Bytes beyond the job's log limit are counted and dropped.
pub struct JobLog {
    limit: usize,
    state: Mutex<State>,
    forward: Option<Forward>,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<(LogStream, Vec<u8>)>,
    kept: usize,
    dropped: u64,
}

impl JobLog {
    pub(crate) fn new(limit: usize) -> Self {
        JobLog { limit, state: Mutex::default(), forward: None }
    }

    /// A log that hands on what is written, up to the limit, as it is written.
    #[cfg(all(feature = "process", feature = "wasm"))]
    pub(crate) fn forwarding(limit: usize, forward: Forward) -> Self {
        JobLog { limit, state: Mutex::default(), forward: Some(forward) }
    }

    /// Appends what was printed, up to the limit.
    pub(crate) fn write(&self, stream: LogStream, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.limit.saturating_sub(state.kept).min(bytes.len());
        state.dropped = state.dropped.saturating_add((bytes.len() - room) as u64);
        if room == 0 {
            return;
        }
        state.kept += room;
        if let Some(forward) = &self.forward {
            return forward(stream, &bytes[..room]);
        }
        match state.entries.last_mut() {
            Some((last, text)) if *last == stream => text.extend_from_slice(&bytes[..room]),
            _ => state.entries.push((stream, bytes[..room].to_vec())),
        }
    }

    /// Counts bytes that were dropped elsewhere.
    #[cfg(feature = "process")]
    pub(crate) fn count_dropped(&self, bytes: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.dropped = state.dropped.saturating_add(bytes);
    }

    /// Takes what was printed since the last call, in order, as text (invalid UTF-8 replaced, control characters
    /// escaped). What was taken still counts towards the job's limit.
    pub fn take(&self) -> Vec<(LogStream, String)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.entries)
            .into_iter()
            .map(|(stream, bytes)| (stream, crate::error::clean(&String::from_utf8_lossy(&bytes), usize::MAX)))
            .collect()
    }

    /// How many bytes were dropped because the log was full.
    pub fn dropped_bytes(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).dropped
    }
}

impl std::fmt::Debug for JobLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobLog").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{JobLog, LogStream};

    #[test]
    fn the_log_keeps_order_and_stops_at_its_limit() {
        let log = JobLog::new(8);
        log.write(LogStream::Stdout, b"abc");
        log.write(LogStream::Stdout, b"d");
        log.write(LogStream::Stderr, b"efghij");
        assert_eq!(log.take(), [(LogStream::Stdout, "abcd".into()), (LogStream::Stderr, "efgh".into())]);
        assert_eq!(log.dropped_bytes(), 2);
        log.write(LogStream::Stdout, b"more");
        assert_eq!(log.take(), []);
        assert_eq!(log.dropped_bytes(), 6);
    }
}
