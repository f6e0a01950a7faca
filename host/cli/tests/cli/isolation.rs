//! `cloister isolation`: what it prints and writes, cases of one's own, and how it ends.

use std::process::Stdio;

use serde_json::Value;

use crate::support::Place;

/// One case that is as expected, and one that is not.
const CASES: &str = r#"
group = "mine"

[[case]]
name = "reads the password file"
source = '''
def attack(x: int) -> str:
    try: return "reached " + open("/etc/passwd").readline()
    except OSError: return "refused"
'''
expect = "skip"
wasm = { value = "refused" }
thread = { not_contained = "reaches" }

[[case]]
name = "divides by zero"
source = "def attack(x: int) -> int: return 1 // x"
expect = "skip"
wasm = { limit = "deadline" }
"#;

#[test]
fn cases_of_ones_own_are_run_and_what_deviates_is_listed() {
    let place = Place::new();
    std::fs::create_dir(place.path("cases")).unwrap();
    place.write("cases/mine.toml", CASES);
    let expected =
        "mine: divides by zero (wasm mode)\n  expected: limit deadline\n  got: contained: user ZeroDivisionError";
    let run = place.run("isolation --cases cases --mode wasm,thread --output o.json");
    let run = run.refused(1, &["1 of 3 outcomes are not as expected", expected]);
    assert!(run.stdout.contains("mine   1 NOT contained  2 contained"), "{}", run.stdout);
    let report: Value = serde_json::from_str(&place.read("o.json")).unwrap();
    assert_eq!(report["total"]["wasm"]["contained"], 2);
    assert_eq!(report["total"]["wasm"]["deviating"], 1);
    assert_eq!(report["total"]["thread"]["not_contained"], 1);
    assert_eq!(report["cases"][0]["name"], "reads the password file");
    place.write("cases/mine.toml", CASES.replace("limit = \"deadline\"", "user = \"ZeroDivisionError\""));
    for name in ["o.html", "o.md"] {
        place.run(&format!("isolation --cases cases --mode wasm --output {name}")).done();
        assert!(place.read(name).contains("divides by zero"), "{name}");
    }
}

#[test]
fn a_built_in_group_comes_out_as_expected() {
    let place = Place::new();
    let run = place.run("isolation --group death --mode wasm").done();
    assert!(run.stdout.contains("death"), "{}", run.stdout);
    let list = place.run("isolation --list").done().stdout;
    for part in ["cpu\n", "across-jobs\n", "  os._exit\n", "thread      not contained: the host dies"] {
        assert!(list.contains(part), "no {part:?}");
    }
    place.run("isolation --group deaht").refused(2, &["no group 'deaht'", "death", "replies"]);
    place.run("isolation --output matrix.txt").refused(2, &[".json, .html or .md"]);
}

#[test]
fn a_malformed_file_of_cases_is_refused_with_its_line() {
    let place = Place::new();
    std::fs::create_dir(place.path("cases")).unwrap();
    place.run("isolation --cases cases").refused(1, &["cases holds no .toml files"]);
    place.write("cases/mine.toml", CASES.replace("limit =", "limitt ="));
    place.run("isolation --cases cases").refused(1, &["cases/mine.toml:15: case 'divides by zero'", "limitt"]);
    place.write("cases/mine.toml", "group = \"mine\"\n[[case]\n");
    place.run("isolation --cases cases").refused(1, &["cases/mine.toml:2: "]);
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    let place = Place::new();
    std::fs::create_dir(place.path("cases")).unwrap();
    std::fs::create_dir(place.path("t")).unwrap();
    let spin = "def attack(x: int) -> int:\\n    while True: pass\\n";
    place.write(
        "cases/mine.toml",
        format!(
            "group = 'g'\n[[case]]\nname = 'n'\nsource = \"{spin}\"\ndeadline_ms = 100_000\nexpect = {{ value = 1 }}\n"
        ),
    );
    let mut command = place.command(["isolation", "--cases", "cases", "--mode", "wasm"]);
    let child = command.env("TMPDIR", place.path("t")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stages = || std::fs::read_dir(place.path("t")).unwrap().count();
    while stages() == 0 {
        std::thread::yield_now();
    }
    let status = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(130), b"interrupted\n".as_slice()));
    assert_eq!(stages(), 0);
}
