//! What is encoded and decoded again is the same array.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::*;
use proptest::prelude::*;

use super::*;

fn there_and_back(array: &dyn Array) {
    let back = decode(&encode(array), array.data_type(), array.len()).unwrap();
    assert!(arrays::same(array, back.as_ref()), "{array:?}\nbecame\n{back:?}");
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn any_array_comes_back(
        array in (arrays::data_type(3), 0..20_usize)
            .prop_flat_map(|(data_type, rows)| arrays::array_of(&data_type, rows)),
    ) {
        there_and_back(array.as_ref());
    }

    #[test]
    fn any_slice_comes_back(
        (array, start, end) in (arrays::data_type(2), 0..20_usize, 0..20_usize)
            .prop_flat_map(|(data_type, start, rows)| {
                (arrays::array_of(&data_type, start + rows + 3), Just(start), Just(start + rows))
            }),
    ) {
        there_and_back(array.slice(start, end - start).as_ref());
    }
}

proptest! {
    #![proptest_config(config(200))]

    /// More rows than a block of the fast loops.
    #[test]
    fn long_columns_come_back(
        (array, start) in (arrays::data_type(0), 0..80_usize)
            .prop_flat_map(|(data_type, start)| (arrays::array_of(&data_type, start + 300), Just(start))),
    ) {
        there_and_back(array.slice(start, 300).as_ref());
    }
}

#[test]
fn what_random_types_leave_out_comes_back() {
    let no_fields = StructArray::new_empty_fields(3, Some(NullBuffer::from(vec![true, false, true])));
    there_and_back(&no_fields);
    let item = Arc::new(Field::new_list_field(DataType::Int64, false));
    let empty = FixedSizeListArray::try_new_with_length(item, 0, new_empty_array(&DataType::Int64), None, 3).unwrap();
    there_and_back(&empty);
    there_and_back(&FixedSizeBinaryArray::try_new_with_len(0, Vec::<u8>::new().into(), None, 2).unwrap());
    there_and_back(&NullArray::new(4));
    // Wider than 64 bits in microseconds.
    there_and_back(&TimestampSecondArray::from(vec![i64::MIN, i64::MAX, 0]));
    there_and_back(&DurationMillisecondArray::from(vec![i64::MIN, i64::MAX, 0]));
    there_and_back(&TimestampMicrosecondArray::from(vec![i64::MIN, i64::MAX, 0]).with_timezone("Asia/Kathmandu"));
    there_and_back(&Date64Array::from(vec![-86_400_000, 0, 86_400_000]));
}

#[test]
fn dictionaries_of_types_that_arrow_cannot_compare_come_back() {
    let values = StructArray::from(vec![(
        Arc::new(Field::new("a", DataType::Int64, true)),
        Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef,
    )]);
    let keys = Int8Array::from(vec![Some(1), None, Some(0), Some(1)]);
    there_and_back(&DictionaryArray::new(keys, Arc::new(values)));
}

#[test]
fn two_equal_keys_in_one_map_are_written_both() {
    // Python keeps the last; nothing here does.
    let mut builder = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for value in [1, 2] {
        builder.keys().append_value("k");
        builder.values().append_value(value);
    }
    builder.append(true).unwrap();
    let array = builder.finish();
    there_and_back(&array);
}

#[test]
fn keys_are_sorted_for_a_type_that_promises_it() {
    let sorted = map_of(DataType::Utf8, DataType::Int64, true);
    let array = decode_values(&sorted, 3, |out| {
        out.dict_start().str("b").int(2).str("a").int(1).dict_end();
        out.none();
        out.dict_start().str("d").int(4).str("c").none().dict_end();
    })
    .unwrap();
    let map = array.as_map();
    assert_eq!(map.keys().as_string::<i32>(), &StringArray::from(vec!["a", "b", "c", "d"]));
    assert_eq!(map.values().as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(1), Some(2), None, Some(4)]));
    assert_eq!(map.offsets(), &OffsetBuffer::from_lengths([2, 0, 2]));
}

#[test]
fn finer_units_are_floored_on_the_way_to_python() {
    let array = TimestampNanosecondArray::from(vec![-1, 999, 1_999]);
    let back = decode(&encode(&array), array.data_type(), 3).unwrap();
    assert_eq!(back.as_primitive::<TimestampNanosecondType>(), &TimestampNanosecondArray::from(vec![-1_000, 0, 1_000]));
}
