//! Interrupt polls: every loop of the flattened module reads a byte that the host can make unreadable.
//!
//! Owns the shape of a poll and the proof that none is missing. The byte lies in a memory of its own, the module's
//! second one: no load or store of the guest's code names that memory, so code with a corrupted heap cannot reach it.
//! A poll is a load whose value is dropped, and nothing else: no compare, no branch. To end the guest the host takes
//! the access to the memory away; the load then faults, as one outside of a memory does, and traps. A load that can
//! trap is never dropped by the compiler, but two of one address may become one: each loop of a function therefore
//! reads a byte of its own. The host takes all [`FLAG_BYTES`] away at once.
//!
//! Why loops suffice: code without loops, calls included, ends when its stack ends (the host bounds the stack), unless
//! it makes calls that do not use the stack (tail calls), which are refused.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error as ReencodeError, Reencode, utils};
use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, Instruction, MemArg, MemorySection, MemoryType, Module,
};
use wasmparser::{ExportSectionReader, FunctionBody, MemorySectionReader, Operator, Parser, Payload};

use crate::error::Error;

/// How many bytes of the second memory are polled: the most loops that one function may have.
pub const FLAG_BYTES: u32 = 4096;

/// The index of the memory that is polled.
pub(crate) const MEMORY: u32 = 1;

/// The name under which the host finds it.
pub(crate) const EXPORT: &str = "interrupt";

/// Writes `module` again with a poll in every loop and the memory for the polls, under the export [`EXPORT`].
///
/// The last pass of all: no later one may bring loops, or move a poll from one function into another.
pub(crate) fn insert(module: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = Module::new();
    Inserter
        .parse_core_module(&mut out, Parser::new(0), module)
        .map_err(|error| Error::Encode { function: "with polls".to_owned(), reason: error.to_string() })?;
    Ok(out.finish())
}

struct Inserter;

impl Reencode for Inserter {
    type Error = Infallible;

    fn parse_memory_section(
        &mut self,
        memories: &mut MemorySection,
        section: MemorySectionReader<'_>,
    ) -> Result<(), ReencodeError<Infallible>> {
        utils::parse_memory_section(self, memories, section)?;
        memories.memory(MemoryType {
            minimum: 1,
            maximum: Some(1),
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), ReencodeError<Infallible>> {
        utils::parse_export_section(self, exports, section)?;
        exports.export(EXPORT, ExportKind::Memory, MEMORY);
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), ReencodeError<Infallible>> {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        let mut loops = 0;
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            let is_loop = matches!(operator, Operator::Loop { .. });
            function.instruction(&self.instruction(operator)?);
            if is_loop {
                write(&mut function, loops);
                loops += 1;
            }
        }
        code.function(&function);
        Ok(())
    }
}

/// Writes the poll of the loop `ordinal` of a function, right behind the loop's head.
fn write(out: &mut Function, ordinal: u32) {
    out.instruction(&Instruction::I32Const(0));
    out.instruction(&Instruction::I32Load8U(MemArg { offset: u64::from(ordinal), align: 0, memory_index: MEMORY }));
    out.instruction(&Instruction::Drop);
}

/// Reads the finished module again and counts its polls.
///
/// # Errors
/// When a loop has no poll, when two loops of one function read the same byte, when anything else touches the memory,
/// and when there is a tail call.
pub(crate) fn verify(module: &[u8]) -> Result<u64, Error> {
    let mut polls = 0;
    for payload in Parser::new(0).parse_all(module) {
        let Payload::CodeSectionEntry(body) = payload? else { continue };
        let operators: Vec<Operator<'_>> = body.get_operators_reader()?.into_iter().collect::<Result<_, _>>()?;
        let mut loops = 0;
        let mut reads = 0;
        for (position, operator) in operators.iter().enumerate() {
            match operator {
                Operator::Loop { .. } => {
                    if !is_poll(operators.get(position + 1..position + 4).unwrap_or_default(), loops) {
                        return Err(Error::unsupported("a loop without a poll of its own"));
                    }
                    loops += 1;
                }
                Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } | Operator::ReturnCallRef { .. } => {
                    return Err(Error::unsupported("a tail call, which can run for ever without a loop"));
                }
                other => reads += u32::from(touches_flags(other)),
            }
        }
        if loops > FLAG_BYTES {
            return Err(Error::unsupported(format!("a function with {loops} loops")));
        }
        if reads != loops {
            return Err(Error::unsupported("code that touches the flags outside of a poll"));
        }
        polls += u64::from(loops);
    }
    Ok(polls)
}

fn is_poll(operators: &[Operator<'_>], ordinal: u32) -> bool {
    matches!(
        operators,
        [
            Operator::I32Const { value: 0 },
            Operator::I32Load8U { memarg },
            Operator::Drop,
        ] if memarg.memory == MEMORY && memarg.offset == u64::from(ordinal)
    )
}

/// Whether an instruction names the second memory.
fn touches_flags(operator: &Operator<'_>) -> bool {
    match operator {
        Operator::MemoryCopy { dst_mem, src_mem } => *dst_mem == MEMORY || *src_mem == MEMORY,
        Operator::MemoryFill { mem } | Operator::MemoryInit { mem, .. } => *mem == MEMORY,
        Operator::MemoryGrow { mem } | Operator::MemorySize { mem } => *mem == MEMORY,
        other => memarg(other).is_some_and(|memory| memory == MEMORY),
    }
}

/// The memory of a load or store. Vector instructions other than these are not in the image's code; if they came, the
/// re-encoder would have given them memory 0 like all others.
fn memarg(operator: &Operator<'_>) -> Option<u32> {
    use Operator::*;
    match operator {
        I32Load { memarg }
        | I64Load { memarg }
        | F32Load { memarg }
        | F64Load { memarg }
        | I32Load8S { memarg }
        | I32Load8U { memarg }
        | I32Load16S { memarg }
        | I32Load16U { memarg }
        | I64Load8S { memarg }
        | I64Load8U { memarg }
        | I64Load16S { memarg }
        | I64Load16U { memarg }
        | I64Load32S { memarg }
        | I64Load32U { memarg }
        | I32Store { memarg }
        | I64Store { memarg }
        | F32Store { memarg }
        | F64Store { memarg }
        | I32Store8 { memarg }
        | I32Store16 { memarg }
        | I64Store8 { memarg }
        | I64Store16 { memarg }
        | I64Store32 { memarg }
        | V128Load { memarg }
        | V128Store { memarg } => Some(memarg.memory),
        _ => None,
    }
}
