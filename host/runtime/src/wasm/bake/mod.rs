//! Bakes the image: makes the memory that sandboxes start with of the one that the build has left.
//!
//! A sandbox's price is the pages that it writes to, above all with the first call. So before any job comes, a sandbox
//! that belongs to nobody does once what jobs do (`warm_up.py`): caches fill, bytecode adapts to its types, what is lazy
//! happens. Its heap is then left so that a job writes to few pages (`guest/python/image/bake.py`, `settle_heap` of the
//! shim, `immortal`), and its memory is what all others start with. The host does this and not the build of the image,
//! because what it runs is the very module, with the host functions and the column loop of later jobs.
//!
//! Nothing of a user's takes part: this runs before the first job, on our own code alone.

mod immortal;

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field};
use wasmtime::Module;

use super::engine::Engine;
use super::memory::{Base, Memories};
use super::sandbox::Sandbox;
use crate::account::Account;
use crate::executor::{CallContext, Executor};
use crate::function::{Argument, Binding};
use crate::log::JobLog;
use crate::{Error, Limits, OnError, TenantLimits, protocol};

const WARM_UP: &str = include_str!("warm_up.py");

/// How often the job runs. Bytecode settles after a few runs, and retries what did not adapt after some dozens.
const ROUNDS: usize = 40;

/// The phases of `bake.py`.
const WATCH_CODE: i64 = 0;
const GATHER: i64 = 1;
const ADDRESSES: i64 = 2;
const SETTLE: i64 = 3;
const FINISH: i64 = 4;

/// Feeds `hasher` with what the baked memory depends on beside the module.
pub fn version(hasher: &mut impl Hasher) {
    (WARM_UP, include_str!("mod.rs"), include_str!("immortal.rs")).hash(hasher);
}

/// The memory that sandboxes of `module` start with, which the build left as `memory`.
///
/// # Errors
/// [`Error::Internal`] when the image does not do what it should.
pub fn bake(
    engine: &wasmtime::Engine,
    memories: &Arc<Memories>,
    module: &Module,
    memory: &[u8],
) -> Result<Vec<u8>, Error> {
    let base = Base::of(memory).map_err(|error| Error::internal(format!("no memory for the image: {error}")))?;
    let engine = Arc::new(Engine::of(engine.clone(), memories.clone(), module, base)?);
    let mut baker = Baker::new(&engine)?;
    // Which code is used, and which of that never settles, shows when it has run.
    baker.rounds(ROUNDS)?;
    baker.phase(WATCH_CODE)?;
    baker.rounds(1)?;
    baker.settle_heap()?;
    baker.phase(GATHER)?;
    // Before the copies of the code run: an instruction that loads a constant adapts to whether that is immortal.
    baker.make_immortal()?;
    baker.rounds(ROUNDS)?;
    baker.phase(SETTLE)?;
    baker.make_immortal()?;
    baker.settle_heap()?;
    baker.phase(FINISH)?;
    baker.settle_heap()?;
    Ok(baker.sandbox.memory().to_vec())
}

/// A sandbox of nobody's.
struct Baker {
    engine: Arc<Engine>,
    sandbox: Sandbox,
    account: Arc<Account>,
    cases: Vec<Case>,
}

/// A function of the warm-up job and a bundle for it.
struct Case {
    binding: Binding,
    arguments: Vec<Argument>,
    rows: usize,
    /// Whether the call fails.
    fails: bool,
}

impl Baker {
    fn new(engine: &Arc<Engine>) -> Result<Baker, Error> {
        let account = Account::of_tenant("", &TenantLimits::default());
        let limits = Limits::default();
        let log = Arc::new(JobLog::new(0));
        let sandbox = Sandbox::new(
            engine,
            Limits::DEFAULT_WASM_MEMORY,
            log,
            Arc::default(),
            account.clone(),
            Some(limits.result),
        )?;
        Ok(Baker { engine: engine.clone(), sandbox, account, cases: cases() })
    }

    fn request(&mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        let (account, cancelled) = (self.account.clone(), Arc::default());
        let context = unlimited(&account, &cancelled);
        let mut answer = Vec::new();
        self.sandbox.request(request, &context, &mut |reply| {
            answer = reply.to_vec();
            Ok(())
        })?;
        Ok(answer)
    }

    fn phase(&mut self, phase: i64) -> Result<Vec<u8>, Error> {
        let reply = self.request(&protocol::bake(phase))?;
        protocol::read_baked(&reply)
    }

    fn make_immortal(&mut self) -> Result<(), Error> {
        let addresses = self.phase(ADDRESSES)?;
        immortal::make_immortal(self.sandbox.memory_mut(), &addresses).map_err(Error::internal)
    }

    fn settle_heap(&mut self) -> Result<(), Error> {
        let (account, cancelled) = (self.account.clone(), Arc::default());
        let context = unlimited(&account, &cancelled);
        let engine = self.engine.clone();
        self.sandbox.call_export(&engine.exports.settle_heap, &context)
    }

    fn rounds(&mut self, count: usize) -> Result<(), Error> {
        (0..count).try_for_each(|_| self.round())
    }

    /// Loads the job, binds and calls its functions in both ways, lets it fail, and forgets it.
    fn round(&mut self) -> Result<(), Error> {
        let options = serde_json::json!({ "name": "warm-up", "paths": [] });
        let reply = self.request(&protocol::load(WARM_UP, "warm_up.py", &options))?;
        protocol::read_text(&reply)?;
        let cases = std::mem::take(&mut self.cases);
        let outcome = cases.iter().try_for_each(|case| self.call(case));
        self.cases = cases;
        outcome?;
        let broken = self.request(&protocol::load("def broken(:\n", "warm_up.py", &options))?;
        if protocol::read_text(&broken).is_ok() {
            return Err(Error::internal("a source that is no Python was loaded"));
        }
        // A sandbox with something to renew would share its randomness with all others.
        let copying = self.request(&protocol::copying())?;
        if protocol::read_int(&copying)? != 0 {
            return Err(Error::internal("the image has drawn from its generator of random numbers"));
        }
        protocol::read_done(&self.request(&protocol::close())?)?;
        let (account, cancelled) = (self.account.clone(), Arc::default());
        let context = unlimited(&account, &cancelled);
        self.sandbox.forget_bindings(&context)
    }

    fn call(&mut self, case: &Case) -> Result<(), Error> {
        let Case { binding, arguments, rows, fails } = case;
        protocol::read_int(&self.request(&protocol::bind(binding)?)?)?;
        let (account, cancelled) = (self.account.clone(), Arc::default());
        let context = unlimited(&account, &cancelled);
        for _ in 0..2 {
            if let Some(outcome) = self.sandbox.evaluate(binding, arguments, *rows, &context)
                && outcome.is_err() != *fails
            {
                return Err(outcome.err().unwrap_or_else(|| Error::internal("a call that fails has not failed")));
            }
        }
        let mut request = Vec::new();
        protocol::eval(&mut request, binding, arguments, *rows)?;
        let reply = self.request(&request)?;
        match protocol::read_eval(&reply, binding, *rows) {
            Ok(_) if !fails => Ok(()),
            Err(_) if *fails => self.request(&protocol::explain(binding)).map(drop),
            _ => Err(Error::internal(format!("the harness does not call '{}' as it should", binding.function))),
        }
    }
}

fn unlimited<'a>(account: &'a Arc<Account>, cancelled: &'a Arc<AtomicBool>) -> CallContext<'a> {
    CallContext { deadline: None, cancelled, token: None, account }
}

/// Every function of `warm_up.py`, with rows that take its ways.
fn cases() -> Vec<Case> {
    let ints: ArrayRef = Arc::new(Int64Array::from(vec![1, -2, 3 << 40, 4]));
    let reals: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), None, Some(-2.0)]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["user@host", "", "ü中", "x"]));
    let raises: ArrayRef = Arc::new(StringArray::from(vec!["raise"]));
    let days: ArrayRef = Arc::new(Date32Array::from(vec![0, 19_000]));
    let amounts: ArrayRef = Arc::new(Decimal128Array::from(vec![110]).with_data_type(DECIMAL));
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)));
    [
        ("number", vec![ints.clone()], DataType::Int64, false),
        ("real", vec![reals], DataType::Float64, false),
        ("text", vec![texts], DataType::Utf8, false),
        ("text", vec![raises], DataType::Utf8, true),
        ("moment", vec![days], DataType::Utf8, false),
        ("money", vec![amounts], DECIMAL, false),
        ("wrong", vec![ints.clone()], DataType::Int64, true),
        ("several", vec![ints.clone(), ints.clone()], list, false),
        ("adder", vec![ints], DataType::Int64, false),
    ]
    .into_iter()
    .zip(0..)
    .map(|((function, columns, result, fails), handle)| Case {
        binding: Binding {
            handle,
            function: function.to_owned(),
            arguments: columns.iter().map(|column| column.data_type().clone()).collect(),
            constants: vec![false; columns.len()],
            result,
            on_error: OnError::Fail,
        },
        rows: columns.first().map_or(0, |column| column.len()),
        arguments: columns.into_iter().map(Argument::Column).collect(),
        fails,
    })
    .collect()
}

/// The type of the amounts.
const DECIMAL: DataType = DataType::Decimal128(10, 2);
