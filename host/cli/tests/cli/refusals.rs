//! What cannot be done is one message that says what to do. Rows: the command line, the exit code, parts of the message.

use crate::support::Place;

const FAILED: i32 = 1;
const USAGE: i32 = 2;

fn place() -> Place {
    let place = Place::new();
    place.write("t.csv", "a,b,s\n1,0,x\n7,2,y\n");
    place.write("t.txt", "text");
    place.write("not.parquet", "text");
    place.write("bad.jsonl", "{\"a\": 1}\n{\"a\": \n");
    place.write("mixed.jsonl", "{\"a\": 1}\n{\"a\": [1]}\n");
    place.write("array.jsonl", "[1, 2]\n");
    place.write("cut.json", "[{\"a\": 1},");
    place.write("binary.txt", [0x66, 0xff, 0x0a]);
    place.write("empty.py", "_private = 1\n");
    place.write("syntax.py", "def f(:\n");
    place.write("raises.py", "def inner():\n    raise RuntimeError('at import')\n\ninner()\n");
    place.write("untyped.py", "def f(x):\n    return x\n");
    place.write("table.py", "from cloister import udtf\n@udtf(result_types=['INT'])\ndef f(x: int):\n    yield x\n");
    place.write("numpy_user.py", "import numpy\ndef f(x: int) -> int:\n    return x\n");
    place.write("beside_user.py", "import beside\ndef f(a: int) -> int:\n    return beside.y\n");
    place.write("beside.py", "y = 1\n");
    place.write("requirements.txt", "x\n");
    place.write("nested.py", "def f(a: int) -> list[int]:\n    return [a]\n");
    place.write("latin.py", [b'#', 0xe9]);
    place
}

const ROWS: &[(&str, i32, &[&str])] = &[
    // The command line itself.
    ("", USAGE, &["Usage"]),
    ("run", USAGE, &["--input"]),
    ("run f.py::add --input t.csv --mode docker", USAGE, &["docker", "process, thread or wasm"]),
    ("run f.py::add --input t.csv --memory 10apples", USAGE, &["10apples", "256MiB"]),
    ("run f.py::add --input t.csv --deadline soon", USAGE, &["soon", "10s"]),
    ("run f.py::add --input t.csv --batch-size 0", USAGE, &["above 0"]),
    ("run f.py::add --input t.csv --on-error ignore", USAGE, &["ignore"]),
    ("run f.py::add --input t.csv --python /usr/bin/python3", USAGE, &["--mode process"]),
    ("run f.py::add --input t.csv --mode process --python p --requirements r", USAGE, &["cannot be used"]),
    ("run f.py::add --input t.csv --in-worker --mode process", USAGE, &["--in-worker", "wasm mode"]),
    ("run f.py::add --input t.csv --hardening off", USAGE, &["--mode process", "--in-worker"]),
    // Files.
    ("run g.py --input t.csv", USAGE, &["g.py: no such file"]),
    ("run ff.py --input t.csv", USAGE, &["there is 'f.py'"]),
    ("run . --input t.csv", USAGE, &["directory"]),
    ("run latin.py --input t.csv", USAGE, &["not UTF-8"]),
    ("run f.py::add --input u.csv", USAGE, &["there is 't.csv'"]),
    ("run f.py::add --input .", USAGE, &["directory"]),
    ("run f.py::add --input t.txt", USAGE, &[".parquet", "--lines"]),
    ("run f.py::add --input t.csv --output o.xls", USAGE, &["o.xls", ".parquet"]),
    ("run f.py::add --input t.csv --output no/o.csv", USAGE, &["no such directory"]),
    ("run f.py::add --input t.csv --output .", USAGE, &["."]),
    ("run f.py::add --input t.csv --files nothing.py", USAGE, &["--files nothing.py", "no such file"]),
    ("run f.py::add --input t.csv --requirements nothing.txt", USAGE, &["--requirements nothing.txt", "no such file"]),
    ("run f.py::add --input not.parquet", FAILED, &["not.parquet"]),
    ("run f.py::add --input bad.jsonl", FAILED, &["bad.jsonl", "line 2"]),
    ("run f.py::add --input mixed.jsonl", FAILED, &["line 2", "'a'", "--lines"]),
    ("run f.py::add --input array.jsonl", FAILED, &["line 1", "--lines"]),
    ("run f.py::add --input cut.json", FAILED, &["not closed"]),
    ("run f.py::length --input binary.txt --lines", FAILED, &["line 1 is not UTF-8"]),
    // Functions.
    ("run f.py --input t.csv", USAGE, &["more than one", "length, add, divide, wrong", "f.py::NAME"]),
    ("run f.py::ad --input t.csv", USAGE, &["no function 'ad'", "length, add"]),
    ("run empty.py --input t.csv", USAGE, &["no function"]),
    ("run syntax.py --input t.csv", FAILED, &["SyntaxError", "syntax.py"]),
    ("run raises.py --input t.csv", FAILED, &["RuntimeError", "at import", "File \"raises.py\", line 2"]),
    ("run untyped.py --input t.csv --arg a", USAGE, &["no result type", "annotate"]),
    ("run table.py --input t.csv --arg a", USAGE, &["table function"]),
    ("run numpy_user.py --input t.csv --arg a", FAILED, &["numpy", "--mode process"]),
    ("run beside_user.py --input t.csv", FAILED, &["'beside'", "--files beside.py"]),
    // Arguments.
    ("run f.py::add --input t.csv --arg a", USAGE, &["takes 2", "1 given"]),
    ("run f.py::add --input t.csv --arg a --arg b --arg a", USAGE, &["takes 2", "3 given"]),
    ("run f.py::add --input t.csv --arg a --arg c", USAGE, &["no column 'c'", "columns: a, b, s"]),
    ("run f.py::add --input t.csv --arg a --arg s", USAGE, &["argument 2 'b'", "int64", "utf8"]),
    ("run f.py::add --input t.csv --arg a --arg =x", USAGE, &["--arg '=\"x\"'"]),
    ("run f.py::add --input t.csv --arg a --arg =1.5", USAGE, &["1.5", "int64"]),
    ("run f.py::length --input t.csv --lines --arg t", USAGE, &["columns: line"]),
    ("run f.py::add --input t.csv --as s", USAGE, &["'s' already", "--as"]),
    ("run nested.py --input t.csv --output o.csv", USAGE, &["cannot hold column 'f'", ".parquet"]),
    // Limits and modes.
    ("run f.py::add --input t.csv --memory 1MiB", USAGE, &["memory limit"]),
    ("run f.py::add --input t.csv --mode thread --memory 1GiB", USAGE, &["process or wasm"]),
    ("run f.py::add --input t.csv --mode thread --cpu 1s", USAGE, &["CPU limit", "process or wasm"]),
    ("run f.py::add --input t.csv --mode thread --require deadline", USAGE, &["'deadline'", "process or wasm mode"]),
    ("run f.py::add --input t.csv --require c-extensions", USAGE, &["'c-extensions'", "process or thread"]),
    ("run f.py::add --input t.csv --require magic", USAGE, &["unknown promise 'magic'", "no-host-access"]),
    ("run f.py::length --input t.csv --max-result 1", FAILED, &["limit of 1 bytes"]),
    // Rows.
    ("run f.py::divide --input t.csv", FAILED, &["'divide', row 0: ZeroDivisionError", "File \"f.py\""]),
    ("run f.py::wrong --input t.csv", FAILED, &["'wrong', row 1: expected int64 (int), got str 'x'"]),
    ("functions g.py", USAGE, &["no such file"]),
    ("functions syntax.py", FAILED, &["SyntaxError"]),
];

#[test]
fn refusals_say_what_to_do() {
    let place = place();
    let before = place.names();
    for (line, code, parts) in ROWS {
        let outcome = place.run(line).refused(*code, parts);
        assert!(!outcome.stdout.contains("row"), "{line}: {}", outcome.stdout);
        assert_eq!(place.names(), before, "{line} left a file behind");
    }
}

#[test]
fn rows_are_numbered_through_the_whole_input() {
    let place = place();
    let rows: String = (100..200).map(|row| if row == 150 { "7\n".into() } else { format!("{row}\n") }).collect();
    place.write("long.csv", format!("a\n{rows}"));
    place.run("run f.py::wrong --input long.csv --batch-size 8").refused(FAILED, &["row 50: "]);
    let nulled = place.run("run f.py::wrong --input long.csv --batch-size 8 --on-error null").done();
    assert!(nulled.stderr.contains("1 rows failed and are NULL") && nulled.stderr.contains("row 50: "), "{nulled:?}");
}
