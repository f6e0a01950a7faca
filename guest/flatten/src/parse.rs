//! Reads one core module into its sections. Owns the raw, still module-local view; resolves no index.

use std::collections::HashMap;

use wasmparser::{
    Data, Element, Export, FuncType, FunctionBody, Global, Import, KnownCustom, MemoryType, Name, NameSectionReader,
    Parser, Payload, TableInit, TableType,
};

use crate::error::Error;

/// The sections of one core module, with module-local indices.
#[derive(Default)]
pub(crate) struct CoreModule<'a> {
    /// The module's own name, empty when it has none.
    pub name: String,
    pub types: Vec<FuncType>,
    pub imports: Vec<Import<'a>>,
    /// Type index of each defined function.
    pub functions: Vec<u32>,
    pub tables: Vec<TableType>,
    pub memories: Vec<MemoryType>,
    pub globals: Vec<Global<'a>>,
    pub exports: Vec<Export<'a>>,
    pub elements: Vec<Element<'a>>,
    pub bodies: Vec<FunctionBody<'a>>,
    pub data: Vec<Data<'a>>,
    pub function_names: HashMap<u32, String>,
}

impl<'a> CoreModule<'a> {
    /// Reads `bytes`, one whole core module.
    ///
    /// # Errors
    /// Malformed sections, and sections that cannot be flattened: a start function, tags, tables with an initial value.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            module.add(payload?)?;
        }
        if module.functions.len() != module.bodies.len() {
            return Err(Error::link("a module has as many bodies as it declares functions"));
        }
        Ok(module)
    }

    fn add(&mut self, payload: Payload<'a>) -> Result<(), Error> {
        match payload {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    self.types.push(ty?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    self.imports.push(import?);
                }
            }
            Payload::FunctionSection(section) => collect(section, &mut self.functions)?,
            Payload::TableSection(section) => {
                for table in section {
                    let table = table?;
                    if !matches!(table.init, TableInit::RefNull) {
                        return Err(Error::unsupported("a table with an initial value"));
                    }
                    self.tables.push(table.ty);
                }
            }
            Payload::MemorySection(section) => collect(section, &mut self.memories)?,
            Payload::GlobalSection(section) => collect(section, &mut self.globals)?,
            Payload::ExportSection(section) => collect(section, &mut self.exports)?,
            Payload::ElementSection(section) => collect(section, &mut self.elements)?,
            Payload::DataSection(section) => collect(section, &mut self.data)?,
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::StartSection { .. } => {
                return Err(Error::unsupported("a start function: the component is not pre-initialised"));
            }
            Payload::TagSection(_) => return Err(Error::unsupported("exception tags")),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    self.add_names(names);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes what is readable: names are a comfort for profiles, and a broken name section changes nothing.
    fn add_names(&mut self, names: NameSectionReader<'a>) {
        for name in names.into_iter().flatten() {
            match name {
                Name::Module { name, .. } => self.name = name.to_owned(),
                Name::Function(functions) => {
                    for naming in functions.into_iter().flatten() {
                        self.function_names.insert(naming.index, naming.name.to_owned());
                    }
                }
                _ => {}
            }
        }
    }
}

fn collect<'a, T: wasmparser::FromReader<'a>>(
    section: wasmparser::SectionLimited<'a, T>,
    into: &mut Vec<T>,
) -> Result<(), Error> {
    for item in section {
        into.push(item?);
    }
    Ok(())
}
