//! Shims, built here, that are merged or refused.

use std::borrow::Cow;

use wasm_encoder::{
    CodeSection, ComponentBuilder, ComponentExportKind, ConstExpr, CustomSection, DataSection, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection, Instruction as I,
    MemorySection, MemoryType, Module, NameMap, NameSection, PrimitiveValType, TypeSection, ValType,
};
use wasmparser::{Parser, Payload, Validator};

use crate::{Error, Flattened, Options, Shim, flatten};

/// A component of one library, `lib`: `run` calls `inner`, both of type `i32 -> i32`; a memory of one page; a stack
/// pointer.
fn component() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(0).function(0);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
    let mut globals = GlobalSection::new();
    let mutable = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
    globals.global(mutable, &ConstExpr::i32_const(64));
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, 0).export("memory", ExportKind::Memory, 0);
    exports.export("__stack_pointer", ExportKind::Global, 0);
    let mut code = CodeSection::new();
    code.function(Function::new([]).instruction(&I::LocalGet(0)).instruction(&I::Call(1)).instruction(&I::End));
    code.function(Function::new([]).instruction(&I::I32Const(7777)).instruction(&I::End));
    let mut names = NameSection::new();
    names.module("lib");
    let mut map = NameMap::new();
    map.append(0, "run");
    map.append(1, "inner");
    names.functions(&map);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&globals).section(&exports);
    module.section(&code).section(&names);

    let mut component = ComponentBuilder::default();
    let module = component.core_module(None, &module);
    let instance = component.core_instantiate(None, module, []);
    let run = component.core_alias_export(None, instance, "run", ExportKind::Func);
    let (ty, mut function) = component.type_function(None);
    function.params([("x", PrimitiveValType::U32)]).result(Some(PrimitiveValType::U32.into()));
    let run = component.lift_func(None, run, ty, []);
    component.export("run", ComponentExportKind::Func, run, None);
    component.finish()
}

/// A shim that imports `lib.inner` under `import` and exports `mine` (the original, and where its own data lies).
fn shim(import: &str, memory: u8, table: u8) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    let mut imports = ImportSection::new();
    let ty = MemoryType { minimum: 0, maximum: None, memory64: false, shared: false, page_size_log2: None };
    imports.import("env", "memory", EntityType::Memory(ty));
    let global = |mutable| EntityType::Global(GlobalType { val_type: ValType::I32, mutable, shared: false });
    imports.import("env", "__stack_pointer", global(true)).import("env", "__memory_base", global(false));
    imports.import("lib", import, EntityType::Function(0));
    let mut functions = FunctionSection::new();
    functions.function(0).function(0);
    let mut exports = ExportSection::new();
    exports.export("mine", ExportKind::Func, 1).export("extra", ExportKind::Func, 2);
    let mut code = CodeSection::new();
    code.function(
        Function::new([])
            .instruction(&I::GlobalGet(1))
            .instruction(&I::Call(0))
            .instruction(&I::GlobalSet(0))
            .instruction(&I::I32Const(8888))
            .instruction(&I::End),
    );
    code.function(Function::new([]).instruction(&I::I32Const(9999)).instruction(&I::End));
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::global_get(1), *b"shim");
    let mut module = Module::new();
    // MEM_INFO: sizes and alignments of memory and table.
    let info = [1, 4, memory, 4, table, 0];
    module.section(&CustomSection { name: "dylink.0".into(), data: Cow::Borrowed(&info) });
    module.section(&types).section(&imports).section(&functions).section(&exports).section(&code).section(&data);
    module.finish()
}

fn merged(module: Vec<u8>, replace: &[(&str, &str)]) -> Result<Flattened, Error> {
    let replace = replace.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())).collect();
    let options = Options { shim: Some(Shim { module, replace }), small_function: 0, ..Options::default() };
    let flat = flatten(&component(), &options)?;
    Validator::new().validate_all(&flat.module).expect("a flattened module is valid");
    Ok(flat)
}

fn refusal(module: Vec<u8>, replace: &[(&str, &str)]) -> String {
    merged(module, replace).map(|flat| flat.stats).expect_err("this must be refused").to_string()
}

/// The instructions of each function, as text.
fn bodies(module: &[u8]) -> Vec<String> {
    let payloads = Parser::new(0).parse_all(module).map(Result::unwrap);
    let bodies = payloads.filter_map(|payload| match payload {
        Payload::CodeSectionEntry(body) => Some(body),
        _ => None,
    });
    bodies.map(|body| format!("{:?}", body.get_operators_reader().unwrap().into_iter().collect::<Vec<_>>())).collect()
}

#[test]
fn what_a_shim_replaces_only_the_shim_calls() {
    let flat = merged(shim("inner", 100, 0), &[("lib!inner", "mine")]).expect("a module");
    assert_eq!((flat.stats.replaced, flat.stats.functions_out), (1, 4));
    let bodies = bodies(&flat.module);
    let place = |value: &str| bodies.iter().position(|body| body.contains(value)).expect(value);
    let calls = |index: usize, callee: usize| bodies[index].contains(&format!("Call {{ function_index: {callee} }}"));
    let (run, original, mine) = (0, place("7777"), place("8888"));
    assert!(calls(run, mine) && calls(mine, original), "{bodies:#?}");
    // The shim's data lies behind the first page, and is counted in.
    assert!(bodies[mine].contains("I32Const { value: 65536 }"), "{bodies:#?}");
    for payload in Parser::new(0).parse_all(&flat.module) {
        match payload.unwrap() {
            Payload::MemorySection(section) => assert_eq!(section.into_iter().next().unwrap().unwrap().initial, 2),
            Payload::DataSection(section) => assert_eq!(section.into_iter().next().unwrap().unwrap().data, b"shim"),
            Payload::ExportSection(section) => {
                let names: Vec<&str> = section.into_iter().map(|export| export.unwrap().name).collect();
                assert!(names.contains(&"extra") && !names.contains(&"mine"), "{names:?}");
            }
            _ => {}
        }
    }
}

#[test]
fn a_shim_without_replacements_calls_the_function_itself() {
    let flat = merged(shim("inner", 0, 0), &[]).expect("a module");
    assert_eq!((flat.stats.replaced, flat.stats.functions_out), (0, 4));
}

#[test]
fn shims_that_do_not_fit_are_refused() {
    let replace = [("lib!inner", "mine")];
    assert!(refusal(shim("nothing", 0, 0), &[]).contains("lib!nothing"));
    assert!(refusal(shim("inner", 0, 0), &[("lib!nothing", "mine")]).contains("lib!nothing"));
    assert!(refusal(shim("inner", 0, 0), &[("lib!inner", "nothing")]).contains("nothing"));
    assert!(refusal(shim("inner", 0, 1), &replace).contains("address of a function"));
    assert!(refusal(component(), &replace).contains("no core module"));
    let mut plain = shim("inner", 0, 0);
    let at = plain.windows(6).position(|part| part == b"dylink").expect("the section's name");
    plain[at] = b'x';
    assert!(refusal(plain, &replace).contains("no shared library"));
}
