//! Reads cases: the suite that is built in, and folders of TOML files that a user brings. What is wrong with a file is
//! said with its name and line.
//!
//! ```toml
//! group = "cpu"                     # the group of every case in the file
//!
//! [[case]]
//! name = "a spin that swallows every exception"
//! source = '''
//! def attack(x: int) -> int:
//!     while True:
//!         try:
//!             while True: pass
//!         except BaseException: pass
//! '''
//! deadline_ms = 300
//! expect = { limit = "deadline" }                 # in every mode …
//! thread = { not_contained = "hangs" }            # … but this one; `thread = "skip"` leaves a mode out
//! # of a sandbox in a worker process the same is expected as of `wasm`, unless there is a key `wasm-worker`
//! ```
//! The other keys of a case are the fields of [`Abuse`](crate::Abuse), the outcomes those of
//! [`Expected`](crate::Expected).

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use crate::case::{Abuse, Case, Expected};
use crate::place::Place;

/// The files of the built-in suite, in the order in which the groups are shown.
const BUILT_IN: &[(&str, &str)] = &[
    ("cpu.toml", include_str!("../../../tests/cases/abuse/cpu.toml")),
    ("memory.toml", include_str!("../../../tests/cases/abuse/memory.toml")),
    ("stack.toml", include_str!("../../../tests/cases/abuse/stack.toml")),
    ("host-surface.toml", include_str!("../../../tests/cases/abuse/host-surface.toml")),
    ("death.toml", include_str!("../../../tests/cases/abuse/death.toml")),
    ("output.toml", include_str!("../../../tests/cases/abuse/output.toml")),
    ("replies.toml", include_str!("../../../tests/cases/abuse/replies.toml")),
    ("across-jobs.toml", include_str!("../../../tests/cases/abuse/across-jobs.toml")),
    ("determinism.toml", include_str!("../../../tests/cases/abuse/determinism.toml")),
    ("process.toml", include_str!("../../../tests/cases/abuse/process.toml")),
];

/// The suite that is part of the program.
///
/// # Errors
/// None in a program whose tests pass: the files are built in.
pub fn built_in() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (name, text) in BUILT_IN {
        parse(name, text, &mut cases)?;
    }
    Ok(cases)
}

/// The cases of every `.toml` file in `folder`, in the order of the files' names.
///
/// # Errors
/// A folder without such files, a file that cannot be read or is no file of cases, with the line.
pub fn folder(folder: &Path) -> Result<Vec<Case>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    if paths.is_empty() {
        bail!("{} holds no .toml files of cases", folder.display());
    }
    let mut cases = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
        parse(&name, &text, &mut cases)?;
    }
    Ok(cases)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    group: String,
    case: Vec<Spanned<toml::Table>>,
}

/// The keys of a case that are not those of its [`Abuse`].
#[derive(Deserialize)]
struct Head {
    name: String,
    expect: Option<Outcomes>,
    process: Option<Outcomes>,
    thread: Option<Outcomes>,
    wasm: Option<Outcomes>,
    #[serde(rename = "wasm-worker")]
    wasm_worker: Option<Outcomes>,
}

const HEAD: [&str; 6] = ["name", "expect", "process", "thread", "wasm", "wasm-worker"];

fn parse(file: &str, text: &str, cases: &mut Vec<Case>) -> Result<()> {
    let parsed: File = match toml::from_str(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            bail!("{file}:{line}: {}", error.message());
        }
    };
    for table in parsed.case {
        let line = line_of(text, table.span().start);
        let case = case(&parsed.group, table.into_inner()).with_context(|| format!("{file}:{line}"))?;
        if cases.iter().any(|other| other.group == case.group && other.name == case.name) {
            bail!("{file}:{line}: the group '{}' has a case '{}' already", case.group, case.name);
        }
        cases.push(case);
    }
    Ok(())
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn case(group: &str, mut table: toml::Table) -> Result<Case> {
    let name = table.get("name").and_then(toml::Value::as_str).unwrap_or("(no name)").to_owned();
    let head: toml::Table = HEAD.iter().filter_map(|key| Some((key.to_string(), table.remove(*key)?))).collect();
    let readable = |error: toml::de::Error| anyhow::anyhow!("case '{name}': {}", error.message());
    let head: Head = head.try_into().map_err(readable)?;
    let abuse: Abuse = table.try_into().map_err(readable)?;
    let mut expectations = BTreeMap::new();
    let wasm_worker = head.wasm_worker.or_else(|| head.wasm.clone());
    for (place, own) in [
        (Place::Process, head.process),
        (Place::Thread, head.thread),
        (Place::Wasm, head.wasm),
        (Place::WasmWorker, wasm_worker),
    ] {
        match own.or_else(|| head.expect.clone()) {
            Some(Outcomes(outcomes)) if outcomes.is_empty() => {}
            Some(Outcomes(outcomes)) => drop(expectations.insert(place.name().to_owned(), outcomes)),
            None => bail!("case '{name}': nothing is expected of {place} mode: say `expect = …` or `{place} = …`"),
        }
    }
    if expectations.is_empty() {
        bail!("case '{name}': no mode runs it");
    }
    Ok(Case { group: group.to_owned(), name: head.name, abuse, expectations })
}

/// One expectation, a list of alternatives, or `"skip"`, which is none.
#[derive(Clone)]
struct Outcomes(Vec<Expected>);

impl<'de> Deserialize<'de> for Outcomes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Outcomes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table with one outcome such as { limit = \"deadline\" }, a list of them, or \"skip\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Outcomes, E> {
                match text {
                    "skip" => Ok(Outcomes(Vec::new())),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Outcomes, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                if all.is_empty() { Err(de::Error::invalid_length(0, &self)) } else { Ok(Outcomes(all)) }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Outcomes, A::Error> {
                Ok(Outcomes(vec![Expected::deserialize(de::value::MapAccessDeserializer::new(map))?]))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Case>> {
        let mut cases = Vec::new();
        parse("own.toml", text, &mut cases).map(|()| cases)
    }

    fn problem(text: &str) -> String {
        format!("{:#}", read(text).expect_err("it is wrong"))
    }

    #[test]
    fn a_case_has_an_expectation_for_each_mode() {
        let cases = read(
            "group = 'g'\n[[case]]\nname = 'n'\nsource = ''\nexpect = { limit = 'deadline' }\nthread = 'skip'\n\
             process = [{ value = 1 }, { not_contained = 'hangs' }]\n",
        );
        let case = &cases.expect("a file of cases")[0];
        for place in [Place::Wasm, Place::WasmWorker] {
            assert_eq!(case.expected(place), Some([Expected::Limit("deadline".into())].as_slice()));
        }
        assert_eq!(case.expected(Place::Process).map(<[_]>::len), Some(2));
        assert_eq!(case.expected(Place::Thread), None);
        assert_eq!((case.abuse.function.as_str(), case.abuse.calls), ("attack", 1));
        let cases = read(
            "group = 'g'\n[[case]]\nname = 'n'\nsource = ''\nexpect = { value = 1 }\nwasm = { value = 2 }\n\
             [[case]]\nname = 'o'\nsource = ''\nexpect = { value = 1 }\nwasm-worker = { value = 3 }\n",
        );
        let cases = cases.expect("a file of cases");
        let of = |at: usize, place| cases[at].expected(place).and_then(<[_]>::first).cloned();
        assert_eq!(of(0, Place::WasmWorker), Some(Expected::Value(2.into())));
        assert_eq!(of(1, Place::WasmWorker), Some(Expected::Value(3.into())));
        assert_eq!(of(1, Place::Wasm), Some(Expected::Value(1.into())));
    }

    #[test]
    fn what_is_wrong_is_said_with_file_and_line() {
        let start = "group = 'g'\n\n[[case]]\nname = 'n'\nsource = ''\n";
        let found = problem(&format!("{start}expect = {{ limitt = 'deadline' }}\n"));
        assert!(found.starts_with("own.toml:3: case 'n': ") && found.contains("limitt"), "{found}");
        let found = problem(&format!("{start}deadline = 3\nexpect = {{ value = 1 }}\n"));
        assert!(found.starts_with("own.toml:3: ") && found.contains("unknown field `deadline`"), "{found}");
        let found = problem(&format!("{start}wasm = {{ value = 1 }}\n"));
        assert!(found.contains("nothing is expected of process mode"), "{found}");
        let found = problem("group = 'g'\n[[case]]\nname = 'n\n");
        assert!(found.starts_with("own.toml:3: "), "{found}");
        let twice = format!("{start}expect = {{ value = 1 }}\n");
        let found = problem(&format!("{twice}{}", twice.replace("group = 'g'\n", "")));
        assert!(found.starts_with("own.toml:8: ") && found.contains("already"), "{found}");
    }

    #[test]
    fn every_file_of_the_suite_is_built_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/abuse");
        let mut there: Vec<_> = std::fs::read_dir(folder)
            .expect("the folder of cases")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        there.sort();
        let mut named: Vec<_> = BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect();
        named.sort();
        assert_eq!(named, there);
    }
}
