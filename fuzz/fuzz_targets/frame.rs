//! Columns as a guest wrote them.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cloister::fuzzing::frame(input));
