//! The program from end to end: what a user types, what comes out, which exit code.

#![allow(clippy::unwrap_used, reason = "a failed expectation is what a test is for")]

mod commands;
mod endings;
mod formats;
mod isolation;
mod packages;
mod refusals;
mod results;
mod support;
