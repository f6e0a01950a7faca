//! Columns that hold columns. An error of a child passes through here on its way up: this is where its row becomes the
//! row of the column around it, and where its place is added to the type that was expected.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, DictionaryArray, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, PrimitiveArray,
    StructArray, UInt64Array, downcast_integer, make_comparator,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{SortOptions, can_cast_types, cast, take};
use arrow::datatypes::*;

use super::super::bits::Nulls;
use super::super::encode::unhashable;
use super::super::{FrameError, Reader, tag};
use super::{BoxedColumn, Column, Slot, column, hashable};

/// Opens the list or tuple that is next and gives its count; `None` for a None.
#[inline]
fn open(slot: &Slot, reader: &mut Reader<'_>) -> Result<Option<usize>, FrameError> {
    match reader.peek() {
        Some(tag::LIST | tag::TUPLE | tag::SMALL_TUPLE) => reader.sequence().map(Some),
        Some(tag::NONE) => {
            reader.advance(1);
            slot.null(reader)?;
            Ok(None)
        }
        _ => Err(slot.wrong(reader)),
    }
}

/// The error for a list or tuple, opened with `tag`, that is longer or shorter than the type.
#[cold]
fn wrong_count(slot: &Slot, tag: Option<u8>, count: usize) -> FrameError {
    let class = tag.and_then(tag::python_class).unwrap_or("list");
    slot.mismatch(format!("{class} of {count} values"))
}

const ITEM: &str = "as a list item";

/// Where the rows of lists and maps end among their items.
struct Ends<O> {
    offsets: Vec<O>,
    nulls: Nulls,
}

impl<O: OffsetSizeTrait> Ends<O> {
    fn new() -> Self {
        Ends { offsets: vec![O::default()], nulls: Nulls::default() }
    }

    fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    fn last(&self) -> O {
        self.offsets.last().copied().unwrap_or_default()
    }

    fn push(&mut self, slot: &Slot, count: usize) -> Result<(), FrameError> {
        let end = self.last().as_usize().checked_add(count).and_then(O::from_usize).ok_or_else(|| slot.too_large())?;
        self.offsets.push(end);
        Ok(())
    }

    fn pad(&mut self, count: usize) {
        self.nulls.set_run(self.rows(), count);
        self.offsets.resize(self.offsets.len() + count, self.last());
    }

    /// The row that an item belongs to.
    fn row_of(&self, item: usize) -> usize {
        self.offsets.partition_point(|end| end.as_usize() <= item).saturating_sub(1)
    }

    fn finish(self) -> (OffsetBuffer<O>, Option<NullBuffer>) {
        let nulls = self.nulls.finish(self.offsets.len() - 1);
        // Starts at 0 and only grows, which is all that this checks.
        (OffsetBuffer::new(ScalarBuffer::from(self.offsets)), nulls)
    }
}

struct Lists<O> {
    slot: Slot,
    item: FieldRef,
    items: BoxedColumn,
    ends: Ends<O>,
}

pub(super) fn list<O: OffsetSizeTrait>(slot: Slot, item: &FieldRef, depth: usize) -> Result<BoxedColumn, FrameError> {
    let items = column(item.data_type(), item.is_nullable(), depth + 1)?;
    Ok(Box::new(Lists::<O> { slot, item: item.clone(), items, ends: Ends::new() }))
}

impl<O: OffsetSizeTrait> Column for Lists<O> {
    fn one(&mut self, reader: &mut Reader<'_>) -> Result<(), FrameError> {
        match open(&self.slot, reader)? {
            None => {
                self.ends.pad(1);
                Ok(())
            }
            Some(count) => {
                self.items.read(reader, count).map_err(|error| error.within(ITEM))?;
                self.ends.push(&self.slot, count)
            }
        }
    }

    fn pad(&mut self, count: usize) {
        self.ends.pad(count);
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, FrameError> {
        let items = self.items.finish().map_err(|error| error.map_row(|item| self.ends.row_of(item)).within(ITEM))?;
        let (offsets, nulls) = self.ends.finish();
        let array = GenericListArray::<O>::try_new(self.item, offsets, items, nulls);
        Ok(Arc::new(array.map_err(|error| self.slot.refused(error))?))
    }
}

struct FixedSizeLists {
    slot: Slot,
    item: FieldRef,
    size: usize,
    items: BoxedColumn,
    rows: usize,
    nulls: Nulls,
}

pub(super) fn fixed_size_list(slot: Slot, item: &FieldRef, size: i32, depth: usize) -> Result<BoxedColumn, FrameError> {
    let size = usize::try_from(size).map_err(|_| FrameError::Unsupported("a negative size of list".into()))?;
    let items = column(item.data_type(), item.is_nullable(), depth + 1)?;
    Ok(Box::new(FixedSizeLists { slot, item: item.clone(), size, items, rows: 0, nulls: Nulls::default() }))
}

impl Column for FixedSizeLists {
    fn one(&mut self, reader: &mut Reader<'_>) -> Result<(), FrameError> {
        let class = reader.peek();
        match open(&self.slot, reader)? {
            None => self.pad(1),
            Some(count) if count != self.size => {
                return Err(wrong_count(&self.slot, class, count));
            }
            Some(count) => {
                self.items.read(reader, count).map_err(|error| error.within(ITEM))?;
                self.rows += 1;
            }
        }
        Ok(())
    }

    fn pad(&mut self, count: usize) {
        self.nulls.set_run(self.rows, count);
        self.rows += count;
        // Cannot overflow: the bytes of these NULLs were counted by the caller.
        self.items.pad(count * self.size);
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, FrameError> {
        let size = self.size.max(1);
        let items = self.items.finish().map_err(|error| error.map_row(|item| item / size).within(ITEM))?;
        // The size came from an i32.
        let size = i32::try_from(self.size).unwrap_or(i32::MAX);
        let nulls = self.nulls.finish(self.rows);
        let array = FixedSizeListArray::try_new_with_length(self.item, size, items, nulls, self.rows);
        Ok(Arc::new(array.map_err(|error| self.slot.refused(error))?))
    }
}

struct Rows {
    slot: Slot,
    fields: Fields,
    columns: Vec<BoxedColumn>,
    rows: usize,
    nulls: Nulls,
}

pub(super) fn row(slot: Slot, fields: &Fields, depth: usize) -> Result<BoxedColumn, FrameError> {
    let columns = fields.iter().map(|field| column(field.data_type(), field.is_nullable(), depth + 1));
    let columns = columns.collect::<Result<_, _>>()?;
    Ok(Box::new(Rows { slot, fields: fields.clone(), columns, rows: 0, nulls: Nulls::default() }))
}

/// A field's name in an error; it may come from a guest.
struct FieldName<'a>(&'a Field);

impl std::fmt::Display for FieldName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "as field '{}'", super::super::error::shown(self.0.name()))
    }
}

impl Column for Rows {
    fn one(&mut self, reader: &mut Reader<'_>) -> Result<(), FrameError> {
        let class = reader.peek();
        match open(&self.slot, reader)? {
            None => self.pad(1),
            Some(count) if count != self.columns.len() => {
                return Err(wrong_count(&self.slot, class, count));
            }
            Some(_) => {
                for (field, column) in self.fields.iter().zip(&mut self.columns) {
                    column.one(reader).map_err(|error| error.within(FieldName(field)))?;
                }
                self.rows += 1;
            }
        }
        Ok(())
    }

    fn pad(&mut self, count: usize) {
        self.nulls.set_run(self.rows, count);
        self.rows += count;
        self.columns.iter_mut().for_each(|column| column.pad(count));
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, FrameError> {
        let fields = self.fields.iter().zip(self.columns);
        let arrays = fields.map(|(field, column)| column.finish().map_err(|error| error.within(FieldName(field))));
        let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
        let nulls = self.nulls.finish(self.rows);
        let array = StructArray::try_new_with_length(self.fields.clone(), arrays, nulls, self.rows);
        Ok(Arc::new(array.map_err(|error| self.slot.refused(error))?))
    }
}

struct Maps {
    slot: Slot,
    entries: FieldRef,
    fields: Fields,
    sorted: bool,
    keys: BoxedColumn,
    values: BoxedColumn,
    ends: Ends<i32>,
}

const KEY: &str = "as a key";
const VALUE: &str = "as a value of a dict";

pub(super) fn map(slot: Slot, entries: &FieldRef, sorted: bool, depth: usize) -> Result<BoxedColumn, FrameError> {
    let fields = match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 && !fields[0].is_nullable() && !entries.is_nullable() => fields,
        _ => return Err(FrameError::Unsupported("a map whose entries are not a key, never NULL, and a value".into())),
    };
    if !hashable(fields[0].data_type()) {
        return Err(unhashable(&slot.data_type));
    }
    let keys = column(fields[0].data_type(), false, depth + 1)?;
    let values = column(fields[1].data_type(), fields[1].is_nullable(), depth + 1)?;
    let (entries, fields) = (entries.clone(), fields.clone());
    Ok(Box::new(Maps { slot, entries, fields, sorted, keys, values, ends: Ends::new() }))
}

impl Column for Maps {
    fn one(&mut self, reader: &mut Reader<'_>) -> Result<(), FrameError> {
        if reader.none() {
            self.slot.null(reader)?;
            self.ends.pad(1);
            return Ok(());
        }
        if reader.peek() != Some(tag::DICT) {
            return Err(self.slot.wrong(reader));
        }
        reader.advance(1);
        let mut count = 0;
        while reader.peek() != Some(tag::END) {
            self.keys.one(reader).map_err(|error| error.within(KEY))?;
            self.values.one(reader).map_err(|error| error.within(VALUE))?;
            count += 1;
        }
        reader.advance(1);
        self.ends.push(&self.slot, count)
    }

    fn pad(&mut self, count: usize) {
        self.ends.pad(count);
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, FrameError> {
        let Maps { slot, entries, fields, sorted, keys, values, ends } = *self;
        let mut keys = keys.finish().map_err(|error| error.map_row(|item| ends.row_of(item)).within(KEY))?;
        let mut values = values.finish().map_err(|error| error.map_row(|item| ends.row_of(item)).within(VALUE))?;
        let (offsets, nulls) = ends.finish();
        let refused = |error| slot.refused(error);
        if sorted && let Some(order) = order(&keys, &offsets).map_err(refused)? {
            keys = take(&keys, &order, None).map_err(refused)?;
            values = take(&values, &order, None).map_err(refused)?;
        }
        let rows = keys.len();
        let pairs = StructArray::try_new_with_length(fields, vec![keys, values], None, rows).map_err(refused)?;
        Ok(Arc::new(MapArray::try_new(entries, offsets, pairs, nulls, sorted).map_err(refused)?))
    }
}

/// The order that sorts the keys of each row; `None` if they are sorted. A dict keeps the order of insertion, and a
/// type that promises sorted keys must not lie.
fn order(keys: &ArrayRef, offsets: &[i32]) -> Result<Option<UInt64Array>, arrow::error::ArrowError> {
    let compare = make_comparator(keys.as_ref(), keys.as_ref(), SortOptions::default())?;
    let sorted = |ends: &[i32]| {
        let mut neighbours = (ends[0].as_usize()..ends[1].as_usize()).skip(1);
        neighbours.all(|key| compare(key - 1, key) != Ordering::Greater)
    };
    if offsets.windows(2).all(sorted) {
        return Ok(None);
    }
    let mut order: Vec<u64> = (0..keys.len() as u64).collect();
    for ends in offsets.windows(2) {
        order[ends[0].as_usize()..ends[1].as_usize()].sort_by(|a, b| compare(*a as usize, *b as usize));
    }
    Ok(Some(order.into()))
}

struct Dictionary {
    slot: Slot,
    index: DataType,
    values: BoxedColumn,
}

pub(super) fn dictionary(
    slot: Slot,
    index: &DataType,
    value: &DataType,
    depth: usize,
) -> Result<BoxedColumn, FrameError> {
    let values = column(value, slot.nullable, depth + 1)?;
    Ok(Box::new(Dictionary { slot, index: index.clone(), values }))
}

impl Column for Dictionary {
    fn one(&mut self, reader: &mut Reader<'_>) -> Result<(), FrameError> {
        self.values.one(reader)
    }

    fn read(&mut self, reader: &mut Reader<'_>, count: usize) -> Result<(), FrameError> {
        self.values.read(reader, count)
    }

    fn pad(&mut self, count: usize) {
        self.values.pad(count);
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, FrameError> {
        let values = self.values.finish()?;
        let array = if can_cast_types(values.data_type(), &self.slot.data_type) {
            cast(&values, &self.slot.data_type).ok()
        } else {
            one_key_a_row(&self.index, values)
        };
        array.ok_or_else(|| {
            FrameError::Unsupported(format!(
                "the result has more distinct values than a {} can count; declare a wider index",
                crate::types::python_name(&self.slot.data_type)
            ))
        })
    }
}

/// A dictionary without repetition, for values that Arrow cannot tell apart (structs, lists).
fn one_key_a_row(index: &DataType, values: ArrayRef) -> Option<ArrayRef> {
    macro_rules! of_index {
        ($index:ty) => {{
            let keys = (0..values.len()).map(|row| {
                let key = <$index as ArrowPrimitiveType>::Native::try_from(row).ok()?;
                Some((!values.is_null(row)).then_some(key))
            });
            let keys: PrimitiveArray<$index> = keys.collect::<Option<Vec<_>>>()?.into();
            Some(Arc::new(DictionaryArray::try_new(keys, values).ok()?))
        }};
    }
    downcast_integer! {
        index => (of_index),
        _ => None,
    }
}
