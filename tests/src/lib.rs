//! What the tests share: cases as data and the runner that runs them in every mode; random arrays of random types.

pub mod arrays;
pub mod cases;
pub use cloister_isolation::columns;
pub mod proc;
pub mod runner;
pub mod ways;

/// Waits until the job's code has printed `text`, which a call does that runs on another thread.
pub fn wait_for(job: &cloister::Job, text: &str) {
    let mut printed = String::new();
    while !printed.contains(text) {
        std::thread::yield_now();
        printed.extend(job.log().take().into_iter().map(|(_, text)| text));
    }
}
