//! Small modules before and after inlining. What comes out is always valid; `tests/` runs the whole interpreter.

use wasm_encoder::{
    BlockType, CodeSection, ExportKind, ExportSection, Function, FunctionSection, Instruction as I, Module,
    TypeSection, ValType,
};
use wasmparser::{Operator, Parser, Payload, Validator};

use super::inline;

/// A module of functions `i32 -> i32` with one declared local each; the first is exported.
fn module(bodies: &[&[I<'static>]]) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    for body in bodies {
        functions.function(0);
        let mut function = Function::new([(1, ValType::I32)]);
        for instruction in *body {
            function.instruction(instruction);
        }
        code.function(function.instruction(&I::End));
    }
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, 0);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&exports).section(&code);
    module.finish()
}

/// The instructions of each function after inlining what has at most ten.
fn inlined(bodies: &[&[I<'static>]]) -> (u64, usize, Vec<Vec<String>>) {
    let inlined = inline(&module(bodies), 10).unwrap();
    Validator::new().validate_all(&inlined.module).expect("the module is still valid");
    let mut functions = Vec::new();
    for payload in Parser::new(0).parse_all(&inlined.module) {
        if let Payload::CodeSectionEntry(body) = payload.unwrap() {
            let operators = body.get_operators_reader().unwrap().into_iter().map(Result::unwrap);
            functions.push(operators.map(|operator| text(&operator)).collect());
        }
    }
    (inlined.calls, inlined.emptied, functions)
}

fn text(operator: &Operator<'_>) -> String {
    format!("{operator:?}").replace(" { ", "(").replace(" }", ")").replace("local_index: ", "")
}

#[test]
fn a_call_becomes_a_block_with_locals_of_its_own_that_start_at_zero() {
    let add: &[I<'_>] = &[I::LocalGet(0), I::LocalGet(1), I::I32Add];
    let (calls, emptied, functions) = inlined(&[&[I::LocalGet(0), I::Call(1)], add]);
    assert_eq!((calls, emptied), (1, 1));
    let expected = [
        "LocalGet(0)",
        "LocalSet(2)",
        "I32Const(value: 0)",
        "LocalSet(3)",
        "Block(blockty: Type(I32))",
        "LocalGet(2)",
        "LocalGet(3)",
        "I32Add",
        "End",
        "End",
    ];
    assert_eq!(functions[0], expected);
    assert_eq!(functions[1], ["Unreachable", "End"], "nothing calls it any more");
}

#[test]
fn a_return_leaves_the_block_and_not_the_caller() {
    let callee: &[I<'_>] = &[
        I::Block(BlockType::Empty),
        I::Loop(BlockType::Empty),
        I::LocalGet(0),
        I::Return,
        I::End,
        I::End,
        I::LocalGet(0),
    ];
    let (_, _, functions) = inlined(&[&[I::LocalGet(0), I::Call(1)], callee]);
    assert!(functions[0].contains(&"Br(relative_depth: 2)".to_owned()), "{:?}", functions[0]);
    assert!(!functions[0].contains(&"Return".to_owned()));
}

#[test]
fn calls_in_calls_are_inlined_from_the_inside_and_share_locals() {
    let leaf: &[I<'_>] = &[I::LocalGet(0), I::I32Const(1), I::I32Add];
    let (calls, _, functions) =
        inlined(&[&[I::LocalGet(0), I::Call(1), I::Call(1)], leaf, &[I::LocalGet(0), I::Call(1)]]);
    assert_eq!(calls, 3);
    assert!(functions[0].iter().all(|operator| !operator.starts_with("Call")));
    let highest = functions[0].iter().filter(|operator| operator.starts_with("LocalSet")).max().unwrap();
    assert_eq!(highest, "LocalSet(3)", "the second call uses the locals of the first");
}

#[test]
fn recursion_and_large_functions_stay_calls() {
    let own: &[I<'_>] = &[I::LocalGet(0), I::Call(1)];
    let even: &[I<'_>] = &[I::LocalGet(0), I::Call(3)];
    let odd: &[I<'_>] = &[I::LocalGet(0), I::Call(2)];
    let large = vec![I::Nop; 20].into_iter().chain([I::LocalGet(0)]).collect::<Vec<_>>();
    let run: &[I<'_>] = &[I::LocalGet(0), I::Call(1), I::Call(2), I::Call(4)];
    let (_, _, functions) = inlined(&[run, own, even, odd, &large]);
    let calls = |function: usize| functions[function].iter().filter(|operator| operator.starts_with("Call(")).count();
    assert_eq!(calls(1), 1, "a function that calls itself");
    assert!(calls(2) + calls(3) >= 1, "two functions that call each other");
    assert!(functions[0].contains(&"Call(function_index: 4)".to_owned()));
}

#[test]
fn a_function_with_a_tail_call_is_not_inlined() {
    let (calls, ..) = inlined(&[&[I::LocalGet(0), I::Call(1)], &[I::LocalGet(0), I::ReturnCall(2)], &[I::LocalGet(0)]]);
    assert_eq!(calls, 0);
}
