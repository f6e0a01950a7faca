//! Random arrays of random types come back from an identity function as they went, in every mode.

use std::sync::OnceLock;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use cloister::{ExecutionMode, FunctionOptions, Job, JobOptions, Session};
use cloister_tests::arrays;
use proptest::prelude::*;

/// One job a mode serves all cases: each type is a binding of its own.
fn job(mode: ExecutionMode) -> &'static Job {
    static JOBS: [OnceLock<Job>; 3] = [const { OnceLock::new() }; 3];
    JOBS[mode as usize].get_or_init(|| {
        Session::new()
            .job(JobOptions::new(mode).source("udf.py", "def f(x):\n    return x\n"))
            .unwrap_or_else(|error| panic!("{mode}: {error}"))
    })
}

fn columns() -> impl Strategy<Value = (DataType, ArrayRef)> {
    (arrays::data_type(3), 0..40_usize).prop_flat_map(|(data_type, rows)| {
        let array = arrays::array_of(&data_type, rows);
        (Just(data_type), array)
    })
}

fn check(mode: ExecutionMode, data_type: DataType, array: &ArrayRef) -> Result<(), TestCaseError> {
    let function = job(mode)
        .function_with("f", FunctionOptions::default().result(data_type))
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    let back = function
        .call(std::slice::from_ref(array), array.len())
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(back.as_ref(), array.as_ref());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn wasm((data_type, array) in columns()) {
        check(ExecutionMode::Wasm, data_type, &array)?;
    }

    #[test]
    fn thread((data_type, array) in columns()) {
        check(ExecutionMode::Thread, data_type, &array)?;
    }

    #[test]
    fn process((data_type, array) in columns()) {
        check(ExecutionMode::Process, data_type, &array)?;
    }
}
