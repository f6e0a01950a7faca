//! Writes one function body again: new indices, constants in place of globals, compares in place of small jump tables.
//!
//! Owns the three changes made to code. Every other instruction is copied as it is.

use wasm_encoder::reencode::{Error as ReencodeError, Reencode, RoundtripReencoder};
use wasm_encoder::{Function, Instruction, ValType};
use wasmparser::{BlockType, FunctionBody, Operator};

use crate::error::Error;
use crate::link::{Instance, Program, at};
use crate::number::Numbering;

/// What the changes came to.
#[derive(Default)]
pub(crate) struct Changes {
    /// Reads of globals that became constants.
    pub folded: u64,
    /// Jump tables that became compares.
    pub lowered: u64,
}

/// A body to write.
pub(crate) struct Source<'p, 'a> {
    pub name: &'p str,
    pub parameters: usize,
    pub has_results: bool,
    pub instance: usize,
    pub body: &'p FunctionBody<'a>,
}

/// The locals of a body, in runs of one type.
struct Locals {
    declared: Vec<(u32, ValType)>,
    /// One more than the body had, for compares in place of jump tables.
    scratch: Option<u32>,
}

/// Writes bodies with the numbers of one [`Numbering`].
pub(crate) struct Writer<'p, 'a> {
    pub program: &'p Program<'a>,
    pub numbering: &'p Numbering,
    /// Jump tables with at most this many entries become compares.
    pub small_br_table: u32,
    pub changes: Changes,
}

impl<'p, 'a> Writer<'p, 'a> {
    /// Writes one body.
    pub(crate) fn write(&mut self, source: &Source<'p, 'a>) -> Result<Function, Error> {
        let encode = |reason: ReencodeError<Error>| match reason {
            ReencodeError::UserError(error) => error,
            other => Error::Encode { function: source.name.to_owned(), reason: other.to_string() },
        };
        let instance = at(&self.program.instances, source.instance, "instance")?;
        let mut renumber = Renumber { instance, numbering: self.numbering };
        let Locals { declared, scratch } = self.locals(source)?;
        let mut out = Function::new(declared);
        // For every open block whether a jump to it carries no values.
        let mut blocks = vec![!source.has_results];
        // Constants that are not written yet, because an addition may still fold them.
        let mut pending: Vec<i32> = Vec::new();
        for operator in source.body.get_operators_reader()? {
            let operator = operator?;
            match operator {
                Operator::I32Const { value } => {
                    pending.push(value);
                    continue;
                }
                Operator::GlobalGet { global_index } => {
                    let global = *at(&instance.globals, global_index, "global")?;
                    if !self.numbering.globals.contains_key(&global) {
                        self.changes.folded += 1;
                        match constant(self.program, global)? {
                            Instruction::I32Const(value) => pending.push(value),
                            other => {
                                flush(&mut out, &mut pending);
                                out.instruction(&other);
                            }
                        }
                        continue;
                    }
                }
                Operator::I32Add => {
                    if let [.., a, b] = pending[..] {
                        pending.truncate(pending.len() - 2);
                        pending.push(a.wrapping_add(b));
                        continue;
                    }
                }
                _ => {}
            }
            flush(&mut out, &mut pending);
            track(&mut blocks, instance, &operator)?;
            if let (Operator::BrTable { targets }, Some(scratch)) = (&operator, scratch)
                && let Some(jump) = small_jump(targets, self.small_br_table, &blocks)?
            {
                jump.write(&mut out, scratch);
                self.changes.lowered += 1;
                continue;
            }
            out.instruction(&renumber.instruction(operator).map_err(encode)?);
        }
        flush(&mut out, &mut pending);
        Ok(out)
    }

    /// The locals of the body, and one more when a jump table may become compares.
    fn locals(&self, source: &Source<'_, '_>) -> Result<Locals, Error> {
        let mut declared = Vec::new();
        let mut next = u64::try_from(source.parameters).unwrap_or(u64::MAX);
        for local in source.body.get_locals_reader()? {
            let (count, ty) = local?;
            let ty = RoundtripReencoder
                .val_type(ty)
                .map_err(|error| Error::Encode { function: source.name.to_owned(), reason: error.to_string() })?;
            next = next.saturating_add(u64::from(count));
            declared.push((count, ty));
        }
        for operator in source.body.get_operators_reader()? {
            if let Operator::BrTable { targets } = operator?
                && targets.len() <= self.small_br_table
                && let Ok(scratch) = u32::try_from(next)
            {
                declared.push((1, ValType::I32));
                return Ok(Locals { declared, scratch: Some(scratch) });
            }
        }
        Ok(Locals { declared, scratch: None })
    }
}

fn flush(out: &mut Function, pending: &mut Vec<i32>) {
    for value in pending.drain(..) {
        out.instruction(&Instruction::I32Const(value));
    }
}

/// The value of a global that nothing writes.
fn constant(program: &Program<'_>, global: usize) -> Result<Instruction<'static>, Error> {
    let global = at(&program.globals, global, "global")?;
    match global.ty.content_type {
        wasmparser::ValType::I32 => Ok(Instruction::I32Const(global.value as i32)),
        wasmparser::ValType::I64 => Ok(Instruction::I64Const(global.value)),
        other => Err(Error::unsupported(format!("a global of type {other}"))),
    }
}

/// Follows the nesting of blocks.
fn track(blocks: &mut Vec<bool>, instance: &Instance, operator: &Operator<'_>) -> Result<(), Error> {
    let empty = match operator {
        // A jump to a block goes to its end and carries its results, a jump to a loop goes to its start.
        Operator::Block { blockty } | Operator::If { blockty } => match blockty {
            BlockType::Empty => true,
            BlockType::Type(_) => false,
            BlockType::FuncType(ty) => at(&instance.types, *ty, "type")?.results().is_empty(),
        },
        Operator::Loop { blockty } => match blockty {
            BlockType::FuncType(ty) => at(&instance.types, *ty, "type")?.params().is_empty(),
            BlockType::Empty | BlockType::Type(_) => true,
        },
        Operator::End => {
            blocks.pop();
            return Ok(());
        }
        _ => return Ok(()),
    };
    blocks.push(empty);
    Ok(())
}

/// A jump table that is written as compares.
struct SmallJump {
    targets: Vec<u32>,
    default: u32,
}

/// The jump table as compares if it is small and none of its targets takes values.
///
/// Cranelift turns a jump table of two or three entries into a bounds check and an indirect jump, which cost more than
/// the compares.
fn small_jump(targets: &wasmparser::BrTable<'_>, limit: u32, blocks: &[bool]) -> Result<Option<SmallJump>, Error> {
    if targets.len() > limit {
        return Ok(None);
    }
    let default = targets.default();
    let listed = targets.targets().collect::<Result<Vec<u32>, _>>()?;
    let empty = |depth: &u32| blocks.iter().rev().nth(*depth as usize).copied().unwrap_or(false);
    Ok((listed.iter().all(empty) && empty(&default)).then_some(SmallJump { targets: listed, default }))
}

impl SmallJump {
    fn write(&self, out: &mut Function, scratch: u32) {
        out.instruction(&Instruction::LocalSet(scratch));
        for (value, target) in (0_i32..).zip(&self.targets) {
            if *target == self.default {
                continue;
            }
            out.instruction(&Instruction::LocalGet(scratch));
            if value == 0 {
                out.instruction(&Instruction::I32Eqz);
            } else {
                out.instruction(&Instruction::I32Const(value));
                out.instruction(&Instruction::I32Eq);
            }
            out.instruction(&Instruction::BrIf(*target));
        }
        out.instruction(&Instruction::Br(self.default));
    }
}

/// Translates the indices of one instance.
struct Renumber<'p> {
    instance: &'p Instance,
    numbering: &'p Numbering,
}

fn user(error: Error) -> ReencodeError<Error> {
    ReencodeError::UserError(error)
}

impl Reencode for Renumber<'_> {
    type Error = Error;

    fn function_index(&mut self, index: u32) -> Result<u32, ReencodeError<Error>> {
        let function = *at(&self.instance.functions, index, "function").map_err(user)?;
        self.numbering.function(function).map_err(user)
    }

    fn type_index(&mut self, index: u32) -> Result<u32, ReencodeError<Error>> {
        let ty = at(&self.instance.types, index, "type").map_err(user)?;
        self.numbering.types.get(ty).map_err(user)
    }

    fn table_index(&mut self, index: u32) -> Result<u32, ReencodeError<Error>> {
        let table = at(&self.instance.tables, index, "table").map_err(user)?;
        self.numbering.tables.get(table).copied().ok_or_else(|| user(Error::index("table", table)))
    }

    fn global_index(&mut self, index: u32) -> Result<u32, ReencodeError<Error>> {
        let global = at(&self.instance.globals, index, "global").map_err(user)?;
        self.numbering.globals.get(global).copied().ok_or_else(|| user(Error::index("global", global)))
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, ReencodeError<Error>> {
        // `emit` refuses a program with more than one memory.
        at(&self.instance.memories, index, "memory").map(|_| 0).map_err(user)
    }
}
