//! What the tests share: cases as data and the runner that runs them in every mode; random arrays of random types.

pub mod arrays;
pub mod cases;
pub use cloister_isolation::columns;
pub mod runner;
pub mod ways;
