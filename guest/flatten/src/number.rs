//! The index spaces of the flattened module: every type, import, function, table and global gets its number here.
//!
//! Owns the order of things in the result; writes no code.

use std::collections::{BTreeMap, HashMap};

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    ConstExpr, ElementSection, Elements, EntityType, FunctionSection, GlobalSection, GlobalType, ImportSection,
    RefType, TableSection, TableType, TypeSection,
};
use wasmparser::{FuncType, ValType};

use crate::error::Error;
use crate::link::{FunctionKind, Program, at};
use crate::reach::Reached;

/// Numbers in the flattened module, and the sections that follow from them.
#[derive(Default)]
pub(crate) struct Numbering {
    pub types: Types,
    /// The number of every function that is written or imported.
    pub functions: Vec<Option<u32>>,
    pub tables: BTreeMap<usize, u32>,
    /// The globals that stay globals; all others are constants.
    pub globals: BTreeMap<usize, u32>,
    /// The functions with a body, in the order of their numbers.
    pub bodies: Vec<usize>,
    pub imports: u32,
    pub import_section: ImportSection,
    pub function_section: FunctionSection,
    pub table_section: TableSection,
    pub element_section: ElementSection,
    pub global_section: GlobalSection,
}

/// Function types without duplicates.
#[derive(Default)]
pub(crate) struct Types {
    numbers: HashMap<FuncType, u32>,
    pub section: TypeSection,
}

impl Types {
    /// The number of `ty`, which is added if it is new.
    fn add(&mut self, ty: &FuncType) -> Result<u32, Error> {
        if let Some(number) = self.numbers.get(ty) {
            return Ok(*number);
        }
        let encoded = RoundtripReencoder
            .func_type(ty.clone())
            .map_err(|error| Error::unsupported(format!("the function type {ty:?}: {error}")))?;
        let number = count(self.numbers.len())?;
        self.section.ty().func_type(&encoded);
        self.numbers.insert(ty.clone(), number);
        Ok(number)
    }

    /// The number of a type that was added before.
    pub(crate) fn get(&self, ty: &FuncType) -> Result<u32, Error> {
        self.numbers.get(ty).copied().ok_or_else(|| Error::index("function type", format!("{ty:?}")))
    }
}

/// A count as an index of the binary format.
pub(crate) fn count(number: usize) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| Error::unsupported("more than 2^32 items"))
}

/// Numbers everything that `reached` says is needed.
pub(crate) fn number(program: &Program<'_>, reached: &Reached) -> Result<Numbering, Error> {
    let mut numbering = Numbering { functions: vec![None; program.functions.len()], ..Numbering::default() };
    numbering.imports(program, reached)?;
    numbering.functions(program, reached)?;
    // Block types and indirect calls name types of the instance they came from.
    for instance in &program.instances {
        for ty in &instance.types {
            numbering.types.add(ty)?;
        }
    }
    numbering.tables(program, reached)?;
    numbering.globals(program, reached)?;
    Ok(numbering)
}

impl Numbering {
    /// The number of function `index` of the program.
    pub(crate) fn function(&self, index: usize) -> Result<u32, Error> {
        self.functions.get(index).copied().flatten().ok_or_else(|| Error::index("function", index))
    }

    fn imports(&mut self, program: &Program<'_>, reached: &Reached) -> Result<(), Error> {
        let mut known: HashMap<(&str, &str, &FuncType), u32> = HashMap::new();
        for (index, function) in live(program, reached) {
            let FunctionKind::Host { module, field, .. } = &function.kind else {
                continue;
            };
            let ty = function.ty.as_ref().ok_or_else(|| Error::link(format!("{} has no type", function.name)))?;
            // The same host function lowered twice, or drops of several resources, are one import.
            let number = match known.get(&(module.as_str(), field.as_str(), ty)) {
                Some(number) => *number,
                None => {
                    let number = self.imports;
                    self.imports += 1;
                    self.import_section.import(module, field, EntityType::Function(self.types.add(ty)?));
                    known.insert((module, field, ty), number);
                    number
                }
            };
            if let Some(slot) = self.functions.get_mut(index) {
                *slot = Some(number);
            }
        }
        Ok(())
    }

    fn functions(&mut self, program: &Program<'_>, reached: &Reached) -> Result<(), Error> {
        for (index, function) in live(program, reached) {
            if !matches!(function.kind, FunctionKind::Body { .. }) {
                continue;
            }
            let number = count(self.imports as usize + self.bodies.len())?;
            if let Some(slot) = self.functions.get_mut(index) {
                *slot = Some(number);
            }
            self.bodies.push(index);
            let ty = function.ty.as_ref().ok_or_else(|| Error::link(format!("{} has no type", function.name)))?;
            self.function_section.function(self.types.add(ty)?);
        }
        let numbers = self.functions.clone();
        for (slot, target) in self.functions.iter_mut().zip(&reached.forward) {
            *slot = numbers.get(*target).copied().flatten();
        }
        Ok(())
    }

    fn tables(&mut self, program: &Program<'_>, reached: &Reached) -> Result<(), Error> {
        for index in &reached.tables {
            let slots = &at(&program.tables, *index, "table")?.slots;
            let number = count(self.tables.len())?;
            self.tables.insert(*index, number);
            // Nothing grows a table, so its size is its limit.
            self.table_section.table(TableType {
                element_type: RefType::FUNCREF,
                table64: false,
                minimum: slots.len() as u64,
                maximum: Some(slots.len() as u64),
                shared: false,
            });
            let mut start = 0;
            for run in slots.split(Option::is_none) {
                let functions = run.iter().flatten().map(|slot| self.function(*slot));
                let functions: Vec<u32> = functions.collect::<Result<_, _>>()?;
                if !functions.is_empty() {
                    let offset = ConstExpr::i32_const(count(start)? as i32);
                    self.element_section.active(Some(number), &offset, Elements::Functions(functions.into()));
                }
                start += run.len() + 1;
            }
        }
        Ok(())
    }

    fn globals(&mut self, program: &Program<'_>, reached: &Reached) -> Result<(), Error> {
        for index in &reached.written {
            let global = at(&program.globals, *index, "global")?;
            if global.ty.content_type != ValType::I32 || global.ty.shared {
                return Err(Error::unsupported("a mutable global that is not a plain i32"));
            }
            let number = count(self.globals.len())?;
            self.globals.insert(*index, number);
            let ty = GlobalType { val_type: wasm_encoder::ValType::I32, mutable: true, shared: false };
            self.global_section.global(ty, &ConstExpr::i32_const(global.value as i32));
        }
        Ok(())
    }
}

/// The reachable functions with their indices.
fn live<'p, 'a>(
    program: &'p Program<'a>,
    reached: &'p Reached,
) -> impl Iterator<Item = (usize, &'p crate::link::Function<'a>)> {
    let functions = program.functions.iter().enumerate();
    functions.filter(|(index, _)| reached.live.get(*index).copied().unwrap_or(false))
}
