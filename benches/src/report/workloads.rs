//! The workloads: a Python function, the columns it is called with, and the same function in Rust.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray, StructArray,
};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Field, Fields, Int64Type};

use super::json;
use super::results::bytes;

/// A function and its columns.
pub struct Workload {
    /// Its name in tables, and in `report.json`.
    pub name: &'static str,
    /// What it stands for.
    pub about: &'static str,
    /// The Python source.
    pub source: &'static str,
    /// The function in it.
    pub function: &'static str,
    /// The columns of one call.
    pub columns: Vec<ArrayRef>,
    /// Their length.
    pub rows: usize,
    /// Bytes of a row, where the workload comes in sizes; else 0.
    pub bytes: usize,
    /// The same function in Rust.
    pub native: fn(&[ArrayRef]) -> ArrayRef,
}

impl Workload {
    /// A name that no other workload has: `json, 100 B`.
    pub fn title(&self) -> String {
        if self.bytes == 0 { self.name.into() } else { format!("{}, {}", self.name, bytes(self.bytes as u64)) }
    }

    /// One pass of the function in Rust.
    ///
    /// # Errors
    /// Never; the modes' passes have some.
    pub fn native_pass(&self) -> anyhow::Result<()> {
        std::hint::black_box((self.native)(&self.columns));
        Ok(())
    }
}

/// The name of the JSON workload, which comes in sizes.
pub const JSON: &str = "json";

/// The function of the Flink blog post "Exploring the thread mode in PyFlink", on documents of `bytes` bytes.
pub fn json(bytes: usize, rows: usize) -> Workload {
    Workload {
        name: JSON,
        about: "the function of the Flink blog: JSON in, one field lowered, JSON out",
        source: include_str!("../../../examples/json_value_lower.py"),
        function: "json_value_lower",
        columns: vec![crate::documents(bytes, rows)],
        rows,
        bytes,
        native: json::lower,
    }
}

/// A loop in pure Python.
pub fn fnv(rows: usize) -> Workload {
    Workload {
        name: "fnv",
        about: "a loop in pure Python with a branch: FNV-1a over 48 characters",
        source: include_str!("../../workloads/fnv.py"),
        function: "fnv",
        columns: vec![strings(rows, |row| {
            format!("{:>48}", format!("row {row}: letters, digits and more ({})", row % 97))
        })],
        rows,
        bytes: 0,
        native: |columns| {
            let hash = |text: &str| {
                text.bytes()
                    .filter(u8::is_ascii_alphanumeric)
                    .fold(0x811C_9DC5_u32, |state, byte| (state ^ u32::from(byte)).wrapping_mul(0x0100_0193))
            };
            Arc::new(
                columns[0].as_string::<i32>().iter().map(|text| Some(i64::from(hash(text?)))).collect::<Int64Array>(),
            )
        },
    }
}

/// `x + 1`.
pub fn add(rows: usize) -> Workload {
    Workload {
        name: "x + 1",
        about: "one addition: the way of a row into Python and back",
        source: include_str!("../../workloads/add.py"),
        function: "add",
        columns: vec![crate::ints(rows)],
        rows,
        bytes: 0,
        native: |columns| Arc::new(columns[0].as_primitive::<Int64Type>().unary::<_, Int64Type>(|x| x + 1)),
    }
}

/// All workloads that have one size, `rows` rows each.
pub fn single_sized(rows: usize) -> Vec<Workload> {
    vec![add(rows), slug(rows), price(rows), fnv(rows), wide(rows)]
}

/// A function that remembers what it was called with, in a job that holds some megabytes.
pub fn state() -> Workload {
    Workload {
        name: "a job with state",
        about: "a table of 40,000 texts, of which each call changes one",
        source: include_str!("../../workloads/state.py"),
        function: "remember",
        columns: vec![crate::ints(1)],
        rows: 1,
        bytes: 0,
        native: |columns| columns[0].clone(),
    }
}

fn slug(rows: usize) -> Workload {
    Workload {
        name: "slug",
        about: "four string methods on a title of some 30 characters",
        source: include_str!("../../workloads/slug.py"),
        function: "slug",
        columns: vec![strings(rows, |row| format!(" The Director's Cut, Part {row} of {} ", row % 7 + 2))],
        rows,
        bytes: 0,
        native: |columns| {
            let slug = |title: &str| title.trim().to_lowercase().replace('\'', "").replace(' ', "-");
            Arc::new(columns[0].as_string::<i32>().iter().map(|title| Some(slug(title?))).collect::<StringArray>())
        },
    }
}

fn price(rows: usize) -> Workload {
    let decimals = |values: Decimal128Array| values.with_precision_and_scale(18, 2).expect("a decimal type");
    Workload {
        name: "price",
        about: "a decimal and a date in, a rounded decimal out",
        source: include_str!("../../workloads/price.py"),
        function: "price",
        columns: vec![
            Arc::new(decimals((0..rows as i128).map(|row| Some(100 + row * 7_919 % 1_000_000)).collect())),
            Arc::new((0..rows as i32).map(|row| Some(18_000 + row % 3_000)).collect::<Date32Array>()),
        ],
        rows,
        bytes: 0,
        native: |columns| {
            // Day 0 was a Thursday.
            let is_weekend = |day: i32| (day + 3).rem_euclid(7) >= 5;
            let reduced = |cents: i128| {
                let (whole, rest) = (cents * 95 / 100, cents * 95 % 100);
                whole + i128::from(rest > 50 || rest == 50 && whole % 2 == 1)
            };
            let (amounts, days) =
                (columns[0].as_primitive::<Decimal128Type>(), columns[1].as_primitive::<Date32Type>());
            let row = |(amount, day): (Option<i128>, Option<i32>)| {
                amount.zip(day).map(|(amount, day)| if is_weekend(day) { reduced(amount) } else { amount })
            };
            let prices: Decimal128Array = amounts.iter().zip(days).map(row).collect();
            Arc::new(prices.with_precision_and_scale(18, 2).expect("a decimal type"))
        },
    }
}

fn wide(rows: usize) -> Workload {
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for index in 0..4 {
        let numbers = move || (0..rows as i64).map(move |row| row * 31 + index);
        let four: [(&str, DataType, ArrayRef); 4] = [
            ("count", DataType::Int64, Arc::new(numbers().map(Some).collect::<Int64Array>())),
            ("ratio", DataType::Float64, Arc::new(numbers().map(|x| Some(x as f64 / 7.0)).collect::<Float64Array>())),
            ("label", DataType::Utf8, strings(rows, |row| format!("label {index} of row {row}"))),
            ("seen", DataType::Boolean, Arc::new(numbers().map(|x| Some(x % 3 == 0)).collect::<BooleanArray>())),
        ];
        for (name, data_type, column) in four {
            fields.push(Field::new(format!("{name}{index}"), data_type, true));
            columns.push(column);
        }
    }
    Workload {
        name: "wide struct",
        about: "a struct of 16 fields in, a struct of 16 fields out",
        source: include_str!("../../workloads/wide.py"),
        function: "wide",
        columns: vec![Arc::new(StructArray::new(Fields::from(fields), columns, None))],
        rows,
        bytes: 0,
        native: |columns| {
            let input = columns[0].as_struct();
            let mut fields = input.columns().to_vec();
            fields[0] = Arc::new(fields[0].as_primitive::<Int64Type>().unary::<_, Int64Type>(|x| x + 1));
            fields[2] = input.column(14).clone();
            Arc::new(StructArray::new(input.fields().clone(), fields, None))
        },
    }
}

fn strings(rows: usize, text: impl Fn(usize) -> String) -> ArrayRef {
    Arc::new((0..rows).map(|row| Some(text(row))).collect::<StringArray>())
}

#[cfg(test)]
mod tests {
    use cloister::{ExecutionMode, JobOptions, Session};

    use super::*;

    /// A comparison of speed is one of the same results.
    #[test]
    fn rust_and_python_give_the_same() {
        let mut workloads = single_sized(100);
        workloads.push(state());
        workloads.extend([json(100, 3), json(1_000, 3)]);
        for workload in workloads {
            let Workload { name, source, function, columns, rows, native, .. } = workload;
            let native: ArrayRef = native(&columns);
            for mode in [ExecutionMode::Thread, ExecutionMode::Wasm] {
                let job = Session::new().job(JobOptions::new(mode).source("udf.py", source)).expect(name);
                let result = job.function(function).expect(name).call(&columns, rows).expect(name);
                assert!(*result == *native, "{name}, {mode}: {result:?} is not {native:?}");
            }
        }
    }
}
