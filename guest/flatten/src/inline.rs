//! Inlining over the whole flattened module: calls of small functions become the functions' code.
//!
//! The interpreter's libraries were compiled file by file, so that a call from one file to another stayed a call,
//! however small the callee. Here all files are one module. Callees come before their callers, so that what is inlined
//! has been inlined into already; recursion is left alone. Functions that nothing reaches any more lose their bodies.
//! Owns the choice of what is inlined and the change of code; nothing else of the module changes, not even an index.

use std::collections::HashMap;

use wasm_encoder::reencode::{Error as ReencodeError, Reencode, RoundtripReencoder};
use wasm_encoder::{CodeSection, Function, Instruction, Module};
use wasmparser::{
    BlockType, ElementItems, ExternalKind, FuncType, FunctionBody, Operator, Parser, Payload, TypeRef, ValType,
};

use crate::error::Error;
use crate::link::at;

/// A module after inlining.
pub(crate) struct Inlined {
    pub module: Vec<u8>,
    /// Calls that became code.
    pub calls: u64,
    /// Functions that lost their bodies.
    pub emptied: usize,
}

/// Inlines the calls of functions of at most `limit` instructions, what was inlined into them included. `module` must be
/// valid.
pub(crate) fn inline(module: &[u8], limit: usize) -> Result<Inlined, Error> {
    let mut code = Code::read(module)?;
    let mut calls = 0;
    for index in code.callees_first() {
        calls += code.expand(index, limit)?;
    }
    let reached = code.reached();
    let emptied = reached.iter().filter(|reached| !**reached).count();
    let mut writer = Writer { code: &code, reached: &reached, next: 0 };
    let mut out = Module::new();
    writer
        .parse_core_module(&mut out, Parser::new(0), module)
        .map_err(|error| Error::Encode { function: format!("number {}", writer.next), reason: error.to_string() })?;
    Ok(Inlined { module: out.finish(), calls, emptied })
}

/// One function's code.
struct Body<'a> {
    /// Parameters first.
    locals: Vec<ValType>,
    parameters: usize,
    /// The end of the locals that the function itself declares: they are zero when it starts.
    declared: usize,
    /// The type of the block that the body becomes. `None`: it cannot become one.
    result: Option<BlockType>,
    /// Whether it calls itself: inlining it would only unroll the recursion.
    recursive: bool,
    /// Without the `end` of the function.
    operators: Vec<Operator<'a>>,
}

/// All code of the module.
struct Code<'a> {
    bodies: Vec<Body<'a>>,
    /// Imported functions come first in the index space.
    imports: usize,
    /// Functions that the module's exports, tables and start function name.
    roots: Vec<u32>,
}

impl<'a> Code<'a> {
    fn read(module: &'a [u8]) -> Result<Self, Error> {
        let mut types: Vec<FuncType> = Vec::new();
        let mut functions = Vec::new();
        let mut code = Code { bodies: Vec::new(), imports: 0, roots: Vec::new() };
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter_err_on_gc_types() {
                        types.push(ty?);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        code.imports += usize::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::FunctionSection(section) => {
                    functions = section.into_iter().collect::<Result<Vec<u32>, _>>()?;
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.kind == ExternalKind::Func {
                            code.roots.push(export.index);
                        }
                    }
                }
                Payload::StartSection { func, .. } => code.roots.push(func),
                Payload::ElementSection(section) => {
                    for element in section {
                        let ElementItems::Functions(items) = element?.items else {
                            return Err(Error::unsupported("elements that are expressions"));
                        };
                        for function in items {
                            code.roots.push(function?);
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    let ty = *at(&functions, code.bodies.len(), "function")?;
                    let index = u32::try_from(code.imports + code.bodies.len())
                        .map_err(|_| Error::unsupported("more functions than indices"))?;
                    code.bodies.push(Body::read(index, at(&types, ty, "type")?, &body)?);
                }
                _ => {}
            }
        }
        Ok(code)
    }

    /// The body that a call of `function` runs; none for an import.
    fn body(&self, function: u32) -> Option<usize> {
        (function as usize).checked_sub(self.imports).filter(|index| *index < self.bodies.len())
    }

    fn callees(&self, index: usize) -> impl Iterator<Item = usize> {
        self.bodies[index].operators.iter().filter_map(|operator| match operator {
            Operator::Call { function_index } | Operator::RefFunc { function_index } => self.body(*function_index),
            _ => None,
        })
    }

    /// All bodies, callees before their callers but for recursion.
    fn callees_first(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.bodies.len());
        let mut seen = vec![false; self.bodies.len()];
        for root in 0..self.bodies.len() {
            if std::mem::replace(&mut seen[root], true) {
                continue;
            }
            // Deep chains of calls must not be deep recursion here.
            let mut open = vec![(root, self.callees(root).collect::<Vec<_>>())];
            while let Some((index, callees)) = open.last_mut() {
                match callees.pop() {
                    Some(callee) => {
                        if !std::mem::replace(&mut seen[callee], true) {
                            open.push((callee, self.callees(callee).collect()));
                        }
                    }
                    None => {
                        order.push(*index);
                        open.pop();
                    }
                }
            }
        }
        order
    }

    /// Inlines calls of functions up to `limit` into one body, and counts them.
    fn expand(&mut self, index: usize, limit: usize) -> Result<u64, Error> {
        let operators = std::mem::take(&mut self.bodies[index].operators);
        let mut locals = std::mem::take(&mut self.bodies[index].locals);
        let mut pool = Pool::default();
        let mut out = Vec::with_capacity(operators.len());
        let mut calls = 0;
        for operator in operators {
            let callee = match &operator {
                Operator::Call { function_index } => self.body(*function_index),
                _ => None,
            };
            // The caller's own operators are out of reach here: a direct recursion finds an empty body.
            let callee = callee.filter(|callee| *callee != index).map(|callee| &self.bodies[callee]);
            match callee {
                Some(body) if body.result.is_some() && !body.recursive && body.operators.len() <= limit => {
                    body.write_into(&mut out, &mut locals, &mut pool)?;
                    calls += 1;
                }
                _ => out.push(operator),
            }
        }
        self.bodies[index].operators = out;
        self.bodies[index].locals = locals;
        Ok(calls)
    }

    /// Which bodies can still be called.
    fn reached(&self) -> Vec<bool> {
        let mut reached = vec![false; self.bodies.len()];
        let mut open: Vec<usize> = self.roots.iter().filter_map(|function| self.body(*function)).collect();
        while let Some(index) = open.pop() {
            if !std::mem::replace(&mut reached[index], true) {
                open.extend(self.callees(index));
            }
        }
        reached
    }
}

/// The locals of a caller that hold those of inlined functions, by type: no two of these run at once.
#[derive(Default)]
struct Pool {
    locals: HashMap<ValType, Vec<u32>>,
}

impl Pool {
    /// A local of the caller for each one of `wanted`.
    fn take(&mut self, wanted: &[ValType], locals: &mut Vec<ValType>) -> Result<Vec<u32>, Error> {
        let mut used: HashMap<ValType, usize> = HashMap::new();
        wanted
            .iter()
            .map(|ty| {
                let of_type = self.locals.entry(*ty).or_default();
                let position = used.entry(*ty).or_default();
                if *position == of_type.len() {
                    of_type.push(u32::try_from(locals.len()).map_err(|_| Error::unsupported("too many locals"))?);
                    locals.push(*ty);
                }
                *position += 1;
                Ok(of_type[*position - 1])
            })
            .collect()
    }
}

impl<'a> Body<'a> {
    fn read(index: u32, ty: &FuncType, body: &FunctionBody<'a>) -> Result<Self, Error> {
        let mut locals = ty.params().to_vec();
        for run in body.get_locals_reader()? {
            let (count, ty) = run?;
            locals.extend(std::iter::repeat_n(ty, count as usize));
        }
        let result = match ty.results() {
            [] => Some(BlockType::Empty),
            [one] => Some(BlockType::Type(*one)),
            _ => None,
        };
        let numbers = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];
        let mut operators: Vec<Operator<'a>> = body.get_operators_reader()?.into_iter().collect::<Result<_, _>>()?;
        operators.pop();
        // A tail call leaves the function that it stands in, whichever that is.
        let leaves = |operator: &Operator<'_>| {
            use Operator::{ReturnCall, ReturnCallIndirect, ReturnCallRef};
            matches!(operator, ReturnCall { .. } | ReturnCallIndirect { .. } | ReturnCallRef { .. })
        };
        let numbers_only = locals.iter().all(|ty| numbers.contains(ty));
        let recursive = operators.contains(&Operator::Call { function_index: index });
        Ok(Body {
            recursive,
            parameters: ty.params().len(),
            declared: locals.len(),
            result: result.filter(|_| numbers_only && !operators.iter().any(leaves)),
            locals,
            operators,
        })
    }

    /// The code of a call: the arguments are on the stack.
    ///
    /// The body becomes a block, so that a jump out of the function is a jump out of the block at the same depth.
    fn write_into(&self, out: &mut Vec<Operator<'a>>, locals: &mut Vec<ValType>, pool: &mut Pool) -> Result<(), Error> {
        let Some(blockty) = self.result else { return Err(Error::unsupported("inlining of this function")) };
        let map = pool.take(&self.locals, locals)?;
        let mapped = |index: u32| at(&map, index as usize, "local").copied();
        for index in (0..self.parameters).rev() {
            out.push(Operator::LocalSet { local_index: map[index] });
        }
        for (ty, local_index) in self.locals.iter().zip(&map).take(self.declared).skip(self.parameters) {
            out.push(zero(*ty)?);
            out.push(Operator::LocalSet { local_index: *local_index });
        }
        out.push(Operator::Block { blockty });
        let mut depth = 0;
        for operator in &self.operators {
            out.push(match operator {
                Operator::LocalGet { local_index } => Operator::LocalGet { local_index: mapped(*local_index)? },
                Operator::LocalSet { local_index } => Operator::LocalSet { local_index: mapped(*local_index)? },
                Operator::LocalTee { local_index } => Operator::LocalTee { local_index: mapped(*local_index)? },
                Operator::Return => Operator::Br { relative_depth: depth },
                other => {
                    match other {
                        Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => depth += 1,
                        Operator::End => depth -= 1,
                        _ => {}
                    }
                    other.clone()
                }
            });
        }
        out.push(Operator::End);
        Ok(())
    }
}

fn zero(ty: ValType) -> Result<Operator<'static>, Error> {
    match ty {
        ValType::I32 => Ok(Operator::I32Const { value: 0 }),
        ValType::I64 => Ok(Operator::I64Const { value: 0 }),
        ValType::F32 => Ok(Operator::F32Const { value: 0.0_f32.into() }),
        ValType::F64 => Ok(Operator::F64Const { value: 0.0_f64.into() }),
        other => Err(Error::unsupported(format!("inlining of a local of type {other}"))),
    }
}

/// Writes the module again with the bodies of `code`.
struct Writer<'c, 'a> {
    code: &'c Code<'a>,
    reached: &'c [bool],
    next: usize,
}

impl Reencode for Writer<'_, '_> {
    type Error = std::convert::Infallible;

    fn parse_function_body(
        &mut self,
        section: &mut CodeSection,
        _old: FunctionBody<'_>,
    ) -> Result<(), ReencodeError<Self::Error>> {
        let body = &self.code.bodies[self.next];
        if self.reached[self.next] {
            let mut locals = Vec::new();
            for ty in &body.locals[body.parameters..] {
                locals.push((1, RoundtripReencoder.val_type(*ty)?));
            }
            let mut function = Function::new(runs(locals));
            for operator in &body.operators {
                function.instruction(&RoundtripReencoder.instruction(operator.clone())?);
            }
            function.instruction(&Instruction::End);
            section.function(&function);
        } else {
            let mut function = Function::new([]);
            function.instruction(&Instruction::Unreachable).instruction(&Instruction::End);
            section.function(&function);
        }
        self.next += 1;
        Ok(())
    }
}

/// Neighbours of one type as one run.
fn runs(locals: Vec<(u32, wasm_encoder::ValType)>) -> Vec<(u32, wasm_encoder::ValType)> {
    let mut runs: Vec<(u32, wasm_encoder::ValType)> = Vec::new();
    for (count, ty) in locals {
        match runs.last_mut() {
            Some((run, last)) if *last == ty => *run += count,
            _ => runs.push((count, ty)),
        }
    }
    runs
}

#[cfg(test)]
mod tests;
