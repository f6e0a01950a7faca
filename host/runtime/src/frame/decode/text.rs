//! Columns of text and bytes. Text is checked to be UTF-8 as one piece when the column ends, which takes a fraction of
//! what it takes string by string.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, FixedSizeBinaryArray, GenericBinaryArray, GenericStringArray,
    OffsetSizeTrait, StringViewArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

use super::super::bits::Nulls;
use super::super::error::shown;
use super::super::{FrameError, Reader, tag};
use super::{BoxedColumn, Column, Slot};

/// Values of any length in one buffer.
struct Pieces<O> {
    slot: Slot,
    offsets: Vec<O>,
    data: Vec<u8>,
    nulls: Nulls,
}

impl<O: OffsetSizeTrait> Pieces<O> {
    fn new(slot: Slot) -> Self {
        Pieces { slot, offsets: vec![O::default()], data: Vec::new(), nulls: Nulls::default() }
    }

    fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Reads one value with `next`, which gives the bytes of a value if one of the right class is next.
    fn any<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        next: impl Fn(&mut Reader<'a>) -> Result<Option<&'a [u8]>, FrameError>,
    ) -> Result<(), FrameError> {
        match next(reader)? {
            Some(bytes) => self.data.extend_from_slice(bytes),
            None => self.null(reader)?,
        }
        let end = O::from_usize(self.data.len()).ok_or_else(|| self.slot.too_large())?;
        self.offsets.push(end);
        Ok(())
    }

    /// Reads `count` values, of which most have `tag`.
    #[inline]
    fn read<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        count: usize,
        tag: u8,
        next: impl Fn(&mut Reader<'a>) -> Result<Option<&'a [u8]>, FrameError>,
    ) -> Result<(), FrameError> {
        self.offsets.reserve(count);
        let mut row = 0;
        loop {
            row += self.run(reader, count - row, tag)?;
            if row == count {
                return Ok(());
            }
            self.any(reader, &next).map_err(|error| error.map_row(|_| row))?;
            row += 1;
        }
    }

    /// Reads up to `most` short values with `tag`; gives how many there were before the first of another form. A value
    /// is copied as a block of a fixed size, which is a move instead of a call, and what is too much is cut off.
    #[inline]
    fn run(&mut self, reader: &mut Reader<'_>, most: usize, tag: u8) -> Result<usize, FrameError> {
        const BLOCK: usize = 16;
        let mut count = 0;
        let start = reader.rest();
        let mut rest = start;
        while count < most
            && let &[first, a, b, c, d, ref after @ ..] = rest
            && first == tag
            && let Some(block) = after.first_chunk::<BLOCK>()
        {
            // A negative length is a very large one.
            let length = u32::from_le_bytes([a, b, c, d]) as usize;
            if length > BLOCK {
                break;
            }
            let end = self.data.len() + length;
            self.data.extend_from_slice(block);
            self.data.truncate(end);
            self.offsets.push(O::from_usize(end).ok_or_else(|| self.slot.too_large())?);
            rest = &after[length..];
            count += 1;
        }
        reader.advance(start.len() - rest.len());
        Ok(count)
    }

    #[cold]
    fn null(&mut self, reader: &mut Reader<'_>) -> Result<(), FrameError> {
        if !reader.none() {
            return Err(self.slot.wrong(reader));
        }
        self.slot.null(reader)?;
        self.nulls.set(self.rows());
        Ok(())
    }

    fn pad(&mut self, count: usize) {
        self.nulls.set_run(self.rows(), count);
        if let Some(end) = self.offsets.last().copied() {
            self.offsets.resize(self.offsets.len() + count, end);
        }
    }

    /// Offsets, data and validity, for an array.
    fn parts(self) -> (Slot, OffsetBuffer<O>, Buffer, Option<NullBuffer>) {
        let nulls = self.nulls.finish(self.offsets.len() - 1);
        // Starts at 0 and only grows, which is all that this checks.
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        (self.slot, offsets, Buffer::from_vec(self.data), nulls)
    }
}

/// The error for the first string that is not UTF-8.
#[cold]
fn not_utf8<O: OffsetSizeTrait>(slot: &Slot, offsets: &OffsetBuffer<O>, data: &[u8]) -> FrameError {
    for (row, ends) in offsets.windows(2).enumerate() {
        let text = &data[ends[0].as_usize()..ends[1].as_usize()];
        if std::str::from_utf8(text).is_err() {
            let text = shown(&String::from_utf8_lossy(text));
            let actual = format!("str '{text}' with lone surrogates, which no encoding of text has");
            return slot.mismatch(actual).map_row(|_| row);
        }
    }
    FrameError::Unsupported("text that is not UTF-8".into())
}

pub(super) struct Strings<O> {
    pieces: Pieces<O>,
}

impl<O: OffsetSizeTrait> Strings<O> {
    pub(super) fn new(slot: Slot) -> Self {
        Strings { pieces: Pieces::new(slot) }
    }

    fn array(self) -> Result<GenericStringArray<O>, FrameError> {
        let (slot, offsets, data, nulls) = self.pieces.parts();
        GenericStringArray::<O>::try_new(offsets.clone(), data.clone(), nulls)
            .map_err(|_| not_utf8(&slot, &offsets, &data))
    }
}

impl<O: OffsetSizeTrait> Column for Strings<O> {
    fn one(&mut self, reader: &mut Reader<'_>) -> Result<(), FrameError> {
        match self.pieces.run(reader, 1, tag::STR)? {
            0 => self.pieces.any(reader, Reader::text),
            _ => Ok(()),
        }
    }

    fn read(&mut self, reader: &mut Reader<'_>, count: usize) -> Result<(), FrameError> {
        self.pieces.read(reader, count, tag::STR, Reader::text)
    }

    fn pad(&mut self, count: usize) {
        self.pieces.pad(count);
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, FrameError> {
        Ok(Arc::new(self.array()?))
    }
}

pub(super) struct Binaries<O> {
    pieces: Pieces<O>,
}

impl<O: OffsetSizeTrait> Binaries<O> {
    pub(super) fn new(slot: Slot) -> Self {
        Binaries { pieces: Pieces::new(slot) }
    }

    fn array(self) -> Result<GenericBinaryArray<O>, FrameError> {
        let (slot, offsets, data, nulls) = self.pieces.parts();
        GenericBinaryArray::<O>::try_new(offsets, data, nulls).map_err(|error| slot.refused(error))
    }
}

impl<O: OffsetSizeTrait> Column for Binaries<O> {
    fn one(&mut self, reader: &mut Reader<'_>) -> Result<(), FrameError> {
        match self.pieces.run(reader, 1, tag::BYTES)? {
            0 => self.pieces.any(reader, Reader::binary),
            _ => Ok(()),
        }
    }

    fn read(&mut self, reader: &mut Reader<'_>, count: usize) -> Result<(), FrameError> {
        self.pieces.read(reader, count, tag::BYTES, Reader::binary)
    }

    fn pad(&mut self, count: usize) {
        self.pieces.pad(count);
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, FrameError> {
        Ok(Arc::new(self.array()?))
    }
}

/// A view array is made of a large array: its views then point into the one buffer that was filled.
pub(super) struct Views<C> {
    inner: C,
    view: fn(&dyn Array) -> ArrayRef,
}

impl Views<Strings<i64>> {
    pub(super) fn strings(slot: Slot) -> Self {
        Views { inner: Strings::new(slot), view: |array| Arc::new(StringViewArray::from(array.as_string::<i64>())) }
    }
}

impl Views<Binaries<i64>> {
    pub(super) fn binaries(slot: Slot) -> Self {
        Views { inner: Binaries::new(slot), view: |array| Arc::new(BinaryViewArray::from(array.as_binary::<i64>())) }
    }
}

impl<C: Column> Column for Views<C> {
    fn one(&mut self, reader: &mut Reader<'_>) -> Result<(), FrameError> {
        self.inner.one(reader)
    }

    fn read(&mut self, reader: &mut Reader<'_>, count: usize) -> Result<(), FrameError> {
        self.inner.read(reader, count)
    }

    fn pad(&mut self, count: usize) {
        self.inner.pad(count);
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, FrameError> {
        let array = Box::new(self.inner).finish()?;
        Ok((self.view)(array.as_ref()))
    }
}

pub(super) struct FixedSizeBinaries {
    slot: Slot,
    size: usize,
    data: Vec<u8>,
    rows: usize,
    nulls: Nulls,
}

impl FixedSizeBinaries {
    pub(super) fn column(slot: Slot, size: i32) -> Result<BoxedColumn, FrameError> {
        let size = usize::try_from(size).map_err(|_| FrameError::Unsupported("a negative size of binary".into()))?;
        Ok(Box::new(FixedSizeBinaries { slot, size, data: Vec::new(), rows: 0, nulls: Nulls::default() }))
    }
}

impl Column for FixedSizeBinaries {
    fn one(&mut self, reader: &mut Reader<'_>) -> Result<(), FrameError> {
        match reader.binary()? {
            Some(bytes) if bytes.len() == self.size => self.data.extend_from_slice(bytes),
            Some(bytes) => return Err(self.slot.mismatch(format!("bytes of length {}", bytes.len()))),
            None if reader.peek() == Some(tag::NONE) => {
                reader.advance(1);
                self.slot.null(reader)?;
                self.pad(1);
                return Ok(());
            }
            None => return Err(self.slot.wrong(reader)),
        }
        self.rows += 1;
        Ok(())
    }

    fn pad(&mut self, count: usize) {
        self.nulls.set_run(self.rows, count);
        self.rows += count;
        self.data.resize(self.rows * self.size, 0);
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, FrameError> {
        let DataType::FixedSizeBinary(size) = self.slot.data_type else {
            return Err(self.slot.mismatch("another type"));
        };
        let nulls = self.nulls.finish(self.rows);
        let array = FixedSizeBinaryArray::try_new_with_len(size, Buffer::from_vec(self.data), nulls, self.rows);
        Ok(Arc::new(array.map_err(|error| self.slot.refused(error))?))
    }
}
