//! The image without its interrupt polls, for measuring what they cost. No sandbox of a job ever runs it.

use std::convert::Infallible;

use anyhow::{Context, Result, ensure};
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{CodeSection, Function};
use wasmparser::{FunctionBody, Operator, Parser};

/// How many instructions a poll takes: `cloister_flatten` writes them right behind the head of each loop.
const POLL: usize = 3;

/// `image` with all polls removed, and how many there were.
///
/// # Errors
/// When the module cannot be read, or has no polls.
pub fn strip(image: &[u8]) -> Result<(Vec<u8>, usize)> {
    let mut stripper = Stripper { polls: 0 };
    let mut module = wasm_encoder::Module::new();
    stripper.parse_core_module(&mut module, Parser::new(0), image).context("the image cannot be read")?;
    ensure!(stripper.polls > 0, "the image has no polls");
    Ok((module.finish(), stripper.polls))
}

struct Stripper {
    polls: usize,
}

impl Reencode for Stripper {
    type Error = Infallible;

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        let mut locals = Vec::new();
        for pair in body.get_locals_reader()? {
            let (count, kind) = pair?;
            locals.push((count, self.val_type(kind)?));
        }
        let mut function = Function::new(locals);
        let operators: Vec<Operator<'_>> = body.get_operators_reader()?.into_iter().collect::<Result<_, _>>()?;
        let mut position = 0;
        while let Some(operator) = operators.get(position) {
            function.instruction(&self.instruction(operator.clone())?);
            position += 1;
            if matches!(operator, Operator::Loop { .. }) && is_poll(operators.get(position..).unwrap_or_default()) {
                position += POLL;
                self.polls += 1;
            }
        }
        code.function(&function);
        Ok(())
    }
}

fn is_poll(operators: &[Operator<'_>]) -> bool {
    matches!(
        operators,
        [Operator::I32Const { value: 0 }, Operator::I32Load8U { memarg }, Operator::Drop, ..]
            if memarg.memory == 1
    )
}
