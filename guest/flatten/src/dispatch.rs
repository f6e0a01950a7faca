//! Indirect calls without a table: for each type of function a *dispatcher*, which takes the table's index as one more
//! argument and jumps to a direct call.
//!
//! Owns the end of the table. After linking nothing changes it, so what an index means is known. wasmtime gives every
//! instance a table of its own, filled as it is used: 8 bytes for each function and 32 more for each that was called,
//! in pages of their own. For CPython that is more memory than all that a small job writes in the interpreter's. A
//! module without a table has nothing of that, and one thing less to be in the state of an instance.
//!
//! An index that means no function of the type traps, as it does with a table.

use std::collections::BTreeMap;
use std::convert::Infallible;

use wasm_encoder::reencode::{Error as ReencodeError, Reencode, RoundtripReencoder, utils};
use wasm_encoder::{
    BlockType, CodeSection, ElementSection, Function, FunctionSection, Instruction, NameMap, NameSection, TableSection,
};
use wasmparser::{
    CodeSectionReader, ElementItems, ElementKind, ElementSectionReader, FuncType, FunctionSectionReader, Name,
    Operator, Parser, Payload, TableSectionReader, TypeRef,
};

use crate::error::Error;
use crate::link::at;
use crate::number::count;

/// With at most so many functions of a type the dispatcher compares, beyond it jumps through the compiler's own table.
const FEW: usize = 4;

/// A module without a table.
pub(crate) struct Dispatched {
    pub module: Vec<u8>,
    /// How many types of functions are called indirectly.
    pub dispatchers: usize,
}

/// Writes `module` again without its table.
///
/// # Errors
/// When the table is used in another way than to call what active segments put there.
pub(crate) fn dispatch(module: &[u8]) -> Result<Dispatched, Error> {
    let plan = Plan::read(module)?;
    let mut out = wasm_encoder::Module::new();
    Writer { plan: &plan }
        .parse_core_module(&mut out, Parser::new(0), module)
        .map_err(|error| Error::Encode { function: "with dispatchers".to_owned(), reason: error.to_string() })?;
    Ok(Dispatched { module: out.finish(), dispatchers: plan.dispatchers.len() })
}

/// What takes the place of the table.
#[derive(Default)]
struct Plan {
    types: Vec<FuncType>,
    /// Functions of the module, imports included.
    functions: usize,
    /// By the type that calls name.
    dispatchers: BTreeMap<u32, Dispatcher>,
}

struct Dispatcher {
    /// The index of the function, and of its type.
    function: u32,
    ty: u32,
    /// What the indices mean.
    entries: BTreeMap<u32, u32>,
}

impl Plan {
    fn read(module: &[u8]) -> Result<Plan, Error> {
        let mut plan = Plan::default();
        let mut types_of: Vec<u32> = Vec::new();
        let mut table: BTreeMap<u32, u32> = BTreeMap::new();
        let mut called: Vec<u32> = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter_err_on_gc_types() {
                        plan.types.push(ty?);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import?.ty {
                            TypeRef::Func(ty) => types_of.push(ty),
                            TypeRef::Table(_) => return Err(Error::unsupported("an imported table")),
                            _ => {}
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        types_of.push(ty?);
                    }
                }
                Payload::ElementSection(section) => elements(section, &mut table)?,
                Payload::CodeSectionEntry(body) => {
                    for operator in body.get_operators_reader()? {
                        called.extend(indirect_call(&operator?)?);
                    }
                }
                _ => {}
            }
        }
        plan.functions = types_of.len();
        called.sort_unstable();
        called.dedup();
        for ty in called {
            let signature = at(&plan.types, ty, "type")?;
            let mut entries = BTreeMap::new();
            for (slot, function) in &table {
                let of = *at(&types_of, *function as usize, "function")?;
                if at(&plan.types, of, "type")? == signature {
                    entries.insert(*slot, *function);
                }
            }
            let position = plan.dispatchers.len();
            let dispatcher = Dispatcher {
                function: count(plan.functions + position)?,
                ty: count(plan.types.len() + position)?,
                entries,
            };
            plan.dispatchers.insert(ty, dispatcher);
        }
        Ok(plan)
    }
}

/// Adds what active segments put into the one table.
fn elements(section: ElementSectionReader<'_>, table: &mut BTreeMap<u32, u32>) -> Result<(), Error> {
    for element in section {
        let element = element?;
        let (ElementKind::Active { table_index: None | Some(0), offset_expr }, ElementItems::Functions(items)) =
            (element.kind, element.items)
        else {
            return Err(Error::unsupported("elements that are not put into the table at the start"));
        };
        let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else {
            return Err(Error::unsupported("elements at no constant place"));
        };
        for (slot, function) in (value as u32..).zip(items) {
            table.insert(slot, function?);
        }
    }
    Ok(())
}

/// The type that an operator calls through the table.
fn indirect_call(operator: &Operator<'_>) -> Result<Option<u32>, Error> {
    use Operator::*;
    match operator {
        CallIndirect { type_index, table_index: 0 } => Ok(Some(*type_index)),
        CallIndirect { .. }
        | ReturnCallIndirect { .. }
        | RefFunc { .. }
        | TableInit { .. }
        | ElemDrop { .. }
        | TableCopy { .. }
        | TableFill { .. }
        | TableGet { .. }
        | TableSet { .. }
        | TableGrow { .. }
        | TableSize { .. } => Err(Error::unsupported("a table that is more than a list of functions to call")),
        _ => Ok(None),
    }
}

impl Dispatcher {
    fn code(&self, parameters: usize) -> Result<Function, Error> {
        let parameters = count(parameters)?;
        let mut out = Function::new([]);
        let call = |out: &mut Function, function: u32| {
            for parameter in 0..parameters {
                out.instruction(&Instruction::LocalGet(parameter));
            }
            out.instruction(&Instruction::Call(function)).instruction(&Instruction::Return);
        };
        if self.entries.len() <= FEW {
            for (slot, function) in &self.entries {
                out.instruction(&Instruction::LocalGet(parameters))
                    .instruction(&Instruction::I32Const(*slot as i32))
                    .instruction(&Instruction::I32Eq)
                    .instruction(&Instruction::If(BlockType::Empty));
                call(&mut out, *function);
                out.instruction(&Instruction::End);
            }
        } else if let (Some((first, _)), Some((last, _))) =
            (self.entries.first_key_value(), self.entries.last_key_value())
        {
            // Several indices may mean one function.
            let mut targets: Vec<u32> = self.entries.values().copied().collect();
            targets.sort_unstable();
            targets.dedup();
            let none = count(targets.len())?;
            let label = |slot| match self.entries.get(&slot).map(|function| targets.binary_search(function)) {
                Some(Ok(target)) => count(target),
                _ => Ok(none),
            };
            let labels = (*first..=*last).map(label).collect::<Result<Vec<u32>, Error>>()?;
            for _ in 0..=none {
                out.instruction(&Instruction::Block(BlockType::Empty));
            }
            out.instruction(&Instruction::LocalGet(parameters))
                .instruction(&Instruction::I32Const(*first as i32))
                .instruction(&Instruction::I32Sub)
                .instruction(&Instruction::BrTable(labels.into(), none))
                .instruction(&Instruction::End);
            for target in targets {
                call(&mut out, target);
                out.instruction(&Instruction::End);
            }
        }
        out.instruction(&Instruction::Unreachable).instruction(&Instruction::End);
        Ok(out)
    }
}

struct Writer<'p> {
    plan: &'p Plan,
}

fn user(error: Error) -> ReencodeError<Error> {
    ReencodeError::UserError(error)
}

fn never(error: ReencodeError<Infallible>) -> ReencodeError<Error> {
    match error {
        ReencodeError::ParseError(error) => ReencodeError::ParseError(error),
        other => user(Error::Encode { function: "a type".to_owned(), reason: other.to_string() }),
    }
}

impl Reencode for Writer<'_> {
    type Error = Error;

    fn parse_type_section(
        &mut self,
        types: &mut wasm_encoder::TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Result<(), ReencodeError<Error>> {
        utils::parse_type_section(self, types, section)?;
        for called in self.plan.dispatchers.keys() {
            let signature = at(&self.plan.types, *called, "type").map_err(user)?;
            let convert = |types: &[wasmparser::ValType]| {
                types.iter().map(|ty| RoundtripReencoder.val_type(*ty)).collect::<Result<Vec<_>, _>>().map_err(never)
            };
            let (mut parameters, results) = (convert(signature.params())?, convert(signature.results())?);
            parameters.push(wasm_encoder::ValType::I32);
            types.ty().function(parameters, results);
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), ReencodeError<Error>> {
        utils::parse_function_section(self, functions, section)?;
        for dispatcher in self.plan.dispatchers.values() {
            functions.function(dispatcher.ty);
        }
        Ok(())
    }

    fn parse_table_section(
        &mut self,
        _: &mut TableSection,
        _: TableSectionReader<'_>,
    ) -> Result<(), ReencodeError<Error>> {
        Ok(())
    }

    fn parse_element_section(
        &mut self,
        _: &mut ElementSection,
        _: ElementSectionReader<'_>,
    ) -> Result<(), ReencodeError<Error>> {
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), ReencodeError<Error>> {
        utils::parse_code_section(self, code, section)?;
        for (called, dispatcher) in &self.plan.dispatchers {
            let parameters = at(&self.plan.types, *called, "type").map_err(user)?.params().len();
            code.function(&dispatcher.code(parameters).map_err(user)?);
        }
        Ok(())
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Result<Instruction<'a>, ReencodeError<Error>> {
        match operator {
            Operator::CallIndirect { type_index, .. } => match self.plan.dispatchers.get(&type_index) {
                Some(dispatcher) => Ok(Instruction::Call(dispatcher.function)),
                None => Err(user(Error::index("dispatcher of type", type_index))),
            },
            operator => utils::instruction(self, operator),
        }
    }

    fn parse_custom_name_subsection(
        &mut self,
        names: &mut NameSection,
        section: Name<'_>,
    ) -> Result<(), ReencodeError<Error>> {
        let Name::Function(known) = section else { return utils::parse_custom_name_subsection(self, names, section) };
        let mut functions = NameMap::new();
        for name in known {
            let name = name?;
            functions.append(name.index, name.name);
        }
        for (called, dispatcher) in &self.plan.dispatchers {
            let signature = at(&self.plan.types, *called, "type").map_err(user)?;
            functions.append(dispatcher.function, &format!("dispatch{signature}"));
        }
        names.functions(&functions);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
