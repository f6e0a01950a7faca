//! The abuse suite, in every mode: each case comes out as its data say, group by group.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use cloister_isolation::{Launch, Matrix, Place, prepare, render, serve, suite};

/// This test is also the program of the host processes in which the cases run.
#[test]
fn each_case_comes_out_as_its_data_say() {
    if serve().expect("a host process for the cases") {
        return;
    }
    let cases = suite::built_in().expect("the suite");
    assert!(cases.len() >= 150, "{} cases", cases.len());
    let launch = Launch::this_program(&["--exact", "each_case_comes_out_as_its_data_say", "--nocapture"]);
    let launch = launch.expect("this program").worker(env!("CARGO_BIN_EXE_sandbox_worker"));
    for mode in Place::ALL {
        prepare(mode, &launch, &|_| {}).unwrap_or_else(|error| panic!("{mode}: {error}"));
    }
    let begun = Instant::now();
    let never = AtomicBool::new(false);
    let verdicts = cloister_isolation::run(&cases, &Place::ALL, &launch, &never, &|_| {}).expect("a run");
    let matrix = Matrix::new(&verdicts);
    println!("{} cases in {:.1?}\n{}", cases.len(), begun.elapsed(), render::table(&matrix));
    let deviations = render::deviations(&verdicts);
    assert!(deviations.is_empty(), "{deviations}");
    for (at, mode) in matrix.modes.iter().enumerate() {
        let cell = matrix.total[at];
        let wanted = cases.iter().filter(|case| case.expected(*mode).is_some()).count();
        assert_eq!((cell.cases(), cell.unclear), (wanted, 0), "{mode}");
        if matches!(mode, Place::Wasm | Place::WasmWorker) {
            assert_eq!(cell.not_contained, 0, "{mode} contains everything");
        }
    }
}
