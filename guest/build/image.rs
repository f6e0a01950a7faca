//! Builds the image: Python sources -> pre-initialised component -> one flat core module.
//!
//! Owns the staging directory below `OUT_DIR` and everything in it. The interpreter only ever sees that directory, so
//! that it can neither leave files in the source tree nor learn where that is.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use componentize_py::ComponentGenerator;

use crate::sources::Source;

/// The files of the package that only a worker process needs. They import what no sandbox has.
const NOT_IN_IMAGE: &[&str] = &["cloister/worker.py", "cloister/__main__.py"];

/// The package that the image's own modules are staged as; a job is unlikely to want a module of that name.
const APP_PACKAGE: &str = "cloister_image";

/// A built image.
pub struct Image {
    module: PathBuf,
    component: PathBuf,
    sha256: String,
    python: String,
}

/// Builds the image below `out` from `package` (the package `cloister`) and `app` (the image's own modules).
pub fn build(manifest: &Path, out: &Path, package: &[Source], app: &[Source]) -> Result<Image> {
    let (module, component) = (out.join("image.wasm"), out.join("component.wasm"));
    let stage = out.join("stage");
    // Whatever an earlier build left must not survive a failure of this one.
    for stale in [&module, &component] {
        remove(std::fs::remove_file(stale))?;
    }
    remove(std::fs::remove_dir_all(&stage))?;
    stage_sources(&stage, package, app)?;

    let started = Instant::now();
    generate(&manifest.join("wit"), &stage, &component)?;
    let bytes = std::fs::read(&component).context("cannot read the component")?;
    println!("component: {} bytes in {:.1?}", bytes.len(), started.elapsed());

    let started = Instant::now();
    // componentize-py 0.25.1 leaves the buffer of a returned list to nobody: whoever reads it must free it.
    let options = cloister_flatten::Options {
        also_export: vec![("libc.so!free".into(), "free".into())],
        shim: Some(crate::shim::build(manifest, out)?),
        ..cloister_flatten::Options::default()
    };
    let flat = cloister_flatten::flatten(&bytes, &options).context("cannot flatten the component")?;
    println!("{:#?} in {:.1?}", flat.stats, started.elapsed());
    // The build machine is nobody's business.
    for place in [manifest, out] {
        let place = place.to_str().context("paths are in UTF-8")?;
        ensure!(!contains(&flat.module, place.as_bytes()), "the image contains the path {place}");
    }
    crate::write(&module, &flat.module)?;

    let python = std::fs::read_to_string(stage.join(APP_PACKAGE).join("python-version"))
        .context("the image did not say which Python it is")?;
    std::fs::remove_dir_all(&stage).context("cannot remove the staging directory")?;
    Ok(Image { sha256: crate::digest([&flat.module[..]]), module, component, python })
}

impl Image {
    /// Rust source of the image's constants.
    pub fn constants(&self) -> String {
        let Self { module, component, sha256, python } = self;
        format!(
            "/// The wasm image: a core module, see `cloister-flatten` for its exports.\n\
             pub static IMAGE: &[u8] = include_bytes!({module:?});\n\n\
             /// SHA-256 that identifies [`IMAGE`], in hexadecimal: its length as 8 bytes, then its bytes.\n\
             pub const IMAGE_SHA256: &str = {sha256:?};\n\n\
             /// The version of the Python in [`IMAGE`].\n\
             pub const GUEST_PYTHON: &str = {python:?};\n\n\
             /// How many bytes of the export `interrupt` the guest's polls read.\n\
             pub const FLAG_BYTES: usize = {flags};\n\n\
             const COMPONENT_PATH: &str = {component:?};\n",
            flags = cloister_flatten::FLAG_BYTES,
        )
    }
}

fn remove(result: std::io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context("cannot remove an old output"),
        _ => Ok(()),
    }
}

fn stage_sources(stage: &Path, package: &[Source], app: &[Source]) -> Result<()> {
    for source in package.iter().chain(app) {
        if NOT_IN_IMAGE.contains(&source.name.as_str()) {
            continue;
        }
        let name = match source.name.strip_prefix("image/") {
            Some(rest) => format!("{APP_PACKAGE}/{rest}"),
            None => source.name.clone(),
        };
        let path = stage.join(name);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).context("cannot make the staging directory")?;
        }
        crate::write(&path, source.text.as_bytes())?;
    }
    crate::write(&stage.join(APP_PACKAGE).join("zones.bin"), &crate::zones::database()?)
}

/// Runs the interpreter until the application is imported, and writes the component with the memory of that moment.
fn generate(wit: &Path, stage: &Path, component: &Path) -> Result<()> {
    let stage = stage.to_str().context("OUT_DIR is in UTF-8")?;
    let app = format!("{APP_PACKAGE}.app");
    let generator = ComponentGenerator {
        wit_paths: &[wit],
        worlds: &["sandbox"],
        features: &[],
        all_features: false,
        world_module: None,
        python_path: &[stage],
        module_worlds: &[],
        app_name: &app,
        output_path: component,
        add_to_linker: None,
        // Sandboxes need clocks and randomness of their own; stubs would bake the build's in.
        stub_wasi: false,
        import_interface_names: &Default::default(),
        export_interface_names: &Default::default(),
        full_names: false,
        intersect_world: None,
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start a runtime")?;
    // The error's chain holds Python's traceback, and main's return value prints the whole chain.
    runtime
        .block_on(generator.generate())
        .context("the image's Python failed before the snapshot; its traceback follows")
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
