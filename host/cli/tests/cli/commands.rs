//! The commands besides `run`.

use serde_json::Value;

use crate::support::Place;

#[test]
fn functions_are_listed_with_their_signatures() {
    let place = Place::new();
    for mode in ["wasm", "thread", "process"] {
        let table = place.run(&format!("functions f.py --mode {mode}")).done().stdout;
        for part in ["length", "scalar", "(a: int64, b: int64) -> int64", "How long it is."] {
            assert!(table.contains(part), "{mode}: {table}");
        }
    }
    let list: Value = serde_json::from_str(&place.run("functions f.py --json").done().stdout).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 4);
    assert_eq!(list[1]["name"], "add");
    assert_eq!(list[1]["parameters"][0]["type"], "Int64");
    place.write("empty.py", "x = 1\n");
    assert!(place.run("functions empty.py").done().stdout.contains("no functions"));
}

/// The file is hostile as long as nobody has read it: looking at it must not run it here.
#[test]
fn inspecting_a_file_does_nothing_to_this_machine() {
    let place = Place::new();
    let mark = place.path("mark").display().to_string();
    place.write("evil.py", format!("open({mark:?}, 'w').write('x')\ndef f() -> int:\n    return 1\n"));
    place.run("functions evil.py").refused(1, &["evil.py"]);
    place.write("evil.py", format!("import os\nos.system('touch {mark}')\n"));
    assert_ne!(place.run("functions evil.py").code, Some(0));
    assert!(!place.names().contains(&"mark".to_owned()));
}

#[test]
fn the_doctor_reports_every_mode() {
    let place = Place::new();
    let text = place.run("doctor").done().stdout;
    for part in ["cloister ", "cache: ", "wasm (default): available", "process", "thread", "wasmtime", "image"] {
        assert!(text.contains(part), "{text}");
    }
    let report: Value = serde_json::from_str(&place.run("doctor --json").done().stdout).unwrap();
    assert_eq!(report["default_mode"], "wasm");
    assert_eq!(report["modes"]["wasm"]["available"], true);
    let workers = report["modes"]["wasm"]["facts"]["in workers"].as_str().unwrap();
    assert!(workers.starts_with("available"), "{workers}");
    assert!(report["modes"]["thread"]["facts"].is_object());
}

#[test]
fn the_doctor_fails_when_the_default_mode_cannot_run() {
    let place = Place::new();
    place.write("a-file", "");
    let mut command = place.command(["doctor"]);
    let output = command.env("CLOISTER_CACHE", place.path("a-file")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("wasm (default): NOT available") && text.contains("CLOISTER_CACHE"), "{text}");
}

#[test]
fn help_teaches_with_examples() {
    let place = Place::new();
    let help = place.run("run --help").done().stdout;
    for part in ["Examples", "--lines", "Modes", "Formats", "Exit codes", "--requirements"] {
        assert!(help.contains(part), "{help}");
    }
    assert!(place.run("--version").done().stdout.starts_with("cloister "));
}
