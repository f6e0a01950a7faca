//! Fails when one of the settings that safety depends on is loosened. Looks at what the engine does, not at what it was
//! told: a proposal that is off is one whose modules are refused, a guard is there if what would run past it traps.

use std::collections::BTreeSet;

use wasmtime::{Instance, Module, Store, Trap};

use super::engine::Engine;
use super::settings::{GUARD, MAX_MEMORY, NATIVE_STACK, ROOM, SANDBOXES, WASM_STACK};

/// The engine that sandboxes live in.
fn engine() -> wasmtime::Engine {
    Engine::shared(&|_| {}).expect("an engine").engine.clone()
}

/// A module of sections, each a number and its content of less than 128 bytes.
fn module(sections: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    for (number, content) in sections {
        bytes.extend([*number, content.len() as u8]);
        bytes.extend(*content);
    }
    bytes
}

const TYPES: u8 = 1;
const FUNCTIONS: u8 = 3;
const MEMORIES: u8 = 5;
const EXPORTS: u8 = 7;
const CODE: u8 = 10;
const TAGS: u8 = 13;

/// One type, of a function that takes and gives nothing.
const NOTHING: (u8, &[u8]) = (TYPES, &[1, 0x60, 0, 0]);
/// One function of that type.
const ONE: (u8, &[u8]) = (FUNCTIONS, &[1, 0]);

#[test]
fn proposals_that_the_image_does_not_use_are_off() {
    // Two vectors of zeros, and what relaxed SIMD does with them.
    let mut relaxed = vec![1, 42, 0];
    (0..2).for_each(|_| relaxed.extend([&[0xfd, 0x0c][..], &[0; 16]].concat()));
    relaxed.extend([0xfd, 0x80, 0x02, 0x1a, 0x0b]);
    let cases = [
        ("threads", module(&[(MEMORIES, &[1, 3, 1, 1])])),
        ("64-bit", module(&[(MEMORIES, &[1, 4, 1])])),
        ("custom page sizes", module(&[(MEMORIES, &[1, 8, 1, 0])])),
        ("gc", module(&[(TYPES, &[1, 0x5f, 0])])),
        ("exceptions", module(&[NOTHING, (TAGS, &[1, 0, 0])])),
        ("tail calls", module(&[NOTHING, ONE, (CODE, &[1, 4, 0, 0x12, 0, 0x0b])])),
        ("relaxed SIMD", module(&[NOTHING, ONE, (CODE, &relaxed)])),
        ("stack switching", module(&[(TYPES, &[2, 0x60, 0, 0, 0x5d, 0])])),
        (
            "wide arithmetic",
            module(&[NOTHING, ONE, (CODE, &[1, 10, 0, 0x42, 0, 0x42, 0, 0xfc, 0x15, 0x1a, 0x1a, 0x0b])]),
        ),
    ];
    let engine = engine();
    // The same shapes without the proposals are fine, so that each refusal is for what it is named after.
    for plain in [
        module(&[(MEMORIES, &[1, 1, 1, 1])]),
        module(&[NOTHING, ONE, (CODE, &[1, 4, 0, 0x10, 0, 0x0b])]),
        module(&[(TYPES, &[1, 0x60, 1, 0x70, 0])]),
    ] {
        Module::validate(&engine, &plain).expect("a plain module");
    }
    for (word, bytes) in cases {
        let error = Module::validate(&engine, &bytes).err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(error.contains(word), "{word}: {error:?}");
    }
}

/// A module with one page of memory and three functions: `far` reads at its argument plus 4 GiB less one, `deep` calls
/// itself for ever, `mark` writes a 1 at its argument and gives what was there.
fn probe() -> Vec<u8> {
    let far: &[u8] = &[0, 0x20, 0, 0x28, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x0b];
    let deep: &[u8] = &[0, 0x10, 1, 0x0b];
    let mark: &[u8] = &[0, 0x20, 0, 0x28, 0, 0, 0x20, 0, 0x41, 1, 0x36, 0, 0, 0x0b];
    let bodies: Vec<u8> = [far, deep, mark].iter().flat_map(|body| [&[body.len() as u8][..], *body].concat()).collect();
    let exports: Vec<u8> = [b"far_", b"deep", b"mark"]
        .iter()
        .enumerate()
        .flat_map(|(at, name)| [&[4][..], *name, &[0, at as u8]].concat())
        .collect();
    module(&[
        (TYPES, &[2, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 0]),
        (FUNCTIONS, &[3, 0, 1, 0]),
        (MEMORIES, &[1, 0, 1]),
        (EXPORTS, &[&[3][..], &exports].concat()),
        (CODE, &[&[3][..], &bodies].concat()),
    ])
}

type Read = wasmtime::TypedFunc<i32, i32>;

fn instance(engine: &wasmtime::Engine) -> (Store<()>, Instance) {
    let mut store = Store::new(engine, ());
    let module = Module::new(engine, probe()).expect("a module");
    let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
    (store, instance)
}

#[test]
fn no_address_and_offset_reach_past_the_guards() {
    let (mut store, instance) = instance(&engine());
    let far: Read = instance.get_typed_func(&mut store, "far_").expect("far");
    for address in [0, 1, 1 << 16, 1 << 24, i32::MAX, i32::MIN, -1] {
        let error = far.call(&mut store, address).expect_err("nothing is there");
        assert!(matches!(error.downcast_ref(), Some(Trap::MemoryOutOfBounds)), "{address}: {error:?}");
    }
    let mark: Read = instance.get_typed_func(&mut store, "mark").expect("mark");
    assert!(mark.call(&mut store, (1 << 16) - 4).is_ok());
    for address in [(1 << 16) - 3, 1 << 16, 32 << 20, i32::MAX, i32::MIN, -1] {
        let error = mark.call(&mut store, address).expect_err("beyond the one page");
        assert!(matches!(error.downcast_ref(), Some(Trap::MemoryOutOfBounds)), "{address}: {error:?}");
    }
}

#[test]
fn endless_recursion_ends_in_a_trap_on_the_stack_that_a_call_is_given() {
    let engine = engine();
    let thread = std::thread::Builder::new().stack_size(NATIVE_STACK).spawn(move || {
        let (mut store, instance) = instance(&engine);
        let deep = instance.get_typed_func::<(), ()>(&mut store, "deep").expect("deep");
        let error = deep.call(&mut store, ()).expect_err("it ends");
        assert!(matches!(error.downcast_ref(), Some(Trap::StackOverflow)), "{error:?}");
    });
    thread.expect("a thread").join().expect("it ends in a trap");
}

#[test]
fn a_memory_that_is_used_again_is_empty() {
    let engine = engine();
    for round in 0..20 {
        let (mut store, instance) = instance(&engine);
        let mark: Read = instance.get_typed_func(&mut store, "mark").expect("mark");
        assert_eq!(mark.call(&mut store, 4096).expect("a value"), 0, "round {round}");
        assert_eq!(mark.call(&mut store, 4096).expect("a value"), 1, "round {round}");
    }
}

#[test]
fn sizes_are_within_what_was_thought_through() {
    // CPython's own checks must fire first, and each thread that calls pays for one stack.
    const { assert!(WASM_STACK >= 2 << 20 && WASM_STACK <= 64 << 20) };
    // Room for the host's frames beyond the guest's.
    const { assert!(NATIVE_STACK - WASM_STACK >= 2 << 20) };
    // One page less than what 32 bits address: no size of a memory overflows them.
    assert_eq!(MAX_MEMORY, (4 << 30) - (64 << 10));
    // What 32 bits address lies between guards, and all sandboxes fit into x86-64's address space, two memories each.
    assert_eq!(ROOM, 4 << 30);
    const { assert!(GUARD >= 32 << 20) };
    const { assert!(SANDBOXES as u64 * 2 * (ROOM + 2 * GUARD) as u64 <= 1 << 47) };
}

#[test]
fn a_guest_imports_what_is_on_the_list_and_nothing_else() {
    let engine = Engine::shared(&|_| {}).expect("an engine");
    let imports = engine.instance.module().imports();
    let interfaces: BTreeSet<&str> =
        imports.map(|import| import.module().split('@').next().unwrap_or_default()).collect();
    assert_eq!(interfaces.into_iter().collect::<Vec<_>>(), INTERFACES);
}

/// What `hostcalls` answers, most of it with "there is no such thing".
#[rustfmt::skip]
const INTERFACES: &[&str] = &[
    "canonical", "wasi:cli/environment", "wasi:cli/exit", "wasi:cli/stderr", "wasi:cli/stdin", "wasi:cli/stdout",
    "wasi:cli/terminal-stderr", "wasi:cli/terminal-stdin", "wasi:cli/terminal-stdout", "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock", "wasi:filesystem/preopens", "wasi:filesystem/types", "wasi:io/poll", "wasi:io/streams",
    "wasi:random/random", "wasi:sockets/instance-network", "wasi:sockets/ip-name-lookup", "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket", "wasi:sockets/udp", "wasi:sockets/udp-create-socket",
];
