//! Compiles the protocol with protox, so that no protoc need be installed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    const PROTOCOL: &str = "cloister/worker/v1/worker.proto";
    println!("cargo:rerun-if-changed={PROTOCOL}");
    let descriptors = protox::compile([PROTOCOL], ["."])?;
    tonic_prost_build::configure()
        // How a client gets its connection is its own affair.
        .build_transport(false)
        // Frames are large: as `Bytes` they are slices of the buffers that they arrived in.
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
