//! Reading Parquet.

use anyhow::{Result, bail};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Input, ReadOptions, Source, Stream, batches};
use crate::failure::usage;
use crate::progress::Scale;

pub fn open(input: Input, options: &ReadOptions) -> Result<Source> {
    if input.length.is_none() {
        return Err(usage("Parquet is read from a regular file, not from a pipe"));
    }
    let Stream::File(file) = input.stream else { bail!("not a file") };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(options.batch_size);
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let (name, most) = (input.name.clone(), options.batch_size);
    Ok(Source {
        name: input.name,
        schema: builder.schema().clone(),
        scale: Scale::Rows(rows),
        position: input.position,
        read: Box::new(move |projection| {
            let builder = match projection {
                Some(columns) => {
                    let mask = ProjectionMask::roots(builder.parquet_schema(), columns);
                    builder.with_projection(mask)
                }
                None => builder,
            };
            Ok(batches(name, most, builder.build()?))
        }),
    })
}
