//! Small components, built here, that are flattened or refused. None may panic.

use wasm_encoder::{
    BlockType, CanonicalOption, CodeSection, ComponentBuilder, ComponentExportKind, ComponentTypeRef, ConstExpr,
    DataSection, ElementSection, Elements, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    GlobalSection, GlobalType, ImportSection, InstanceType, Instruction as I, MemorySection, MemoryType, Module,
    ModuleArg, PrimitiveValType, RefType, StartSection, TableSection, TableType, TypeSection, ValType,
};
use wasmparser::{Operator, Parser, Payload, Validator};

use crate::{Error, Flattened, Options, flatten};

/// What a test puts into its core module beside the function `run`, which has type `i32 -> i32`.
#[derive(Default)]
struct Parts {
    code: Vec<I<'static>>,
    start: bool,
    passive_data: bool,
    passive_elements: bool,
    memories: u32,
    mutable_globals: u32,
}

fn memory_type() -> MemoryType {
    MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None }
}

fn table_type() -> TableType {
    TableType { element_type: RefType::FUNCREF, table64: false, minimum: 4, maximum: None, shared: false }
}

/// A module with `run`, an empty function, a table of four slots (`run` in slot 2), globals and one memory or more.
fn module(parts: &Parts) -> Module {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0).function(1);
    let mut tables = TableSection::new();
    tables.table(table_type());
    let mut memories = MemorySection::new();
    (0..parts.memories).for_each(|_| {
        memories.memory(memory_type());
    });
    let mut globals = GlobalSection::new();
    globals.global(GlobalType { val_type: ValType::I32, mutable: false, shared: false }, &ConstExpr::i32_const(40));
    for _ in 0..parts.mutable_globals {
        globals.global(GlobalType { val_type: ValType::I32, mutable: true, shared: false }, &ConstExpr::i32_const(1));
    }
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, 0);
    let mut elements = ElementSection::new();
    elements.active(None, &ConstExpr::i32_const(2), Elements::Functions([0].as_slice().into()));
    if parts.passive_elements {
        elements.passive(Elements::Functions([0].as_slice().into()));
    }
    let mut code = CodeSection::new();
    let mut run = Function::new([]);
    parts.code.iter().for_each(|instruction| {
        run.instruction(instruction);
    });
    code.function(run.instruction(&I::End));
    code.function(Function::new([]).instruction(&I::End));
    let mut data = DataSection::new();
    if parts.passive_data {
        data.passive(*b"abc");
    } else if parts.memories > 0 {
        data.active(0, &ConstExpr::i32_const(8), *b"abc");
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&tables).section(&memories).section(&globals).section(&exports);
    if parts.start {
        module.section(&StartSection { function_index: 1 });
    }
    module.section(&elements).section(&code).section(&data);
    module
}

/// A component that exports `run` of `module`.
fn component(module: &Module) -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let module = component.core_module(None, module);
    let instance = component.core_instantiate(None, module, []);
    export_run(&mut component, instance);
    component.finish()
}

fn export_run(component: &mut ComponentBuilder, instance: u32) {
    let run = component.core_alias_export(None, instance, "run", ExportKind::Func);
    let (ty, mut function) = component.type_function(None);
    function.params([("x", PrimitiveValType::U32)]).result(Some(PrimitiveValType::U32.into()));
    let run = component.lift_func(None, run, ty, []);
    component.export("run", ComponentExportKind::Func, run, None);
}

fn flattened(parts: &Parts) -> Result<Flattened, Error> {
    let flat = flatten(&component(&module(parts)), &Options::default())?;
    Validator::new().validate_all(&flat.module).expect("a flattened module is valid");
    Ok(flat)
}

fn one_memory(code: Vec<I<'static>>) -> Parts {
    Parts { code, memories: 1, ..Parts::default() }
}

fn refusal(parts: &Parts) -> String {
    flattened(parts).map(|flat| flat.stats).expect_err("this must be refused").to_string()
}

/// Every instruction of every function, as text.
fn instructions(module: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::CodeSectionEntry(body) = payload.unwrap() {
            for operator in body.get_operators_reader().unwrap() {
                found.push(format!("{:?}", operator.unwrap()));
            }
        }
    }
    found
}

fn export_names(module: &[u8]) -> Vec<String> {
    let payloads = Parser::new(0).parse_all(module);
    let exports = payloads.filter_map(|payload| match payload.unwrap() {
        Payload::ExportSection(section) => Some(section),
        _ => None,
    });
    exports.flatten().map(|export| export.unwrap().name.to_owned()).collect()
}

#[test]
fn what_is_no_component_is_refused() {
    let valid = one_memory(vec![I::LocalGet(0)]);
    for bytes in [&b""[..], b"\0", b"garbage that is long enough", b"\0asm\x01\0\0\0", &module(&valid).finish()] {
        assert!(matches!(flatten(bytes, &Options::default()), Err(Error::NotAComponent)), "{bytes:?}");
    }
}

#[test]
fn broken_components_never_panic() {
    let code = vec![I::LocalGet(0), I::GlobalGet(0), I::I32Add];
    let valid = component(&module(&one_memory(code)));
    assert!(flatten(&valid, &Options::default()).is_ok());
    for end in 0..valid.len() {
        // A component that ends between two sections is valid, and exports less.
        let _ = flatten(&valid[..end], &Options::default());
    }
    for at in 0..valid.len() {
        for flip in [1, 2, 4, 8, 0x40, 0x80, 0xff] {
            let mut broken = valid.clone();
            broken[at] ^= flip;
            let _ = flatten(&broken, &Options::default());
        }
    }
    assert!(matches!(flatten(&valid[..valid.len() - 1], &Options::default()), Err(Error::Invalid(_))));
}

#[test]
fn what_is_not_understood_is_refused() {
    let get = || vec![I::LocalGet(0)];
    let start = Parts { start: true, ..one_memory(get()) };
    assert!(refusal(&start).contains("start function"));
    let passive = Parts { passive_data: true, ..one_memory(get()) };
    assert!(refusal(&passive).contains("passive data segment"));
    let passive = Parts { passive_elements: true, ..one_memory(get()) };
    assert!(refusal(&passive).contains("passive element segment"));
    let table = vec![I::I32Const(0), I::I32Const(0), I::TableGet(0), I::TableSet(0), I::LocalGet(0)];
    assert!(refusal(&one_memory(table)).contains("TableGet"));
    assert!(refusal(&Parts { code: get(), ..Parts::default() }).contains("0 memories"));
    let state = vec![I::I32Const(0), I::GlobalSet(1), I::I32Const(0), I::GlobalSet(2), I::LocalGet(0)];
    let state = Parts { mutable_globals: 2, ..one_memory(state) };
    assert!(refusal(&state).contains("2 mutable globals"));
    let circle = vec![I::LocalGet(0), I::I32Const(2), I::CallIndirect { type_index: 0, table_index: 0 }];
    assert!(refusal(&one_memory(circle)).contains("circle"));
}

#[test]
fn several_memories_are_refused() {
    let mut two = one_memory(vec![I::LocalGet(0)]);
    two.memories = 2;
    assert!(matches!(flattened(&two), Err(Error::Invalid(_))), "several memories are a proposal we do not take");
}

#[test]
fn constants_are_folded_and_the_stack_pointer_stays() {
    let code = vec![I::I32Const(7), I::GlobalSet(1), I::GlobalGet(0), I::I32Const(2), I::I32Add];
    let flat = flattened(&Parts { mutable_globals: 1, ..one_memory(code) }).unwrap();
    assert_eq!(export_names(&flat.module), ["memory", "__stack_pointer", "run", "interrupt"]);
    assert_eq!(flat.stats.globals_folded, 1);
    let instructions = instructions(&flat.module);
    assert!(instructions.contains(&"I32Const { value: 42 }".to_owned()), "{instructions:?}");
    assert_eq!(flat.stats.functions_out, 1, "the empty function is not reachable");
    assert_eq!((flat.stats.data_segments, flat.stats.data_bytes), (1, 3));
}

/// Three blocks around a jump table with `entries` entries.
fn jump(entries: Vec<u32>) -> Vec<I<'static>> {
    let empty = || I::Block(BlockType::Empty);
    let mut code = vec![empty(), empty(), empty(), I::LocalGet(0), I::BrTable(entries.into(), 2), I::End];
    code.extend([I::I32Const(10), I::Return, I::End, I::I32Const(20), I::Return, I::End, I::I32Const(30)]);
    code
}

#[test]
fn small_jump_tables_become_compares() {
    let flat = flattened(&one_memory(jump(vec![0, 2, 1]))).unwrap();
    assert_eq!(flat.stats.br_tables_lowered, 1);
    let instructions = instructions(&flat.module);
    let lowered: Vec<&str> = instructions[3..].iter().take(8).map(String::as_str).collect();
    let expected = [
        "LocalGet { local_index: 0 }",
        "LocalSet { local_index: 1 }",
        "LocalGet { local_index: 1 }",
        "I32Eqz",
        "BrIf { relative_depth: 0 }",
        // Entry 1 is the default's target and needs no compare.
        "LocalGet { local_index: 1 }",
        "I32Const { value: 2 }",
        "I32Eq",
    ];
    assert_eq!(lowered, expected);
    assert!(!instructions.iter().any(|instruction| instruction.starts_with("BrTable")));
}

#[test]
fn other_jump_tables_stay() {
    let large = flattened(&one_memory(jump(vec![0, 1, 0, 1]))).unwrap();
    assert_eq!(large.stats.br_tables_lowered, 0);
    let options = Options { small_br_table: 0, ..Options::default() };
    let off = flatten(&component(&module(&one_memory(jump(vec![0, 1])))), &options).unwrap();
    assert_eq!(off.stats.br_tables_lowered, 0);
    // A target that takes a value: the compares would find it on the stack.
    let value = vec![
        I::Block(BlockType::Result(ValType::I32)),
        I::I32Const(5),
        I::LocalGet(0),
        I::BrTable(vec![0].into(), 0),
        I::End,
    ];
    let value = flattened(&one_memory(value)).unwrap();
    assert_eq!(value.stats.br_tables_lowered, 0);
    assert!(instructions(&value.module).iter().any(|instruction| instruction.starts_with("BrTable")));
}

/// Two modules, the second of which calls a host function through a trampoline in the first.
#[test]
fn trampolines_vanish_and_host_functions_keep_their_names() {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    // Calls slot 0 of its table with its own parameter.
    let mut trampoline = Module::new();
    let mut code = CodeSection::new();
    let call = [I::LocalGet(0), I::I32Const(0), I::CallIndirect { type_index: 0, table_index: 0 }, I::End];
    let mut function = Function::new([]);
    call.iter().for_each(|instruction| {
        function.instruction(instruction);
    });
    code.function(&function);
    trampoline
        .section(&types)
        .section(FunctionSection::new().function(0))
        .section(TableSection::new().table(table_type()))
        .section(ExportSection::new().export("go", ExportKind::Func, 0).export("table", ExportKind::Table, 0))
        .section(&code);
    // Puts the host function into slot 0 and exports a function that calls the trampoline.
    let mut user = Module::new();
    let mut imports = ImportSection::new();
    let table = wasm_encoder::EntityType::Table(table_type());
    imports.import("a", "host", EntityType::Function(0)).import("a", "go", EntityType::Function(0));
    imports.import("a", "table", table);
    let mut code = CodeSection::new();
    code.function(Function::new([]).instruction(&I::LocalGet(0)).instruction(&I::Call(1)).instruction(&I::End));
    let mut elements = ElementSection::new();
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions([0].as_slice().into()));
    user.section(&types)
        .section(&imports)
        .section(FunctionSection::new().function(0))
        .section(MemorySection::new().memory(memory_type()))
        .section(ExportSection::new().export("run", ExportKind::Func, 2))
        .section(&elements)
        .section(&code);

    let mut component = ComponentBuilder::default();
    let mut clock = InstanceType::new();
    clock.ty().function().params([("x", PrimitiveValType::U32)]).result(Some(PrimitiveValType::U32.into()));
    clock.export("now", ComponentTypeRef::Func(0));
    let clock = component.type_instance(None, &clock);
    let clock = component.import("wasi:clocks/monotonic-clock@0.2.9", ComponentTypeRef::Instance(clock));
    let now = component.alias_export(clock, "now", ComponentExportKind::Func);
    let now = component.lower_func(None, now, [] as [CanonicalOption; 0]);
    let trampoline = component.core_module(None, &trampoline);
    let trampoline = component.core_instantiate(None, trampoline, []);
    let go = component.core_alias_export(None, trampoline, "go", ExportKind::Func);
    let table = component.core_alias_export(None, trampoline, "table", ExportKind::Table);
    let exports = [("host", ExportKind::Func, now), ("go", ExportKind::Func, go), ("table", ExportKind::Table, table)];
    let bundle = component.core_instantiate_exports(None, exports);
    let user = component.core_module(None, &user);
    let user = component.core_instantiate(None, user, [("a", ModuleArg::Instance(bundle))]);
    export_run(&mut component, user);

    let flat = flatten(&component.finish(), &Options::default()).unwrap();
    Validator::new().validate_all(&flat.module).unwrap();
    assert_eq!((flat.stats.trampolines, flat.stats.functions_out, flat.stats.imports), (1, 1, 1));
    for payload in Parser::new(0).parse_all(&flat.module) {
        match payload.unwrap() {
            Payload::ImportSection(section) => {
                let imports: Vec<_> = section.into_imports().map(|import| import.unwrap()).collect();
                assert_eq!((imports[0].module, imports[0].name), ("wasi:clocks/monotonic-clock@0.2.9", "now"));
            }
            Payload::CodeSectionEntry(body) => {
                let calls = body.get_operators_reader().unwrap().into_iter().filter_map(|operator| match operator {
                    Ok(Operator::Call { function_index }) => Some(function_index),
                    _ => None,
                });
                assert_eq!(calls.collect::<Vec<_>>(), [0], "the host function is called directly");
            }
            _ => {}
        }
    }
}

/// Two loops, one in the other.
fn loops() -> Vec<I<'static>> {
    let start = || I::Loop(BlockType::Empty);
    vec![start(), start(), I::LocalGet(0), I::BrIf(0), I::End, I::LocalGet(0), I::BrIf(0), I::End, I::LocalGet(0)]
}

#[test]
fn every_loop_polls_a_flag_of_its_own() {
    let flat = flattened(&one_memory(loops())).unwrap();
    assert_eq!(flat.stats.polls, 2);
    let reads: Vec<String> =
        instructions(&flat.module).into_iter().filter(|text| text.starts_with("I32Load8U")).collect();
    assert_eq!(reads.len(), 2);
    assert!(reads[0].contains("offset: 0, memory: 1") && reads[1].contains("offset: 1, memory: 1"), "{reads:?}");
}

#[test]
fn without_interrupts_there_is_no_poll_and_no_second_memory() {
    let options = Options { interrupts: false, ..Options::default() };
    let flat = flatten(&component(&module(&one_memory(loops()))), &options).unwrap();
    assert_eq!(flat.stats.polls, 0);
    assert!(crate::poll::verify(&flat.module).is_err(), "the check must see that the polls are missing");
}

#[test]
fn a_tail_call_is_refused() {
    let code = vec![I::LocalGet(0), I::ReturnCall(0)];
    assert!(refusal(&one_memory(code)).contains("tail call"));
}
