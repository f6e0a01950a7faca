//! The two ways of a mode, the direct one and the one by frames: the same values, the same errors. Owns the cases; each
//! mode's test runs them all.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::DataType;
use cloister::{Argument, Error, ExecutionMode, FunctionOptions, JobOptions, Session, with_frames_only};

/// All cases in a mode.
///
/// # Panics
/// Where the ways do not agree.
pub fn agree_on_everything(mode: ExecutionMode) {
    every_simple_type_goes_through_unchanged(mode);
    results_that_are_not_plain(mode);
    moments_that_are_not_plain(mode);
    moments_that_python_lacks(mode);
    errors(mode);
    arguments(mode);
}

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Int64Array>())
}

/// One column of each type that is converted directly, of five rows with NULLs and the ends of the type's range.
fn columns() -> Vec<ArrayRef> {
    macro_rules! ends {
        ($array:ty, $native:ty) => {
            Arc::new(<$array>::from(vec![Some(<$native>::MIN), None, Some(1 as $native), None, Some(<$native>::MAX)]))
                as ArrayRef
        };
    }
    let texts = [Some("plain"), None, Some(""), Some("žluťoučký 🐎"), Some("x")];
    let bytes: [Option<&[u8]>; 5] = [Some(b"\x00\xff"), None, Some(b""), Some(b"abc"), Some(b"x")];
    vec![
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), None, Some(true)])),
        ends!(Int8Array, i8),
        ends!(Int16Array, i16),
        ends!(Int32Array, i32),
        ends!(Int64Array, i64),
        ends!(UInt8Array, u8),
        ends!(UInt16Array, u16),
        ends!(UInt32Array, u32),
        ends!(UInt64Array, u64),
        Arc::new(
            [Some(0.5), None, Some(-65504.0), Some(f32::INFINITY), Some(-0.0)]
                .map(|v| v.map(half))
                .into_iter()
                .collect::<Float16Array>(),
        ),
        Arc::new(Float32Array::from(vec![Some(0.1), None, Some(f32::MAX), Some(f32::NEG_INFINITY), Some(-0.0)])),
        Arc::new(Float64Array::from(vec![Some(0.1), None, Some(f64::MAX), Some(f64::MIN_POSITIVE), Some(-0.0)])),
        Arc::new(StringArray::from_iter(texts)),
        Arc::new(LargeStringArray::from_iter(texts)),
        Arc::new(BinaryArray::from_iter(bytes)),
        Arc::new(LargeBinaryArray::from_iter(bytes)),
    ]
}

/// One column of each type of dates and times that is converted directly, with the ends of what Python can hold.
fn moments() -> Vec<ArrayRef> {
    const DAYS: [i64; 3] = [-719_162, 19_782, 2_932_896];
    const DAY: i64 = 86_400;
    // The last second of each of the days, and the same time of each day.
    let seconds = DAYS.map(|day| day * DAY + DAY - 1);
    let times = [0, 45_296, DAY - 1];
    let rows = |values: [i64; 3]| [Some(values[0]), None, Some(values[1]), None, Some(values[2])];
    let thousands = |values: [i64; 3], factor: i64, more: i64| values.map(|value| value * factor + more);
    let stamps = |values: [i64; 3]| rows(values).to_vec();
    let small = |values: [i64; 3]| rows(values).map(|value| value.map(|value| value as i32)).to_vec();
    // 64 bits of nanoseconds end in 2262.
    let near = [-9_000_000_000_123_456_000, 0, 9_000_000_000_123_456_000];
    vec![
        Arc::new(Date32Array::from(small(DAYS))),
        Arc::new(Date64Array::from(stamps(thousands(DAYS, DAY * 1_000, 0)))),
        Arc::new(Time32SecondArray::from(small(times))),
        Arc::new(Time32MillisecondArray::from(small(thousands(times, 1_000, 7)))),
        Arc::new(Time64MicrosecondArray::from(stamps(thousands(times, 1_000_000, 7)))),
        Arc::new(Time64NanosecondArray::from(stamps(thousands(times, 1_000_000_000, 7_000)))),
        Arc::new(TimestampSecondArray::from(stamps(seconds))),
        Arc::new(TimestampMillisecondArray::from(stamps(thousands(seconds, 1_000, 7)))),
        Arc::new(TimestampMicrosecondArray::from(stamps(thousands(seconds, 1_000_000, 999_999)))),
        Arc::new(TimestampNanosecondArray::from(stamps(near))),
        Arc::new(TimestampMicrosecondArray::from(stamps(thousands(seconds, 1_000_000, 1))).with_timezone("UTC")),
        Arc::new(TimestampSecondArray::from(stamps([0, 1_720_000_000, -1])).with_timezone("Europe/Prague")),
    ]
}

fn half(value: f32) -> <arrow::datatypes::Float16Type as ArrowPrimitiveType>::Native {
    <arrow::datatypes::Float16Type as ArrowPrimitiveType>::Native::from_f32(value)
}

/// Calls `f` of `source` both ways, the direct one and the one through frames, and compares.
///
/// # Errors
/// What both ways gave.
///
/// # Panics
/// When they gave different things.
pub fn agree(
    mode: ExecutionMode,
    source: &str,
    arguments: &[Argument],
    rows: usize,
    result: &DataType,
) -> Result<ArrayRef, Error> {
    let call = || {
        let job = Session::new().job(JobOptions::new(mode).source("udf.py", source))?;
        let function = job.function_with("f", FunctionOptions::default().result(result.clone()))?;
        function.evaluate(arguments, rows).map(|evaluation| evaluation.column)
    };
    let direct = call();
    let framed = with_frames_only(call);
    match (&direct, &framed) {
        (Ok(direct), Ok(framed)) => {
            assert_eq!(direct, framed, "{source}");
            assert_eq!(direct.data_type(), result);
        }
        _ => assert_eq!(steady(&direct), steady(&framed), "{source}"),
    }
    direct
}

/// The outcome as text, without addresses of objects, numbers of modules and depths of recursion.
fn steady(outcome: &Result<ArrayRef, Error>) -> String {
    let text = format!("{outcome:?}");
    let parts = text.split_inclusive("0x").flat_map(|part| part.split_inclusive("line repeated "));
    let mut parts = parts.flat_map(|part| part.split_inclusive("cloister_job_"));
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
}

fn every_simple_type_goes_through_unchanged(mode: ExecutionMode) {
    for column in columns().into_iter().chain(moments()) {
        let whole =
            agree(mode, "def f(x): return x", &[column.clone().into()], 5, column.data_type()).expect("a result");
        assert_eq!(&whole, &column);
        let part = column.slice(1, 3);
        let sliced =
            agree(mode, "def f(x): return x", &[part.clone().into()], 3, column.data_type()).expect("a result");
        assert_eq!(&sliced, &part);
        let constant = agree(mode, "def f(): return None", &[], 3, column.data_type()).expect("a result");
        assert_eq!(constant.null_count(), 3);
    }
}

fn results_that_are_not_plain(mode: ExecutionMode) {
    let odd = "
import enum
class Level(enum.IntEnum):
    LOW = 1
    HIGH = 200
class MyInt(int): pass
class MyFloat(float): pass
class MyStr(str): pass
class MyBytes(bytes): pass
class Index:
    def __init__(self, v): self.v = v
    def __index__(self): return self.v
class Item:
    def item(self): return 2.5
class Unprintable:
    def __repr__(self): raise ValueError('no')
VALUES = [
    None, True, False, 0, 1, -1, 127, 128, -129, 255, 256, 2048, 2049, 2**24, 2**24 + 1, 2**31, 2**53, 2**53 + 1,
    2**63 - 1, 2**63, 2**64 - 1, 2**64, -2**63, -2**63 - 1, 10**30, 0.0, 0.5, 65504.0, 65520.0, 1e39, 1e308, float('inf'),
    float('nan'), 'text', '', 'é', '\\ud800', b'bytes', b'', bytearray(b'ba'), memoryview(b'mv'), Level.LOW, Level.HIGH,
    MyInt(5), MyFloat(1.5), MyStr('s'), MyBytes(b'b'), Index(7), Index('x'), Item(), Unprintable(), object, [1], (1,),
    {}, 1j, 'a' * 200,
]
";
    for column in columns() {
        for index in 0..53 {
            let source = format!("{odd}\ndef f(x): return VALUES[{index}] if x == 2 else None");
            let result = agree(mode, &source, &[ints([1, 2, 3]).into()], 3, column.data_type());
            if let Err(error) = result {
                assert!(matches!(error, Error::Type(ref error) if error.row == Some(1)), "{index}: {error:?}");
            }
        }
    }
}

fn moments_that_are_not_plain(mode: ExecutionMode) {
    let odd = "
import datetime as dt
from zoneinfo import ZoneInfo
class Day(dt.date): pass
class Moment(dt.datetime): pass
class Zone(dt.tzinfo):
    def utcoffset(self, when): raise ValueError('no')
two = dt.timezone(dt.timedelta(hours=2))
VALUES = [
    dt.date(2024, 2, 29), Day(2024, 2, 29), dt.date.min, dt.date.max, 5, 'text', None, 1.5, True,
    dt.time(1, 2, 3), dt.time(1, 2, 3, 4), dt.time(1, 2, 3, 4000), dt.time(1, 2, tzinfo=dt.timezone.utc), dt.time(1, fold=1),
    dt.datetime(2024, 2, 29, 1, 2, 3), dt.datetime(2024, 2, 29, 1, 2, 3, 4), dt.datetime(2024, 2, 29, 1, 2, 3, 4000),
    dt.datetime.min, dt.datetime.max, dt.datetime(1969, 12, 31, 23, 59, 59, 999999), dt.datetime(2024, 1, 1, fold=1),
    Moment(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc), dt.datetime(2024, 1, 1, 5, tzinfo=two),
    dt.datetime(2024, 1, 1, tzinfo=ZoneInfo('UTC')), dt.datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo('Europe/Prague'), fold=1),
    dt.datetime(2024, 1, 1, tzinfo=Zone()), dt.datetime(1, 1, 1, tzinfo=two), dt.timedelta(1),
]
def f(x): return VALUES[x]
";
    // Each value alone, and all that fit in one bundle.
    for column in moments() {
        let mut good = Vec::new();
        for index in 0..29 {
            match agree(mode, odd, &[ints([index]).into()], 1, column.data_type()) {
                Ok(_) => good.push(index),
                Err(error) => assert!(matches!(error, Error::Type(_)), "{index}: {error:?}"),
            }
        }
        assert!(good.len() > 1, "{:?}", column.data_type());
        let rows = good.len();
        agree(mode, odd, &[ints(good).into()], rows, column.data_type()).expect("a result");
    }
}

/// Arrow can count days that Python cannot: the harness says which row has one.
fn moments_that_python_lacks(mode: ExecutionMode) {
    let columns: [ArrayRef; 5] = [
        Arc::new(Date32Array::from(vec![Some(0), None, Some(2_932_897)])),
        Arc::new(Date32Array::from(vec![Some(0), None, Some(-719_163)])),
        Arc::new(Time64MicrosecondArray::from(vec![Some(0), None, Some(86_400_000_000)])),
        Arc::new(TimestampSecondArray::from(vec![Some(0), None, Some(i64::MAX)])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None, Some(i64::MIN)]).with_timezone("UTC")),
    ];
    for column in columns {
        let result = agree(mode, "def f(x): return 1", &[column.clone().into()], 3, &DataType::Int64);
        assert!(result.is_err(), "{column:?}");
        let two = column.slice(0, 2);
        agree(mode, "def f(x): return repr(x)", &[two.into()], 2, &DataType::Utf8).expect("a result");
    }
}

fn errors(mode: ExecutionMode) {
    let cases = [
        // An exception wins over a result of the wrong type in an earlier row, because all rows are called first.
        "def f(x):\n    if x == 3: raise ValueError('late')\n    return 'wrong' if x == 1 else x",
        "def f(x): return 'wrong' if x >= 2 else x",
        "def f(x): return 1 // (x - 2)",
        "def g(x):\n    raise KeyError(x)\ndef f(x):\n    try: return g(x)\n    except KeyError as e: raise LookupError('é') from e",
        "def f(x): raise StopIteration(x)",
        "def f(x): raise SystemExit(3)",
        "def f(x): raise KeyboardInterrupt",
        "def f(x): raise MemoryError",
        "def f(x): return f(x)",
        "def f(x): return x.nothing",
        "class E(Exception):\n    def __str__(self): raise ValueError\ndef f(x): raise E",
        "def f(x):\n    import missing_module_of_nobody\n    return x",
        "class R:\n    def __repr__(self): raise SystemExit\ndef f(x): return R()",
        "class R:\n    def __index__(self): raise KeyboardInterrupt\ndef f(x): return R()",
        "import functools, operator\nf = functools.partial(operator.truediv, 1)\n",
        "from cloister import udf\n@udf(result_type='BIGINT')\ndef f(x): return [][x]",
    ];
    for source in cases {
        for rows in [1, 2, 3, 4] {
            let column = ints(0..rows);
            let _ = agree(mode, source, &[column.into()], rows as usize, &DataType::Int64);
        }
    }
}

fn arguments(mode: ExecutionMode) {
    let column: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("ccc")]));
    for arity in 0..=10 {
        let names: Vec<String> = (0..arity).map(|number| format!("a{number}")).collect();
        let source = format!("def f({}): return repr(({}))", names.join(", "), names.join(" + '', ") + "");
        let source = if arity == 0 { "def f(): return 'nothing'".into() } else { source.replace(" + ''", "") };
        for constants in [0, 1, 2] {
            let arguments: Vec<Argument> = (0..arity)
                .map(|number| match (number + 1) % 3 {
                    place if place < constants => Argument::Constant(ints([number])),
                    0 => Argument::Column(ints([number, 1, 2])),
                    _ => Argument::Column(column.clone()),
                })
                .collect();
            agree(mode, &source, &arguments, 3, &DataType::Utf8).expect("a result");
        }
    }
    let source = "
from cloister import ScalarFunction
class Add(ScalarFunction):
    def open(self, context): self.base = 100
    def eval(self, x, y=5): return self.base + x + y
f = Add()
";
    let result = agree(mode, source, &[ints([1, 2]).into()], 2, &DataType::Int64).expect("a result");
    assert_eq!(&result, &ints([106, 107]));
}
