//! Random arrays of random types come back from an identity function as they went, in every mode.

use std::path::Path;
use std::sync::OnceLock;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use cloister::{FunctionOptions, Job, Session};
use cloister_isolation::Place;
use cloister_tests::arrays;
use proptest::prelude::*;

/// One job a mode serves all cases: each type is a binding of its own.
fn job(place: Place) -> &'static Job {
    static JOBS: [OnceLock<Job>; 4] = [const { OnceLock::new() }; 4];
    JOBS[place as usize].get_or_init(|| {
        let options = place.options(Some(Path::new(env!("CARGO_BIN_EXE_sandbox_worker"))));
        Session::new()
            .job(options.source("udf.py", "def f(x):\n    return x\n"))
            .unwrap_or_else(|error| panic!("{place}: {error}"))
    })
}

fn columns() -> impl Strategy<Value = (DataType, ArrayRef)> {
    (arrays::data_type(3), 0..40_usize).prop_flat_map(|(data_type, rows)| {
        let array = arrays::array_of(&data_type, rows);
        (Just(data_type), array)
    })
}

fn check(place: Place, data_type: DataType, array: &ArrayRef) -> Result<(), TestCaseError> {
    let function = job(place)
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
        check(Place::Wasm, data_type, &array)?;
    }

    #[test]
    fn wasm_in_workers((data_type, array) in columns()) {
        check(Place::WasmWorker, data_type, &array)?;
    }

    #[test]
    fn thread((data_type, array) in columns()) {
        check(Place::Thread, data_type, &array)?;
    }

    #[test]
    fn process((data_type, array) in columns()) {
        check(Place::Process, data_type, &array)?;
    }
}
