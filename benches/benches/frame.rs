//! What the frame format costs: columns of 10,000 rows to bytes and back. Criterion shows time and rows per second;
//! nanoseconds per row are the time divided by 10,000. Run with `cargo bench -p cloister-benches --bench frame`.

// A benchmark that cannot set up its data has nothing to say.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::*;
use cloister::frame::{Reader, decode_column, encode_column};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ROWS: usize = 10_000;

/// Numbers without a pattern that a branch predictor could learn, the same in every run.
fn random(seed: u64) -> impl Iterator<Item = u64> {
    (0..ROWS as u64).map(move |row| {
        let mut z = (row + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    })
}

/// Every tenth value, somewhere, is NULL.
fn nulls<T>(values: impl Iterator<Item = T>) -> impl Iterator<Item = Option<T>> {
    values.zip(random(7)).map(|(value, random)| (random % 10 != 0).then_some(value))
}

fn small() -> impl Iterator<Item = i64> {
    random(1).map(|random| i64::from(random as i32))
}

/// Strings of 0 to 19 characters.
fn short(alphabet: &[&str]) -> Vec<String> {
    random(2)
        .map(|random| (0..random % 20).map(|at| alphabet[(random >> at) as usize % alphabet.len()]).collect())
        .collect()
}

/// Microseconds around now, which marshal writes as 60-bit ints.
fn instants() -> impl Iterator<Item = i64> {
    random(3).map(|random| 1_700_000_000_000_000 + (random % 1_000_000_000_000) as i64)
}

fn columns() -> Vec<(&'static str, ArrayRef)> {
    let ascii = short(&["a", "b", "x", "y"]);
    let text = short(&["а", "е", "о", "и", "т", " "]);
    let long: Vec<String> = random(4).map(|random| "abcdefgh ".repeat(20 + (random % 20) as usize)).collect();
    let lists = OffsetBuffer::from_lengths((0..ROWS / 5).map(|_| 5));
    let item = Arc::new(Field::new_list_field(DataType::Int64, true));
    let fields = vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)];
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(small()));
    let strings: ArrayRef = Arc::new(StringArray::from_iter_values(&ascii));
    vec![
        ("int64", numbers.clone()),
        ("int64_nulls", Arc::new(Int64Array::from_iter(nulls(small())))),
        ("int64_wide", Arc::new(Int64Array::from_iter_values(random(5).map(|random| random as i64)))),
        ("int32", Arc::new(Int32Array::from_iter_values(random(1).map(|random| random as i32)))),
        ("float64", Arc::new(Float64Array::from_iter_values(small().map(|value| value as f64 / 7.0)))),
        ("float64_nulls", Arc::new(Float64Array::from_iter(nulls(small().map(|value| value as f64))))),
        ("bool", Arc::new(BooleanArray::from_iter(random(6).map(|random| Some(random % 2 == 0))))),
        ("bool_nulls", Arc::new(BooleanArray::from_iter(nulls(random(6).map(|random| random % 2 == 0))))),
        ("utf8", strings.clone()),
        ("utf8_nulls", Arc::new(StringArray::from_iter(nulls(ascii.iter())))),
        ("utf8_text", Arc::new(StringArray::from_iter_values(&text))),
        ("utf8_long", Arc::new(StringArray::from_iter_values(&long))),
        ("utf8_view", Arc::new(StringViewArray::from_iter_values(&ascii))),
        (
            "dictionary",
            Arc::new(DictionaryArray::<Int32Type>::from_iter(
                random(8).map(|random| ["a", "bc", "def"][random as usize % 3]),
            )),
        ),
        ("binary", Arc::new(BinaryArray::from_iter_values(&ascii))),
        ("timestamp", Arc::new(TimestampMicrosecondArray::from_iter_values(instants()))),
        (
            "timestamp_ns",
            Arc::new(TimestampNanosecondArray::from_iter_values(instants().map(|instant| instant * 1_000))),
        ),
        (
            "decimal",
            Arc::new(
                Decimal128Array::from_iter_values(small().map(i128::from)).with_precision_and_scale(18, 2).unwrap(),
            ),
        ),
        ("list_of_5", Arc::new(ListArray::new(item, lists, numbers.clone(), None))),
        ("struct_of_2", Arc::new(StructArray::new(fields.into(), vec![numbers, strings], None))),
    ]
}

fn frame(criterion: &mut Criterion) {
    for (name, array) in columns() {
        let mut group = criterion.benchmark_group(format!("frame/{name}"));
        group.throughput(Throughput::Elements(ROWS as u64));
        let mut bytes = Vec::new();
        group.bench_function("encode", |bencher| {
            bencher.iter(|| {
                bytes.clear();
                encode_column(&mut bytes, black_box(array.as_ref())).unwrap();
            });
        });
        let reply = reply(array.as_ref());
        group.bench_function("decode", |bencher| {
            bencher
                .iter(|| decode_column(&mut Reader::new(black_box(&reply)), array.data_type(), array.len()).unwrap());
        });
        group.finish();
    }
}

/// The column as a Python that returns its argument would write it: marshal reads `z` and `I`, but writes `u` and `l`.
fn reply(array: &dyn Array) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_column(&mut bytes, array).unwrap();
    let mut out = Vec::with_capacity(bytes.len() * 2);
    let mut rest = bytes.as_slice();
    while let [tag, after @ ..] = rest {
        out.push(*tag);
        rest = match tag {
            b'z' => {
                let (text, after) = after[1..].split_at(after[0].into());
                out.pop();
                out.push(b'u');
                out.extend_from_slice(&(text.len() as i32).to_le_bytes());
                out.extend_from_slice(text);
                after
            }
            b'I' => {
                let (value, after) = after.split_at(8);
                out.pop();
                out.push(b'l');
                long(&mut out, i64::from_le_bytes(value.try_into().unwrap()));
                after
            }
            b'i' | b'[' | b'(' => copy(&mut out, after, 4),
            b'g' => copy(&mut out, after, 8),
            b'u' | b'a' | b's' => {
                let length = i32::from_le_bytes(after[..4].try_into().unwrap()) as usize;
                copy(&mut out, after, 4 + length)
            }
            _ => after,
        };
    }
    out
}

fn copy<'a>(out: &mut Vec<u8>, bytes: &'a [u8], count: usize) -> &'a [u8] {
    out.extend_from_slice(&bytes[..count]);
    &bytes[count..]
}

fn long(out: &mut Vec<u8>, value: i64) {
    let mut magnitude = value.unsigned_abs();
    let count = (64 - magnitude.leading_zeros()).div_ceil(15) as i32;
    out.extend_from_slice(&(if value < 0 { -count } else { count }).to_le_bytes());
    while magnitude != 0 {
        out.extend_from_slice(&((magnitude & 0x7FFF) as u16).to_le_bytes());
        magnitude >>= 15;
    }
}

criterion_group!(benches, frame);
criterion_main!(benches);
