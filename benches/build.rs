//! Makes that the benches find the shared libpython of thread mode by rpath, without `LD_LIBRARY_PATH`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Set by the build script of the crate `cloister`; absent without thread mode.
    if let Ok(directory) = std::env::var("DEP_CLOISTER_LIBPYTHON_DIR") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{directory}");
    }
}
