//! What the interrupt polls cost: the image as it is beside the same image without them, in turns.
//!
//! Not a criterion bench: the difference is a few per cent, and drifts between two measurements would hide it.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, StringArray};
use cloister::wasm::OtherImage;
use cloister::{ExecutionMode, Function, Job, JobOptions, Session};
use cloister_benches::interleave::{Variant, quartiles, rounds};
use cloister_benches::{ADD, JSON, documents, ints, unpolled};

const LOOP: &str = "def f(x: int) -> int:\n    s = 0\n    for i in range(1000):\n        s += i\n    return s\n";
const FNV: &str = "def f(x: str) -> int:\n    h = 2166136261\n    for c in x.encode():\n        \
                   h = ((h ^ c) * 16777619) & 0xffffffff\n    return h\n";
const REGEX: &str =
    "import re\nP = re.compile(r'([a-z]+)[0-9]*([A-Z]+)')\ndef f(x: str) -> int:\n    return len(P.findall(x))\n";
const SUM: &str = "def f(x: int) -> int:\n    return sum(range(1000))\n";
const SORT: &str = "def f(x: str) -> str:\n    return ''.join(sorted(x))\n";

/// Fresh jobs for each workload: where a sandbox's memory lies matters by some per cent too.
const JOBS: usize = 5;

fn main() -> anyhow::Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (image, polls) = unpolled::strip(cloister_guest::IMAGE)?;
    println!("{polls} polls; the median of the ratios of {} rounds, and their quartiles", JOBS * count(quick));
    let without = OtherImage::compile(&image)?;
    let text: ArrayRef = Arc::new(StringArray::from(vec!["abcdef12345GHIJKLmnop678QRS".repeat(8); 100]));
    let workloads: [(&str, &str, ArrayRef); 7] = [
        ("x + 1, 10,000 rows", ADD, ints(10_000)),
        ("JSON 100 B", JSON, documents(100, 500)),
        ("for loop", LOOP, ints(50)),
        ("FNV hash", FNV, text.clone()),
        ("regular expression", REGEX, text.clone()),
        ("sum(range(1000))", SUM, ints(100)),
        ("sorted(text)", SORT, text),
    ];
    let mut product = 1.0;
    for (name, source, column) in &workloads {
        let mut ratios = Vec::new();
        for _ in 0..JOBS {
            let (_job, with) = function(source, None)?;
            let (_other, bare) = function(source, Some(&without))?;
            let call = |function: &Function| {
                function.call(std::slice::from_ref(column), column.len()).expect("a result");
            };
            let mut variants: [Variant<'_>; 2] =
                [("with", Box::new(|| call(&with))), ("without", Box::new(|| call(&bare)))];
            let samples = rounds(&mut variants, count(quick), Duration::from_millis(20));
            ratios.extend(samples[0].iter().zip(&samples[1]).map(|(with, without)| with / without));
        }
        let [low, ratio, high] = quartiles(ratios);
        product *= ratio;
        println!("{name:<20} {:+.1} % ({:+.1} to {:+.1})", cost(ratio), cost(low), cost(high));
    }
    println!("{:<20} {:+.1} %", "geometric mean", cost(f64::powf(product, 1.0 / workloads.len() as f64)));
    Ok(())
}

fn count(quick: bool) -> usize {
    if quick { 3 } else { 15 }
}

fn cost(ratio: f64) -> f64 {
    (ratio - 1.0) * 100.0
}

fn function(source: &str, image: Option<&OtherImage>) -> anyhow::Result<(Job, Function)> {
    let mut options = JobOptions::new(ExecutionMode::Wasm).source("udf.py", source);
    options.image = image.cloned();
    let job = Session::new().job(options)?;
    let function = job.function("f")?;
    Ok((job, function))
}
