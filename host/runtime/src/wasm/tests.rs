//! Sandboxes with the real image: what a slot's next tenant finds.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;

use super::engine::Engine;
use super::sandbox::Sandbox;
use crate::account::Account;
use crate::executor::{CallContext, Executor};
use crate::function::{Argument, Binding};
use crate::log::JobLog;
use crate::{Limits, OnError, TenantLimits, protocol};

fn account() -> Arc<Account> {
    Account::of_tenant("none", &TenantLimits::default())
}

fn sandbox(engine: &Arc<Engine>) -> Sandbox {
    let log = Arc::new(JobLog::new(0));
    Sandbox::new(engine, Limits::DEFAULT_WASM_MEMORY, log, Arc::default(), account(), None).expect("a sandbox")
}

fn load(sandbox: &mut Sandbox, source: &str) {
    let context = CallContext { deadline: None, cancelled: &Arc::default(), token: None, account: &account() };
    let request = protocol::load(source, "udf.py", &serde_json::json!({"name": "job", "paths": []}));
    sandbox.request(&request, &context, &mut |reply| protocol::read_text(reply).map(drop)).expect("it loads");
}

/// All of a sandbox's state that can be reached: memory, flags, the global; and where the memory lies.
fn state(sandbox: &mut Sandbox) -> (Vec<u8>, Vec<u8>, i32, usize) {
    let (memory, flags, stack_pointer) = sandbox.whole_state();
    let start = memory.as_ptr() as usize;
    (memory.to_vec(), flags.to_vec(), stack_pointer, start)
}

#[test]
fn nothing_of_the_former_tenant_remains() {
    let engine = Engine::shared(&|_| {}).expect("an engine");
    // This test's slots must come back to it: other tests of this process use sandboxes too.
    let (fresh, _, stack_pointer, _) = state(&mut sandbox(&engine));
    assert!(fresh == engine.base.bytes(), "a new sandbox is not the base image");
    let mut reused = 0;
    for round in 0..8 {
        let mut tenant = sandbox(&engine);
        load(
            &mut tenant,
            "import random, decimal\nSECRET = [f'the tenant {n}' for n in range(30_000)]\nrandom.random()",
        );
        let (dirty, _, _, place) = state(&mut tenant);
        assert!(dirty.windows(10).any(|part| part == b"the tenant"), "the tenant wrote nothing");
        drop(tenant);
        let mut next = sandbox(&engine);
        let (memory, flags, global, next_place) = state(&mut next);
        reused += usize::from(place == next_place);
        assert!(memory == fresh, "round {round}: the next tenant finds something in its memory");
        assert!(flags.iter().all(|byte| *byte == 0), "round {round}: something lies where the polls read");
        assert_eq!(global, stack_pointer, "round {round}");
    }
    assert!(reused > 0, "no slot was used again: the test has shown nothing");
}

#[test]
fn the_stack_pointer_returns_to_where_it_starts() {
    let engine = Engine::shared(&|_| {}).expect("an engine");
    let mut sandbox = sandbox(&engine);
    let (_, _, before, _) = state(&mut sandbox);
    load(&mut sandbox, "import json\nX = json.loads('[1, {\"a\": 2}]')");
    let (_, _, after, _) = state(&mut sandbox);
    assert_eq!(before, after, "an image of the memory alone would not be the whole sandbox");
}

/// What a small job costs: each page is 4 KiB and a page fault. The image is baked so that they are few, some 60; what
/// undoes that would otherwise show in benches only.
#[test]
fn a_job_and_its_first_call_write_to_few_pages() {
    let engine = Engine::shared(&|_| {}).expect("an engine");
    let log = Arc::new(JobLog::new(0));
    let columns = Some(1 << 20);
    let mut sandbox =
        Sandbox::new(&engine, Limits::DEFAULT_WASM_MEMORY, log, Arc::default(), account(), columns).expect("a sandbox");
    load(&mut sandbox, "def f(x: int) -> int:\n    return x + 1\n");
    let binding = Binding {
        handle: 0,
        function: "f".into(),
        arguments: vec![DataType::Int64],
        constants: vec![false],
        result: DataType::Int64,
        on_error: OnError::Fail,
    };
    let account = account();
    let context = CallContext { deadline: None, cancelled: &Arc::default(), token: None, account: &account };
    let bind = protocol::bind(&binding).expect("a request");
    sandbox.request(&bind, &context, &mut |reply| protocol::read_int(reply).map(drop)).expect("it binds");
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let result = sandbox.evaluate(&binding, &[Argument::Column(column)], 3, &context).expect("the column loop");
    assert_eq!(&result.expect("a result"), &(Arc::new(Int64Array::from(vec![2, 3, 4])) as ArrayRef));
    // By content: a slot that was used before has pages of its own from the start.
    let base = engine.base.bytes().chunks(4096);
    let changed = sandbox.memory().chunks(4096).zip(base).filter(|(now, then)| now != then).count();
    let beyond =
        sandbox.memory()[engine.base.length()..].chunks(4096).filter(|page| page.iter().any(|byte| *byte != 0));
    let written = changed + beyond.count();
    assert!((20..=80).contains(&written), "{written} pages");
}
