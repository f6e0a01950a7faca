//! Reading Arrow's IPC formats: the file (`.arrow`, Feather version 2) and the stream, told apart by their first bytes.

use std::fs::File;
use std::io::{BufReader, Read as _};

use anyhow::Result;
use arrow::ipc::reader::{FileReader, StreamReader};

use super::{Input, ReadOptions, Source, batches};

const MAGIC: &[u8] = b"ARROW1";
const BUFFER: usize = 1 << 20;

pub fn open(input: Input, options: &ReadOptions) -> Result<Source> {
    let (name, position, scale, most) = (input.name.clone(), input.position.clone(), input.scale(), options.batch_size);
    let source = |schema, read| Ok(Source { name: name.clone(), schema, scale, position, read });
    if input.again()?.is_some_and(is_file_format) {
        // The footer is read twice: a reader cannot be told its columns once it knows the schema.
        let Some(first_look) = input.again()? else { anyhow::bail!("not a file") };
        let schema = FileReader::try_new(BufReader::new(first_look), None)?.schema();
        let name = name.clone();
        return source(
            schema,
            Box::new(move |projection| {
                let reader = BufReader::with_capacity(BUFFER, input.into_reader());
                Ok(batches(name, most, FileReader::try_new(reader, projection)?))
            }),
        );
    }
    let reader = StreamReader::try_new(BufReader::with_capacity(BUFFER, input.into_reader()), None)?;
    let name = name.clone();
    source(
        reader.schema(),
        Box::new(move |projection| {
            Ok(batches(
                name,
                most,
                reader.map(move |batch| match &projection {
                    Some(columns) => batch.and_then(|batch| batch.project(columns)),
                    None => batch,
                }),
            ))
        }),
    )
}

fn is_file_format(mut file: File) -> bool {
    let mut start = [0; MAGIC.len()];
    file.read_exact(&mut start).is_ok() && start == MAGIC
}
