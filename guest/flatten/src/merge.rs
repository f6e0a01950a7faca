//! Links one more library, the shim, into a program that is linked already. Owns how the shim's imports find what they
//! name, where its data lies, and which functions it takes the place of.

use std::collections::HashMap;

use wasmparser::{Dylink0Subsection, ExternalKind, GlobalType, KnownCustom, Parser, Payload, TypeRef, ValType};

use crate::Shim;
use crate::component::{Linked, STACK_POINTER};
use crate::error::Error;
use crate::link::{Entity, Exports, Function, FunctionKind, Global, Program};
use crate::parse::CoreModule;

/// The import module of what every shared library shares.
const ENVIRONMENT: &str = "env";

/// What the linker writes to initialise data with pointers in it. Nothing would call it, so it must have nothing to do.
const RELOCATIONS: [&str; 2] = ["__wasm_apply_data_relocs", "__wasm_call_ctors"];

/// The name of the shim's functions in the name section: `shim!function`.
const LABEL: &str = "shim";

const PAGE: u32 = 64 << 10;

/// Links `shim` into `linked`.
pub(crate) fn merge<'a>(linked: &mut Linked<'a>, shim: &'a Shim) -> Result<(), Error> {
    let module = CoreModule::parse(&shim.module)?;
    if !module.elements.is_empty() || !module.tables.is_empty() {
        return Err(Error::unsupported("a shim with a table"));
    }
    let base = reserve(&mut linked.program, data_size(&shim.module)?)?;
    let provided = provide(linked, &module, shim, base)?;
    let args = provided.iter().map(|(name, exports)| (*name, exports)).collect();
    let exports = linked.program.instantiate(LABEL, &module, &args)?;
    for name in RELOCATIONS {
        if let Some(Entity::Function(function)) = exports.get(name)
            && !is_empty(&linked.program, *function)?
        {
            return Err(Error::unsupported("a shim whose data must be initialised by code"));
        }
    }
    for (name, replacement) in &shim.replace {
        let function = named(&linked.program, name)?;
        let Some(Entity::Function(replacement)) = exports.get(replacement).copied() else {
            return Err(Error::link(format!("the shim has no {replacement} to take the place of {name}")));
        };
        let ty = |index: usize| linked.program.functions.get(index).and_then(|function| function.ty.as_ref());
        if ty(function) != ty(replacement) {
            return Err(Error::link(format!("the shim's function for {name} has another type")));
        }
        linked.program.replaced.insert(function, replacement);
    }
    // In the order of the module, so that equal input gives equal output.
    for export in &module.exports {
        let replaces = shim.replace.iter().any(|(_, replacement)| replacement == export.name);
        if export.kind != ExternalKind::Func || replaces || RELOCATIONS.contains(&export.name) {
            continue;
        }
        if let Some(Entity::Function(function)) = exports.get(export.name) {
            linked.exports.push((export.name.to_owned(), *function));
        }
    }
    Ok(())
}

/// How many bytes of memory the shim's data takes, zeros included.
fn data_size(module: &[u8]) -> Result<u32, Error> {
    for payload in Parser::new(0).parse_all(module) {
        let Payload::CustomSection(section) = payload? else { continue };
        let KnownCustom::Dylink0(subsections) = section.as_known() else { continue };
        for subsection in subsections {
            if let Dylink0Subsection::MemInfo(info) = subsection? {
                return match info.table_size {
                    0 => Ok(info.memory_size),
                    _ => Err(Error::unsupported("a shim that takes the address of a function")),
                };
            }
        }
    }
    Err(Error::unsupported("a shim that is no shared library"))
}

/// Makes room for `size` bytes at the end of the program's memory. Gives the address.
fn reserve(program: &mut Program<'_>, size: u32) -> Result<u32, Error> {
    let [memory] = &mut program.memories[..] else {
        return Err(Error::unsupported("a shim in a program without one memory"));
    };
    let base = u32::try_from(memory.ty.initial).ok().and_then(|pages| pages.checked_mul(PAGE));
    memory.ty.initial = memory.ty.initial.saturating_add(u64::from(size.div_ceil(PAGE)));
    if memory.ty.maximum.is_some_and(|maximum| maximum < memory.ty.initial) {
        return Err(Error::unsupported("a memory without room for the shim's data"));
    }
    base.ok_or_else(|| Error::unsupported("a memory without room for the shim's data"))
}

/// What the shim's imports ask for, by the module that they name.
fn provide<'m>(
    linked: &mut Linked<'_>,
    module: &CoreModule<'m>,
    shim: &Shim,
    base: u32,
) -> Result<HashMap<&'m str, Exports>, Error> {
    let mut provided: HashMap<&str, Exports> = HashMap::new();
    for import in &module.imports {
        let entity = match (import.module, import.name, import.ty) {
            (ENVIRONMENT, "memory", TypeRef::Memory(_)) => Entity::Memory(0),
            (ENVIRONMENT, STACK_POINTER, TypeRef::Global(_)) => {
                let global = linked.stack_pointer.ok_or_else(|| Error::link("the component has no stack pointer"))?;
                Entity::Global(global)
            }
            (ENVIRONMENT, "__memory_base", TypeRef::Global(_)) => constant(&mut linked.program, base),
            // Nothing is in the shim's part of the table, so nobody asks where it begins.
            (ENVIRONMENT, "__table_base", TypeRef::Global(_)) => constant(&mut linked.program, 0),
            (library, name, TypeRef::Func(_)) => {
                let name = format!("{library}!{name}");
                let function = named(&linked.program, &name)?;
                let is_replaced = shim.replace.iter().any(|(replaced, _)| *replaced == name);
                Entity::Function(if is_replaced { original(&mut linked.program, function)? } else { function })
            }
            (module, name, _) => return Err(Error::unsupported(format!("a shim that imports {module}.{name}"))),
        };
        provided.entry(import.module).or_default().insert(import.name.to_owned(), entity);
    }
    Ok(provided)
}

fn constant(program: &mut Program<'_>, value: u32) -> Entity {
    let ty = GlobalType { content_type: ValType::I32, mutable: false, shared: false };
    program.globals.push(Global { ty, value: i64::from(value as i32) });
    Entity::Global(program.globals.len() - 1)
}

/// A second entry for `function`, which stays what it is when the first one is replaced: nothing but the shim calls it.
fn original(program: &mut Program<'_>, function: usize) -> Result<usize, Error> {
    let found = program.functions.get(function).ok_or_else(|| Error::index("function", function))?;
    let FunctionKind::Body { instance, body } = &found.kind else {
        return Err(Error::unsupported(format!("a shim that calls {}, a function of the host", found.name)));
    };
    let kind = FunctionKind::Body { instance: *instance, body: body.clone() };
    let copy = Function { ty: found.ty.clone(), kind, name: format!("{} (original)", found.name) };
    program.functions.push(copy);
    Ok(program.functions.len() - 1)
}

/// The function called `name` (`module!function`), of which there must be only one.
fn named(program: &Program<'_>, name: &str) -> Result<usize, Error> {
    let mut found = program.functions.iter().enumerate().filter(|(_, function)| function.name == name);
    match (found.next(), found.next()) {
        (Some((index, _)), None) => Ok(index),
        (None, _) => Err(Error::link(format!("there is no function {name}"))),
        _ => Err(Error::link(format!("several functions are called {name}"))),
    }
}

/// Whether a function does nothing.
fn is_empty(program: &Program<'_>, function: usize) -> Result<bool, Error> {
    match program.functions.get(function).map(|function| &function.kind) {
        Some(FunctionKind::Body { body, .. }) => {
            Ok(matches!(body.get_operators_reader()?.read()?, wasmparser::Operator::End))
        }
        _ => Ok(false),
    }
}
