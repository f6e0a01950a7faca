//! The unsafe edge of thread mode: everything that touches CPython's C interface directly, behind safe functions.
//!
//! `start` (configuration and start of the interpreter), `attach` (a thread and the interpreter), `interrupt`
//! (asynchronous exceptions), `value` (simple Python objects from and to Rust values), `call` (one fast call). Must
//! never hold policy: what is converted, when a call is interrupted and what an error says is decided outside.

pub(super) mod attach;
pub(super) mod call;
pub(super) mod interrupt;
pub(super) mod start;
pub(super) mod value;
