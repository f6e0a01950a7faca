//! Memories without wasmtime: what a tenant finds, what it leaves, and where the edges are.

use std::sync::Arc;

use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, FunctionSection, Instruction, MemArg, MemorySection, MemoryType,
    TypeSection, ValType,
};
use wasmtime::{Engine, Instance, Module, Store};

use super::slot::Slot;
use super::{Base, Image, Memories, NoImage, WASM_PAGE, Written, pagemap};
use crate::wasm::settings::{self, GUARD, ROOM};

/// A base of two wasm pages in which byte `i` is `i % 251`.
fn base() -> Arc<Base> {
    let bytes: Vec<u8> = (0..2 * WASM_PAGE).map(|at| (at % 251) as u8).collect();
    Base::of(&bytes).expect("a base")
}

fn bytes(slot: &mut Slot) -> &mut [u8] {
    // SAFETY: so many bytes are accessible, and the slot is borrowed for as long as they are.
    unsafe { std::slice::from_raw_parts_mut(slot.start().as_ptr(), slot.length()) }
}

fn filled(image: &Image) -> Slot {
    let mut slot = Slot::new().expect("a slot");
    slot.fill(image).expect("filled");
    slot
}

#[test]
fn nothing_of_a_tenant_remains_in_a_slot() {
    let base = base();
    let image = Image::of(base.clone());
    for warm in [false, true] {
        let mut slot = filled(&image);
        assert_eq!(bytes(&mut slot), base.bytes());
        // More than is kept warm, and beyond the base's end.
        slot.grow(64 * WASM_PAGE).expect("grown");
        bytes(&mut slot).fill(0xa5);
        slot.reset(&image, warm).expect("reset");
        assert_eq!(bytes(&mut slot), base.bytes(), "warm: {warm}");
        slot.grow(64 * WASM_PAGE).expect("grown");
        assert!(bytes(&mut slot)[2 * WASM_PAGE..].iter().all(|byte| *byte == 0), "warm: {warm}");
    }
}

#[test]
fn nothing_of_a_job_s_image_remains_in_a_slot() {
    let plain = Image::of(base());
    // Few pages are copied into a slot; of many, short runs are copied and long ones mapped: all must go.
    for (length, copied) in [(3 * WASM_PAGE, true), (20 * WASM_PAGE, false)] {
        let mut parent = filled(&plain);
        parent.grow(length).expect("grown");
        bytes(&mut parent)[5] = 0xff;
        bytes(&mut parent)[WASM_PAGE..].fill(0xee);
        let image = plain.take(bytes(&mut parent), &mut Written::default(), u64::MAX).expect("an image");
        assert_eq!(image.is_copied(), copied);
        let mut slot = filled(&image);
        assert_eq!(bytes(&mut slot), bytes(&mut parent));
        for _ in 0..2 {
            bytes(&mut slot)[WASM_PAGE - 9..WASM_PAGE + 9].fill(3);
            slot.reset(&image, true).expect("reset");
            assert_eq!(bytes(&mut slot), bytes(&mut parent), "the image's own slot");
        }
        bytes(&mut slot)[WASM_PAGE - 9..WASM_PAGE + 9].fill(4);
        slot.reset(&plain, copied).expect("reset");
        assert_eq!(bytes(&mut slot), plain.base.bytes());
        slot.grow(length).expect("grown");
        assert!(bytes(&mut slot)[2 * WASM_PAGE..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn clean_slots_of_an_image_that_goes_are_the_base_s() {
    let plain = Image::of(base());
    let mut parent = filled(&plain);
    parent.grow(3 * WASM_PAGE).expect("grown");
    bytes(&mut parent)[WASM_PAGE - 1..].fill(0xee);
    let image = plain.take(bytes(&mut parent), &mut Written::default(), u64::MAX).expect("an image");
    let memories = Memories::default();
    memories.prepare(&image).expect("a slot");
    assert_eq!((image.idle().len(), plain.idle().len()), (1, 0));
    drop(image);
    let mut slot = plain.idle().pop().expect("the image's slot");
    assert_eq!(bytes(&mut slot), plain.base.bytes());
    slot.grow(3 * WASM_PAGE).expect("grown");
    assert!(bytes(&mut slot)[2 * WASM_PAGE..].iter().all(|byte| *byte == 0));
}

#[test]
fn an_image_that_may_not_be_so_large_is_not_made() {
    let plain = Image::of(base());
    let mut parent = filled(&plain);
    bytes(&mut parent)[..WASM_PAGE].fill(0xee);
    let refused = plain.take(bytes(&mut parent), &mut Written::default(), WASM_PAGE as u64 - 1);
    assert!(matches!(refused, Err(NoImage::TooLarge(WASM_PAGE))), "{refused:?}");
    assert!(plain.take(bytes(&mut parent), &mut Written::default(), WASM_PAGE as u64).is_ok());
}

#[test]
fn an_image_is_the_memory_and_does_not_follow_it() {
    let plain = Image::of(base());
    let mut parent = filled(&plain);
    parent.grow(9 * WASM_PAGE).expect("grown");
    for at in [0, 4096, 70_000, 3 * WASM_PAGE, 9 * WASM_PAGE - 1] {
        bytes(&mut parent)[at] ^= 0x5a;
    }
    let image = plain.take(bytes(&mut parent), &mut Written::default(), u64::MAX).expect("an image");
    let expected = bytes(&mut parent).to_vec();
    bytes(&mut parent).fill(1);
    let (mut one, mut other) = (filled(&image), filled(&image));
    assert!(bytes(&mut one) == expected, "an image that is not the memory");
    bytes(&mut one).fill(2);
    assert!(bytes(&mut other) == expected, "one sandbox's writes reach another");
    // An image of a sandbox that was started from an image has the changes of both.
    bytes(&mut other)[12_345] ^= 1;
    let second = image.take(bytes(&mut other), &mut Written::default(), u64::MAX).expect("an image");
    assert!(bytes(&mut filled(&second)) == bytes(&mut other));
    drop((plain, image, parent, other));
    assert_eq!(bytes(&mut filled(&second))[9 * WASM_PAGE - 1], 0x5a);
}

#[test]
fn unchanged_memory_makes_an_empty_image() {
    let plain = Image::of(base());
    let mut slot = filled(&plain);
    // Written with what was there: the kernel calls the page changed, the image does not.
    bytes(&mut slot)[0] = 0;
    let image = plain.take(bytes(&mut slot), &mut Written::default(), u64::MAX).expect("an image");
    assert_eq!(image.changed_bytes(), 0);
    assert_eq!(image.changes().count(), 0);
}

#[test]
fn the_kernel_tells_which_pages_were_written() {
    let plain = Image::of(base());
    let mut slot = filled(&plain);
    let page = super::space::page();
    let read: u64 = bytes(&mut slot).iter().map(|byte| u64::from(*byte)).sum();
    assert!(read > 0);
    bytes(&mut slot)[3 * page] = 1;
    let written = pagemap::written(slot.start().as_ptr(), slot.length());
    let expected = if pagemap::is_supported() { 3 * page..4 * page } else { 0..slot.length() };
    assert_eq!(written.len(), 1);
    assert_eq!(written[0], expected);
}

#[test]
fn what_was_written_since_the_last_look_is_found() {
    let plain = Image::of(base());
    let mut slot = filled(&plain);
    let page = super::space::page();
    let mut written = Written::default();
    let mut expected = Vec::new();
    for at in [1, 5, 9, 9, 2, 20] {
        written.by_this_thread();
        bytes(&mut slot)[at * page] ^= 0xff;
        expected.push(at * page..(at + 1) * page);
        let found = written.ranges(bytes(&mut slot), 2 * WASM_PAGE);
        let covers = |page: &std::ops::Range<usize>| found.iter().any(|f| f.start <= page.start && page.end <= f.end);
        assert!(expected.iter().all(covers), "{found:?}");
    }
    // Another thread's page faults are not counted here.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            written.by_this_thread();
            bytes(&mut slot)[30 * page] = 0xff;
        });
    });
    written.by_this_thread();
    assert!(written.ranges(bytes(&mut slot), 2 * WASM_PAGE).iter().any(|range| range.contains(&(30 * page))));
    slot.grow(5 * WASM_PAGE).expect("grown");
    bytes(&mut slot)[4 * WASM_PAGE] = 1;
    assert!(written.ranges(bytes(&mut slot), 2 * WASM_PAGE).iter().any(|range| range.contains(&(4 * WASM_PAGE))));
}

/// A module as the image is one: no data, a memory that starts with two pages, and one for flags. Its functions load
/// a byte at an address, load one 4 GiB - 1 behind an address, and grow the memory.
fn module() -> Vec<u8> {
    let load = |offset| Instruction::I32Load8U(MemArg { offset, align: 0, memory_index: 0 });
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    let (mut functions, mut memories, mut exports, mut code) =
        (FunctionSection::new(), MemorySection::new(), ExportSection::new(), CodeSection::new());
    for (minimum, maximum) in [(2, None), (1, Some(1))] {
        memories.memory(MemoryType { minimum, maximum, memory64: false, shared: false, page_size_log2: None });
    }
    let bodies = [("load", load(0)), ("far", load(u64::from(u32::MAX))), ("grow", Instruction::MemoryGrow(0))];
    for (index, (name, instruction)) in (0..).zip(bodies) {
        functions.function(0);
        exports.export(name, ExportKind::Func, index);
        let mut body = Function::new([]);
        for instruction in [Instruction::LocalGet(0), instruction, Instruction::End] {
            body.instruction(&instruction);
        }
        code.function(&body);
    }
    let mut module = wasm_encoder::Module::new();
    module.section(&types).section(&functions).section(&memories).section(&exports).section(&code);
    module.finish()
}

fn instance(memories: &Arc<Memories>, engine: &Engine, image: &Arc<Image>) -> (Store<()>, Instance, super::Ticket) {
    let module = Module::new(engine, module()).expect("a module");
    let mut store = Store::new(engine, ());
    let (instance, ticket) =
        memories.starting(image, || Instance::new(&mut store, &module, &[])).expect("memory for an instance");
    (store, instance.expect("an instance"), ticket)
}

#[test]
fn accesses_outside_of_a_memory_trap_and_growth_is_bounded() {
    let memories = Arc::new(Memories::default());
    let engine = settings::engine(memories.clone()).expect("an engine");
    let image = Image::of(base());
    let (mut store, instance, _ticket) = instance(&memories, &engine, &image);
    let load = instance.get_typed_func::<i32, i32>(&mut store, "load").expect("load");
    let far = instance.get_typed_func::<i32, i32>(&mut store, "far").expect("far");
    let grow = instance.get_typed_func::<i32, i32>(&mut store, "grow").expect("grow");
    let end = 2 * WASM_PAGE as i32;
    assert_eq!(load.call(&mut store, end - 1).expect("inside"), (end - 1) % 251);
    for outside in [end, end + 4096, i32::MAX, -1] {
        load.call(&mut store, outside).expect_err("outside of the memory");
        far.call(&mut store, outside).expect_err("far outside of the memory");
    }
    assert_eq!(grow.call(&mut store, 1).expect("a page more"), 2);
    assert_eq!(load.call(&mut store, end).expect("inside now"), 0);
    load.call(&mut store, end + WASM_PAGE as i32).expect_err("outside still");
    let most = (ROOM / WASM_PAGE) as i32;
    assert_eq!(grow.call(&mut store, most).expect("refused"), -1);
    assert!(GUARD.is_multiple_of(WASM_PAGE) && ROOM.is_multiple_of(WASM_PAGE));
}
