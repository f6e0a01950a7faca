//! Every input that the fuzz targets start from, and every one that once broke something (`fuzz/`), again. What must hold
//! of each is checked by the functions that the targets call.

use std::path::Path;

use cloister_flatten::{Options, flatten};

/// What one fuzz target does with an input.
type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 4] = [
    ("frame", cloister::fuzzing::frame),
    ("reply", cloister::fuzzing::reply),
    ("worker", cloister::fuzzing::worker),
    ("flatten", |input| {
        let _ = flatten(input, &Options::default());
    }),
];

#[test]
fn inputs_of_the_fuzz_targets_break_nothing() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    for (name, target) in TARGETS {
        let mut seen = 0;
        for folder in ["seeds", "regressions"] {
            let folder = fuzz.join(folder).join(name);
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries {
                let path = entry.expect("an entry").path();
                println!("{}", path.display());
                target(&std::fs::read(&path).expect("an input"));
                seen += 1;
            }
        }
        assert!(seen > 0, "{name}: no inputs");
    }
}
