//! What a run prints and writes besides the table: preview, summary, stats, what the function prints.

use serde_json::Value;

use crate::support::Place;

fn place() -> Place {
    let place = Place::new();
    let rows: String = (0..30).map(|row| format!("{row},{}\n", row % 3)).collect();
    place.write("t.csv", format!("a,b\n{rows}"));
    place
}

#[test]
fn the_first_rows_are_a_table() {
    let place = place();
    let outcome = place.run("run f.py::add --input t.csv").done();
    assert_eq!(outcome.stdout.lines().count(), 10 + 4, "{}", outcome.stdout);
    assert!(outcome.stdout.contains("| a | b | add |") && outcome.stdout.contains("| 9 | 0 | 9   |"));
    for part in ["30 rows in", "rows/s", "add, wasm mode", "peak memory"] {
        assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
    }
    assert_eq!(place.run("run f.py::add --input t.csv --show 3").done().stdout.lines().count(), 3 + 4);
    assert_eq!(place.run("run f.py::add --input t.csv --quiet").done().stderr, "");
}

#[test]
fn sandboxes_in_workers_give_the_same_and_say_so() {
    let place = place();
    let inside = place.run("run f.py::add --input t.csv --output - --stats in.json").done();
    let outside = place.run("run f.py::add --input t.csv --output - --in-worker --stats out.json").done();
    assert_eq!(inside.stdout, outside.stdout);
    assert!(outside.stderr.contains("add, wasm mode") && outside.stderr.contains(" in a worker"), "{}", outside.stderr);
    for (name, expected) in [("in.json", false), ("out.json", true)] {
        let stats: Value = serde_json::from_str(&place.read(name)).unwrap();
        assert_eq!((&stats["mode"], &stats["in_worker"]), (&"wasm".into(), &expected.into()), "{name}");
    }
}

#[test]
fn the_result_has_its_own_name_or_stands_alone() {
    let place = place();
    place.run("run f.py::add --input t.csv --limit 1 --as sum --output out.csv").done();
    assert_eq!(place.read("out.csv"), "a,b,sum\n0,0,0\n");
    place.run("run f.py::add --input t.csv --limit 1 --as a --only-result --output out.csv").done();
    assert_eq!(place.read("out.csv"), "a\n0\n");
    // Columns in another order than the table's, one twice, and a constant.
    for (arguments, result) in [("--arg b --arg a", 2 + 29), ("--arg a --arg a", 58), ("--arg a --arg =-1", 28)] {
        let line = format!("run f.py::add --input t.csv --only-result --output - {arguments}");
        let outcome = place.run(&line).done();
        assert_eq!(outcome.stdout.lines().last().unwrap(), format!("{{\"add\":{result}}}"), "{arguments}");
    }
}

#[test]
fn stats_are_complete_and_true() {
    let place = place();
    place.run("run f.py::divide --input t.csv --on-error null --batch-size 7 --stats s.json --quiet").done();
    let stats: Value = serde_json::from_str(&place.read("s.json")).unwrap();
    assert_eq!(stats["mode"], "wasm");
    assert_eq!(stats["function"], "divide");
    assert_eq!(stats["completed"], true);
    assert_eq!(stats["rows"], 30);
    assert_eq!(stats["bundles"], 5);
    assert_eq!(stats["errors"], 10);
    assert_eq!(stats["nulled_rows"], 10);
    assert!(stats["first_row_error"].as_str().unwrap().contains("row 0: ZeroDivisionError"));
    for figure in ["seconds", "rows_per_second", "cpu_seconds", "peak_memory_bytes", "calling_seconds"] {
        assert!(stats[figure].as_f64().unwrap() > 0.0, "{figure}: {stats}");
    }
    place.run("run f.py::divide --input t.csv --stats s.json").refused(1, &["ZeroDivisionError"]);
    let stats: Value = serde_json::from_str(&place.read("s.json")).unwrap();
    assert_eq!(stats["completed"], false);
    assert_eq!(stats["errors"], 1);
    assert!(stats["error"].as_str().unwrap().contains("ZeroDivisionError"));
}

#[test]
fn what_the_function_prints_goes_to_stderr_with_a_mark() {
    let place = place();
    place.write(
        "p.py",
        "import sys\ndef f(a: int) -> int:\n    print('row', a)\n    print('\\x1b[31mred', file=sys.stderr)\n    return a\n",
    );
    for mode in ["wasm", "thread", "process"] {
        let outcome = place.run(&format!("run p.py --input t.csv --limit 2 --mode {mode} --output -")).done();
        assert_eq!(outcome.stdout.lines().count(), 2, "{outcome:?}");
        for part in ["[stdout] row 0\n", "[stdout] row 1\n", "[stderr] \\u{1b}[31mred\n"] {
            assert!(outcome.stderr.contains(part), "{mode}: {}", outcome.stderr);
        }
        let quiet = place.run(&format!("run p.py --input t.csv --limit 2 --mode {mode} --output - -q")).done();
        assert_eq!(quiet.stderr, "");
    }
    place.write("p.py", "def f(a: int) -> int:\n    print('x' * 10_000)\n    return a\n");
    let outcome = place.run("run p.py --input t.csv").done();
    assert!(outcome.stderr.contains("further bytes were dropped"), "{}", outcome.stderr.lines().last().unwrap());
}

#[test]
fn the_modes_agree() {
    let place = place();
    let run = |mode: &str| {
        let outcome = place.run(&format!("run f.py::add --input t.csv --mode {mode} --output -")).done();
        assert!(outcome.stderr.contains(&format!("add, {mode} mode")), "{}", outcome.stderr);
        outcome.stdout
    };
    let wasm = run("wasm");
    assert_eq!(wasm.lines().count(), 30);
    assert_eq!(run("thread"), wasm);
    assert_eq!(run("process"), wasm);
}

#[test]
fn values_cannot_drive_the_terminal() {
    let place = Place::new();
    place.write("t.jsonl", "{\"s\": \"\\u001b[2Jgone\"}\n");
    let outcome = place.run("run f.py::length --input t.jsonl").done();
    assert!(outcome.stdout.contains("\\u{1b}[2Jgone") && !outcome.stdout.contains('\u{1b}'));
}
