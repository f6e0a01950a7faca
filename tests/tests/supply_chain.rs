//! What is built in: only packages of the registry, and only under licences that Apache-2.0 software can be built with.

use std::collections::BTreeSet;
use std::process::Command;

/// Licences that are taken, as SPDX names them. MPL-2.0 covers files, not what is linked with them.
const TAKEN: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "MPL-2.0+",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether a licence expression can be met with the licences that are taken: each part of an AND needs one of its ORs.
fn met(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], "");
    expression.split(" AND ").all(|part| part.split(" OR ").any(|licence| TAKEN.contains(&licence.trim())))
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    assert!(met("MIT/Apache-2.0") && met("(MIT OR GPL-3.0) AND Unicode-3.0"));
    assert!(!met("GPL-3.0") && !met("MIT AND GPL-3.0"));
}

#[test]
fn every_package_is_of_the_registry_and_has_a_licence_that_is_taken() {
    // Packages for other platforms are not on this machine.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", &platform])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    assert!(packages.len() > 100, "only {} packages", packages.len());
    let mut refused = BTreeSet::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or_default();
        if !met(licence) {
            refused.insert(format!("{name}: licence {licence:?}"));
        }
        // Packages of this workspace have no source.
        if package["source"].as_str().is_some_and(|source| !source.starts_with("registry+")) {
            refused.insert(format!("{name}: source {}", package["source"]));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn the_compiler_that_the_image_s_build_fetches_is_pinned_by_hash() {
    let requirements = include_str!("../../guest/shim/requirements.txt").replace("\\\n", " ");
    let lines: Vec<&str> =
        requirements.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(!lines.is_empty());
    for line in lines {
        let mut words = line.split_whitespace();
        assert!(words.next().is_some_and(|package| package.contains("==")), "{line}");
        assert!(words.clone().count() > 0, "{line}");
        assert!(words.all(|hash| hash.strip_prefix("--hash=sha256:").is_some_and(|hash| hash.len() == 64)), "{line}");
    }
}
