//! The abuse suite: what hostile or careless code does, as data, run in every mode and judged from the host.
//!
//! Each case is run beside a bystander, the job of another tenant whose answers must stay right, between honest work of
//! its own job before and after, in a host process of its own (a *stage*) whose death or hang is seen from outside. What
//! a mode does not contain is thus shown and not merely said.
//!
//! Layers, each using only what stands below it: [`runner`] (stages side by side, verdicts), `stage` (one host process,
//! from both ends), `attack` (one case in one mode) and what it looks with (`witness`, `footprint`, `scan`, [`bait`]);
//! [`matrix`] and [`render`] (verdicts as a table, JSON and HTML); [`case`], [`place`] and [`suite`] (plain data) at the ground.
//! Uses only the public API of `cloister`.

mod attack;
pub mod bait;
pub mod case;
#[doc(hidden)]
pub mod columns;
mod footprint;
mod judge;
pub mod matrix;
pub mod place;
pub mod render;
pub mod runner;
mod scan;
mod stage;
pub mod suite;
mod witness;

pub use case::{Abuse, Breach, Case, Expected};
pub use judge::{Outcome, Verdict};
pub use matrix::Matrix;
pub use place::Place;
pub use runner::{Launch, prepare, run};
pub use stage::serve;
