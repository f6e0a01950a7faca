//! How runs end before their time: signals, failures, closed pipes. What is left behind is nothing.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use crate::support::Place;

/// What a bundle prints is shown when it is through: the first row says that the second, which never ends, is next.
const SPIN: &str = "def f(a: int) -> int:\n    print('spinning')\n    while a > 1:\n        pass\n    return a\n";

fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Waits for the line that the function prints, interrupts the program, and gives its exit code and last words.
fn interrupt_when_spinning(mut command: Command) -> (Option<i32>, String) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("spinning") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "the program ended by itself");
    }
    interrupt(&child);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    (child.wait().unwrap().code(), rest)
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    for mode in ["wasm", "process", "thread"] {
        let place = Place::new();
        place.write("spin.py", SPIN);
        place.write("t.csv", "a\n1\n2\n");
        let before = place.names();
        let line = "run spin.py --input t.csv --output o.csv --deadline none --batch-size 1 -j 1 --mode";
        let (code, words) = interrupt_when_spinning(place.command(line.split(' ').chain([mode])));
        // In thread mode the second row's print is shown too.
        let words = words.replace("[stdout] spinning\n", "");
        assert_eq!((code, words.as_str()), (Some(130), "interrupted\n"), "{mode}");
        assert_eq!(place.names(), before, "{mode}");
    }
}

#[test]
fn an_interrupt_ends_a_wait_for_input() {
    let place = Place::new();
    let line = ["run", "f.py::length", "--input", "-", "--lines", "--batch-size", "1", "--output", "-"];
    let mut command = place.command(line);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than the output's buffer, so that something comes out while the input is still open.
    let line = format!("{}\n", "x".repeat(1 << 20));
    stdin.write_all(line.as_bytes()).unwrap();
    let mut first = [0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    drop(stdin);
}

#[test]
fn a_failure_in_the_last_bundle_keeps_the_old_output() {
    let place = Place::new();
    let rows: String = (0..100).map(|row| format!("{}\n", if row == 99 { 7 } else { row + 100 })).collect();
    place.write("t.csv", format!("a\n{rows}"));
    for name in ["o.parquet", "o.csv", "o.jsonl", "o.arrow"] {
        place.write(name, "old");
        let before = place.names();
        let line = format!("run f.py::wrong --input t.csv --batch-size 10 --output {name}");
        place.run(&line).refused(1, &["row 99"]);
        assert_eq!(place.read(name), "old");
        assert_eq!(place.names(), before);
    }
}

#[test]
fn the_output_may_be_the_input() {
    let place = Place::new();
    place.write("t.csv", "a,b\n1,2\n");
    place.run("run f.py::add --input t.csv --output t.csv").done();
    assert_eq!(place.read("t.csv"), "a,b,add\n1,2,3\n");
}

#[test]
fn a_link_stays_and_a_device_is_written_to() {
    let place = Place::new();
    place.write("t.csv", "a,b\n1,2\n");
    place.write("target.csv", "old");
    std::os::unix::fs::symlink(place.path("target.csv"), place.path("link.csv")).unwrap();
    place.run("run f.py::add --input t.csv --output link.csv").done();
    assert_eq!(place.read("target.csv"), "a,b,add\n1,2,3\n");
    assert!(place.path("link.csv").is_symlink());
    std::os::unix::fs::symlink("/dev/stdout", place.path("stdout.csv")).unwrap();
    assert_eq!(place.run("run f.py::add --input t.csv --output stdout.csv").done().stdout, "a,b,add\n1,2,3\n");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::new();
    let rows = format!("{{\"s\": \"{}\"}}\n", "x".repeat(1000)).repeat(5000);
    place.write("t.jsonl", rows);
    let mut command = place.command(["run", "f.py::length", "--input", "t.jsonl", "--output", "-"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_deadline_ends_a_call_that_does_not() {
    let place = Place::new();
    place.write("spin.py", SPIN);
    place.write("t.csv", "a\n2\n");
    for mode in ["wasm", "process"] {
        place
            .run(&format!("run spin.py --input t.csv --deadline 300ms --mode {mode}"))
            .refused(1, &["deadline of 300ms"]);
    }
}

#[test]
fn memory_has_a_limit() {
    let place = Place::new();
    place.write("eat.py", "def f(a: int) -> int:\n    return len(bytearray(a))\n");
    place.write("t.csv", "a\n1000000000\n");
    place.run("run eat.py --input t.csv --memory 64MiB").refused(1, &["memory limit of 64 MiB"]);
}
