//! Walks a component in definition order and links its core instances. Owns the component's index spaces.
//!
//! Keeps what core code can reach: core instances, lowered imports and functions exported at the root. Exported
//! interfaces are left out, for nothing calls them after pre-initialisation.

use std::collections::HashMap;

use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind,
    ComponentTypeRef, Encoding, ExternalKind, Instance as CoreInstance, Parser, Payload,
};

use crate::error::Error;
use crate::link::{Entity, Exports, Program, at};
use crate::parse::CoreModule;

/// The import module of functions that the canonical ABI defines, not an interface.
const CANONICAL: &str = "canonical";

/// The import module of functions that the component imports outside of any interface.
const ROOT: &str = "$root";

/// The export name of the stack pointer, by the convention of the linker for shared libraries.
pub(crate) const STACK_POINTER: &str = "__stack_pointer";

/// A component-level function.
#[derive(Clone)]
enum ComponentFunction {
    Import { interface: String, name: String },
    Lift { core: usize, realloc: Option<usize>, post_return: Option<usize> },
}

/// A linked component.
pub(crate) struct Linked<'a> {
    pub program: Program<'a>,
    /// The global that every library of the component imports as its stack pointer.
    pub stack_pointer: Option<usize>,
    /// Export name and function, in the order in which they are exported.
    pub exports: Vec<(String, usize)>,
}

/// The canonical options that matter at core level.
#[derive(Default)]
struct Options {
    realloc: Option<usize>,
    post_return: Option<usize>,
}

#[derive(Default)]
struct Walk<'a> {
    program: Program<'a>,
    exports: Vec<(String, usize)>,
    modules: Vec<CoreModule<'a>>,
    core_instances: Vec<Exports>,
    core_functions: Vec<usize>,
    core_tables: Vec<usize>,
    core_memories: Vec<usize>,
    core_globals: Vec<usize>,
    functions: Vec<ComponentFunction>,
    /// The interface a component instance was imported as; `None` for instances made inside.
    instances: Vec<Option<String>>,
}

/// Reads `bytes`, one whole component, and links it.
pub(crate) fn link(bytes: &[u8]) -> Result<Linked<'_>, Error> {
    let mut walk = Walk::default();
    // `parse_all` goes into nested modules and components; only the outermost level is walked here.
    let mut depth = 0_usize;
    let mut first = true;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        if first && !matches!(payload, Payload::Version { encoding: Encoding::Component, .. }) {
            return Err(Error::NotAComponent);
        }
        first = false;
        match &payload {
            Payload::ModuleSection { unchecked_range, .. } => {
                if depth == 0 {
                    let range = unchecked_range.clone();
                    let module = bytes.get(range).ok_or_else(|| Error::link("a module ends after the component"))?;
                    walk.modules.push(CoreModule::parse(module)?);
                }
                depth += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            _ => walk.section(payload)?,
        }
    }
    if first {
        return Err(Error::NotAComponent);
    }
    // All libraries share one: whichever instance exports it, it is the same global.
    let stack_pointer = walk.core_instances.iter().find_map(|exports| match exports.get(STACK_POINTER) {
        Some(Entity::Global(index)) => Some(*index),
        _ => None,
    });
    Ok(Linked { program: walk.program, stack_pointer, exports: walk.exports })
}

impl<'a> Walk<'a> {
    fn section(&mut self, payload: Payload<'a>) -> Result<(), Error> {
        match payload {
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    self.import(import.name.0, import.ty)?;
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    instance?;
                    self.instances.push(None);
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    self.core_instance(instance?)?;
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    self.alias(alias?)?;
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    self.canonical(function?)?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.export(export.name.0, export.kind, export.index)?;
                }
            }
            Payload::ComponentStartSection { .. } => {
                return Err(Error::unsupported("a component start function: the component is not pre-initialised"));
            }
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, name: &str, ty: ComponentTypeRef) -> Result<(), Error> {
        match ty {
            ComponentTypeRef::Instance(_) => self.instances.push(Some(name.to_owned())),
            ComponentTypeRef::Func(_) => {
                self.functions.push(ComponentFunction::Import { interface: ROOT.to_owned(), name: name.to_owned() })
            }
            // Types and components do not take part in core linking.
            ComponentTypeRef::Type(_) | ComponentTypeRef::Component(_) => {}
            ComponentTypeRef::Module(_) => return Err(Error::unsupported("an imported core module")),
            ComponentTypeRef::Value(_) => return Err(Error::unsupported("an imported value")),
        }
        Ok(())
    }

    fn core_instance(&mut self, instance: CoreInstance<'a>) -> Result<(), Error> {
        let exports = match instance {
            CoreInstance::Instantiate { module_index, args } => {
                let module = at(&self.modules, module_index, "core module")?;
                let mut named = HashMap::new();
                for arg in &args {
                    named.insert(arg.name, at(&self.core_instances, arg.index, "core instance")?);
                }
                let label = if module.name.is_empty() { format!("m{module_index}") } else { module.name.clone() };
                self.program.instantiate(&label, module, &named)?
            }
            CoreInstance::FromExports(exports) => {
                let mut named = Exports::new();
                for export in &exports {
                    let index = export.index;
                    let entity = match export.kind {
                        ExternalKind::Func => Entity::Function(*at(&self.core_functions, index, "core function")?),
                        ExternalKind::Table => Entity::Table(*at(&self.core_tables, index, "core table")?),
                        ExternalKind::Memory => Entity::Memory(*at(&self.core_memories, index, "core memory")?),
                        ExternalKind::Global => Entity::Global(*at(&self.core_globals, index, "core global")?),
                        kind => return Err(Error::unsupported(format!("a core export of kind {kind:?}"))),
                    };
                    named.insert(export.name.to_owned(), entity);
                }
                named
            }
        };
        self.core_instances.push(exports);
        Ok(())
    }

    fn alias(&mut self, alias: ComponentAlias<'a>) -> Result<(), Error> {
        match alias {
            ComponentAlias::InstanceExport { kind, instance_index, name } => {
                let instance = at(&self.instances, instance_index, "component instance")?;
                match kind {
                    ComponentExternalKind::Func => {
                        let interface = instance.clone().ok_or_else(|| {
                            Error::unsupported(format!("{name}, a function of an instance made inside the component"))
                        })?;
                        self.functions.push(ComponentFunction::Import { interface, name: name.to_owned() });
                    }
                    ComponentExternalKind::Instance => {
                        let nested = instance.as_ref().map(|outer| format!("{outer}/{name}"));
                        self.instances.push(nested);
                    }
                    ComponentExternalKind::Type | ComponentExternalKind::Component => {}
                    kind => return Err(Error::unsupported(format!("an alias of kind {kind:?}"))),
                }
            }
            ComponentAlias::CoreInstanceExport { instance_index, name, .. } => {
                let exports = at(&self.core_instances, instance_index, "core instance")?;
                match exports.get(name) {
                    Some(Entity::Function(index)) => self.core_functions.push(*index),
                    Some(Entity::Table(index)) => self.core_tables.push(*index),
                    Some(Entity::Memory(index)) => self.core_memories.push(*index),
                    Some(Entity::Global(index)) => self.core_globals.push(*index),
                    None => return Err(Error::index("core export", name)),
                }
            }
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, .. } => {
                return Err(Error::unsupported("a core module of an outer component"));
            }
            ComponentAlias::Outer { .. } => {}
        }
        Ok(())
    }

    fn options(&self, options: &[CanonicalOption]) -> Result<Options, Error> {
        let mut read = Options::default();
        for option in options {
            match option {
                CanonicalOption::UTF8 | CanonicalOption::CoreType(_) => {}
                // There is one memory in the end: `emit` refuses a second one.
                CanonicalOption::Memory(index) => {
                    at(&self.core_memories, *index, "core memory")?;
                }
                CanonicalOption::Realloc(index) => {
                    read.realloc = Some(*at(&self.core_functions, *index, "core function")?);
                }
                CanonicalOption::PostReturn(index) => {
                    read.post_return = Some(*at(&self.core_functions, *index, "core function")?);
                }
                option => return Err(Error::unsupported(format!("the canonical option {option:?}"))),
            }
        }
        Ok(read)
    }

    fn canonical(&mut self, function: CanonicalFunction) -> Result<(), Error> {
        match function {
            CanonicalFunction::Lift { core_func_index, options, .. } => {
                let Options { realloc, post_return } = self.options(&options)?;
                let core = *at(&self.core_functions, core_func_index, "core function")?;
                self.functions.push(ComponentFunction::Lift { core, realloc, post_return });
            }
            CanonicalFunction::Lower { func_index, options } => {
                let Options { realloc, .. } = self.options(&options)?;
                let ComponentFunction::Import { interface, name } =
                    at(&self.functions, func_index, "function")?.clone()
                else {
                    return Err(Error::unsupported("a lowered function that is not an import"));
                };
                self.core_functions.push(self.program.add_host(interface, name, realloc));
            }
            // One host function drops the handles of all resources: handles share one table in the host.
            CanonicalFunction::ResourceDrop { .. } => {
                let drop = self.program.add_host(CANONICAL.to_owned(), "resource-drop".to_owned(), None);
                self.core_functions.push(drop);
            }
            other => return Err(Error::unsupported(format!("the canonical function {other:?}"))),
        }
        Ok(())
    }

    fn export(&mut self, name: &str, kind: ComponentExternalKind, index: u32) -> Result<(), Error> {
        match kind {
            ComponentExternalKind::Func => {
                let function = at(&self.functions, index, "function")?.clone();
                if let ComponentFunction::Lift { core, realloc, post_return } = &function {
                    self.exports.push((name.to_owned(), *core));
                    if let Some(post_return) = post_return {
                        self.exports.push((format!("cabi_post_{name}"), *post_return));
                    }
                    if let Some(realloc) = realloc {
                        self.export_realloc(*realloc)?;
                    }
                }
                self.functions.push(function);
            }
            ComponentExternalKind::Instance => {
                let instance = at(&self.instances, index, "component instance")?.clone();
                self.instances.push(instance);
            }
            ComponentExternalKind::Type | ComponentExternalKind::Component => {}
            kind => return Err(Error::unsupported(format!("an export of kind {kind:?}"))),
        }
        Ok(())
    }

    fn export_realloc(&mut self, realloc: usize) -> Result<(), Error> {
        const NAME: &str = "cabi_realloc";
        match self.exports.iter().find(|(name, _)| name == NAME) {
            None => self.exports.push((NAME.to_owned(), realloc)),
            Some((_, known)) if *known == realloc => {}
            Some(_) => return Err(Error::unsupported("exports that allocate with different functions")),
        }
        Ok(())
    }
}
