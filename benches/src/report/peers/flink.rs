//! PyFlink 1.20: the same source as a Table API function, between a generator and a sink that drops rows. Its options
//! are its defaults: bundles of 1,000 rows or 1 s in process mode, checkpoints off.

use std::process::Command;

use anyhow::{Result, bail, ensure};
use serde_json::json;

use super::driver::Driver;
use super::stream::Stream;
use super::venv::{self, Package};
use crate::report::interrupt;
use crate::report::measure::clock::Cost;
use crate::report::measure::rounds::{Measured, Runner};
use crate::report::plan::Plan;
use crate::report::variant::Variant;
use crate::report::workloads::{JSON, Workload};

const PACKAGE: Package = Package { requirement: "apache-flink==1.20.3", minors: &[11, 10, 9] };

/// Starts a mini-cluster in one of the modes.
///
/// # Errors
/// What is missing, with the command that mends it.
pub fn start(variant: Variant, progress: &dyn Fn(&str)) -> Result<Driver> {
    let java = Command::new("java").arg("-version").output();
    ensure!(
        java.is_ok_and(|output| output.status.success()),
        "needs Java 11 or 17: `apt-get install openjdk-17-jre-headless`"
    );
    let python = venv::interpreter(&PACKAGE, progress)?;
    let output =
        Command::new(&python).args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).output()?;
    let packages = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mode = if variant == Variant::FlinkThread { "thread" } else { "process" };
    // In thread mode the interpreter inside the JVM does not know of the virtual environment.
    let environment = [("PYTHONPATH", packages), ("_python_worker_execution_mode", "process".into())];
    Driver::start(&python, include_str!("../../../peers/flink.py"), mode, &environment)
}

/// The arguments of the function, in SQL from the number of a row, and the type of its result.
fn sql(workload: &Workload) -> Option<(String, &'static str)> {
    let text = |size: usize, fill: &str| format!("LPAD(CAST(id AS STRING), {size}, '{fill}')");
    Some(match workload.name {
        JSON => {
            let text = text(workload.bytes.checked_sub(9)?, "AbCdEfGhIj");
            (format!("CONCAT('{{\"a\": \"', {text}, '\"}}')"), "STRING")
        }
        "x + 1" => ("id".into(), "BIGINT"),
        "slug" => ("CONCAT(' The Director''s Cut, Part ', CAST(id AS STRING), ' of 5 ')".into(), "STRING"),
        "fnv" => (text(48, "row: letters, digits and more "), "BIGINT"),
        "price" => {
            let amount = "CAST((100 + MOD(id * 7919, 1000000)) / 100.0 AS DECIMAL(18, 2))";
            let day = "TIMESTAMPADD(DAY, CAST(MOD(id, 3000) AS INT), DATE '2019-04-14')";
            (format!("{amount}, {day}"), "DECIMAL(18, 2)")
        }
        // A struct in and out went through for 1,000 rows; jobs of more did not come to an end.
        _ => return None,
    })
}

/// Whether the workload is written for it.
pub fn runs(workload: &Workload) -> bool {
    sql(workload).is_some()
}

/// Makes the workload's function the one that jobs run.
///
/// # Errors
/// What PyFlink says, or that the workload is not written for it.
pub fn load(driver: &mut Driver, workload: &Workload) -> Result<()> {
    let Some((argument, result)) = sql(workload) else { bail!("not written for this peer") };
    let Workload { source, function, .. } = workload;
    driver.ask("load", json!({ "source": source, "function": function, "argument": argument, "result": result }))?;
    Ok(())
}

/// Waits until the jobs whose streams are dropped have ended.
///
/// # Errors
/// What PyFlink says.
pub fn settle(driver: &mut Driver) -> Result<()> {
    driver.ask("settle", json!({})).map(drop)
}

/// Lets the JVM forget what nobody needs.
///
/// # Errors
/// What PyFlink says.
pub fn collect_garbage(driver: &mut Driver) -> Result<()> {
    driver.ask("collect_garbage", json!({})).map(drop)
}

/// A job that lives between sockets, for bundles of the workload's rows.
///
/// # Errors
/// What PyFlink says.
pub fn stream(driver: &mut Driver, workload: &Workload, bundle: usize) -> Result<Stream> {
    settle(driver)?;
    load(driver, workload)?;
    Stream::start(driver, workload, bundle)
}

/// Rows through a function: the difference of a long job and a short one, so that starting a job is not in it.
pub struct Rows<'a> {
    driver: &'a mut Driver,
    workload: &'a Workload,
    rows: (u64, u64),
    rounds: usize,
}

impl<'a> Rows<'a> {
    /// Loads the function, and runs it until a job is long enough: the JVM is warm by then.
    ///
    /// # Errors
    /// What PyFlink says.
    pub fn new(driver: &'a mut Driver, workload: &'a Workload, plan: &Plan) -> Result<Rows<'a>> {
        load(driver, workload)?;
        let mut job = |rows: u64| driver.measure(rows, "run", json!({ "rows": rows })).map(|cost| cost.wall);
        let short = 1_000;
        job(short)?;
        let start = job(short)?;
        // A long job takes at least as long again as starting one: what starting varies by must not decide.
        let target = plan.peer_sample.as_secs_f64().max(start);
        let mut long = 10_000;
        let rate = loop {
            let took = job(long)? - start;
            if took > target / 2.0 || interrupt::requested() {
                break long as f64 / took.max(1e-3);
            }
            long *= 4;
        };
        let rows = (short, short + (rate * target).max(1.0) as u64);
        Ok(Rows { driver, workload, rows, rounds: plan.peer_rounds })
    }

    /// What the long job takes more than the short one.
    fn difference(&mut self) -> Result<Cost> {
        let mut job = |rows: u64| self.driver.measure(rows, "run", json!({ "rows": rows }));
        let (short, long) = (job(self.rows.0)?, job(self.rows.1)?);
        Ok(Cost { count: long.count - short.count, wall: long.wall - short.wall, cpu: long.cpu - short.cpu })
    }
}

impl Runner for Rows<'_> {
    fn sample(&mut self) -> Result<Cost> {
        load(self.driver, self.workload)?;
        for _ in 0..3 {
            let cost = self.difference()?;
            if cost.wall > 0.0 && cost.cpu > 0.0 {
                return Ok(cost);
            }
            // The machine was busy with something else: a longer job stands out more.
            self.rows.1 *= 2;
        }
        bail!("a job of {} rows takes no longer than one of {}: the machine is too busy", self.rows.1, self.rows.0)
    }

    fn most(&self) -> usize {
        self.rounds
    }
}

/// A job from its submission to its first result, in a warm JVM.
///
/// # Errors
/// What PyFlink says.
pub fn first<'a>(driver: &'a mut Driver, workload: &Workload, rounds: usize) -> Result<Box<dyn Runner + 'a>> {
    load(driver, workload)?;
    driver.ask("first", json!({}))?;
    Ok(Box::new(Measured { run: move || driver.measure(1, "first", json!({})), most: rounds }))
}
