//! Cloister runs Python user-defined functions (UDFs) for data systems in three modes behind one API.
//!
//! | mode | where the function runs |
//! |---|---|
//! | [`ExecutionMode::Process`] | a separate Python worker process, over gRPC |
//! | [`ExecutionMode::Thread`] | CPython inside this process; **trusted code only** |
//! | [`ExecutionMode::Wasm`] | CPython for WASI inside wasmtime, in this process, a sandbox of its own for each job |
//!
//! A [`Session`] holds jobs, a [`Job`] is the unit of isolation (one tenant, one mode, limits, source and files), a
//! [`Function`] is one registered UDF of a job: Arrow columns in, an Arrow column out.
//!
//! ```no_run
//! use std::sync::Arc;
//! use arrow::array::{ArrayRef, Int64Array};
//! use cloister::{ExecutionMode, JobOptions, Session};
//!
//! let session = Session::new();
//! let source = "def add_one(x: int) -> int:\n    return x + 1\n";
//! let job = session.job(JobOptions::new(ExecutionMode::Wasm).source("udf.py", source))?;
//! let add_one = job.function("add_one")?;
//! let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
//! let result = add_one.call(&[column], 3)?;
//! assert_eq!(result.as_ref(), &Int64Array::from(vec![2, 3, 4]));
//! # Ok::<(), cloister::Error>(())
//! ```
//!
//! Layers, each using only what stands below it: session, job, function; then one folder a mode (`wasm`, `thread`,
//! `process`), none of which knows another, but for `worker`, which puts wasm's sandboxes into process's workers and stands
//! on both; then the [`executor`] trait they share; then `protocol` and [`frame`];
//! plain data at the ground. This file must never hold logic: it only names the public face.

mod account;
pub mod cache;
mod cancel;
#[cfg(any(feature = "process", feature = "wasm"))]
mod cpu;
mod error;
mod executor;
#[doc(hidden)]
pub mod frame;
mod frames_only;
mod function;
#[doc(hidden)]
pub mod fuzzing;
mod hardening;
mod job;
mod limits;
mod log;
mod mode;
mod pool;
mod promise;
mod protocol;
mod report;
mod schedule;
mod session;
mod signature;
mod tenant;
mod threads;
#[doc(hidden)]
pub mod types;

#[cfg(feature = "process")]
pub mod process;
#[cfg(feature = "thread")]
pub mod thread;
#[cfg(feature = "wasm")]
pub mod wasm;
pub mod worker;

pub use cancel::CancelToken;
pub use error::{Error, Limit, Scope, TypeError, UserError};
#[doc(hidden)]
pub use frames_only::with_frames_only;
pub use function::{Argument, CallOptions, Evaluation, Function, FunctionOptions, OnError};
pub use hardening::{Hardening, Layer};
pub use job::{Job, JobOptions, JobStats, WorkerProgram};
pub use limits::{Limits, TenantLimits};
pub use log::{JobLog, LogStream};
pub use mode::ExecutionMode;
pub use promise::{Keeping, Promise};
pub use report::ModeReport;
pub use session::Session;
pub use signature::{FunctionKind, Parameter, Signature};
pub use tenant::{Tenant, TenantStats};
