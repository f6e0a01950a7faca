//! The buffers that the loop filled, as an Arrow array. The guest may have written anything: what does not fit the type
//! is an error, and never a value.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, GenericByteArray, GenericStringArray, OffsetSizeTrait,
    PrimitiveArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;

use super::broken;
use super::kind::ratio;
use super::plan::{Place, Plan, Said};

type Half = <Float16Type as ArrowPrimitiveType>::Native;

/// The results of `plan`.
pub fn read(plan: &Plan, space: &[u8], said: &Said<'_>) -> wasmtime::Result<ArrayRef> {
    let nulls = said.nulls.then(|| {
        let bits = Buffer::from(part(space, plan.valid));
        NullBuffer::new(BooleanBuffer::new(bits, 0, plan.rows))
    });
    let values = part(space, plan.values);
    match plan.result {
        DataType::Boolean => {
            let values = BooleanBuffer::collect_bool(plan.rows, |row| values[row] != 0);
            Ok(Arc::new(BooleanArray::new(values, nulls)))
        }
        DataType::Int8 => ints::<Int8Type>(values, nulls),
        DataType::Int16 => ints::<Int16Type>(values, nulls),
        DataType::Int32 => ints::<Int32Type>(values, nulls),
        DataType::Int64 => ints::<Int64Type>(values, nulls),
        DataType::UInt8 => ints::<UInt8Type>(values, nulls),
        DataType::UInt16 => ints::<UInt16Type>(values, nulls),
        DataType::UInt32 => ints::<UInt32Type>(values, nulls),
        DataType::UInt64 => array::<UInt64Type>(values, nulls, |bytes| Ok(u64::from_le_bytes(bytes))),
        // Not `from_f64`, which may round twice where the processor converts only from 32 bits.
        DataType::Float16 => floats::<Float16Type>(values, nulls, Half::from_f64_const),
        DataType::Float32 => floats::<Float32Type>(values, nulls, |value| value as f32),
        DataType::Float64 => floats::<Float64Type>(values, nulls, |value| value),
        DataType::Utf8 => texts::<i32>(plan, space, said, nulls),
        DataType::LargeUtf8 => texts::<i64>(plan, space, said, nulls),
        DataType::Binary => bytes::<i32>(plan, space, said, nulls),
        DataType::LargeBinary => bytes::<i64>(plan, space, said, nulls),
        _ => moments(plan, values, nulls),
    }
}

fn moments(plan: &Plan, values: &[u8], nulls: Option<NullBuffer>) -> wasmtime::Result<ArrayRef> {
    use TimeUnit::*;
    let ratio = ratio(&plan.result);
    macro_rules! read {
        ($ty:ty, $native:ty) => {
            array::<$ty>(values, nulls, |bytes| {
                let value = ratio.to_arrow(i64::from_le_bytes(bytes));
                let value = value.and_then(|value| <$native>::try_from(value).ok());
                value.ok_or_else(|| broken("a date or time that its type cannot hold"))
            })
        };
    }
    match &plan.result {
        DataType::Date32 => read!(Date32Type, i32),
        DataType::Date64 => read!(Date64Type, i64),
        DataType::Time32(Second) => read!(Time32SecondType, i32),
        DataType::Time32(_) => read!(Time32MillisecondType, i32),
        DataType::Time64(Microsecond) => read!(Time64MicrosecondType, i64),
        DataType::Time64(_) => read!(Time64NanosecondType, i64),
        DataType::Timestamp(unit, zone) => {
            let array = match unit {
                Second => read!(TimestampSecondType, i64),
                Millisecond => read!(TimestampMillisecondType, i64),
                Microsecond => read!(TimestampMicrosecondType, i64),
                Nanosecond => read!(TimestampNanosecondType, i64),
            }?;
            let data = array.to_data().into_builder().data_type(DataType::Timestamp(*unit, zone.clone()));
            Ok(arrow::array::make_array(data.build().map_err(|_| broken("a zone that its type cannot have"))?))
        }
        _ => Err(broken("a result of another type")),
    }
}

fn part(space: &[u8], place: Place) -> &[u8] {
    &space[place.start..place.start + place.size]
}

fn array<T: ArrowPrimitiveType>(
    values: &[u8],
    nulls: Option<NullBuffer>,
    value: impl Fn([u8; 8]) -> wasmtime::Result<T::Native>,
) -> wasmtime::Result<ArrayRef> {
    let values = values.as_chunks::<8>().0.iter().map(|bytes| value(*bytes)).collect::<wasmtime::Result<Vec<_>>>()?;
    Ok(Arc::new(PrimitiveArray::<T>::new(values.into(), nulls)))
}

fn ints<T>(values: &[u8], nulls: Option<NullBuffer>) -> wasmtime::Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i64>,
{
    array::<T>(values, nulls, |bytes| {
        T::Native::try_from(i64::from_le_bytes(bytes)).map_err(|_| broken("an int outside of its type"))
    })
}

fn floats<T: ArrowPrimitiveType>(
    values: &[u8],
    nulls: Option<NullBuffer>,
    narrow: fn(f64) -> T::Native,
) -> wasmtime::Result<ArrayRef> {
    array::<T>(values, nulls, |bytes| Ok(narrow(f64::from_le_bytes(bytes))))
}

/// The offsets: each at least the one before it, the last one the number of bytes.
fn offsets<O: OffsetSizeTrait>(plan: &Plan, space: &[u8], said: &Said<'_>) -> wasmtime::Result<OffsetBuffer<O>> {
    let words = part(space, plan.offsets).as_chunks::<4>().0;
    let mut offsets = Vec::with_capacity(words.len());
    let mut before = 0;
    for word in words {
        let offset = u32::from_le_bytes(*word);
        if offset < before {
            return Err(broken("offsets that go back"));
        }
        before = offset;
        let offset = usize::try_from(offset).ok().and_then(O::from_usize);
        offsets.push(offset.ok_or_else(|| broken("an offset beyond its type"))?);
    }
    let starts = words.first().is_some_and(|word| u32::from_le_bytes(*word) == 0);
    if !starts || before != said.length || said.bytes.len() != said.length as usize || said.bytes.len() > plan.limit {
        return Err(broken("offsets that are not those of the bytes"));
    }
    Ok(OffsetBuffer::new(ScalarBuffer::from(offsets)))
}

fn texts<O: OffsetSizeTrait>(
    plan: &Plan,
    space: &[u8],
    said: &Said<'_>,
    nulls: Option<NullBuffer>,
) -> wasmtime::Result<ArrayRef> {
    let offsets = offsets::<O>(plan, space, said)?;
    let array = GenericStringArray::try_new(offsets, Buffer::from(said.bytes), nulls);
    Ok(Arc::new(array.map_err(|_| broken("text that is no UTF-8"))?))
}

fn bytes<O: OffsetSizeTrait>(
    plan: &Plan,
    space: &[u8],
    said: &Said<'_>,
    nulls: Option<NullBuffer>,
) -> wasmtime::Result<ArrayRef> {
    let offsets = offsets::<O>(plan, space, said)?;
    let array = GenericByteArray::<GenericBinaryType<O>>::try_new(offsets, Buffer::from(said.bytes), nulls);
    Ok(Arc::new(array.map_err(|_| broken("bytes that are no column"))?))
}
