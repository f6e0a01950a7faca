//! Dispatchers: what they jump to, and what is refused. That they do what a table did, the image's own tests show.

use wasm_encoder::{
    ConstExpr, ElementSection, Elements, ExportKind, ExportSection, Instruction as I, Module, RefType, TableType,
    TypeSection, ValType,
};
use wasmparser::Validator;

use super::*;

/// A module whose first seven functions lie in its table: six of one type from slot 1 on, one of another type in slot 7,
/// and the first one in slot 9 again. `code` is that of an eighth, of type 2.
fn module(code: &[I<'_>]) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    types.ty().function([], []);
    types.ty().function([ValType::I32, ValType::I32], [ValType::I32]);
    let (mut functions, mut bodies) = (FunctionSection::new(), CodeSection::new());
    for value in 0..6 {
        functions.function(0);
        bodies.function(Function::new([]).instruction(&I::I32Const(value)).instruction(&I::End));
    }
    functions.function(1);
    bodies.function(Function::new([]).instruction(&I::End));
    functions.function(2);
    let mut function = Function::new([]);
    for instruction in code {
        function.instruction(instruction);
    }
    bodies.function(function.instruction(&I::End));
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 10,
        maximum: None,
        shared: false,
    });
    let mut elements = ElementSection::new();
    elements.active(None, &ConstExpr::i32_const(1), Elements::Functions([0, 1, 2, 3, 4, 5, 6].as_slice().into()));
    elements.active(None, &ConstExpr::i32_const(9), Elements::Functions([0].as_slice().into()));
    let mut exports = ExportSection::new();
    exports.export("call", ExportKind::Func, 7);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&tables).section(&exports).section(&elements).section(&bodies);
    module.finish()
}

fn bodies(module: &[u8]) -> Vec<Vec<String>> {
    let payloads = Parser::new(0).parse_all(module).map(Result::unwrap);
    let code = payloads.filter_map(|payload| match payload {
        Payload::CodeSectionEntry(body) => Some(body.get_operators_reader().unwrap()),
        _ => None,
    });
    code.map(|operators| operators.into_iter().map(|operator| format!("{:?}", operator.unwrap())).collect()).collect()
}

fn indirect(ty: u32) -> I<'static> {
    I::CallIndirect { type_index: ty, table_index: 0 }
}

#[test]
fn calls_through_the_table_become_calls_of_a_dispatcher() {
    let code = [I::LocalGet(0), I::LocalGet(1), indirect(0), I::LocalGet(1), indirect(1)];
    let dispatched = dispatch(&module(&code)).unwrap();
    Validator::new().validate_all(&dispatched.module).unwrap();
    assert_eq!(dispatched.dispatchers, 2);
    let bodies = bodies(&dispatched.module);
    assert_eq!(bodies.len(), 10);
    let calls =
        |body: &[String]| -> Vec<String> { body.iter().filter(|text| text.starts_with("Call")).cloned().collect() };
    assert_eq!(calls(&bodies[7]), ["Call { function_index: 8 }", "Call { function_index: 9 }"]);
    // Six functions, each once, in slots 1 to 6 and one of them in slot 9; nothing of this type in 7 and 8.
    let all: Vec<String> = (0..6).map(|index| format!("Call {{ function_index: {index} }}")).collect();
    assert_eq!(calls(&bodies[8]), all);
    let jump = bodies[8].iter().find(|text| text.starts_with("BrTable")).expect("a jump");
    assert!(jump.contains("default: 6") && jump.contains("targets: [0, 1, 2, 3, 4, 5, 6, 6, 0]"), "{jump}");
    assert_eq!(bodies[8][bodies[8].len() - 2], "Unreachable", "an index that means nothing traps");
    // One function: a compare will do.
    assert!(bodies[9].contains(&"I32Const { value: 7 }".to_owned()) && bodies[9].contains(&"I32Eq".to_owned()));
    assert_eq!(calls(&bodies[9]), ["Call { function_index: 6 }"]);
    assert_eq!(bodies[9][bodies[9].len() - 2], "Unreachable");
    for payload in Parser::new(0).parse_all(&dispatched.module) {
        match payload.unwrap() {
            Payload::TableSection(section) => assert_eq!(section.count(), 0),
            Payload::ElementSection(section) => assert_eq!(section.count(), 0),
            _ => {}
        }
    }
}

#[test]
fn a_type_that_no_function_has_always_traps() {
    let code = [I::LocalGet(0), I::LocalGet(1), I::LocalGet(0), indirect(2)];
    let dispatched = dispatch(&module(&code)).unwrap();
    Validator::new().validate_all(&dispatched.module).unwrap();
    assert_eq!(bodies(&dispatched.module)[8], ["Unreachable", "End"]);
}

#[test]
fn a_table_that_is_more_than_a_list_is_refused() {
    for code in [[I::TableSize(0), I::Nop], [I::LocalGet(0), I::ReturnCallIndirect { type_index: 0, table_index: 0 }]] {
        let error = dispatch(&module(&code)).map(|done| done.dispatchers).expect_err("this must be refused");
        assert!(error.to_string().contains("more than a list"), "{error}");
    }
}
