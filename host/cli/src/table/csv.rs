//! Reading CSV and TSV, with a header. Types are inferred; an empty field is NULL.

use std::io::{BufReader, Read};
use std::sync::Arc;

use anyhow::Result;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;

use super::{Input, ReadOptions, Source, batches, json};
use crate::failure::usage;

/// Larger than the default of 8 KiB: fewer system calls.
const BUFFER: usize = 1 << 18;

pub fn open(input: Input, delimiter: u8, options: &ReadOptions) -> Result<Source> {
    let Some(first_look) = input.again()? else {
        return Err(usage("CSV is read from a regular file, not from a pipe; pipe JSON lines to `--input -`"));
    };
    let format = Format::default().with_header(true).with_delimiter(delimiter);
    let (schema, _) = format
        .infer_schema(WithoutMark::new(BufReader::with_capacity(BUFFER, first_look)), options.infer_rows)
        .map_err(|error| anyhow::Error::from(error).context("not a CSV table with a header"))?;
    let schema = Arc::new(schema);
    let (name, position, scale) = (input.name.clone(), input.position.clone(), input.scale());
    let builder = ReaderBuilder::new(schema.clone()).with_format(format).with_batch_size(options.batch_size);
    let (most, inferred) = (options.batch_size, options.infer_rows);
    Ok(Source {
        name: input.name.clone(),
        schema,
        scale,
        position,
        read: Box::new(move |projection| {
            let builder = match projection {
                Some(columns) => builder.with_projection(columns),
                None => builder,
            };
            let reader = BufReader::with_capacity(BUFFER, WithoutMark::new(input.into_reader()));
            Ok(batches(name, most, json::with_hint(builder.build_buffered(reader)?, inferred)))
        }),
    })
}

/// Skips the byte order mark that some programs put before the first column's name.
struct WithoutMark<R> {
    inner: R,
    started: bool,
}

const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

impl<R: Read> WithoutMark<R> {
    fn new(inner: R) -> Self {
        WithoutMark { inner, started: false }
    }
}

impl<R: Read> Read for WithoutMark<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if self.started {
            return Ok(read);
        }
        self.started = true;
        // A file hands out its first three bytes in one piece unless it is shorter; the buffers here are larger.
        if buffer[..read].starts_with(&MARK) {
            buffer.copy_within(MARK.len()..read, 0);
            if read == MARK.len() {
                return self.inner.read(buffer);
            }
            return Ok(read - MARK.len());
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_skipped_once() {
        let mut text = String::new();
        WithoutMark::new("\u{feff}a\u{feff}".as_bytes()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "a\u{feff}");
    }
}
