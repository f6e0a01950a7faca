//! The bytes themselves. Those of replies were written by CPython 3.11 with `marshal.dumps(value, 2)`; those of requests
//! are what `marshal.loads` reads as the values in the comments.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;
use half::f16;

use super::*;

/// A list of one NULL and `value`, as the wire has it.
fn column(value: &[u8]) -> Vec<u8> {
    [b"[\x02\x00\x00\x00N", value].concat()
}

#[test]
fn replies_of_cpython_are_read() {
    let cases: [(&[u8], ArrayRef); 12] = [
        (b"[\x03\x00\x00\x00NTF", Arc::new(BooleanArray::from(vec![None, Some(true), Some(false)]))),
        (
            b"[\x04\x00\x00\x00i\x00\x00\x00\x00i\xff\xff\xff\xffi\xff\xff\xff\x7fi\x00\x00\x00\x80",
            Arc::new(Int32Array::from(vec![0, -1, i32::MAX, i32::MIN])),
        ),
        // [2**31, -2**31 - 1, 2**63 - 1, -2**63, 1700000000123456]
        (
            b"[\x05\x00\x00\x00l\x03\x00\x00\x00\x00\x00\x00\x00\x02\x00l\xfd\xff\xff\xff\x01\x00\x00\x00\x02\x00\
              l\x05\x00\x00\x00\xff\x7f\xff\x7f\xff\x7f\xff\x7f\x07\x00l\xfb\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\
              \x00\x08\x00l\x04\x00\x00\x00\x40\x22\x40\x30\x90\x28\x30\x00",
            Arc::new(Int64Array::from(vec![1 << 31, -(1 << 31) - 1, i64::MAX, i64::MIN, 1_700_000_000_123_456])),
        ),
        (b"[\x01\x00\x00\x00l\x05\x00\x00\x00\xff\x7f\xff\x7f\xff\x7f\xff\x7f\x0f\x00", Arc::new(UInt64Array::from(vec![u64::MAX]))),
        // [1.5, float("inf"), 3, 2**100]
        (
            b"[\x04\x00\x00\x00g\x00\x00\x00\x00\x00\x00\xf8?g\x00\x00\x00\x00\x00\x00\xf0\x7fi\x03\x00\x00\x00\
              l\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04",
            Arc::new(Float64Array::from(vec![1.5, f64::INFINITY, 3.0, 2_f64.powi(100)])),
        ),
        (
            b"[\x03\x00\x00\x00u\x00\x00\x00\x00u\x03\x00\x00\x00abcu\x06\x00\x00\x00\xc3\xa9\xf0\x9d\x84\x9e",
            Arc::new(StringArray::from(vec!["", "abc", "é𝄞"])),
        ),
        // The other forms of str, as versions 3 and 4 write them.
        (
            b"[\x05\x00\x00\x00t\x01\x00\x00\x00aa\x01\x00\x00\x00bA\x01\x00\x00\x00cz\x01dZ\x01e",
            Arc::new(StringViewArray::from(vec!["a", "b", "c", "d", "e"])),
        ),
        (b"[\x02\x00\x00\x00s\x00\x00\x00\x00s\x02\x00\x00\x00\x00\xff", Arc::new(BinaryArray::from(vec![&b""[..], b"\x00\xff"]))),
        // ["1.5", "1E+2"]
        (
            b"[\x02\x00\x00\x00u\x03\x00\x00\x001.5u\x04\x00\x00\x001E+2",
            Arc::new(Decimal128Array::from(vec![150, 10_000]).with_precision_and_scale(10, 2).unwrap()),
        ),
        // [[1], (2,), (3,)]: a list, a tuple, and a tuple as version 4 writes it.
        (
            b"[\x03\x00\x00\x00[\x01\x00\x00\x00i\x01\x00\x00\x00(\x01\x00\x00\x00i\x02\x00\x00\x00)\x01i\x03\x00\x00\x00",
            Arc::new(ListArray::new(
                Arc::new(Field::new_list_field(DataType::Int8, true)),
                OffsetBuffer::from_lengths([1, 1, 1]),
                Arc::new(Int8Array::from(vec![1, 2, 3])),
                None,
            )),
        ),
        // [(1, 2, 3)]
        (
            b"[\x01\x00\x00\x00(\x03\x00\x00\x00i\x01\x00\x00\x00i\x02\x00\x00\x00i\x03\x00\x00\x00",
            Arc::new(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNanoType::make_value(1, 2, 3)])),
        ),
        // (None, None): a column may be a tuple.
        (b"(\x02\x00\x00\x00NN", Arc::new(NullArray::new(2))),
    ];
    for (bytes, expected) in cases {
        let array = decode(bytes, expected.data_type(), expected.len()).unwrap();
        assert_eq!(&array, &expected);
    }
}

#[test]
fn maps_and_structs_of_cpython_are_read() {
    // [{"a": 1, "b": None}, {}]
    let bytes = b"[\x02\x00\x00\x00{u\x01\x00\x00\x00ai\x01\x00\x00\x00u\x01\x00\x00\x00bN0{0";
    let array = decode(bytes, &map_of(DataType::Utf8, DataType::Int64, false), 2).unwrap();
    let map = array.as_map();
    assert_eq!(map.offsets(), &OffsetBuffer::<i32>::from_lengths([2, 0]));
    assert_eq!(map.keys().as_string::<i32>(), &StringArray::from(vec!["a", "b"]));
    assert_eq!(map.values().as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(1), None]));
    // [(1, "x"), None]
    let bytes = b"[\x02\x00\x00\x00(\x02\x00\x00\x00i\x01\x00\x00\x00u\x01\x00\x00\x00xN";
    let fields = vec![Field::new("a", DataType::Int64, false), Field::new("b", DataType::Utf8, true)];
    let array = decode(bytes, &DataType::Struct(fields.into()), 2).unwrap();
    let row = array.as_struct();
    assert!(row.is_null(1));
    assert_eq!(row.column(0).as_primitive::<Int64Type>().value(0), 1);
    assert_eq!(row.column(1).as_string::<i32>().value(0), "x");
}

#[test]
fn requests_are_as_agreed() {
    let long = "x".repeat(256);
    let long_bytes = [b"a\x00\x01\x00\x00", long.as_bytes()].concat();
    let nested = ListArray::from_iter_primitive::<Int8Type, _, _>([None, Some([Some(7)])]);
    let cases: [(ArrayRef, &[u8]); 29] = [
        (Arc::new(BooleanArray::from(vec![None, Some(true)])), b"T"),
        (Arc::new(Int8Array::from(vec![None, Some(-1)])), b"i\xff\xff\xff\xff"),
        (Arc::new(UInt32Array::from(vec![None, Some(u32::MAX)])), b"I\xff\xff\xff\xff\x00\x00\x00\x00"),
        (Arc::new(Int64Array::from(vec![None, Some(1)])), b"i\x01\x00\x00\x00"),
        (Arc::new(Int64Array::from(vec![None, Some(1 << 31)])), b"I\x00\x00\x00\x80\x00\x00\x00\x00"),
        (
            Arc::new(UInt64Array::from(vec![None, Some(1 << 63)])),
            b"l\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08\x00",
        ),
        (Arc::new(Float16Array::from(vec![None, Some(f16::from_f32(1.5))])), b"g\x00\x00\x00\x00\x00\x00\xf8?"),
        (Arc::new(Float32Array::from(vec![None, Some(1.5)])), b"g\x00\x00\x00\x00\x00\x00\xf8?"),
        (Arc::new(Float64Array::from(vec![None, Some(1.5)])), b"g\x00\x00\x00\x00\x00\x00\xf8?"),
        (Arc::new(StringArray::from(vec![None, Some("ab")])), b"z\x02ab"),
        (Arc::new(StringArray::from(vec![None, Some("é")])), b"u\x02\x00\x00\x00\xc3\xa9"),
        (Arc::new(LargeStringArray::from(vec![None, Some(long.as_str())])), &long_bytes),
        (Arc::new(StringViewArray::from(vec![None, Some("ab")])), b"z\x02ab"),
        (Arc::new(BinaryArray::from(vec![None, Some(&b"ab"[..])])), b"s\x02\x00\x00\x00ab"),
        (Arc::new(BinaryViewArray::from(vec![None, Some(&b"ab"[..])])), b"s\x02\x00\x00\x00ab"),
        (
            Arc::new(FixedSizeBinaryArray::new(
                2,
                vec![0, 0, b'a', b'b'].into(),
                Some(NullBuffer::from(vec![false, true])),
            )),
            b"s\x02\x00\x00\x00ab",
        ),
        (
            Arc::new(Decimal128Array::from(vec![None, Some(-150)]).with_precision_and_scale(10, 2).unwrap()),
            b"z\x05-1.50",
        ),
        (Arc::new(Date32Array::from(vec![None, Some(-1)])), b"i\xff\xff\xff\xff"),
        (Arc::new(Date64Array::from(vec![None, Some(86_400_000)])), b"i\x01\x00\x00\x00"),
        (Arc::new(Time32SecondArray::from(vec![None, Some(1)])), b"i\x40\x42\x0f\x00"),
        (Arc::new(Time64NanosecondArray::from(vec![None, Some(1_999)])), b"i\x01\x00\x00\x00"),
        (Arc::new(TimestampMillisecondArray::from(vec![None, Some(1)])), b"i\xe8\x03\x00\x00"),
        (
            Arc::new(TimestampSecondArray::from(vec![None, Some(i64::MAX)])),
            // (2**63 - 1) * 1000000
            b"l\x06\x00\x00\x00\xc0\x3d\xe1\x7f\xff\x7f\xff\x7f\xff\x11\xf4\x00",
        ),
        (Arc::new(DurationMicrosecondArray::from(vec![None, Some(5)])), b"i\x05\x00\x00\x00"),
        (
            Arc::new(IntervalYearMonthArray::from(vec![None, Some(1)])),
            b"(\x03\x00\x00\x00i\x01\x00\x00\x00i\x00\x00\x00\x00i\x00\x00\x00\x00",
        ),
        (
            Arc::new(IntervalDayTimeArray::from(vec![None, Some(IntervalDayTimeType::make_value(1, 1))])),
            b"(\x03\x00\x00\x00i\x00\x00\x00\x00i\x01\x00\x00\x00i\x40\x42\x0f\x00",
        ),
        (Arc::new(nested), b"[\x01\x00\x00\x00i\x07\x00\x00\x00"),
        (
            Arc::new(StructArray::new(
                vec![Field::new("a", DataType::Int8, true), Field::new("b", DataType::Null, true)].into(),
                vec![Arc::new(Int8Array::from(vec![0, 1])), Arc::new(NullArray::new(2))],
                Some(NullBuffer::from(vec![false, true])),
            )),
            b"(\x02\x00\x00\x00i\x01\x00\x00\x00N",
        ),
        (Arc::new(DictionaryArray::<Int8Type>::from_iter([None, Some("ab")])), b"z\x02ab"),
    ];
    for (array, expected) in cases {
        assert_eq!(encode(array.as_ref()), column(expected), "{array:?}");
    }
    assert_eq!(encode(&NullArray::new(2)), column(b"N"));
}

#[test]
fn maps_are_dicts() {
    let mut builder = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    builder.append(false).unwrap();
    builder.keys().append_value("k");
    builder.values().append_null();
    builder.append(true).unwrap();
    assert_eq!(encode(&builder.finish()), column(b"{z\x01kN0"));
}

#[test]
fn keys_beyond_a_dictionary_are_null() {
    // No safe constructor makes this, but files hold it.
    let keys = Int8Array::new(ScalarBuffer::from(vec![3, -1]), Some(NullBuffer::from(vec![false, false])));
    let array = DictionaryArray::new(keys, Arc::new(StringArray::from(Vec::<&str>::new())));
    assert_eq!(encode(&array), b"[\x02\x00\x00\x00NN");
}

#[test]
fn types_without_a_python_form_are_refused_by_name() {
    let item = Arc::new(Field::new_list_field(DataType::Int64, true));
    let lists_as_keys = map_of(list_of(DataType::Int64, true), DataType::Int64, false);
    for (data_type, part) in [
        (DataType::Decimal32(5, 2), "decimal32"),
        (DataType::ListView(item), "list_view"),
        (lists_as_keys, "cannot hash"),
    ] {
        let array = new_empty_array(&data_type);
        for error in [
            encode_column(&mut Vec::new(), array.as_ref()).unwrap_err(),
            decode(b"[\x00\x00\x00\x00", &data_type, 0).unwrap_err(),
        ] {
            assert!(matches!(&error, FrameError::Unsupported(text) if text.contains(part)), "{error}");
        }
    }
}

#[test]
fn control_values_go_both_ways() {
    let mut out = Writer::new();
    out.tuple(8).int(1).int(i64::MIN).str("é").bytes(b"\x00").none().bool(true).float(0.5).list(0);
    let bytes = out.finish().unwrap();
    let mut reader = Reader::new(&bytes);
    assert_eq!(reader.tuple().unwrap(), 8);
    assert_eq!(reader.int().unwrap(), 1);
    assert_eq!(reader.int().unwrap(), i64::MIN);
    assert_eq!(reader.clone().str_lossy().unwrap(), "é");
    assert_eq!(reader.str().unwrap(), "é");
    assert_eq!(reader.bytes().unwrap(), b"\x00");
    assert!(reader.none() && !reader.none());
    reader.skip().unwrap();
    reader.skip().unwrap();
    assert_eq!(reader.list().unwrap(), 0);
    assert!(reader.is_empty());
    assert!(reader.skip().is_err());
}

#[test]
fn a_writer_appends_to_what_it_is_given() {
    let mut out = Writer::reusing(b"x".to_vec());
    out.dict_start().str("k").int(1).dict_end();
    out.column(&Int8Array::from(vec![1])).unwrap();
    assert_eq!(out.into_bytes(), b"x{z\x01ki\x01\x00\x00\x000[\x01\x00\x00\x00i\x01\x00\x00\x00");
}

#[test]
fn a_str_with_lone_surrogates_is_told_from_text() {
    // marshal.dumps("\ud800", 2)
    let bytes = b"u\x03\x00\x00\x00\xed\xa0\x80";
    assert!(Reader::new(bytes).str().is_err());
    assert!(Reader::new(bytes).str_lossy().unwrap().contains('\u{FFFD}'));
}
