//! Reading text: each line is a row of one string column. The line's end (`\n` or `\r\n`) is no part of it.

use std::io::{BufRead, BufReader};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use arrow::array::{RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::{Input, ReadOptions, Source, batches};

/// The name of the column.
pub const COLUMN: &str = "line";

/// A batch ends early at this many bytes, so that long lines do not make one that memory cannot hold.
const BATCH_BYTES: usize = 64 << 20;

const BUFFER: usize = 1 << 18;

pub fn open(input: Input, options: &ReadOptions) -> Result<Source> {
    let schema = Arc::new(Schema::new(vec![Field::new(COLUMN, DataType::Utf8, false)]));
    let (name, position, scale) = (input.name.clone(), input.position.clone(), input.scale());
    let (most, read_schema) = (options.batch_size, schema.clone());
    Ok(Source {
        name: name.clone(),
        schema,
        scale,
        position,
        read: Box::new(move |_| {
            let reader = BufReader::with_capacity(BUFFER, input.into_reader());
            Ok(batches(
                name,
                most,
                Lines { reader, schema: read_schema, most, line: Vec::new(), row: 0, failed: false },
            ))
        }),
    })
}

struct Lines<R> {
    reader: R,
    schema: SchemaRef,
    most: usize,
    line: Vec<u8>,
    row: u64,
    failed: bool,
}

impl<R: BufRead> Lines<R> {
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut column = StringBuilder::new();
        let mut rows = 0;
        while rows < self.most && column.values_slice().len() < BATCH_BYTES {
            self.line.clear();
            if self.reader.read_until(b'\n', &mut self.line)? == 0 {
                break;
            }
            let line =
                self.line.strip_suffix(b"\n").map_or(&self.line[..], |line| line.strip_suffix(b"\r").unwrap_or(line));
            self.row += 1;
            column.append_value(str::from_utf8(line).map_err(|_| anyhow!("line {} is not UTF-8", self.row))?);
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        Ok(Some(RecordBatch::try_new(self.schema.clone(), vec![Arc::new(column.finish())])?))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let batch = self.batch();
        self.failed = batch.is_err();
        batch.transpose()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray as _;

    use super::*;

    fn read(text: &[u8], most: usize) -> Vec<Result<Vec<String>>> {
        let schema = Arc::new(Schema::new(vec![Field::new(COLUMN, DataType::Utf8, false)]));
        let lines = Lines { reader: text, schema, most, line: Vec::new(), row: 0, failed: false };
        lines
            .map(|batch| Ok(batch?.column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect()))
            .collect()
    }

    #[test]
    fn line_ends_are_cut_and_empty_lines_kept() {
        let batches: Vec<_> = read("a\n\nb\r\nc\rd".as_bytes(), 3).into_iter().map(Result::unwrap).collect();
        assert_eq!(batches, [vec!["a", "", "b"], vec!["c\rd"]]);
        assert!(read(b"", 3).is_empty());
    }

    #[test]
    fn a_line_that_is_not_text_is_named() {
        let batches = read(b"a\n\xff\nb", 10);
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].as_ref().unwrap_err().to_string(), "line 2 is not UTF-8");
    }
}
