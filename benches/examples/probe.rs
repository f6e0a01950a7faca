//! Temporary.
#![allow(missing_docs, clippy::unwrap_used)]
use std::time::Instant;
use cloister::ExecutionMode::Thread;
use cloister_benches::{ADD, Bare, function, ints};
fn best(mut f: impl FnMut(), n: usize) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..300 { let t = Instant::now(); for _ in 0..n { f(); } best = best.min(t.elapsed().as_nanos() as f64 / n as f64); }
    best
}
fn main() {
    let (_j, f) = function(Thread, ADD);
    let one = [ints(1)]; let many = [ints(10_000)];
    let bare = Bare::new(ADD, 0..10_000_i64); let bare1 = Bare::new(ADD, 0..1_i64);
    println!("bare 10k   {:.1} ns/row", best(|| bare.run(), 1) / 1e4);
    println!("thread 10k {:.1} ns/row", best(|| { f.call(&many, 10_000).unwrap(); }, 1) / 1e4);
    println!("bare 1     {:.0} ns", best(|| bare1.run(), 2000));
    println!("thread 1   {:.0} ns", best(|| { f.call(&one, 1).unwrap(); }, 2000));
    println!("attach     {:.0} ns", best(|| { pyo3::Python::attach(|_| ()) }, 2000));
    println!("now        {:.0} ns", best(|| { std::hint::black_box(Instant::now()); }, 2000));
    if std::env::args().nth(1).is_some() { best(|| { f.call(&one, 1).unwrap(); }, 20000); return; }
    let c = std::sync::Condvar::new();
    println!("notify     {:.0} ns", best(|| { c.notify_one() }, 2000));
}
