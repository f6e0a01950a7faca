//! The report from end to end, with a plan so small that its figures mean nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

fn report(output: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_report"));
    command.arg("--output").arg(output).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn read(directory: &Path, name: &str) -> String {
    std::fs::read_to_string(directory.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn json(directory: &Path) -> Value {
    serde_json::from_str(&read(directory, "report.json")).expect("report.json is JSON")
}

#[test]
fn everything_is_measured_and_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let matrix = directory.path().join("matrix.json");
    std::fs::write(&matrix, MATRIX).expect("a file");
    let status = report(directory.path()).arg("--smoke").arg("--isolation").arg(&matrix).status().expect("the report");
    assert!(status.success(), "{status}");

    let report = json(directory.path());
    assert_eq!((&report["complete"], &report["left_out"]), (&Value::Bool(true), &Value::Array(Vec::new())));
    let groups = report["groups"].as_array().expect("groups");
    let of = |subject: &str| groups.iter().filter(|group| group["subject"] == subject).collect::<Vec<_>>();
    assert_eq!(of("workload").len(), 7);
    for group in of("workload") {
        let series = group["series"].as_array().expect("series");
        let names: Vec<&str> = series.iter().filter_map(|series| series["variant"].as_str()).collect();
        assert_eq!(names[..4], ["native Rust", "bare CPython", "thread", "thread, no deadline"], "{group}");
        assert_eq!(names[4..7], ["wasm", "wasm, no deadline", "wasm in a worker"], "{group}");
        assert_eq!(names[7..], ["process", "process, no deadline"], "{group}");
        for one in series {
            assert_eq!(one["samples"].as_array().map(Vec::len), Some(2), "{one}");
            assert!(one["wall"]["median"].as_f64() > Some(0.0), "{one}");
            assert!(one["cpu"]["median"].as_f64() > Some(0.0), "{one}");
        }
    }
    assert_eq!((of("start").len(), of("parallel").len(), of("tenants").len()), (3, 2, 1));
    let checkpoints: Vec<&str> = of("checkpoint").iter().filter_map(|group| group["name"].as_str()).collect();
    assert_eq!(checkpoints[..2], ["checkpoint of json", "restore of json"]);
    assert_eq!(checkpoints[2..], ["checkpoint of a job with state", "restore of a job with state"]);
    let held = |at: usize| of("checkpoint")[at]["parameter"].as_u64();
    assert!(held(2) > Some(4_000_000) && held(2) > held(0), "{:?} and {:?} bytes", held(2), held(0));
    let density = report["density"].as_array().expect("density");
    let wasm: Vec<&Value> = density.iter().filter(|one| one["variant"] == "wasm").collect();
    assert_eq!((wasm.len(), &wasm[1]["jobs"]), (2, &Value::from(3)));
    assert!(wasm[1]["memory"]["private"].as_i64() > Some(100), "{wasm:?}");
    let latencies = report["latencies"].as_array().expect("latencies");
    let paced = latencies.iter().filter(|one| one["pace"] == 1_000).count();
    assert_eq!((latencies.len() - paced, paced), (24, 8));

    let (markdown, html) = (read(directory.path(), "report.md"), read(directory.path(), "report.html"));
    let sections = ["In short", "JSON, by size", "Latency of a row", "Checkpoints", "Memory of live jobs"];
    for section in sections.into_iter().chain(["Isolation beside speed"]) {
        assert!(markdown.contains(&format!("\n## {section}\n")), "no section '{section}'");
        assert!(html.contains(&format!(">{section}</h2>")), "no section '{section}'");
    }
    assert!(markdown.contains("|  | wasm |") && markdown.contains("| all | 1 of 2 |"), "{markdown}");
    // It opens offline: the only addresses are the names of SVG.
    assert_eq!(html.matches("http").count(), html.matches("http://www.w3.org/2000/svg").count());
    for picture in ["price", "json", "latency", "density", "scaling", "isolation-x---1"] {
        let svg = read(directory.path(), &format!("report-{picture}.svg"));
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
        assert!(svg.contains("var(--ink") && svg.contains("prefers-color-scheme") && !svg.contains("#01FE"), "{svg}");
        assert!(markdown.contains(&format!("(report-{picture}.svg)")), "{picture} is not in report.md");
    }
}

/// As `cloister isolation --output FILE.json` writes it.
const MATRIX: &str = r#"{"groups": [], "total": {}, "cases": [
    {"group": "cpu", "name": "a loop", "mode": "wasm", "outcome": "contained", "seen": "", "expected": "limit deadline",
     "as_expected": true},
    {"group": "death", "name": "an abort", "mode": "wasm", "outcome": "not_contained", "seen": "", "expected": "",
     "as_expected": false}]}"#;

#[test]
fn the_abuse_suite_is_run() {
    let directory = tempfile::tempdir().expect("a directory");
    let status = report(directory.path()).args(["--smoke", "--only", "isolation"]).status().expect("the report");
    assert!(status.success(), "{status}");
    let report = json(directory.path());
    assert_eq!((&report["complete"], &report["left_out"]), (&Value::Bool(true), &Value::Array(Vec::new())));
    let cases = report["isolation"]["cases"].as_array().expect("cases");
    let modes = |mode: &str| cases.iter().filter(|case| case["mode"] == mode).count();
    assert!(modes("wasm") > 2 && modes("thread") > 2 && modes("process") > 2, "{cases:?}");
    assert_eq!(modes("wasm-worker"), modes("wasm"), "{cases:?}");
    assert!(cases.iter().all(|case| case["as_expected"] == true), "{cases:?}");
    let held = ["contained", "refused"];
    let wasm: Vec<&Value> = cases.iter().filter(|case| case["mode"] == "wasm").collect();
    assert!(wasm.iter().all(|case| case["outcome"].as_str().is_some_and(|it| held.contains(&it))), "{wasm:?}");
    assert!(read(directory.path(), "report.md").contains("Abuse cases contained"));
}

#[test]
fn a_report_that_is_out_of_time_has_fewer_rounds_and_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let arguments = ["--quick", "--within", "0", "--only", "start,checkpoint"];
    assert!(report(directory.path()).args(arguments).status().expect("the report").success());
    let report = json(directory.path());
    let groups = report["groups"].as_array().expect("groups");
    assert_eq!((groups.len(), &report["complete"]), (7, &Value::Bool(true)));
    for group in groups {
        for series in group["series"].as_array().expect("series") {
            assert_eq!(series["samples"].as_array().map(Vec::len), Some(3), "{group}");
        }
    }
    let said = "new sandbox: 3 of 11 rounds were made, to end in time";
    assert!(report["left_out"].as_array().expect("lines").contains(&Value::from(said)), "{}", report["left_out"]);
    assert!(read(directory.path(), "report.md").contains(said));
}

#[test]
fn an_interrupted_report_has_what_was_measured() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut child = report(directory.path()).args(["--quick", "--only", "throughput"]).spawn().expect("the report");
    std::thread::sleep(Duration::from_secs(3));
    // SAFETY: kill has no preconditions; the child is ours and has not been waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    assert!(child.wait().expect("an end").success());
    assert_eq!(json(directory.path())["complete"], Value::Bool(false));
    assert!(read(directory.path(), "report.md").contains("Interrupted"));
}

#[test]
fn an_earlier_report_is_rendered_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let (first, second) = (directory.path().join("first"), directory.path().join("second"));
    assert!(report(&first).args(["--smoke", "--only", "start"]).status().expect("the report").success());
    let again = report(&second).arg("--render").arg(first.join("report.json")).status().expect("the report");
    assert!(again.success());
    assert_eq!((read(&first, "report.md"), json(&first)), (read(&second, "report.md"), json(&second)));
}
