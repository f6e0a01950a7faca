//! A job of PyFlink that lives between two sockets: rows go in as lines of text, results come out as lines. Its latency
//! is that of a row from here to here; its source and its sink are in it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use arrow::array::{ArrayRef, AsArray as _};
use arrow::datatypes::{DataType, Int64Type};
use serde_json::json;

use super::driver::Driver;
use crate::report::interrupt;
use crate::report::measure::arrivals::Arrivals;
use crate::report::workloads::Workload;

/// How long the job may take to start, and a row to come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many bytes fit into the sockets on the way, whatever the job does: more are written by another thread, while
/// this one reads.
const AT_ONCE: usize = 32 << 10;

/// The running job. It ends when this is dropped.
pub struct Stream {
    rows: TcpStream,
    results: BufReader<TcpStream>,
    lines: Vec<Vec<u8>>,
    line: Vec<u8>,
}

impl Stream {
    /// Starts a job with the function that `driver` has loaded, for bundles of `bundle` rows, and checks that the rows
    /// of `workload` give what Rust gives.
    ///
    /// # Errors
    /// What PyFlink says, or that it gives something else.
    pub fn start(driver: &mut Driver, workload: &Workload, bundle: usize) -> Result<Stream> {
        let (source, sink) =
            (TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
        let (from, to) = (source.local_addr()?.port(), sink.local_addr()?.port());
        driver.ask("stream", json!({ "source": from, "sink": to, "bundle": bundle }))?;
        let (rows, results) = (accept(&source)?, BufReader::new(accept(&sink)?));
        let lines = texts(&workload.columns[0])?.into_iter().map(|text| (text + "\n").into_bytes()).collect();
        let mut stream = Stream { rows, results, lines, line: Vec::new() };
        stream.pass()?;
        let expected = texts(&(workload.native)(&workload.columns))?.pop().unwrap_or_default();
        ensure!(stream.line.trim_ascii_end() == expected.as_bytes(), "the result is not that of Rust");
        Ok(stream)
    }

    /// All rows of the workload at once, until all results are there.
    ///
    /// # Errors
    /// When the job ends or hangs.
    pub fn pass(&mut self) -> Result<()> {
        let Stream { rows, results, lines, line } = self;
        let text: Vec<u8> = lines.concat();
        if text.len() <= AT_ONCE {
            rows.write_all(&text)?;
            return lines.iter().try_for_each(|_| next(results, line));
        }
        thread::scope(|scope| {
            let writing = scope.spawn(|| (&*rows).write_all(&text));
            let read = lines.iter().try_for_each(|_| next(results, line));
            if read.is_err() {
                // Nobody reads what is still being written.
                let _ = rows.shutdown(Shutdown::Both);
            }
            let written = writing.join().ok().context("the writer panicked")?;
            read.and(written.context("the job takes no rows"))
        })
    }

    /// Lets `total` rows arrive at the pace and gives each one's microseconds to its result.
    ///
    /// # Errors
    /// When the job ends or hangs.
    pub fn paced(&mut self, arrivals: &Arrivals, total: usize) -> Result<Vec<f64>> {
        let Stream { rows, results, lines, line } = self;
        let send = |row: usize| Ok(rows.write_all(&lines[row % lines.len()])?);
        arrivals.stream(total, send, || next(results, line))
    }
}

/// Reads the next result.
fn next(results: &mut BufReader<TcpStream>, line: &mut Vec<u8>) -> Result<()> {
    line.clear();
    let read = results.read_until(b'\n', line).context("no result came")?;
    ensure!(read > 0, "the job has ended");
    Ok(())
}

fn accept(listener: &TcpListener) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE && !interrupt::requested() {
        if let Ok((socket, _)) = listener.accept() {
            socket.set_nonblocking(false)?;
            socket.set_nodelay(true)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            return Ok(socket);
        }
        thread::sleep(Duration::from_millis(5));
    }
    bail!("the job did not start")
}

/// A column as texts without line breaks.
fn texts(column: &ArrayRef) -> Result<Vec<String>> {
    Ok(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().iter().flatten().map(str::to_owned).collect(),
        DataType::Int64 => column.as_primitive::<Int64Type>().iter().flatten().map(|value| value.to_string()).collect(),
        other => bail!("{other} does not go through a line of text"),
    })
}
