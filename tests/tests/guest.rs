//! The guest package's own tests, in the interpreter of this machine.

use std::path::Path;
use std::process::Command;

#[test]
fn the_python_package_passes_its_own_tests() {
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest/python");
    let output = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "-s", "tests", "-t", "."])
        .current_dir(guest)
        .output()
        .expect("python3 starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let ran = said.lines().find_map(|line| line.strip_prefix("Ran ")?.split(' ').next()?.parse::<u32>().ok());
    assert!(ran.is_some_and(|ran| ran > 50), "too few tests ran: {said}");
}
