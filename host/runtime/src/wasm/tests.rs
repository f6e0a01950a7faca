//! Sandboxes with the real image: what a slot's next tenant finds.

use std::sync::Arc;

use super::engine::Engine;
use super::sandbox::Sandbox;
use crate::account::Account;
use crate::executor::{CallContext, Executor};
use crate::log::JobLog;
use crate::{Limits, TenantLimits, protocol};

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
        assert!(flags.iter().all(|flag| *flag == 0), "round {round}: a flag is set");
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
