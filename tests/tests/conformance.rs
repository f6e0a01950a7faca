//! The conformance cases, in every mode: the same values, the same errors.

use std::path::Path;

use cloister_isolation::Place;
use cloister_tests::{cases, runner};

fn run(place: Place) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/conformance");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    let cases: Vec<_> = files.iter().flat_map(|path| cases::read(path).expect("a file of cases")).collect();
    runner::run_all(&cases, place, Path::new(env!("CARGO_BIN_EXE_sandbox_worker")));
}

#[test]
fn wasm() {
    run(Place::Wasm);
}

#[test]
fn wasm_by_frames() {
    cloister::with_frames_only(|| run(Place::Wasm));
}

#[test]
fn wasm_in_workers() {
    run(Place::WasmWorker);
}

#[test]
fn thread() {
    run(Place::Thread);
}

#[test]
fn thread_by_frames() {
    cloister::with_frames_only(|| run(Place::Thread));
}

#[test]
fn process() {
    run(Place::Process);
}
