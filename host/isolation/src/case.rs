//! A case: what hostile or careless code tries, and what must come of it in each mode. Plain data; the file format that
//! it is read from is in [`suite`](crate::suite).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::place::Place;

/// One case of the suite.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Case {
    /// The group that it belongs to, for example `memory`.
    pub group: String,
    /// What it tries, in one line. Unique in its group.
    pub name: String,
    /// What the job is made of, and how it is called.
    pub abuse: Abuse,
    /// What must come of it, by the name of the mode, or of the place. A mode that is absent is not run: the case has no meaning there.
    pub expectations: BTreeMap<String, Vec<Expected>>,
}

impl Case {
    /// What must come of it in `place`: one of these. `None`: the case is not for it.
    pub fn expected(&self, place: Place) -> Option<&[Expected]> {
        self.expectations.get(place.name()).map(Vec::as_slice)
    }

    /// Whether the place is known not to contain it.
    pub fn is_uncontained(&self, place: Place) -> bool {
        self.expected(place).is_some_and(|all| all.iter().all(|one| matches!(one, Expected::NotContained(_))))
    }
}

/// The abuse itself. The fields are those of the file format.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Abuse {
    /// The Python source of the job. The runner appends a function `honest` for the work before and after, and
    /// `attempt(action)`, which gives `reached …` if the action returns and `refused` if it raises.
    ///
    /// Names between `@` are replaced: see [`Bait`](crate::bait::Bait).
    pub source: String,
    /// The function that is called. Default: `attack`.
    #[serde(default = "attack")]
    pub function: String,
    /// Its arguments. Default: one `int64` column that counts the rows from 0.
    pub arguments: Option<Vec<CaseArgument>>,
    /// Rows of the call. Default: 1, or the length of the first column.
    pub rows: Option<usize>,
    /// The result's Arrow type, where it is not the declared one.
    pub result_type: Option<String>,
    /// Whether rows that fail become NULL. Such calls go by frames in every mode.
    #[serde(default)]
    pub null_on_error: bool,
    /// Modules and data that the source can import.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Whether loading the source is the abuse, rather than a call. Default: `call`.
    #[serde(default)]
    pub when: When,
    /// Which job does the honest work after the abuse. Default: `same-job`.
    #[serde(default)]
    pub after: After,
    /// How often the function is called, one call after the other. Default: 1.
    #[serde(default = "one")]
    pub calls: usize,
    /// How many jobs do it at the same time. Default: 1.
    #[serde(default = "one")]
    pub jobs: usize,
    /// How many calls each job makes at the same time, and its parallelism. Default: 1.
    #[serde(default = "one")]
    pub parallelism: usize,
    /// What is cancelled from the host once the job has printed `started`.
    pub cancel: Option<Cancel>,
    /// Whether the host process is killed once the job has printed `started`; nothing of it may live on.
    #[serde(default)]
    pub kill_host: bool,
    /// Wall time of a call, in milliseconds. Default: 10 s.
    pub deadline_ms: Option<u64>,
    /// CPU time of all calls of a job, in milliseconds. Default: unlimited.
    pub cpu_ms: Option<u64>,
    /// Memory of a sandbox or worker, in MiB. Default: the mode's.
    pub memory_mib: Option<u64>,
    /// Memory of a job, in MiB. Default: unlimited.
    pub job_memory_mib: Option<u64>,
    /// The most bytes of a result, in KiB. Default: the library's.
    pub result_kib: Option<usize>,
    /// The bytes of the log that are kept, in KiB. Default: the library's.
    pub log_kib: Option<usize>,
    /// The most bytes of source and files, in KiB. Default: the library's.
    pub source_kib: Option<usize>,
    /// What all its jobs together may use. Default: no limits.
    pub tenant: Option<CaseTenant>,
}

fn attack() -> String {
    "attack".into()
}

fn one() -> usize {
    1
}

/// The limits of the tenant whose jobs these are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseTenant {
    /// Memory of all jobs, in MiB.
    pub memory_mib: Option<u64>,
    /// Sandboxes and workers at once.
    pub executors: Option<u64>,
    /// CPU time of all calls, in milliseconds.
    pub cpu_ms: Option<u64>,
}

/// What is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cancel {
    /// The job: nothing of it runs any more.
    Job,
    /// The calls: the job goes on.
    Call,
}

/// When the abuse happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// In a call.
    #[default]
    Call,
    /// While the source is loaded.
    Load,
}

/// Which job does the honest work after the abuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// The same one, with a new sandbox or worker if the old one died.
    #[default]
    SameJob,
    /// A new job of the same source: the abuse may break its own job, and no other.
    NewJob,
}

/// An argument of the call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseArgument {
    /// Its Arrow type: a bare name (`utf8`) or the JSON form (`{"type": "list", …}`).
    #[serde(rename = "type")]
    pub data_type: String,
    /// Its values: a JSON list.
    pub values: String,
    /// Whether it is one value for all rows.
    #[serde(default)]
    pub constant: bool,
}

/// What must come of a case. In a file: a table with one key, or a list of such tables, one of which must hold.
///
/// A text is one that the error's name or message holds; the empty text is in each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// The call gives this value, or these when there are more rows than one.
    Value(Value),
    /// All calls of all jobs give different values.
    Distinct(String),
    /// The user's code raised: the exception's class, or a part of its message.
    User(String),
    /// A result or an argument is of the wrong type.
    Type(String),
    /// A limit was hit: its name (`deadline`, `memory`, `cpu`, `result`, `source`, `stack`, `executors`).
    Limit(String),
    /// The call is malformed.
    Call(String),
    /// The mode refuses the job up front.
    Refused(String),
    /// The sandbox or worker ended.
    Died(String),
    /// The mode lacks something, such as a module of the standard library.
    Missing(String),
    /// The call was cancelled.
    Cancelled(String),
    /// The runtime reports a fault: an answer that makes no sense.
    Internal(String),
    /// The mode does not contain it; how that shows.
    NotContained(Breach),
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, text) = match self {
            Expected::Value(value) => return write!(f, "value {value}"),
            Expected::NotContained(breach) => return write!(f, "not contained: {breach}"),
            Expected::Distinct(text) => ("different values", text),
            Expected::User(text) => ("exception", text),
            Expected::Type(text) => ("type error", text),
            Expected::Limit(text) => ("limit", text),
            Expected::Call(text) => ("call error", text),
            Expected::Refused(text) => ("refused", text),
            Expected::Died(text) => ("executor died", text),
            Expected::Missing(text) => ("missing", text),
            Expected::Cancelled(text) => ("cancelled", text),
            Expected::Internal(text) => ("internal fault", text),
        };
        write!(f, "{kind}{}{text}", if text.is_empty() { "" } else { " " })
    }
}

/// How it shows that something is not contained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breach {
    /// The host process ends.
    Dies,
    /// The call does not end, whatever its deadline.
    Hangs,
    /// The code reaches the host: a file, the environment, the network, a process, a stream.
    Reaches,
    /// A bystander, the job of another tenant, fails or gives wrong answers.
    Disturbs,
    /// Something secret is in a value, a message or a log; a message tells of the host.
    Leaks,
    /// Honest work after the abuse fails.
    Breaks,
    /// Memory, file descriptors or processes of the host are not given back.
    Keeps,
    /// A log or a message is larger than its cap, or holds control characters.
    Floods,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Breach::Dies => "the host dies",
            Breach::Hangs => "the call never ends",
            Breach::Reaches => "the host is reached",
            Breach::Disturbs => "another tenant is disturbed",
            Breach::Leaks => "something secret is told",
            Breach::Breaks => "the job stays broken",
            Breach::Keeps => "resources are kept",
            Breach::Floods => "output is not bounded",
        })
    }
}
