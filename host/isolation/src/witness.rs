//! The bystander: a job of another tenant that works on while a case runs, and whose answers must stay right. It uses
//! what hostile code of the same interpreter likes to change, and holds a secret.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use cloister::{Error, Function, Job, JobOptions, Limit, Session};

use crate::case::Breach;

/// Its functions have the names of the cases' functions, which must not matter.
const SOURCE: &str = r#"
import collections, datetime, decimal, json, math, re, sys

SECRET = "@TENANT_SECRET@"

class Point:
    scale = 1
    def __init__(self, x):
        self.x = x * self.scale

def honest(x: int) -> int:
    return -x

def attack(x: int) -> str:
    point = Point(x)
    counted = collections.Counter(re.findall("[a-c]", "abcabca"))
    parts = [
        json.loads(json.dumps({"x": [point.x]}))["x"][0], len(counted), counted["a"], sum(range(10)), max(3, 1),
        decimal.Decimal(1) / decimal.Decimal(8), math.floor(2.5), sorted([3, 1, 2]), isinstance(x, int),
        datetime.date(2024, 2, 29) + datetime.timedelta(days=1), "é".encode("utf-8").hex(), int("7"), repr("q"),
        sys.gettrace() is None, sys.getrecursionlimit() >= 500, len(SECRET),
    ]
    print("x")
    return " ".join(map(str, parts))
"#;

/// Time between two questions: the bystander watches, it does not compete.
const PAUSE: Duration = Duration::from_millis(3);

/// A running bystander.
#[derive(Debug)]
pub struct Witness {
    _job: Job,
    function: Function,
    secret: String,
}

impl Witness {
    /// Starts its job, with `options` for all but its source.
    pub fn start(session: &Session, options: JobOptions, secret: &str) -> Result<Witness, Error> {
        let source = SOURCE.replace("@TENANT_SECRET@", secret);
        let mut options = options.source("bystander.py", source);
        options.name = "bystander".into();
        session.tenant("bystander", cloister::TenantLimits::default());
        options.tenant = Some("bystander".into());
        let job = session.job(options)?;
        let function = job.function("attack")?;
        let witness = Witness { _job: job, function, secret: secret.into() };
        // The first call binds the function: the footprint of a case must not hold that.
        witness.function.call(&[column(1)], 1)?;
        Ok(witness)
    }

    /// Asks until `stop` is set, and once more: what was wrong.
    pub fn watch(&self, stop: &AtomicBool) -> Option<(Breach, String)> {
        for question in 0.. {
            let last = stop.load(Ordering::SeqCst);
            if let Some(wrong) = self.ask(question) {
                return Some(wrong);
            }
            if last {
                return None;
            }
            std::thread::park_timeout(PAUSE);
        }
        None
    }

    /// Asks once: what was wrong.
    pub fn ask(&self, question: i64) -> Option<(Breach, String)> {
        let expected =
            format!("{question} 3 3 45 3 0.125 2 [1, 2, 3] True 2024-03-01 c3a9 7 'q' True True {}", self.secret.len());
        let wrong = match self.function.call(&[column(question)], 1) {
            Ok(column) => match column.as_string_opt::<i32>().map(|column| column.value(0)) {
                Some(answer) if answer == expected => return None,
                answer => format!("a bystander answered {answer:?}, {expected:?} is right"),
            },
            // The machine may be busy; a bystander that is held up by the abuse shows as a call that never ends.
            Err(Error::Limit(Limit::Deadline { .. })) => return None,
            Err(error) => format!("a bystander failed: {error}"),
        };
        Some((Breach::Disturbs, wrong))
    }
}

fn column(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}
