//! What comes back is hostile: buffers of all kinds of wrong content give an error or a sound array, never a panic.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};

use super::plan::{self, Plan, Said};
use super::results;
use crate::OnError;
use crate::function::{Argument, Binding};

const TYPES: [DataType; 20] = [
    DataType::Boolean,
    DataType::Int8,
    DataType::Int16,
    DataType::Int32,
    DataType::Int64,
    DataType::UInt8,
    DataType::UInt16,
    DataType::UInt32,
    DataType::UInt64,
    DataType::Float16,
    DataType::Float32,
    DataType::Float64,
    DataType::Utf8,
    DataType::LargeUtf8,
    DataType::Binary,
    DataType::LargeBinary,
    DataType::Date64,
    DataType::Time32(TimeUnit::Second),
    DataType::Time64(TimeUnit::Nanosecond),
    DataType::Timestamp(TimeUnit::Nanosecond, None),
];

fn planned(result: &DataType, arguments: &[Argument], rows: usize, limit: usize) -> Option<Plan> {
    let binding = Binding {
        handle: 3,
        function: "f".into(),
        arguments: arguments.iter().map(|argument| argument.array().data_type().clone()).collect(),
        constants: arguments.iter().map(|argument| matches!(argument, Argument::Constant(_))).collect(),
        result: result.clone(),
        on_error: OnError::Fail,
    };
    Plan::new(&binding, arguments, rows, limit)
}

fn plan(result: &DataType, rows: usize) -> Plan {
    planned(result, &[], rows, 1 << 20).expect("a type of the loop's")
}

/// Reads texts with these offsets and bytes; the limit is 1 MiB.
fn texts(offsets: &[u32], bytes: &[u8], length: u32) -> Result<ArrayRef, String> {
    let plan = plan(&DataType::Utf8, offsets.len() - 1);
    let mut space = vec![0; plan.size];
    for (index, offset) in offsets.iter().enumerate() {
        space[plan.offsets.start + 4 * index..][..4].copy_from_slice(&offset.to_le_bytes());
    }
    let said = Said { nulls: false, bytes, length };
    results::read(&plan, &space, &said).map_err(|error| error.to_string())
}

#[test]
fn texts_are_taken_only_whole() {
    assert!(texts(&[0, 2, 2, 5], "héab".as_bytes(), 5).is_err(), "a row ends within a character");
    let good = texts(&[0, 3, 3, 5], "héab".as_bytes(), 5).expect("texts");
    assert_eq!(good.as_ref(), &StringArray::from(vec!["hé", "", "ab"]) as &dyn Array);
    assert!(texts(&[1, 3], b"abc", 3).is_err(), "a first offset that is not 0");
    assert!(texts(&[0, 3, 2], b"ab", 2).is_err(), "offsets that go back");
    assert!(texts(&[0, 4], b"abc", 3).is_err(), "an offset behind the bytes");
    assert!(texts(&[0, 3], b"", 3).is_err(), "bytes outside of the memory");
    assert!(texts(&[0, 2], b"abc", 3).is_err(), "bytes that no row has");
    assert!(texts(&[0, 2], &[0xff, 0xfe], 2).is_err(), "no UTF-8");
    let large = vec![b'x'; (1 << 20) + 1];
    assert!(texts(&[0, large.len() as u32], &large, large.len() as u32).is_err(), "beyond the limit");
}

#[test]
fn numbers_are_taken_only_within_their_type() {
    for (data_type, least, most) in [
        (DataType::Int8, -128, 127),
        (DataType::UInt16, 0, 65_535),
        (DataType::Int32, i32::MIN.into(), i32::MAX.into()),
    ] {
        let plan = plan(&data_type, 1);
        let read = |value: i64| {
            let mut space = vec![0; plan.size];
            space[plan.values.start..][..8].copy_from_slice(&value.to_le_bytes());
            results::read(&plan, &space, &Said { nulls: false, bytes: &[], length: 0 }).is_ok()
        };
        assert!(read(least) && read(most) && !read(least - 1) && !read(most + 1), "{data_type}");
    }
}

#[test]
fn no_content_of_the_buffers_makes_the_host_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..300 {
        for data_type in &TYPES {
            let rows = (random() % 40 + 1) as usize;
            let plan = plan(data_type, rows);
            let mut space: Vec<u8> = (0..plan.size).map(|_| random() as u8).collect();
            // Small words now and then: offsets and lengths that are nearly right.
            let end = plan.size - 4;
            for _ in 0..random() % 64 {
                let at = (random() as usize % end) & !3;
                space[at..at + 4].copy_from_slice(&((random() % 64) as u32).to_le_bytes());
            }
            let memory = space.clone();
            let said = plan::said(&space, &memory).expect("a plan is long enough");
            if let Ok(array) = results::read(&plan, &space, &said) {
                assert_eq!((array.len(), array.data_type()), (rows, data_type));
                array.to_data().validate_full().expect("a sound array");
            }
        }
    }
}

#[test]
fn plans_leave_to_frames_what_is_not_theirs() {
    let ints: ArrayRef = Arc::new(Int64Array::from_iter_values(0..3));
    let fits = |result: &DataType, count: usize, limit| {
        planned(result, &vec![Argument::Column(ints.clone()); count], 3, limit).is_some()
    };
    assert!(fits(&DataType::Int64, 8, 1 << 20));
    assert!(!fits(&DataType::Int64, 9, 1 << 20), "too many arguments");
    assert!(!fits(&DataType::Int64, 1, 20), "a result near its limit");
    assert!(!fits(&DataType::Utf8View, 1, 1 << 20) && !fits(&DataType::Null, 1, 1 << 20));
    let list: ArrayRef = Arc::new(arrow::array::ListArray::new_null(
        Arc::new(arrow::datatypes::Field::new_list_field(DataType::Int8, true)),
        3,
    ));
    assert!(planned(&DataType::Int64, &[list.into()], 3, 1 << 20).is_none());
}

#[test]
fn arguments_of_slices_start_at_their_first_value() {
    let bools: ArrayRef = Arc::new(BooleanArray::from(vec![Some(false), None, Some(true), Some(true), None]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["skipped", "ab", "", "čd", "skipped"]));
    let arguments = [Argument::Column(bools.slice(1, 3)), Argument::Column(texts.slice(1, 3))];
    let plan = planned(&DataType::Int64, &arguments, 3, 1 << 20).expect("a plan");
    let mut space = vec![0; plan.size];
    plan.write(&mut space, 1 << 16, &[7; 10], &arguments);
    let word = |at: usize| u32::from_le_bytes(space[at..at + 4].try_into().expect("4 bytes"));
    // Each argument: kind, constant, values, offsets, valid.
    let (first, second) = (128, 148);
    let at = |pointer: u32| (pointer - (1 << 16)) as usize;
    assert_eq!((word(first), word(first + 4)), (0, 0));
    assert_eq!(space[at(word(first + 8))] & 7, 0b110);
    assert_eq!(space[at(word(first + 16))] & 7, 0b110);
    assert_eq!((word(second), word(second + 16)), (4, 0));
    let offsets = at(word(second + 12));
    assert_eq!([word(offsets), word(offsets + 4), word(offsets + 8), word(offsets + 12)], [0, 2, 2, 5]);
    assert_eq!(&space[at(word(second + 8))..][..5], "abčd".as_bytes());
    let said = plan::said(&space, &space).expect("a plan");
    let zeros = results::read(&plan, &space, &said).expect("zeros");
    assert_eq!(zeros.as_primitive::<Int64Type>().values(), &[0, 0, 0]);
}
