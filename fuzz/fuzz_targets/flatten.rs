//! Components as hostile bytes: flattened or refused, with and without polls. A panic is a fault; so is a module whose
//! loops do not all poll, which the flattener checks itself.
#![no_main]

use cloister_flatten::{Options, flatten};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    for interrupts in [true, false] {
        let _ = flatten(input, &Options { interrupts, ..Options::default() });
    }
});
