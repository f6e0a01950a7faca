//! The ways of hostile bytes into the host, each as a function of bytes: what the fuzz targets call, and what the tests
//! call with every input that once broke something. Each function checks what must hold of any input, and panics if it
//! does not. Not a part of the public face.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};

use crate::frame::{Reader, decode_column, encode_column};
use crate::function::{Binding, OnError};
use crate::{Signature, protocol};

/// How deep the types of [`frame`] nest.
const DEPTH: u32 = 3;

/// Takes its decisions from the front of the input.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn field(&mut self, name: &str, depth: u32) -> Arc<Field> {
        let nullable = self.byte().is_multiple_of(2);
        Arc::new(Field::new(name, self.data_type(depth), nullable))
    }

    fn data_type(&mut self, depth: u32) -> DataType {
        use DataType::*;
        const UNITS: [TimeUnit; 4] =
            [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
        let kinds = if depth == 0 { 32 } else { 39 };
        match self.byte() % kinds {
            0 => Null,
            1 => Boolean,
            2 => Int8,
            3 => Int16,
            4 => Int32,
            5 => Int64,
            6 => UInt8,
            7 => UInt16,
            8 => UInt32,
            9 => UInt64,
            10 => Float16,
            11 => Float32,
            12 => Float64,
            13 => Decimal128(self.byte() % 38 + 1, (self.byte() % 77) as i8 - 38),
            14 => Decimal256(self.byte() % 76 + 1, (i16::from(self.byte() % 153) - 76) as i8),
            15 => Utf8,
            16 => LargeUtf8,
            17 => Utf8View,
            18 => Binary,
            19 => LargeBinary,
            20 => BinaryView,
            21 => FixedSizeBinary(i32::from(self.byte() % 20)),
            22 => Date32,
            23 => Date64,
            24 => Time32(UNITS[usize::from(self.byte() % 2)]),
            25 => Time64(UNITS[usize::from(self.byte() % 2) + 2]),
            26 => Timestamp(UNITS[usize::from(self.byte() % 4)], None),
            27 => Timestamp(UNITS[usize::from(self.byte() % 4)], Some("+05:30".into())),
            28 => Duration(UNITS[usize::from(self.byte() % 4)]),
            29 => Interval(IntervalUnit::YearMonth),
            30 => Interval(IntervalUnit::DayTime),
            31 => Interval(IntervalUnit::MonthDayNano),
            32 => List(self.field("item", depth - 1)),
            33 => LargeList(self.field("item", depth - 1)),
            34 => FixedSizeList(self.field("item", depth - 1), i32::from(self.byte() % 5)),
            35 => Struct((0..self.byte() % 4).map(|at| self.field(&format!("f{at}"), depth - 1)).collect()),
            36 => {
                let key = Arc::new(Field::new("key", self.data_type(depth - 1), false));
                let entries = Struct([key, self.field("value", depth - 1)].into_iter().collect());
                Map(Arc::new(Field::new("entries", entries, false)), false)
            }
            37 => Dictionary(Box::new(Int32), Box::new(self.data_type(0))),
            _ => Dictionary(Box::new(UInt8), Box::new(self.data_type(0))),
        }
    }
}

/// A column as a guest wrote it: a type, a number of rows, and the bytes. What is decoded must be a valid array of that
/// type and length, which goes down and comes up again as it is.
pub fn frame(input: &[u8]) {
    let mut choices = Choices(input);
    let (rows, data_type) = (usize::from(choices.byte()), choices.data_type(DEPTH));
    let Ok(column) = decode_column(&mut Reader::new(choices.0), &data_type, rows) else { return };
    assert_eq!(column.data_type(), &data_type);
    assert_eq!(column.len(), rows);
    column.to_data().validate_full().expect("a valid array");
    let mut bytes = Vec::new();
    if encode_column(&mut bytes, column.as_ref()).is_ok() {
        let again = decode_column(&mut Reader::new(&bytes), &data_type, rows);
        assert_eq!(again.expect("what was encoded decodes").len(), rows);
    }
}

/// A reply, as the memory of a guest that gives any pointer and any length: its place, then every way to read it.
pub fn reply(input: &[u8]) {
    let mut choices = Choices(input);
    let (rows, result) = (usize::from(choices.byte()), choices.data_type(1));
    let area = u32::from(choices.byte()) << (choices.byte() % 32);
    let memory = choices.0;
    if let Some(place) = protocol::reply_place(memory, area) {
        assert!(place.start <= place.end && place.end <= memory.len());
        read_all(&memory[place], &result, rows);
    }
    read_all(memory, &result, rows);
}

fn read_all(reply: &[u8], result: &DataType, rows: usize) {
    let binding = Binding {
        handle: 0,
        function: "f".into(),
        arguments: Vec::new(),
        constants: Vec::new(),
        result: result.clone(),
        on_error: OnError::Null,
    };
    if let Ok(evaluated) = protocol::read_eval(reply, &binding, rows) {
        assert_eq!(evaluated.column.len(), rows);
        assert!(evaluated.nulled.is_none_or(|(count, _)| count <= rows as u64));
    }
    if let Ok(text) = protocol::read_text(reply) {
        let _ = Signature::parse_all(&text);
    }
    let _ = (protocol::read_int(reply), protocol::read_done(reply));
    let _ = std::str::from_utf8(reply).map(protocol::parse_error);
}

/// The messages of a worker, each with a byte for its length before it. However they come, no reply is handed on but the
/// one that was asked for, and nothing before the hello.
#[cfg(feature = "process")]
pub fn worker(input: &[u8]) {
    crate::process::fuzz(input);
}
