//! Makes that the benches find the shared libpython of thread mode by rpath, without `LD_LIBRARY_PATH`; and tells the
//! report which compiler built it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Set by the build script of the crate `cloister`; absent without thread mode.
    if let Ok(directory) = std::env::var("DEP_CLOISTER_LIBPYTHON_DIR") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{directory}");
    }
    let compiler = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let version = std::process::Command::new(compiler).arg("--version").output().map(|output| output.stdout);
    let version = String::from_utf8(version.unwrap_or_default()).unwrap_or_default();
    println!("cargo::rustc-env=CLOISTER_BENCHES_RUSTC={}", version.trim().trim_start_matches("rustc "));
}
