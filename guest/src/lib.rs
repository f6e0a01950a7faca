//! Everything of Cloister that is Python, embedded: the package's sources and the wasm image.
//!
//! Owns the bytes and their identity, and knows nothing of how they are run. The image is built on the machine that
//! compiles this crate, so its hash seed is one of that deployment.

include!(concat!(env!("OUT_DIR"), "/sources.rs"));

#[cfg(feature = "image")]
include!(concat!(env!("OUT_DIR"), "/image.rs"));

/// Where the component lies from which the image was made, on the machine that built this crate.
///
/// For tests that compare the image with it. No program may use it: the file is gone where the program is installed.
#[cfg(feature = "image")]
#[must_use]
pub fn component_path() -> &'static str {
    COMPONENT_PATH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_python_file_is_embedded() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
        let mut found = Vec::new();
        let mut directories = vec![root.join("cloister")];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|extension| extension == "py") {
                    found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        let embedded: Vec<&str> = PYTHON_SOURCES.iter().map(|(name, _)| *name).collect();
        assert_eq!(embedded, found, "touch guest/build.rs after adding a file");
    }

    #[cfg(feature = "image")]
    #[test]
    fn the_image_is_a_core_module() {
        assert_eq!(&IMAGE[..8], b"\0asm\x01\0\0\0");
        assert_eq!(IMAGE_SHA256.len(), 64);
        assert!(GUEST_PYTHON.starts_with("3."));
    }
}
