//! A peer's process: a Python program that answers requests, a line of JSON each, for as long as the report lives.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::report::measure::clock::{self, Cost};

/// The running program.
pub struct Driver {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Driver {
    /// Starts `program` (Python source) with the interpreter `python`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(python: &Path, program: &str, mode: &str, environment: &[(&str, String)]) -> Result<Driver> {
        let mut child = Command::new(python)
            .args(["-c", program, mode])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| python.display().to_string())?;
        clock::set_apart(child.id());
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("a peer without stdout")?);
        Ok(Driver { child, requests, answers })
    }

    /// The process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Asks for something and waits for the answer.
    ///
    /// # Errors
    /// What the program says went wrong, or that it ended.
    pub fn ask(&mut self, what: &str, with: Value) -> Result<Value> {
        let requests = self.requests.as_mut().context("a peer without stdin")?;
        writeln!(requests, "{}", json!({ "do": what, "with": with })).context("the peer has ended")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let mut answer: Value = serde_json::from_str(&line).context("the peer has ended")?;
        match answer["error"].as_str() {
            Some(error) => bail!("{}", error.lines().next().unwrap_or(error)),
            None => Ok(answer["ok"].take()),
        }
    }

    /// Asks for something, and measures it with the CPU time of the peer and all below it. The wall time is what the
    /// peer says, if it answers with a number of seconds, else that of the whole request.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn measure(&mut self, count: u64, what: &str, with: Value) -> Result<Cost> {
        let cpu = clock::cpu_of_tree(self.child.id());
        let start = Instant::now();
        let answer = self.ask(what, with)?;
        let wall = answer.as_f64().unwrap_or_else(|| start.elapsed().as_secs_f64());
        let cpu = clock::cpu_of_tree(self.child.id()).saturating_sub(cpu).as_secs_f64();
        Ok(Cost { count, wall, cpu })
    }
}

impl Drop for Driver {
    /// The end of its requests ends the program; one that does not end is killed.
    fn drop(&mut self) {
        drop(self.requests.take());
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // It may have ended by itself in between.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: &str = "import json, sys\nfor line in sys.stdin:\n    request = json.loads(line)\n    \
        answer = {'error': 'no\\nmore'} if request['do'] == 'fail' else {'ok': request['with']}\n    \
        print(json.dumps(answer), flush=True)\n    \
        if request['do'] == 'end': break\n";

    #[test]
    fn a_peer_answers_fails_and_ends() {
        let mut driver = Driver::start(Path::new("python3"), ECHO, "x", &[]).expect("a driver");
        assert_eq!(driver.ask("give", json!([1, "a"])).expect("an answer"), json!([1, "a"]));
        assert_eq!(driver.ask("fail", json!({})).expect_err("an error").to_string(), "no");
        let cost = driver.measure(7, "give", json!(2.5)).expect("a cost");
        assert_eq!((cost.count, cost.wall), (7, 2.5));
        driver.ask("end", json!(null)).expect("an answer");
        assert!(driver.ask("give", json!(1)).is_err());
    }
}
