//! A program that is asked what it is, before anything is made of it. It may be anything that the user has named: it gets
//! no input, must end in time, and what it prints is read up to a bound.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// A busy machine starts an interpreter in seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes that are read of each of its streams.
const MOST: u64 = 1 << 20;

/// How often the end of a program is looked for that has closed its streams.
const PAUSE: Duration = Duration::from_millis(2);

/// What a program answered.
#[derive(Debug)]
pub struct Answer {
    pub succeeded: bool,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// Runs `command` to its end.
///
/// # Errors
/// It cannot be started, or it does not end in time (30 s); it is killed then.
pub fn ask(command: Command) -> io::Result<Answer> {
    within(PATIENCE, command)
}

fn within(patience: Duration, mut command: Command) -> io::Result<Answer> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map(KilledOnDrop)?;
    let deadline = Instant::now() + patience;
    let stdout = reader(child.0.stdout.take());
    let stderr = reader(child.0.stderr.take());
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("it has not ended after {} s", patience.as_secs()));
    let read = |stream: mpsc::Receiver<Vec<u8>>| match stream.recv_timeout(deadline - Instant::now().min(deadline)) {
        Ok(bytes) => Ok(bytes),
        Err(RecvTimeoutError::Timeout) => Err(late()),
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("its output cannot be read")),
    };
    let (stdout, stderr) = (read(stdout)?, read(stderr)?);
    let status = loop {
        match child.0.try_wait()? {
            Some(status) => break status,
            None if Instant::now() >= deadline => return Err(late()),
            None => thread::sleep(PAUSE),
        }
    };
    Ok(Answer { succeeded: ExitStatus::success(&status), stdout, stderr })
}

/// Reads a stream on a thread of its own: a program may fill either one first. Beyond the bound the pipe is closed, which
/// ends most programs.
fn reader(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream
            && stream.take(MOST).read_to_end(&mut bytes).is_ok()
        {
            // Nobody listens any more if it took too long.
            let _ = sender.send(bytes);
        }
    });
    receiver
}

struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            // It has ended, or ends now.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_answers_on_both_streams() {
        let answer = ask(shell("echo out; echo err >&2; exit 3")).unwrap();
        assert_eq!((answer.succeeded, &answer.stdout[..], &answer.stderr[..]), (false, &b"out\n"[..], &b"err\n"[..]));
        let filler = ask(shell("head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero")).unwrap();
        assert_eq!((filler.succeeded, filler.stdout.len(), filler.stderr.len()), (true, 300_000, 300_000));
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let soon = Duration::from_millis(20);
        // The second has closed its streams, the third is deaf to a closed pipe.
        for script in ["exec sleep 1000", "exec sleep 1000 >/dev/null 2>&1", "trap '' PIPE; while :; do echo; done"] {
            let error = within(soon, shell(script)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{script}: {error}");
        }
    }

    #[test]
    fn of_an_endless_answer_only_the_beginning_is_read() {
        let answer = ask(shell("exec yes")).unwrap();
        assert_eq!((answer.succeeded, answer.stdout.len() as u64), (false, MOST));
    }
}
