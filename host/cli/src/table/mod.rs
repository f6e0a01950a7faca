//! Tables in files: which format a path has, reading it as record batches, writing it whole or not at all. Knows
//! nothing of functions and jobs.

mod arrow_ipc;
mod csv;
mod json;
mod lines;
mod parquet;
mod preview;
mod write;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::failure::usage;
use crate::progress::Scale;

pub use json::literal;
pub use preview::Preview;
pub use write::{Output, write_whole};

/// How a table lies in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Parquet.
    Parquet,
    /// Text with this delimiter and a header.
    Csv(u8),
    /// One JSON object a line.
    JsonLines,
    /// An array of JSON objects, or objects one after another.
    Json,
    /// Arrow's IPC file; when reading, the stream too.
    Arrow,
}

const EXTENSIONS: &str = ".parquet, .csv, .tsv, .jsonl, .json, .arrow, .feather";

impl Format {
    /// The format that the extension of `path` says; `-` is JSON lines.
    pub fn of(path: &Path) -> Option<Format> {
        if path == Path::new("-") {
            return Some(Format::JsonLines);
        }
        Some(match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "parquet" | "pq" => Format::Parquet,
            "csv" => Format::Csv(b','),
            "tsv" => Format::Csv(b'\t'),
            "jsonl" | "ndjson" => Format::JsonLines,
            "json" => Format::Json,
            "arrow" | "feather" | "ipc" => Format::Arrow,
            _ => return None,
        })
    }
}

/// How to read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Each line of text is a row.
    pub lines: bool,
    /// Rows of CSV and JSON from which types are inferred; `None`: all.
    pub infer_rows: Option<usize>,
    /// Rows of a batch.
    pub batch_size: usize,
}

/// The batches of a table. None is larger than was asked for; none is empty.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// An opened table.
pub struct Source {
    /// What the path is called in messages.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// What is known of its length.
    pub scale: Scale,
    /// How far it was read, in bytes.
    pub position: Position,
    read: Box<dyn FnOnce(Option<Vec<usize>>) -> Result<Batches>>,
}

impl Source {
    /// Opens the table at `path`.
    ///
    /// # Errors
    /// [`Usage`](crate::failure::Usage) for a path that does not exist or has no known extension.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Source> {
        let input = Input::open(path)?;
        let name = input.name.clone();
        let opened = if options.lines {
            lines::open(input, options)
        } else {
            match Format::of(path) {
                Some(Format::Parquet) => parquet::open(input, options),
                Some(Format::Csv(delimiter)) => csv::open(input, delimiter, options),
                Some(Format::JsonLines) => json::open(input, false, options),
                Some(Format::Json) => json::open(input, true, options),
                Some(Format::Arrow) => arrow_ipc::open(input, options),
                None => Err(usage(format!(
                    "no table format is known by this extension; known are {EXTENSIONS}; add --lines to read each \
                     line as a string"
                ))),
            }
        };
        opened.with_context(|| name)
    }

    /// Reads the table, or only the columns with these indices, which must ascend.
    pub fn read(self, projection: Option<Vec<usize>>) -> Result<Batches> {
        (self.read)(projection).with_context(|| self.name)
    }
}

/// How many bytes were read, shared with who shows it.
#[derive(Debug, Clone, Default)]
pub struct Position(Arc<AtomicU64>);

impl Position {
    /// The bytes so far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// An opened file or stdin.
pub struct Input {
    name: String,
    path: PathBuf,
    stream: Stream,
    /// The size of a regular file; `None`: it can be read once only.
    length: Option<u64>,
    position: Position,
}

enum Stream {
    Stdin,
    File(File),
}

impl Input {
    fn open(path: &Path) -> Result<Input> {
        let position = Position::default();
        if path == Path::new("-") {
            let (name, path) = ("stdin".into(), path.to_owned());
            return Ok(Input { name, path, stream: Stream::Stdin, length: None, position });
        }
        let name = path.display().to_string();
        let file = open_file(path)?;
        let metadata = file.metadata().with_context(|| name.clone())?;
        let length = metadata.is_file().then_some(metadata.len());
        Ok(Input { name, path: path.to_owned(), stream: Stream::File(file), length, position })
    }

    fn scale(&self) -> Scale {
        self.length.map_or(Scale::Unknown, Scale::Bytes)
    }

    /// A second, independent look at a regular file, from its start.
    fn again(&self) -> Result<Option<File>> {
        match self.length {
            Some(_) => Ok(Some(File::open(&self.path)?)),
            None => Ok(None),
        }
    }

    /// The bytes, counted.
    fn into_reader(self) -> Counted {
        Counted { stream: self.stream, position: self.position }
    }
}

fn open_file(path: &Path) -> Result<File> {
    let refused = |what: String| usage(format!("{}: {what}", path.display()));
    match File::open(path) {
        Ok(file) => {
            if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
                return Err(refused("is a directory; give one file".into()));
            }
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(refused(missing_file(path))),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Says that there is no such file, and which there is with nearly that name.
pub fn missing_file(path: &Path) -> String {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names: Vec<String> = std::fs::read_dir(directory)
        .map(|entries| entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
        .unwrap_or_default();
    let wanted = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    match crate::suggest::nearest(wanted, names.iter().map(String::as_str)) {
        Some(near) => format!("no such file; there is '{near}'"),
        None => "no such file".into(),
    }
}

/// Counts what is read.
struct Counted {
    stream: Stream,
    position: Position,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.stream {
            Stream::Stdin => io::stdin().lock().read(buffer)?,
            Stream::File(file) => file.read(buffer)?,
        };
        self.position.0.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.stream {
            Stream::Stdin => Err(io::ErrorKind::NotSeekable.into()),
            Stream::File(file) => file.seek(to),
        }
    }
}

/// The batches of a reader, cut to at most `most` rows, with `name` in every error.
fn batches<E>(
    name: String,
    most: usize,
    reader: impl Iterator<Item = Result<RecordBatch, E>> + Send + 'static,
) -> Batches
where
    E: Into<anyhow::Error> + 'static,
{
    let mut rows = 0;
    let read = reader.map(move |batch| {
        let first = rows;
        batch
            .inspect(|batch| rows += batch.num_rows())
            .map_err(|error| error.into().context(format!("{name}, after row {first}")))
    });
    Box::new(read.flat_map(move |batch| match batch {
        Ok(batch) => cut(batch, most),
        Err(error) => vec![Err(error)],
    }))
}

fn cut(batch: RecordBatch, most: usize) -> Vec<Result<RecordBatch>> {
    let rows = batch.num_rows();
    if (1..=most).contains(&rows) {
        return vec![Ok(batch)];
    }
    (0..rows).step_by(most).map(|start| Ok(batch.slice(start, most.min(rows - start)))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;

    use super::*;

    #[test]
    fn large_batches_are_cut_and_empty_ones_dropped() {
        let batch = |rows: i64| {
            let column = Arc::new(Int64Array::from_iter_values(0..rows));
            Ok::<_, io::Error>(RecordBatch::try_from_iter([("x", column as _)]).unwrap())
        };
        let given = vec![batch(0), batch(5), batch(3)];
        let sizes: Vec<usize> =
            batches("t".into(), 2, given.into_iter()).map(|batch| batch.unwrap().num_rows()).collect();
        assert_eq!(sizes, [2, 2, 1, 2, 1]);
    }

    #[test]
    fn formats_are_known_by_extension() {
        for (path, format) in [
            ("a.parquet", Some(Format::Parquet)),
            ("A.CSV", Some(Format::Csv(b','))),
            ("a.tsv", Some(Format::Csv(b'\t'))),
            ("-", Some(Format::JsonLines)),
            ("a.b.ndjson", Some(Format::JsonLines)),
            ("a.json", Some(Format::Json)),
            ("a.feather", Some(Format::Arrow)),
            ("a.txt", None),
            ("parquet", None),
        ] {
            assert_eq!(Format::of(Path::new(path)), format, "{path}");
        }
    }
}
