//! Random types and random arrays of them, for properties: of the frame format, and of whole calls. Must give only what
//! Python keeps exactly, so that a function which returns its argument gives back an equal array in every mode:
//! whole microseconds, dates and times from year 2 to 9998 (year 1 and 9999 leave their range in some time zones), maps
//! without two equal keys, decimals within their precision. Under the NULLs stand values that are not to be seen.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::*;
use proptest::collection::vec;
use proptest::prelude::*;

type Half = <Float16Type as ArrowPrimitiveType>::Native;

const DAY: i64 = 86_400;
/// Seconds from the epoch to the start of year 2 and to the end of year 9998.
const YEARS: std::ops::Range<i64> = -62_104_060_800..253_370_764_800;
/// What a `timedelta` holds, in seconds.
const TIMEDELTA: i64 = 999_999_999 * DAY;

/// Types that nest up to `depth` levels.
pub fn data_type(depth: u32) -> BoxedStrategy<DataType> {
    if depth == 0 {
        return leaf();
    }
    let inner = move || data_type(depth - 1);
    let item = move || (inner(), any::<bool>()).prop_map(|(inner, null)| Arc::new(Field::new_list_field(inner, null)));
    prop_oneof![
        6 => leaf(),
        2 => item().prop_map(DataType::List),
        1 => item().prop_map(DataType::LargeList),
        1 => (item(), 0..4_i32).prop_map(|(item, size)| DataType::FixedSizeList(item, size)),
        2 => vec((inner(), any::<bool>()), 1..5).prop_map(struct_of),
        1 => (map_key(), inner(), any::<bool>()).prop_map(map_of),
        1 => (dictionary_index(), dictionary_value()).prop_map(|(i, v)| DataType::Dictionary(i.into(), v.into())),
    ]
    .boxed()
}

fn struct_of(fields: Vec<(DataType, bool)>) -> DataType {
    let fields = fields.into_iter().enumerate();
    DataType::Struct(fields.map(|(at, (inner, null))| Field::new(format!("f{at}"), inner, null)).collect())
}

fn map_of((key, value, nullable): (DataType, DataType, bool)) -> DataType {
    let fields = vec![Field::new("key", key, false), Field::new("value", value, nullable)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(fields.into()), false)), false)
}

fn leaf() -> BoxedStrategy<DataType> {
    let unit = || {
        use TimeUnit::*;
        prop::sample::select(vec![Second, Millisecond, Microsecond, Nanosecond])
    };
    let zone = || prop::option::of(prop::sample::select(vec![Arc::<str>::from("UTC"), Arc::from("+05:30")]));
    let decimal = |most: u8| (1..=most).prop_flat_map(|precision| (Just(precision), -3..=precision as i8));
    prop_oneof![
        16 => prop::sample::select(vec![
            DataType::Null, DataType::Boolean, DataType::Int8, DataType::Int16, DataType::Int32, DataType::Int64,
            DataType::UInt8, DataType::UInt16, DataType::UInt32, DataType::UInt64, DataType::Float16,
            DataType::Float32, DataType::Float64, DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View,
            DataType::Binary, DataType::LargeBinary, DataType::BinaryView, DataType::Date32, DataType::Date64,
            DataType::Time32(TimeUnit::Second), DataType::Time32(TimeUnit::Millisecond),
            DataType::Time64(TimeUnit::Microsecond), DataType::Time64(TimeUnit::Nanosecond),
            DataType::Interval(IntervalUnit::YearMonth), DataType::Interval(IntervalUnit::DayTime),
            DataType::Interval(IntervalUnit::MonthDayNano),
        ]),
        1 => (0..20_i32).prop_map(DataType::FixedSizeBinary),
        1 => decimal(38).prop_map(|(precision, scale)| DataType::Decimal128(precision, scale)),
        1 => decimal(76).prop_map(|(precision, scale)| DataType::Decimal256(precision, scale)),
        1 => unit().prop_map(DataType::Duration),
        2 => (unit(), zone()).prop_map(|(unit, zone)| DataType::Timestamp(unit, zone)),
    ]
    .boxed()
}

/// Types whose values are equal in Python only if they are equal in Arrow, which floats are not (`0.0 == -0.0`).
fn map_key() -> impl Strategy<Value = DataType> {
    prop::sample::select(vec![
        DataType::Boolean,
        DataType::Int8,
        DataType::Int64,
        DataType::UInt64,
        DataType::Utf8,
        DataType::Binary,
        DataType::Date32,
        DataType::Decimal128(10, 2),
        DataType::Timestamp(TimeUnit::Microsecond, None),
    ])
}

fn dictionary_index() -> impl Strategy<Value = DataType> {
    prop::sample::select(vec![DataType::Int16, DataType::Int32, DataType::Int64, DataType::UInt16, DataType::UInt32])
}

fn dictionary_value() -> impl Strategy<Value = DataType> {
    prop::sample::select(vec![DataType::Int64, DataType::Float64, DataType::Utf8, DataType::Binary])
}

/// Arrays of `rows` rows, some of them NULL.
///
/// # Panics
/// For types that [`data_type`] does not give.
pub fn array_of(data_type: &DataType, rows: usize) -> BoxedStrategy<ArrayRef> {
    array(data_type, rows, true)
}

/// Whether two arrays have the same type and the same values, floats bit by bit. What stands under NULLs, and how a
/// dictionary or a view stores its values, makes no difference.
pub fn same(left: &dyn Array, right: &dyn Array) -> bool {
    left.data_type() == right.data_type() && left.len() == right.len() && left == right
}

/// Which rows are valid.
fn validity(rows: usize, nullable: bool) -> BoxedStrategy<Option<NullBuffer>> {
    if !nullable {
        return Just(None).boxed();
    }
    let some = vec(prop::bool::weighted(0.8), rows).prop_map(|valid| Some(NullBuffer::from(valid)));
    prop_oneof![1 => Just(None), 3 => some, 1 => Just(Some(NullBuffer::new_null(rows)))].boxed()
}

fn array(data_type: &DataType, rows: usize, nullable: bool) -> BoxedStrategy<ArrayRef> {
    use TimeUnit::*;
    let r#type = data_type.clone();
    let within = |range: std::ops::Range<i64>| (range, prop_oneof![Just(0), 0..1_000_000_i64]);
    macro_rules! numbers {
        ($arrow:ty) => {
            primitive::<$arrow>(r#type, any::<<$arrow as ArrowPrimitiveType>::Native>(), rows, nullable)
        };
        ($arrow:ty, $values:expr) => {
            primitive::<$arrow>(r#type, $values, rows, nullable)
        };
    }
    // Extremes and small numbers as often as any others.
    macro_rules! integers {
        ($arrow:ty, $native:ty) => {
            numbers!(
                $arrow,
                prop_oneof![any::<$native>(), 0..100 as $native, Just(<$native>::MIN), Just(<$native>::MAX)]
            )
        };
    }
    match data_type {
        DataType::Null => Just(Arc::new(NullArray::new(if nullable { rows } else { 0 })) as ArrayRef).boxed(),
        DataType::Boolean => (vec(any::<bool>(), rows), validity(rows, nullable))
            .prop_map(|(values, nulls)| Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls)) as ArrayRef)
            .boxed(),
        DataType::Int8 => integers!(Int8Type, i8),
        DataType::Int16 => integers!(Int16Type, i16),
        DataType::Int32 => integers!(Int32Type, i32),
        DataType::Int64 => integers!(Int64Type, i64),
        DataType::UInt8 => integers!(UInt8Type, u8),
        DataType::UInt16 => integers!(UInt16Type, u16),
        DataType::UInt32 => integers!(UInt32Type, u32),
        DataType::UInt64 => integers!(UInt64Type, u64),
        DataType::Float16 => numbers!(Float16Type, any::<u16>().prop_map(half)),
        DataType::Float32 => {
            numbers!(Float32Type, prop_oneof![any::<f32>(), specials().prop_map(|value| value as f32)])
        }
        DataType::Float64 => numbers!(Float64Type, prop_oneof![any::<f64>(), specials()]),
        DataType::Decimal128(precision, _) => numbers!(Decimal128Type, decimal128(*precision)),
        DataType::Decimal256(precision, _) => numbers!(Decimal256Type, decimal256(*precision)),
        DataType::Date32 => numbers!(Date32Type, (YEARS.start / DAY) as i32..(YEARS.end / DAY) as i32),
        DataType::Date64 => {
            numbers!(Date64Type, (YEARS.start / DAY..YEARS.end / DAY).prop_map(|days| days * DAY * 1_000))
        }
        DataType::Time32(Second) => numbers!(Time32SecondType, 0..86_400),
        DataType::Time32(_) => numbers!(Time32MillisecondType, 0..86_400_000),
        DataType::Time64(Microsecond) => numbers!(Time64MicrosecondType, 0..86_400_000_000_i64),
        DataType::Time64(_) => numbers!(Time64NanosecondType, (0..86_400_000_000_i64).prop_map(|time| time * 1_000)),
        DataType::Timestamp(Second, _) => numbers!(TimestampSecondType, YEARS),
        DataType::Timestamp(Millisecond, _) => {
            numbers!(TimestampMillisecondType, within(YEARS).prop_map(|(s, us)| s * 1_000 + us / 1_000))
        }
        DataType::Timestamp(Microsecond, _) => {
            numbers!(TimestampMicrosecondType, within(YEARS).prop_map(|(s, us)| s * 1_000_000 + us))
        }
        DataType::Timestamp(Nanosecond, _) => numbers!(TimestampNanosecondType, whole_microseconds()),
        DataType::Duration(Second) => numbers!(DurationSecondType, -TIMEDELTA..TIMEDELTA),
        DataType::Duration(Millisecond) => numbers!(DurationMillisecondType, -TIMEDELTA * 1_000..TIMEDELTA * 1_000),
        DataType::Duration(Microsecond) => integers!(DurationMicrosecondType, i64),
        DataType::Duration(Nanosecond) => numbers!(DurationNanosecondType, whole_microseconds()),
        DataType::Interval(IntervalUnit::YearMonth) => numbers!(IntervalYearMonthType),
        DataType::Interval(IntervalUnit::DayTime) => {
            let parts = any::<(i32, i32)>();
            numbers!(IntervalDayTimeType, parts.prop_map(|(days, ms)| IntervalDayTimeType::make_value(days, ms)))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let parts = any::<(i32, i32, i64)>();
            numbers!(
                IntervalMonthDayNanoType,
                parts.prop_map(|(m, d, n)| IntervalMonthDayNanoType::make_value(m, d, n))
            )
        }
        DataType::Utf8 => text(rows, nullable, |values| Arc::new(StringArray::from(values))),
        DataType::LargeUtf8 => text(rows, nullable, |values| Arc::new(LargeStringArray::from(values))),
        DataType::Utf8View => text(rows, nullable, |values| Arc::new(StringViewArray::from_iter(values))),
        DataType::Binary => bytes(rows, nullable, |values| Arc::new(BinaryArray::from_iter(values))),
        DataType::LargeBinary => bytes(rows, nullable, |values| Arc::new(LargeBinaryArray::from_iter(values))),
        DataType::BinaryView => bytes(rows, nullable, |values| Arc::new(BinaryViewArray::from_iter(values))),
        DataType::FixedSizeBinary(size) => fixed_size_binary(*size, rows, nullable),
        DataType::List(item) => list::<i32>(item, rows, nullable),
        DataType::LargeList(item) => list::<i64>(item, rows, nullable),
        DataType::FixedSizeList(item, size) => fixed_size_list(item, *size, rows, nullable),
        DataType::Struct(fields) => row(fields, rows, nullable),
        DataType::Map(entries, sorted) => map(entries, *sorted, rows, nullable),
        DataType::Dictionary(index, value) => dictionary(index, value, rows, nullable),
        other => panic!("no generator for {other}"),
    }
}

fn primitive<T: ArrowPrimitiveType>(
    data_type: DataType,
    values: impl Strategy<Value = T::Native> + 'static,
    rows: usize,
    nullable: bool,
) -> BoxedStrategy<ArrayRef>
where
    T::Native: Debug,
{
    (vec(values, rows), validity(rows, nullable))
        .prop_map(move |(values, nulls)| {
            let array = PrimitiveArray::<T>::new(values.into(), nulls);
            Arc::new(array.with_data_type(data_type.clone())) as ArrayRef
        })
        .boxed()
}

/// A NaN with another pattern of bits need not keep it on the way through wider floats.
fn half(bits: u16) -> Half {
    let value = Half::from_bits(bits);
    if value.is_nan() { Half::NAN } else { value }
}

fn specials() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![0.0, -0.0, 1.0, -1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY])
}

fn decimal128(precision: u8) -> impl Strategy<Value = i128> {
    let most = 10_i128.pow(precision.into()) - 1;
    prop_oneof![-most..=most, (-100..100_i128).prop_map(move |value| value.clamp(-most, most)), Just(most), Just(-most)]
}

fn decimal256(precision: u8) -> impl Strategy<Value = i256> {
    let digits = "[0-9]{1,76}".prop_map(move |digits: String| digits[..digits.len().min(precision.into())].to_owned());
    (digits, any::<bool>()).prop_map(|(digits, negative)| {
        let magnitude = i256::from_string(&digits).unwrap_or(i256::ZERO);
        if negative { magnitude.wrapping_neg() } else { magnitude }
    })
}

fn whole_microseconds() -> impl Strategy<Value = i64> {
    any::<i64>().prop_map(|value| value / 1_000 * 1_000)
}

fn validated<T: Clone>(values: Vec<T>, nulls: Option<&NullBuffer>) -> Vec<Option<T>> {
    let values = values.into_iter().enumerate();
    values.map(|(row, value)| nulls.is_none_or(|nulls| nulls.is_valid(row)).then_some(value)).collect()
}

fn text(rows: usize, nullable: bool, make: fn(Vec<Option<String>>) -> ArrayRef) -> BoxedStrategy<ArrayRef> {
    let ascii = vec("[ -~]{0,20}", rows);
    let long = "[a-c]{250,300}";
    let any = vec(prop_oneof![4 => "[a-zé€𝄞\0]{0,20}", 2 => any::<String>(), 1 => long], rows);
    (prop_oneof![ascii, any], validity(rows, nullable))
        .prop_map(move |(values, nulls)| make(validated(values, nulls.as_ref())))
        .boxed()
}

fn bytes(rows: usize, nullable: bool, make: fn(Vec<Option<Vec<u8>>>) -> ArrayRef) -> BoxedStrategy<ArrayRef> {
    (vec(vec(any::<u8>(), 0..20), rows), validity(rows, nullable))
        .prop_map(move |(values, nulls)| make(validated(values, nulls.as_ref())))
        .boxed()
}

fn fixed_size_binary(size: i32, rows: usize, nullable: bool) -> BoxedStrategy<ArrayRef> {
    (vec(any::<u8>(), rows * size as usize), validity(rows, nullable))
        .prop_map(move |(values, nulls)| {
            let array = FixedSizeBinaryArray::try_new_with_len(size, values.into(), nulls, rows);
            Arc::new(array.expect("lengths agree")) as ArrayRef
        })
        .boxed()
}

/// Items per row: few, and none where nothing can stand (items of the null type that must not be NULL).
fn lengths(item: &Field, rows: usize) -> BoxedStrategy<Vec<usize>> {
    let most: usize = if inhabited(item) { 4 } else { 1 };
    vec(0..most, rows).boxed()
}

/// Whether a field has any value: one of the null type that may not be NULL has none.
fn inhabited(field: &Field) -> bool {
    field.is_nullable()
        || match field.data_type() {
            DataType::Null => false,
            DataType::Struct(fields) => fields.iter().all(|field| inhabited(field)),
            DataType::FixedSizeList(item, size) => *size == 0 || inhabited(item),
            _ => true,
        }
}

fn list<O: OffsetSizeTrait>(item: &FieldRef, rows: usize, nullable: bool) -> BoxedStrategy<ArrayRef> {
    let item = item.clone();
    (lengths(&item, rows), validity(rows, nullable))
        .prop_flat_map(move |(lengths, nulls)| {
            let (item, total) = (item.clone(), lengths.iter().sum());
            array(item.data_type(), total, item.is_nullable()).prop_map(move |items| {
                let offsets = OffsetBuffer::<O>::from_lengths(lengths.iter().copied());
                Arc::new(GenericListArray::new(item.clone(), offsets, items, nulls.clone())) as ArrayRef
            })
        })
        .boxed()
}

fn fixed_size_list(item: &FieldRef, size: i32, rows: usize, nullable: bool) -> BoxedStrategy<ArrayRef> {
    let item = item.clone();
    let total = rows * size as usize;
    // Items that cannot be must not be looked at: every list is NULL then, and its items too.
    let hidden = !inhabited(&item) && total > 0;
    let nulls = if hidden { Just(Some(NullBuffer::new_null(rows))).boxed() } else { validity(rows, nullable) };
    (array(item.data_type(), total, item.is_nullable() || hidden), nulls)
        .prop_map(move |(items, nulls)| {
            let array = FixedSizeListArray::try_new_with_length(item.clone(), size, items, nulls, rows);
            Arc::new(array.expect("lengths agree")) as ArrayRef
        })
        .boxed()
}

fn row(fields: &Fields, rows: usize, nullable: bool) -> BoxedStrategy<ArrayRef> {
    let fields = fields.clone();
    let hidden = !fields.iter().all(|field| inhabited(field)) && rows > 0;
    let nulls = if hidden { Just(Some(NullBuffer::new_null(rows))).boxed() } else { validity(rows, nullable) };
    let columns: Vec<_> = fields.iter().map(|f| array(f.data_type(), rows, f.is_nullable() || hidden)).collect();
    (columns, nulls)
        .prop_map(move |(columns, nulls)| {
            let array = StructArray::try_new_with_length(fields.clone(), columns, nulls, rows);
            Arc::new(array.expect("lengths agree")) as ArrayRef
        })
        .boxed()
}

fn map(entries: &FieldRef, sorted: bool, rows: usize, nullable: bool) -> BoxedStrategy<ArrayRef> {
    let DataType::Struct(fields) = entries.data_type() else { panic!("no map: {entries}") };
    let (entries, fields) = (entries.clone(), fields.clone());
    (lengths(&fields[1], rows), validity(rows, nullable))
        .prop_flat_map(move |(lengths, nulls)| {
            let (entries, fields) = (entries.clone(), fields.clone());
            let total = lengths.iter().sum();
            let keys = array(fields[0].data_type(), total, false);
            let values = array(fields[1].data_type(), total, fields[1].is_nullable());
            (keys, values).prop_map(move |(keys, values)| {
                let (keep, offsets) = distinct(&keys, &lengths);
                let pick = |array: &ArrayRef| arrow::compute::take(array, &keep, None).expect("indices are in range");
                let pairs = StructArray::new(fields.clone(), vec![pick(&keys), pick(&values)], None);
                Arc::new(MapArray::new(entries.clone(), offsets, pairs, nulls.clone(), sorted)) as ArrayRef
            })
        })
        .boxed()
}

/// The entries to keep so that no row has a key twice.
fn distinct(keys: &ArrayRef, lengths: &[usize]) -> (UInt64Array, OffsetBuffer<i32>) {
    let format = arrow::util::display::FormatOptions::default();
    let shown = arrow::util::display::ArrayFormatter::try_new(keys, &format).expect("keys can be shown");
    let (mut keep, mut kept, mut start) = (Vec::new(), Vec::new(), 0);
    for length in lengths {
        let mut seen = BTreeSet::new();
        let before = keep.len();
        keep.extend((start..start + length).filter(|at| seen.insert(shown.value(*at).to_string())).map(|at| at as u64));
        kept.push(keep.len() - before);
        start += length;
    }
    (keep.into(), OffsetBuffer::from_lengths(kept))
}

fn dictionary(index: &DataType, value: &DataType, rows: usize, nullable: bool) -> BoxedStrategy<ArrayRef> {
    let index = index.clone();
    // A NULL among the values is one more way to say NULL, which Arrow's equality does not see as the same.
    (array(value, 5, false), vec(0..5_i64, rows), validity(rows, nullable))
        .prop_map(move |(values, keys, nulls)| {
            let keys = Int64Array::new(keys.into(), nulls);
            let keys = arrow::compute::cast(&keys, &index).expect("indices of any type hold 5");
            macro_rules! of_index {
                ($index:ty) => {
                    Arc::new(DictionaryArray::<$index>::new(keys.as_primitive().clone(), values.clone())) as ArrayRef
                };
            }
            downcast_integer! {
                &index => (of_index),
                _ => panic!("no index: {index}"),
            }
        })
        .boxed()
}
