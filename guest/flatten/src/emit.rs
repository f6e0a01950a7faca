//! Writes the flattened module. Owns its sections, exports and names.

use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ExportKind, ExportSection, MemorySection, MemoryType, Module, NameMap,
    NameSection,
};

use crate::code::{Source, Writer};
use crate::component::Linked;
use crate::error::Error;
use crate::link::{FunctionKind, Memory, Program, at};
use crate::number::{Numbering, count, number};
use crate::reach::Reached;
use crate::{Flattened, Options, Stats};
use crate::{dispatch, inline, poll};

/// Writes what `reached` says is needed of `linked`.
pub(crate) fn emit(linked: &Linked<'_>, reached: &Reached, options: &Options) -> Result<Flattened, Error> {
    let program = &linked.program;
    let numbering = number(program, reached)?;
    let memory = match &program.memories[..] {
        [memory] => memory,
        memories => return Err(Error::unsupported(format!("{} memories instead of one", memories.len()))),
    };
    let exports = exports(linked, reached, &numbering)?;
    let mut writer =
        Writer { program, numbering: &numbering, small_br_table: options.small_br_table, changes: Default::default() };
    let code = code(&mut writer)?;
    let changes = writer.changes;
    let names = names(program, &numbering)?;
    let (memories, data) = memory_sections(memory);

    let mut stats = Stats {
        functions_in: program.functions.len(),
        functions_out: numbering.bodies.len(),
        imports: numbering.imports as usize,
        trampolines: reached.forwarded,
        replaced: program.replaced.len(),
        globals_folded: changes.folded,
        br_tables_lowered: changes.lowered,
        inlined: 0,
        emptied: 0,
        dispatchers: 0,
        polls: 0,
        data_bytes: memory.data.iter().map(|(_, bytes)| bytes.len()).sum(),
        data_segments: memory.data.len(),
        bytes: 0,
    };
    let mut module = Module::new();
    module
        .section(&numbering.types.section)
        .section(&numbering.import_section)
        .section(&numbering.function_section)
        .section(&numbering.table_section)
        .section(&memories)
        .section(&numbering.global_section)
        .section(&exports)
        .section(&numbering.element_section)
        .section(&code)
        .section(&data)
        .section(&names);
    let mut module = module.finish();
    if options.small_function > 0 {
        let inlined = inline::inline(&module, options.small_function)?;
        (stats.inlined, stats.emptied) = (inlined.calls, inlined.emptied);
        module = inlined.module;
    }
    // After inlining, which must not take the dispatchers' calls for small functions to copy.
    let dispatched = dispatch::dispatch(&module)?;
    (stats.dispatchers, module) = (dispatched.dispatchers, dispatched.module);
    if options.interrupts {
        module = poll::insert(&module)?;
        stats.polls = poll::verify(&module)?;
    }
    stats.bytes = module.len();
    Ok(Flattened { module, stats })
}

fn exports(linked: &Linked<'_>, reached: &Reached, numbering: &Numbering) -> Result<ExportSection, Error> {
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    // The state of an instance is its memory and this global. A second one would be state that the host does not see.
    match numbering.globals.len() {
        0 => {}
        1 => {
            exports.export("__stack_pointer", ExportKind::Global, 0);
        }
        more => return Err(Error::unsupported(format!("{more} mutable globals instead of one"))),
    }
    let mut taken = vec!["memory", poll::EXPORT, "__stack_pointer", "host_realloc"];
    for (name, function) in &linked.exports {
        if taken.contains(&name.as_str()) {
            return Err(Error::unsupported(format!(
                "the export name {name:?}, which the flattened module uses itself"
            )));
        }
        taken.push(name);
        exports.export(name, ExportKind::Func, numbering.function(*function)?);
    }
    if let Some(realloc) = reached.host_realloc {
        exports.export("host_realloc", ExportKind::Func, numbering.function(realloc)?);
    }
    Ok(exports)
}

fn code<'p>(writer: &mut Writer<'p, '_>) -> Result<CodeSection, Error> {
    let mut code = CodeSection::new();
    let program = writer.program;
    for index in &writer.numbering.bodies {
        let function = at(&program.functions, *index, "function")?;
        let (FunctionKind::Body { instance, body }, Some(ty)) = (&function.kind, &function.ty) else {
            return Err(Error::link(format!("{} has no body", function.name)));
        };
        let source = Source {
            name: &function.name,
            parameters: ty.params().len(),
            has_results: !ty.results().is_empty(),
            instance: *instance,
            body,
        };
        code.function(&writer.write(&source)?);
    }
    Ok(code)
}

fn memory_sections(memory: &Memory<'_>) -> (MemorySection, DataSection) {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: memory.ty.initial,
        maximum: memory.ty.maximum,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut data = DataSection::new();
    for (offset, bytes) in &memory.data {
        data.active(0, &ConstExpr::i32_const(*offset as i32), bytes.iter().copied());
    }
    (memories, data)
}

/// Function names, so that profiles of the running module can be read.
fn names(program: &Program<'_>, numbering: &Numbering) -> Result<NameSection, Error> {
    let mut functions = NameMap::new();
    for (position, index) in numbering.bodies.iter().enumerate() {
        let number = count(numbering.imports as usize + position)?;
        functions.append(number, &at(&program.functions, *index, "function")?.name);
    }
    let mut names = NameSection::new();
    names.functions(&functions);
    Ok(names)
}
