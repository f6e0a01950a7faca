//! Symbolic instantiation: every core instance's functions, tables, memories and globals in shared lists.
//!
//! Owns what an instantiation does before any code runs: imports, initial values of globals, element and data segments.
//! Never evaluates code, and never leaves out a segment it does not understand.

use std::collections::HashMap;

use wasmparser::{
    ConstExpr, DataKind, ElementItems, ElementKind, ExternalKind, FuncType, FunctionBody, GlobalType, MemoryType,
    Operator, TableType, TypeRef, ValType,
};

use crate::error::Error;
use crate::parse::CoreModule;

/// The most slots all tables may have together: a bound on what a malformed component makes us allocate.
const MAX_TABLE_SLOTS: u64 = 10_000_000;

/// One thing that core instances import and export, as an index into the lists of [`Program`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entity {
    Function(usize),
    Table(usize),
    Memory(usize),
    Global(usize),
}

/// The exports of a core instance.
pub(crate) type Exports = HashMap<String, Entity>;

/// A function of the program.
pub(crate) struct Function<'a> {
    /// `None` until the first core import says what a lowered function's core type is.
    pub ty: Option<FuncType>,
    pub kind: FunctionKind<'a>,
    /// `module!function`, for the name section.
    pub name: String,
}

/// Where a function comes from.
pub(crate) enum FunctionKind<'a> {
    /// Defined in a core instance, whose index spaces its body uses.
    Body { instance: usize, body: FunctionBody<'a> },
    /// Lowered from a component import: it stays an import of the flattened module.
    Host { module: String, field: String, realloc: Option<usize> },
}

/// A table with what the element segments put in it.
pub(crate) struct Table {
    pub slots: Vec<Option<usize>>,
}

/// A memory with its data segments, in the order in which they are applied.
pub(crate) struct Memory<'a> {
    pub ty: MemoryType,
    pub data: Vec<(u32, &'a [u8])>,
}

/// A global and its evaluated initial value (i32 values sign-extended).
pub(crate) struct Global {
    pub ty: GlobalType,
    pub value: i64,
}

/// The index spaces of one core instance, pointing into the lists of [`Program`].
#[derive(Default)]
pub(crate) struct Instance {
    pub types: Vec<FuncType>,
    pub functions: Vec<usize>,
    pub tables: Vec<usize>,
    pub memories: Vec<usize>,
    pub globals: Vec<usize>,
}

/// The whole program: all core instances, linked.
#[derive(Default)]
pub(crate) struct Program<'a> {
    pub functions: Vec<Function<'a>>,
    pub tables: Vec<Table>,
    pub memories: Vec<Memory<'a>>,
    pub globals: Vec<Global>,
    pub instances: Vec<Instance>,
    /// Functions in whose place another one is called.
    pub replaced: HashMap<usize, usize>,
}

/// `list[index]` as an error instead of a panic.
pub(crate) fn at<'l, T>(list: &'l [T], index: impl TryInto<usize>, space: &'static str) -> Result<&'l T, Error> {
    index.try_into().ok().and_then(|index| list.get(index)).ok_or_else(|| Error::index(space, "index"))
}

impl<'a> Program<'a> {
    /// Adds a host function whose core type is not known yet.
    pub(crate) fn add_host(&mut self, module: String, field: String, realloc: Option<usize>) -> usize {
        self.functions.push(Function {
            ty: None,
            name: format!("{module}#{field}"),
            kind: FunctionKind::Host { module, field, realloc },
        });
        self.functions.len() - 1
    }

    /// Instantiates `module` with `args` and returns its exports.
    pub(crate) fn instantiate(
        &mut self,
        label: &str,
        module: &CoreModule<'a>,
        args: &HashMap<&str, &Exports>,
    ) -> Result<Exports, Error> {
        let mut instance = Instance { types: module.types.clone(), ..Instance::default() };
        self.imports(label, module, args, &mut instance)?;
        self.definitions(label, module, &mut instance)?;
        self.elements(module, &instance)?;
        for data in &module.data {
            let DataKind::Active { memory_index, offset_expr } = &data.kind else {
                return Err(Error::unsupported("a passive data segment"));
            };
            // Offsets are unsigned 32-bit numbers written as signed ones.
            let offset = self.constant(&instance, offset_expr)? as u32;
            let memory = *at(&instance.memories, *memory_index, "memory")?;
            let memory = self.memories.get_mut(memory).ok_or_else(|| Error::index("memory", memory))?;
            memory.data.push((offset, data.data));
        }
        let mut exports = Exports::new();
        for export in &module.exports {
            let index = export.index;
            let entity = match export.kind {
                ExternalKind::Func => Entity::Function(*at(&instance.functions, index, "function")?),
                ExternalKind::Table => Entity::Table(*at(&instance.tables, index, "table")?),
                ExternalKind::Memory => Entity::Memory(*at(&instance.memories, index, "memory")?),
                ExternalKind::Global => Entity::Global(*at(&instance.globals, index, "global")?),
                kind => return Err(Error::unsupported(format!("a core export of kind {kind:?}"))),
            };
            exports.insert(export.name.to_owned(), entity);
        }
        self.instances.push(instance);
        Ok(exports)
    }

    fn imports(
        &mut self,
        label: &str,
        module: &CoreModule<'a>,
        args: &HashMap<&str, &Exports>,
        instance: &mut Instance,
    ) -> Result<(), Error> {
        for import in &module.imports {
            let found = args.get(import.module).and_then(|exports| exports.get(import.name));
            let what = || format!("{label} imports {}.{}", import.module, import.name);
            match (import.ty, found.copied()) {
                (TypeRef::Func(ty), Some(Entity::Function(index))) => {
                    let ty = at(&module.types, ty, "type")?;
                    let function = self.functions.get_mut(index).ok_or_else(|| Error::index("function", index))?;
                    // A lowered function gets its core type from the first import that it satisfies.
                    if function.ty.get_or_insert_with(|| ty.clone()) != ty {
                        return Err(Error::link(format!("{} with another type", what())));
                    }
                    instance.functions.push(index);
                }
                (TypeRef::Table(_), Some(Entity::Table(index))) => instance.tables.push(index),
                (TypeRef::Memory(_), Some(Entity::Memory(index))) => instance.memories.push(index),
                (TypeRef::Global(_), Some(Entity::Global(index))) => instance.globals.push(index),
                (_, None) => return Err(Error::link(format!("{}, which nothing provides", what()))),
                (_, Some(_)) => return Err(Error::link(format!("{} as another kind of thing", what()))),
            }
        }
        Ok(())
    }

    fn definitions(&mut self, label: &str, module: &CoreModule<'a>, instance: &mut Instance) -> Result<(), Error> {
        let id = self.instances.len();
        for (ty, body) in module.functions.iter().zip(&module.bodies) {
            let index = instance.functions.len();
            let name = u32::try_from(index).ok().and_then(|index| module.function_names.get(&index));
            let name = name.map_or_else(|| format!("{label}!{index}"), |name| format!("{label}!{name}"));
            instance.functions.push(self.functions.len());
            self.functions.push(Function {
                ty: Some(at(&module.types, *ty, "type")?.clone()),
                kind: FunctionKind::Body { instance: id, body: body.clone() },
                name,
            });
        }
        for ty in &module.tables {
            instance.tables.push(self.tables.len());
            self.tables.push(Table { slots: self.slots(ty)? });
        }
        for ty in &module.memories {
            if ty.memory64 || ty.shared || ty.page_size_log2.is_some() {
                return Err(Error::unsupported("a memory that is not a plain 32-bit memory"));
            }
            instance.memories.push(self.memories.len());
            self.memories.push(Memory { ty: *ty, data: Vec::new() });
        }
        for global in &module.globals {
            let value = self.constant(instance, &global.init_expr)?;
            instance.globals.push(self.globals.len());
            self.globals.push(Global { ty: global.ty, value });
        }
        Ok(())
    }

    fn slots(&self, ty: &TableType) -> Result<Vec<Option<usize>>, Error> {
        if ty.table64 || ty.shared || !ty.element_type.is_func_ref() {
            return Err(Error::unsupported("a table that is not a plain table of functions"));
        }
        let used: usize = self.tables.iter().map(|table| table.slots.len()).sum();
        if ty.initial.saturating_add(used as u64) > MAX_TABLE_SLOTS {
            return Err(Error::unsupported(format!("more than {MAX_TABLE_SLOTS} table slots")));
        }
        let count = usize::try_from(ty.initial).map_err(|_| Error::index("table slot", ty.initial))?;
        Ok(vec![None; count])
    }

    fn elements(&mut self, module: &CoreModule<'a>, instance: &Instance) -> Result<(), Error> {
        for element in &module.elements {
            let (table, offset) = match &element.kind {
                // Only declares that `ref.func` may name these functions; `ref.func` itself is refused later.
                ElementKind::Declared => continue,
                ElementKind::Passive => return Err(Error::unsupported("a passive element segment")),
                ElementKind::Active { table_index, offset_expr } => {
                    let table = *at(&instance.tables, table_index.unwrap_or(0), "table")?;
                    (table, self.constant(instance, offset_expr)? as u32 as usize)
                }
            };
            let ElementItems::Functions(items) = element.items.clone() else {
                return Err(Error::unsupported("element segments of expressions"));
            };
            let table = self.tables.get_mut(table).ok_or_else(|| Error::index("table", table))?;
            for (k, function) in items.into_iter().enumerate() {
                let function = *at(&instance.functions, function?, "function")?;
                let slot = table.slots.get_mut(offset.saturating_add(k));
                *slot.ok_or_else(|| Error::index("table slot", offset.saturating_add(k)))? = Some(function);
            }
        }
        Ok(())
    }

    /// Evaluates a constant expression of integers.
    fn constant(&self, instance: &Instance, expression: &ConstExpr<'_>) -> Result<i64, Error> {
        let unsupported = |what: String| Error::unsupported(format!("the constant expression {what}"));
        let mut stack: Vec<i64> = Vec::new();
        for operator in expression.get_operators_reader() {
            match operator? {
                Operator::I32Const { value } => stack.push(i64::from(value)),
                Operator::I64Const { value } => stack.push(value),
                Operator::GlobalGet { global_index } => {
                    let global = *at(&instance.globals, global_index, "global")?;
                    let global = at(&self.globals, global, "global")?;
                    if !matches!(global.ty.content_type, ValType::I32 | ValType::I64) {
                        return Err(unsupported(format!("global.get of a {}", global.ty.content_type)));
                    }
                    stack.push(global.value);
                }
                operator @ (Operator::I32Add | Operator::I32Sub) => {
                    let (Some(b), Some(a)) = (stack.pop(), stack.pop()) else {
                        return Err(unsupported("without operands".to_owned()));
                    };
                    // i32 arithmetic wraps, and the casts are that wrapping.
                    let (a, b) = (a as i32, b as i32);
                    let sum = if matches!(operator, Operator::I32Add) { a.wrapping_add(b) } else { a.wrapping_sub(b) };
                    stack.push(i64::from(sum));
                }
                Operator::End => {}
                other => return Err(unsupported(format!("{other:?}"))),
            }
        }
        stack.pop().ok_or_else(|| unsupported("without a value".to_owned()))
    }
}
