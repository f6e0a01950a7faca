//! Replies in the memory of a guest that gives any pointer and any length.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cloister::fuzzing::reply(input));
