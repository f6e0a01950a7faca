//! Modules, data and packages that a function brings along.

use crate::support::Place;

const MODES: [&str; 3] = ["wasm", "thread", "process"];

#[test]
fn files_can_be_imported_and_read_in_every_mode() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("pkg/data")).unwrap();
    place.write(
        "pkg/__init__.py",
        "import pkgutil\nfrom .inner import times\nWORD = pkgutil.get_data(__name__, 'data/words.txt').decode()\n",
    );
    place.write("pkg/inner.py", "def times(x):\n    return x * 3\n");
    place.write("pkg/data/words.txt", "drei");
    place.write("single.py", "ONE = 1\n");
    place.write(
        "user.py",
        "import pkg, single\n\ndef f(a: int) -> str:\n    return f'{pkg.times(a) + single.ONE} {pkg.WORD}'\n",
    );
    place.write("t.csv", "a\n2\n");
    for mode in MODES {
        let line = format!("run user.py --input t.csv --files pkg single.py --mode {mode} --only-result --output -");
        assert_eq!(place.run(&line).done().stdout, "{\"f\":\"7 drei\"}\n", "{mode}");
    }
}

#[test]
fn pure_packages_come_from_an_index() {
    let place = Place::new();
    place.write("requirements.txt", "python-slugify==8.0.4\ntext-unidecode==1.3\n");
    place.write("user.py", "from slugify import slugify\n\ndef f(s: str) -> str:\n    return slugify(s)\n");
    place.write("t.jsonl", "{\"s\": \"Ünï cödé!\"}\n");
    for mode in MODES {
        let line = format!("run user.py --input t.jsonl --requirements requirements.txt --mode {mode} --output -");
        let outcome = place.run(&line).done();
        assert_eq!(outcome.stdout, "{\"s\":\"Ünï cödé!\",\"f\":\"uni-code\"}\n", "{mode}");
    }
}

#[test]
fn a_package_with_compiled_code_is_refused_in_wasm_mode() {
    let place = Place::new();
    place.write("requirements.txt", "numpy\n");
    place.write("t.csv", "a,b\n1,2\n");
    place
        .run("run f.py::add --input t.csv --requirements requirements.txt")
        .refused(2, &["'numpy'", "pure-Python", "--mode process"]);
}
