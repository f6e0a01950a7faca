//! Other systems on the same workloads.

use super::context::{Context, Runners};
use super::workloads::Workload;

/// The peers that work here.
#[derive(Default)]
pub struct Peers {}

impl Peers {
    /// Makes ready what can be, and notes what is missing.
    pub fn prepare(_context: &mut Context) -> Peers {
        Peers {}
    }

    /// What runs `workload`.
    pub fn runners<'a>(&'a mut self, _context: &mut Context, _workload: &'a Workload) -> Runners<'a> {
        Vec::new()
    }
}
