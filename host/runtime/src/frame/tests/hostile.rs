//! Replies that no harness writes. Whatever the bytes are, the answer is an array of the type or an error: no panic,
//! and no memory that the bytes do not account for.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, Fields};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::tag;
use super::*;

/// Bytes that are tags, small counts and extremes more often than chance would have them.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(b"NTFiIlgutazAZs()[{0<>y.".to_vec()).prop_map(|tag| vec![tag]),
        3 => (0..5_i32).prop_map(|count| count.to_le_bytes().to_vec()),
        1 => prop::sample::select(vec![-1, i32::MIN, i32::MAX, 0x7FFF_FFF0]).prop_map(|n| n.to_le_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..10),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Decodes, and only demands that nothing panics and that what comes out is sound.
fn survive(bytes: &[u8], data_type: &DataType, rows: usize) {
    let mut reader = Reader::new(bytes);
    if let Ok(array) = decode_column(&mut reader, data_type, rows) {
        assert_eq!((array.data_type(), array.len()), (data_type, rows));
        array.to_data().validate_full().unwrap();
    }
}

proptest! {
    #![proptest_config(config(5000))]

    #[test]
    fn garbage_never_panics(bytes in garbage(), data_type in arrays::data_type(2), rows in 0..6_usize) {
        survive(&bytes, &data_type, rows);
        // Past the first check of the count.
        let mut column = vec![tag::LIST];
        column.extend_from_slice(&(rows as i32).to_le_bytes());
        column.extend_from_slice(&bytes);
        survive(&column, &data_type, rows);
    }

    #[test]
    fn control_reads_never_panic(bytes in garbage()) {
        let _ = Reader::new(&bytes).skip();
        let _ = Reader::new(&bytes).tuple();
        let _ = Reader::new(&bytes).int();
        let _ = Reader::new(&bytes).str();
        let _ = Reader::new(&bytes).str_lossy();
        let _ = Reader::new(&bytes).bytes();
    }

    #[test]
    fn mutated_columns_never_panic(
        (array, edits, cut) in (arrays::data_type(2), 0..6_usize).prop_flat_map(|(data_type, rows)| {
            let edit = (any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(b'N'), Just(b's'), Just(0xFF)]);
            (arrays::array_of(&data_type, rows), vec(edit, 0..4), prop::option::weighted(0.3, any::<prop::sample::Index>()))
        }),
    ) {
        let mut bytes = encode(array.as_ref());
        for (place, byte) in edits {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        survive(&bytes, array.data_type(), array.len());
    }

    /// Also what a reader does not look at must be walked over the right way.
    #[test]
    fn skipping_ends_where_decoding_ends(
        array in (arrays::data_type(3), 0..6_usize).prop_flat_map(|(data_type, rows)| arrays::array_of(&data_type, rows)),
    ) {
        let bytes = encode(array.as_ref());
        let mut reader = Reader::new(&bytes);
        reader.skip().unwrap();
        prop_assert!(reader.is_empty());
    }
}

#[test]
fn counts_beyond_the_reply_reserve_nothing() {
    for tag in [tag::LIST, tag::TUPLE] {
        let mut bytes = vec![tag];
        bytes.extend_from_slice(&i32::MAX.to_le_bytes());
        for data_type in [DataType::Int64, DataType::Utf8, list_of(DataType::Int64, true)] {
            let error = decode(&bytes, &data_type, i32::MAX as usize).unwrap_err();
            assert!(matches!(error, FrameError::Malformed { .. }), "{error}");
        }
    }
    let mut bytes = vec![tag::STR];
    bytes.extend_from_slice(&i32::MAX.to_le_bytes());
    assert!(Reader::new(&bytes).str().is_err());
}

#[test]
fn rows_are_those_that_were_called_for() {
    let bytes = encode(&arrow::array::Int64Array::from(vec![1, 2]));
    for rows in [0, 1, 3, u32::MAX as usize] {
        assert!(matches!(decode(&bytes, &DataType::Int64, rows), Err(FrameError::Malformed { .. })));
    }
}

#[test]
fn a_few_nulls_cannot_take_all_memory() {
    let wide = |item: DataType| DataType::FixedSizeList(Arc::new(Field::new_list_field(item, true)), i32::MAX);
    let fields: Fields =
        (0..1000).map(|field| Field::new(format!("f{field}"), DataType::Decimal256(76, 0), true)).collect();
    let row = DataType::Struct(fields);
    for (data_type, rows) in [
        (wide(DataType::Int64), 1),
        (wide(wide(wide(DataType::Int64))), 1),
        (DataType::FixedSizeBinary(i32::MAX), 1),
        (DataType::FixedSizeList(Arc::new(Field::new_list_field(row.clone(), true)), 1000), 1000),
        (row, 100_000),
    ] {
        let error = decode_values(&data_type, rows, |out| {
            (0..rows).for_each(|_| {
                out.none();
            });
        });
        assert!(matches!(error, Err(FrameError::TooLarge(_))), "{error:?}");
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = |levels| (0..levels).fold(DataType::Int64, |inner, _| list_of(inner, true));
    assert!(decode_values(&deep(crate::types::MAX_DEPTH), 0, |_| ()).is_ok());
    let too_deep = deep(crate::types::MAX_DEPTH + 1);
    assert!(matches!(decode_values(&too_deep, 0, |_| ()), Err(FrameError::Unsupported(_))));
    let array = arrow::array::new_empty_array(&too_deep);
    assert!(matches!(encode_column(&mut Vec::new(), array.as_ref()), Err(FrameError::Unsupported(_))));
    // Lists in lists, a million levels, without recursion.
    let bytes: Vec<u8> = [tag::LIST, 1, 0, 0, 0].repeat(1_000_000);
    assert!(matches!(Reader::new(&bytes).skip(), Err(FrameError::Malformed { .. })));
}
