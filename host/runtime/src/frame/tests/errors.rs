//! What a value of the wrong kind is told.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};

use super::*;

/// Writes one value, and gives the writer back as its methods do.
type Write = fn(&mut Writer) -> &mut Writer;

/// Writes one row around a value.
type WriteRow = fn(&mut Writer, Write);

/// The error for a good NULL and `write`'s value after it.
fn error(data_type: &DataType, write: Write) -> FrameError {
    decode_values(data_type, 2, |out| {
        out.none();
        write(out);
    })
    .unwrap_err()
}

/// A value by its raw bytes.
fn raw<'a>(out: &'a mut Writer, bytes: &[u8]) -> &'a mut Writer {
    let mut all = std::mem::take(out).into_bytes();
    all.extend_from_slice(bytes);
    *out = Writer::reusing(all);
    out
}

#[test]
fn mismatches_name_row_expected_and_actual() {
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let pair: Vec<Field> = vec![Field::new("a", DataType::Int64, false), Field::new("b", DataType::Utf8, true)];
    let pair = DataType::Struct(pair.into());
    let two = DataType::FixedSizeList(Arc::new(Field::new_list_field(DataType::Int8, true)), 2);
    let decimal = DataType::Decimal128(10, 2);
    let cases: [(DataType, Write, &str, &str); 37] = [
        (DataType::Int64, |out| out.bool(true), "int64 (int)", "bool"),
        (DataType::Int64, |out| out.str("abc"), "int64 (int)", "str"),
        (DataType::Int64, |out| out.float(1.0), "int64 (int)", "float"),
        (DataType::Int64, |out| out.list(0), "int64 (int)", "list"),
        (DataType::Int64, |out| out.dict_start().dict_end(), "int64 (int)", "dict"),
        (DataType::Int64, |out| raw(out, b"(\0\0\0\0"), "int64 (int)", "tuple"),
        (DataType::Int64, |out| raw(out, b"<\0\0\0\0"), "int64 (int)", "set"),
        (DataType::Int64, |out| raw(out, b"y0123456789abcdef"), "int64 (int)", "complex"),
        (DataType::Boolean, |out| out.int(1), "bool (bool)", "int"),
        (DataType::Float64, |out| out.bool(false), "float64 (float)", "bool"),
        (DataType::Float64, |out| out.str("1"), "float64 (float)", "str"),
        (DataType::Null, |out| out.int(1), "null (None)", "int"),
        (DataType::Utf8, |out| out.int(1), "utf8 (str)", "int"),
        (DataType::Utf8View, |out| out.none().int(1), "utf8_view (str)", "int"),
        (DataType::Binary, |out| out.str("x"), "binary (bytes)", "str"),
        (DataType::FixedSizeBinary(2), |out| out.bytes(b"abc"), "fixed_size_binary(2) (bytes)", "bytes of length 3"),
        (DataType::FixedSizeBinary(2), |out| out.int(1), "fixed_size_binary(2) (bytes)", "int"),
        (DataType::Date32, |out| out.str("x"), "date32 (date)", "str"),
        (timestamp, |out| out.float(0.0), "timestamp(us, UTC) (datetime with a time zone)", "float"),
        (decimal.clone(), |out| out.int(1), "decimal128(10, 2) (Decimal)", "int"),
        (decimal.clone(), |out| out.str("abc"), "decimal128(10, 2) (Decimal)", "str 'abc'"),
        (decimal, |out| out.str("NaN"), "decimal128(10, 2) (Decimal)", "Decimal NaN, which SQL has not"),
        (list_of(DataType::Int64, true), |out| out.int(1), "list<int64> (list)", "int"),
        (list_of(DataType::Int64, true), |out| out.list(1).str(""), "int64 (int) as a list item", "str"),
        (list_of(DataType::Int64, false), |out| out.list(1).none(), "int64 (int), not None, as a list item", "None"),
        (two.clone(), |out| out.list(1).int(1), "fixed_size_list<int8, 2> (list)", "list of 1 values"),
        (two.clone(), |out| out.int(1), "fixed_size_list<int8, 2> (list)", "int"),
        (two, |out| out.list(2).int(1).bool(true), "int8 (int) as a list item", "bool"),
        (pair.clone(), |out| out.tuple(1).int(1), "struct<a: int64, b: utf8> (Row)", "tuple of 1 values"),
        (pair.clone(), |out| out.dict_start().dict_end(), "struct<a: int64, b: utf8> (Row)", "dict"),
        (pair.clone(), |out| out.tuple(2).int(1).int(2), "utf8 (str) as field 'b'", "int"),
        (pair, |out| out.tuple(2).none().none(), "int64 (int), not None, as field 'a'", "None"),
        (map_of(DataType::Utf8, DataType::Int64, false), |out| out.list(0), "map<utf8, int64> (dict)", "list"),
        (
            map_of(DataType::Utf8, DataType::Int64, false),
            |out| out.dict_start().none().none().dict_end(),
            "utf8 (str), not None, as a key",
            "None",
        ),
        (
            map_of(DataType::Utf8, list_of(DataType::Int8, true), false),
            |out| out.dict_start().str("k").list(1).str("").dict_end(),
            "int8 (int) as a list item as a value of a dict",
            "str",
        ),
        (DataType::Interval(IntervalUnit::DayTime), |out| out.int(1), "interval(day_time) (Interval)", "int"),
        (
            DataType::Interval(IntervalUnit::MonthDayNano),
            |out| out.tuple(3).int(1).none().int(1),
            "interval(month_day_nano) (Interval) as a part of it",
            "None",
        ),
    ];
    for (data_type, write, expected, actual) in cases {
        // A column of views has one more row in its case.
        let rows = if data_type == DataType::Utf8View { 3 } else { 2 };
        let error = decode_values(&data_type, rows, |out| {
            out.none();
            write(out);
        });
        let (row, expected, actual) = (rows - 1, expected.to_owned(), actual.to_owned());
        assert_eq!(error, Err(FrameError::Mismatch { row, expected, actual, ambiguous: false }));
    }
}

#[test]
fn bytes_where_none_belong_are_ambiguous() {
    for data_type in [DataType::Int64, DataType::Float32, DataType::Utf8, DataType::Boolean, DataType::Decimal128(5, 0)]
    {
        let error = error(&data_type, |out| out.bytes(&[0; 8]));
        assert!(matches!(error, FrameError::Mismatch { row: 1, ambiguous: true, .. }), "{error}");
    }
    let error = error(&list_of(DataType::Int64, true), |out| out.list(1).bytes(b""));
    assert!(matches!(error, FrameError::Mismatch { row: 1, ambiguous: true, .. }), "{error}");
}

#[test]
fn values_out_of_range_say_why() {
    let time = DataType::Time32(TimeUnit::Second);
    let second = DataType::Timestamp(TimeUnit::Second, None);
    let nanosecond = DataType::Duration(TimeUnit::Nanosecond);
    let decimal = DataType::Decimal128(5, 2);
    let months = DataType::Interval(IntervalUnit::YearMonth);
    let days = DataType::Interval(IntervalUnit::DayTime);
    let cases: [(DataType, Write, &str); 27] = [
        (DataType::Int8, |out| out.int(128), "128 (out of range)"),
        (DataType::UInt64, |out| out.int(-1), "-1 (out of range)"),
        (DataType::Int32, |out| out.int(1 << 40), "1099511627776 (out of range)"),
        // 2**64
        (DataType::UInt64, |out| raw(out, b"l\x05\0\0\0\0\0\0\0\0\0\0\0\x10\0"), "18446744073709551616 (out of range)"),
        // 15 times 20 bits and 1 more
        (
            DataType::Int64,
            |out| raw(out, &[&b"l\x15\0\0\0"[..], &[0; 40], b"\x01\0"].concat()),
            "an int of more than 300 bits (out of range)",
        ),
        (DataType::Float16, |out| out.float(70_000.0), "7e4 (out of range)"),
        (DataType::Float32, |out| out.float(-1e300), "-1e300 (out of range)"),
        (DataType::Float64, |out| out.int((1 << 53) + 1), "9007199254740993 (not exact as a float"),
        (DataType::Float64, |out| out.int(i64::MAX), "9223372036854775807 (not exact as a float"),
        (DataType::Float32, |out| out.int((1 << 24) + 1), "16777217 (not exact as a float"),
        (DataType::Float16, |out| out.int(1 << 40), "1099511627776 (not exact as a float"),
        // 2**75 + 1
        (
            DataType::Float64,
            |out| raw(out, b"l\x06\0\0\0\x01\0\0\0\0\0\0\0\0\0\x01\0"),
            "37778931862957161709569 (not exact as a float",
        ),
        (DataType::Date32, |out| out.int(1 << 31), "2147483648 (out of range)"),
        (DataType::Date64, |out| out.int(1 << 60), "1152921504606846976 (out of range)"),
        (time.clone(), |out| out.int(86_400_000_000), "86400000000 (out of range)"),
        (time.clone(), |out| out.int(-1), "-1 (out of range)"),
        (time, |out| out.int(1), "1 (the part of a second would be lost"),
        (second, |out| out.int(1_500_000), "1500000 (the part of a second would be lost"),
        (DataType::Time32(TimeUnit::Millisecond), |out| out.int(1), "1 (the microseconds would be lost"),
        (nanosecond, |out| out.int(i64::MAX / 999), "9232604641496272 (out of range)"),
        (decimal.clone(), |out| out.str("1000"), "1000 (more than 3 digits before the point)"),
        (decimal, |out| out.str("1.005"), "1.005 (more than 2 digits after the point: quantize or round it first)"),
        (DataType::Decimal128(5, -2), |out| out.str("150"), "150 (more than -2 digits after the point"),
        (months, |out| out.tuple(3).int(1).int(1).int(0), "1 months, 1 days, 0 nanoseconds (the type has months only)"),
        (
            days.clone(),
            |out| out.tuple(3).int(0).int(1).int(1),
            "0 months, 1 days, 1 nanoseconds (the type has whole milliseconds only)",
        ),
        (days.clone(), |out| out.tuple(3).int(0).int(1 << 31).int(0), "0 months, 2147483648 days, 0 nanoseconds (out"),
        (days, |out| out.tuple(3).int(0).int(0).int(i64::MAX / 1_000_000 * 1_000_000), "0 months, 0 days, 92233"),
    ];
    for (data_type, write, text) in cases {
        let error = error(&data_type, write);
        let FrameError::OutOfRange { row: 1, expected, value } = &error else { panic!("{data_type}: {error}") };
        assert_eq!(expected, &crate::types::python_name(&data_type));
        assert!(value.starts_with(text), "{value}");
    }
}

/// The row that an error names, of four rows of which the third holds a wrong value.
fn row_of_error(data_type: &DataType, write: WriteRow) -> usize {
    let good: Write = |out| out.str("x");
    let bad: Write = |out| raw(out, b"u\x03\0\0\0\xed\xa0\x80");
    let error = decode_values(data_type, 4, |out| {
        [good, good, bad, good].into_iter().for_each(|value| write(out, value));
    });
    match error.unwrap_err() {
        FrameError::Mismatch { row, .. } => row,
        error => panic!("{error}"),
    }
}

#[test]
fn rows_in_errors_are_rows_of_the_bundle() {
    let text = || DataType::Utf8;
    let two = DataType::FixedSizeList(Arc::new(Field::new_list_field(text(), true)), 2);
    let fields = vec![Field::new("a", DataType::Int64, true), Field::new("b", list_of(DataType::Utf8View, true), true)];
    let as_items: WriteRow = |out, value| {
        value(out.list(2).str("x"));
    };
    let cases: [(DataType, WriteRow); 6] = [
        (text(), |out, value| {
            value(out);
        }),
        (list_of(text(), true), as_items),
        (list_of(list_of(text(), true), true), |out, value| {
            value(out.list(3).list(1).str("x").list(0).list(2).str("x"));
        }),
        (two, as_items),
        (DataType::Struct(fields.into()), |out, value| {
            value(out.tuple(2).int(1).list(2).str("x"));
        }),
        (map_of(text(), DataType::LargeUtf8, false), |out, value| {
            value(out.dict_start().str("k").str("v").str("x")).dict_end();
        }),
    ];
    for (data_type, write) in cases {
        assert_eq!(row_of_error(&data_type, write), 2, "{data_type}");
    }
    // Values that are found wrong when they are read, not when the column ends.
    let as_key: WriteRow = |out, value| {
        value(out.dict_start()).int(1).dict_end();
    };
    assert_eq!(row_of_error(&map_of(text(), DataType::Int64, false), as_key), 2);
    let mut row = 0;
    let error = decode_values(&list_of(DataType::Int8, true), 4, |out| {
        for value in [1, 127, 128, 2] {
            out.list(2).int(row).int(value);
            row += 1;
        }
    });
    assert!(matches!(error, Err(FrameError::OutOfRange { row: 2, .. })), "{error:?}");
}

#[test]
fn lone_surrogates_are_named() {
    let error = error(&DataType::Utf8, |out| raw(out, b"u\x05\0\0\0ab\xed\xa0\x80"));
    let FrameError::Mismatch { row: 1, actual, ambiguous: false, .. } = &error else { panic!("{error}") };
    assert!(actual.contains("lone surrogates"), "{actual}");
}

#[test]
fn a_character_split_over_two_strings_is_no_text() {
    // The two together would be UTF-8.
    let error = decode(b"[\x02\0\0\0u\x01\0\0\0\xc3u\x01\0\0\0\xa9", &DataType::Utf8, 2).unwrap_err();
    assert!(matches!(error, FrameError::Mismatch { row: 0, .. }), "{error}");
}

#[test]
fn guest_text_in_errors_is_short_and_escaped() {
    let decimal = DataType::Decimal128(5, 2);
    let error = decode_values(&decimal, 1, |out| {
        out.str(&"\u{1b}[2J".repeat(1000));
    });
    let error = error.unwrap_err();
    let text = error.to_string();
    assert!(text.len() < 1000 && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_dictionary_with_too_narrow_an_index_says_so() {
    let narrow = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Int64));
    let error = decode_values(&narrow, 200, |out| {
        for value in 0..200 {
            out.int(value);
        }
    });
    let error = error.unwrap_err();
    assert!(matches!(&error, FrameError::Unsupported(text) if text.contains("wider index")), "{error}");
}

#[test]
fn what_is_no_value_is_malformed() {
    let cases: [&[u8]; 9] = [
        b"",
        b"N",
        b"[\xff\xff\xff\xff",
        b"[\x01\0\0\0",
        b"[\x01\0\0\0?",
        b"[\x01\0\0\0i\0",
        // A digit of 16 bits, a highest digit of 0, a digit that is missing.
        b"[\x01\0\0\0l\x01\0\0\0\0\x80",
        b"[\x01\0\0\0l\x01\0\0\0\0\0",
        b"[\x01\0\0\0l\0\0\0\x80",
    ];
    for bytes in cases {
        let error = decode(bytes, &DataType::Int64, 1).unwrap_err();
        assert!(matches!(error, FrameError::Malformed { .. }), "{bytes:?}: {error}");
    }
    let error = decode_values(&map_of(DataType::Utf8, DataType::Utf8, false), 1, |out| {
        out.dict_start().str("k");
    });
    assert!(matches!(error, Err(FrameError::Malformed { .. })), "{error:?}");
}
