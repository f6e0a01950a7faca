//! Writing a table: beside its place under a temporary name, renamed when it is complete. What is not finished is
//! removed; it never looks like a table.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::{RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::csv;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::writer::FileWriter;
use arrow::json;
use arrow::json::writer::{JsonArray, JsonFormat, LineDelimited};
use cloister::types::python_name;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tempfile::TempPath;

use super::Format;
use crate::failure::usage;
use crate::interrupt::{self, TemporaryGuard};

type Bytes = BufWriter<Box<dyn Write + Send>>;

const BUFFER: usize = 1 << 18;

/// A table being written.
pub struct Output {
    name: String,
    sink: Sink,
    place: Option<Place>,
}

/// Where the table goes when it is complete. Dropping it removes what was written.
struct Place {
    temporary: TempPath,
    path: PathBuf,
    _guard: TemporaryGuard,
}

enum Sink {
    Parquet(Box<ArrowWriter<Bytes>>),
    Csv(csv::Writer<Bytes>),
    JsonLines(json::Writer<Bytes, LineDelimited>),
    Json(json::Writer<Bytes, JsonArray>),
    /// The schema is the one that is written.
    Arrow(FileWriter<Bytes>, SchemaRef),
}

impl Output {
    /// Begins a table of `schema` at `path`; `-` is JSON lines on stdout.
    ///
    /// # Errors
    /// [`Usage`](crate::failure::Usage) for an unknown extension, a directory that does not exist, and a type that
    /// the format cannot hold.
    pub fn create(path: &Path, schema: &SchemaRef) -> Result<Output> {
        let name = if path == Path::new("-") { "stdout".into() } else { path.display().to_string() };
        let format = Format::of(path).ok_or_else(|| {
            usage(format!("{name}: no table format is known by this extension; known are {}", super::EXTENSIONS))
        })?;
        check(format, schema).map_err(|error| usage(format!("{name}: {error:#}")))?;
        let (bytes, place) = begin(path).with_context(|| name.clone())?;
        let sink = Sink::new(format, schema, bytes).with_context(|| name.clone())?;
        Ok(Output { name, sink, place })
    }

    /// Appends rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.sink.write(batch).with_context(|| self.name.clone())
    }

    /// Completes the table and gives it its name.
    pub fn finish(self) -> Result<()> {
        let Output { name, sink, place } = self;
        let finish = || -> Result<()> {
            sink.finish()?;
            if let Some(place) = place {
                // So that the name never stands for less than the table, not even after a power cut.
                File::open(&place.temporary)?.sync_all()?;
                place.temporary.persist(&place.path)?;
            }
            Ok(())
        };
        finish().context(name)
    }
}

fn begin(path: &Path) -> Result<(Bytes, Option<Place>)> {
    let buffered = |inner: Box<dyn Write + Send>| BufWriter::with_capacity(BUFFER, inner);
    if path == Path::new("-") {
        return Ok((buffered(Box::new(io::stdout())), None));
    }
    let path = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Err(usage("is a directory; give a file's name")),
        // A device or a pipe must not be replaced by a file.
        Ok(metadata) if !metadata.is_file() => {
            return Ok((buffered(Box::new(File::options().write(true).open(path)?)), None));
        }
        // Through a link: it stays, and its target is replaced.
        Ok(_) => path.canonicalize()?,
        Err(_) => path.to_owned(),
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !directory.is_dir() {
        return Err(usage(format!("no such directory: {}", directory.display())));
    }
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let (file, temporary) = tempfile::Builder::new()
        .prefix(&format!(".{file}."))
        .suffix(".part")
        // As any new file: what the umask leaves of it.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)?
        .into_parts();
    let guard = interrupt::remove_on_signal(&temporary);
    Ok((buffered(Box::new(file)), Some(Place { temporary, path, _guard: guard })))
}

/// Refuses types that the format cannot hold before any work is done.
fn check(format: Format, schema: &SchemaRef) -> Result<()> {
    let nullable: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    for field in nullable {
        let (name, data_type) = (field.name().clone(), field.data_type().clone());
        let refused = format!("this format cannot hold column '{name}', {}", python_name(&data_type));
        if matches!(format, Format::Csv(_)) && data_type.is_nested() {
            anyhow::bail!("{refused}; write .parquet, .jsonl or .arrow");
        }
        let schema = Arc::new(Schema::new(vec![field]));
        let row = RecordBatch::try_new(schema.clone(), vec![new_null_array(&data_type, 1)])?;
        let try_out = || {
            let mut sink = Sink::new(format, &schema, BufWriter::new(Box::new(io::sink())))?;
            sink.write(&row)?;
            sink.finish()
        };
        try_out().context(refused)?;
    }
    Ok(())
}

impl Sink {
    fn new(format: Format, schema: &SchemaRef, bytes: Bytes) -> Result<Sink> {
        Ok(match format {
            Format::Parquet => {
                let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                Sink::Parquet(Box::new(ArrowWriter::try_new(bytes, schema.clone(), Some(properties))?))
            }
            Format::Csv(delimiter) => {
                let mut writer = csv::WriterBuilder::new().with_delimiter(delimiter).build(bytes);
                // The header, also of a table without rows.
                writer.write(&RecordBatch::new_empty(schema.clone()))?;
                Sink::Csv(writer)
            }
            Format::JsonLines => Sink::JsonLines(json_writer(bytes)),
            Format::Json => Sink::Json(json_writer(bytes)),
            Format::Arrow => {
                let schema = without_dictionaries(schema);
                Sink::Arrow(FileWriter::try_new(bytes, &schema)?, schema)
            }
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Sink::Parquet(writer) => writer.write(batch)?,
            Sink::Csv(writer) => writer.write(batch)?,
            Sink::JsonLines(writer) => writer.write(batch)?,
            Sink::Json(writer) => writer.write(batch)?,
            Sink::Arrow(writer, schema) => {
                let columns = batch.columns().iter().zip(schema.fields());
                let columns = columns.map(|(column, field)| cast(column, field.data_type()));
                writer.write(&RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, _>>()?)?)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        let mut bytes = match self {
            Sink::Parquet(writer) => writer.into_inner()?,
            Sink::Csv(writer) => writer.into_inner(),
            Sink::JsonLines(mut writer) => {
                writer.finish()?;
                writer.into_inner()
            }
            Sink::Json(mut writer) => {
                writer.finish()?;
                writer.into_inner()
            }
            Sink::Arrow(writer, _) => writer.into_inner()?,
        };
        bytes.flush()?;
        Ok(())
    }
}

fn json_writer<F: JsonFormat>(bytes: Bytes) -> json::Writer<Bytes, F> {
    json::WriterBuilder::new().with_explicit_nulls(true).build(bytes)
}

/// An IPC file has one dictionary for each column, but batches come with their own: they are written as values.
fn without_dictionaries(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Dictionary(_, values) => field.as_ref().clone().with_data_type(values.as_ref().clone()),
        _ => field.as_ref().clone(),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// Writes a small file whole or not at all; a device or pipe directly.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let (mut bytes, place) = begin(path)?;
    bytes.write_all(content)?;
    bytes.flush()?;
    match place {
        Some(place) => Ok(place.temporary.persist(&place.path)?),
        None => Ok(()),
    }
}
