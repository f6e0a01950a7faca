//! The worker protocol: its messages, the service that a host implements, and the client of workers in Rust.
//!
//! The protocol is written down in `cloister/worker/v1/worker.proto`. This crate only holds what is generated from it,
//! and must never hold behaviour.

/// Package `cloister.worker.v1`.
#[allow(missing_docs, clippy::all, reason = "generated code; it is documented in the .proto file")]
pub mod v1 {
    tonic::include_proto!("cloister.worker.v1");
}

/// The metadata entry with which a worker says who it is: the token that the host gave it.
pub const TOKEN_METADATA: &str = "cloister-token";

/// The environment variable that tells a worker the path of the host's socket.
pub const SOCKET_VARIABLE: &str = "CLOISTER_SOCKET";

/// The environment variable that tells a worker its token.
pub const TOKEN_VARIABLE: &str = "CLOISTER_TOKEN";
