//! Encoders of columns that hold columns. A container is its tag, its count, and a run of its child's rows.

use std::ops::Range;

use arrow::array::{
    Array, AsArray, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, StructArray, downcast_integer,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{ArrowDictionaryKeyType, ArrowNativeType, DataType};

use super::super::writer::put_count;
use super::super::{FrameError, tag};
use super::{Encode, Encoder, encoder, hashable, unsupported};

fn is_null(nulls: Option<&NullBuffer>, row: usize) -> bool {
    nulls.is_some_and(|nulls| nulls.is_null(row))
}

/// The items of `rows`.
fn span<O: OffsetSizeTrait>(offsets: &[O], rows: Range<usize>) -> Range<usize> {
    offsets[rows.start].as_usize()..offsets[rows.end].as_usize()
}

struct Lists<'a, O> {
    offsets: &'a [O],
    nulls: Option<&'a NullBuffer>,
    items: Encoder<'a>,
}

pub(super) fn list<O: OffsetSizeTrait>(
    array: &GenericListArray<O>,
    rows: Range<usize>,
    depth: usize,
) -> Result<Encoder<'_>, FrameError> {
    let offsets = array.value_offsets();
    let items = encoder(array.values().as_ref(), span(offsets, rows), depth + 1)?;
    Ok(Box::new(Lists { offsets, nulls: array.nulls(), items }))
}

impl<O: OffsetSizeTrait> Encode for Lists<'_, O> {
    fn encode(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), FrameError> {
        for row in rows {
            if is_null(self.nulls, row) {
                out.push(tag::NONE);
                continue;
            }
            let items = span(self.offsets, row..row + 1);
            put_count(out, tag::LIST, items.len())?;
            self.items.encode(out, items)?;
        }
        Ok(())
    }
}

struct FixedSizeLists<'a> {
    size: usize,
    nulls: Option<&'a NullBuffer>,
    items: Encoder<'a>,
}

pub(super) fn fixed_size_list(
    array: &FixedSizeListArray,
    rows: Range<usize>,
    depth: usize,
) -> Result<Encoder<'_>, FrameError> {
    // Never negative in an array.
    let size = usize::try_from(array.value_length()).unwrap_or(0);
    let items = encoder(array.values().as_ref(), rows.start * size..rows.end * size, depth + 1)?;
    Ok(Box::new(FixedSizeLists { size, nulls: array.nulls(), items }))
}

impl Encode for FixedSizeLists<'_> {
    fn encode(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), FrameError> {
        for row in rows {
            if is_null(self.nulls, row) {
                out.push(tag::NONE);
                continue;
            }
            put_count(out, tag::LIST, self.size)?;
            self.items.encode(out, row * self.size..(row + 1) * self.size)?;
        }
        Ok(())
    }
}

struct Rows<'a> {
    nulls: Option<&'a NullBuffer>,
    fields: Vec<Encoder<'a>>,
}

pub(super) fn row(array: &StructArray, rows: Range<usize>, depth: usize) -> Result<Encoder<'_>, FrameError> {
    let fields = array.columns().iter().map(|field| encoder(field.as_ref(), rows.clone(), depth + 1));
    Ok(Box::new(Rows { nulls: array.nulls(), fields: fields.collect::<Result<_, _>>()? }))
}

impl Encode for Rows<'_> {
    fn encode(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), FrameError> {
        for row in rows {
            if is_null(self.nulls, row) {
                out.push(tag::NONE);
                continue;
            }
            put_count(out, tag::TUPLE, self.fields.len())?;
            for field in &self.fields {
                field.encode(out, row..row + 1)?;
            }
        }
        Ok(())
    }
}

struct Maps<'a> {
    offsets: &'a [i32],
    nulls: Option<&'a NullBuffer>,
    keys: Encoder<'a>,
    values: Encoder<'a>,
}

pub(super) fn map(array: &MapArray, rows: Range<usize>, depth: usize) -> Result<Encoder<'_>, FrameError> {
    if !hashable(array.keys().data_type()) {
        return Err(unhashable(array.data_type()));
    }
    let offsets = array.value_offsets();
    let entries = span(offsets, rows);
    let keys = encoder(array.keys().as_ref(), entries.clone(), depth + 1)?;
    let values = encoder(array.values().as_ref(), entries, depth + 1)?;
    Ok(Box::new(Maps { offsets, nulls: array.nulls(), keys, values }))
}

/// The error for a map whose keys Python cannot hash.
pub(in crate::frame) fn unhashable(data_type: &DataType) -> FrameError {
    let name = crate::types::python_name(data_type);
    FrameError::Unsupported(format!("{name} is not supported: Python cannot hash lists or maps as keys of a dict"))
}

impl Encode for Maps<'_> {
    fn encode(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), FrameError> {
        for row in rows {
            if is_null(self.nulls, row) {
                out.push(tag::NONE);
                continue;
            }
            out.push(tag::DICT);
            for entry in span(self.offsets, row..row + 1) {
                self.keys.encode(out, entry..entry + 1)?;
                self.values.encode(out, entry..entry + 1)?;
            }
            out.push(tag::END);
        }
        Ok(())
    }
}

/// A dictionary's rows are copies of its values' bytes, if there are no more values than rows.
enum Values<'a> {
    /// The bytes of all values, and where each ends.
    Encoded(Vec<u8>, Vec<usize>),
    /// How many values there are, and their encoder.
    Each(usize, Encoder<'a>),
}

struct Dictionary<'a, K> {
    keys: &'a [K],
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

pub(super) fn dictionary(array: &dyn Array, rows: Range<usize>, depth: usize) -> Result<Encoder<'_>, FrameError> {
    let DataType::Dictionary(index, _) = array.data_type() else {
        return Err(unsupported(array.data_type()));
    };
    macro_rules! of_index {
        ($index:ty, $array:ident) => {
            typed_dictionary::<$index>($array, rows, depth)
        };
    }
    downcast_integer! {
        index.as_ref() => (of_index, array),
        _ => Err(unsupported(array.data_type())),
    }
}

fn typed_dictionary<K: ArrowDictionaryKeyType>(
    array: &dyn Array,
    rows: Range<usize>,
    depth: usize,
) -> Result<Encoder<'_>, FrameError> {
    let array = array.as_dictionary::<K>();
    let (keys, count) = (array.keys(), array.values().len());
    let copies = count <= rows.len();
    let encoder = encoder(array.values().as_ref(), if copies { 0..count } else { 0..0 }, depth + 1)?;
    let values = if copies {
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for value in 0..count {
            encoder.encode(&mut bytes, value..value + 1)?;
            ends.push(bytes.len());
        }
        Values::Encoded(bytes, ends)
    } else {
        Values::Each(count, encoder)
    };
    Ok(Box::new(Dictionary { keys: keys.values(), nulls: keys.nulls(), values }))
}

impl<K: ArrowNativeType> Encode for Dictionary<'_, K> {
    fn encode(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), FrameError> {
        for row in rows {
            let key = self.keys[row].as_usize();
            if is_null(self.nulls, row) {
                out.push(tag::NONE);
                continue;
            }
            // A key beyond the values, as an array that was made without checks may hold, is NULL.
            match &self.values {
                Values::Encoded(bytes, ends) => match (ends.get(key), ends.get(key.wrapping_add(1))) {
                    (Some(start), Some(end)) => out.extend_from_slice(&bytes[*start..*end]),
                    _ => out.push(tag::NONE),
                },
                Values::Each(count, encoder) if key < *count => encoder.encode(out, key..key + 1)?,
                Values::Each(..) => out.push(tag::NONE),
            }
        }
        Ok(())
    }
}
