//! Systems that are not Linux: no layer that needs its kernel.

use super::{Bounds, LAYERS};
use crate::Error;
use crate::process::sys::confine::Step;

pub fn available() -> [bool; LAYERS.len()] {
    [false; LAYERS.len()]
}

/// No steps.
pub fn steps(_: Bounds<'_>) -> Result<Vec<Step>, Error> {
    Ok(Vec::new())
}
