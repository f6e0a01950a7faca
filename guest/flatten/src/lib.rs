//! Turns a pre-initialised WebAssembly component into one static core module.
//!
//! A component that `componentize-py` writes is a dozen shared libraries, position-independent, tied together with
//! tables and trampolines; instantiating it takes hundreds of microseconds. After pre-initialisation nothing of that
//! is dynamic any more. [`flatten`] links it once and for all: one memory, no table, one mutable global (the stack
//! pointer). The lowered imports stay as imports, named by interface and function.
//!
//! The crate refuses what it does not understand, with a typed [`Error`]; it never panics on bad input, and never runs
//! code of the component.
//!
//! | export | what it is |
//! |---|---|
//! | `memory` | the linear memory |
//! | `__stack_pointer` | the one mutable global; with the memory it is the whole state of an instance |
//! | an exported function, `cabi_post_` and its name | the core function, and what must be called after each call of it |
//! | `cabi_realloc` | allocates the arguments of exported functions |
//! | `host_realloc` | allocates what imported functions return |
//! | `interrupt` | a second memory, whose first [`FLAG_BYTES`] bytes the host makes unreadable to make the guest trap |

mod code;
mod component;
mod dispatch;
mod emit;
mod error;
mod inline;
mod link;
mod merge;
#[cfg(test)]
mod merge_tests;
mod number;
mod parse;
mod poll;
mod reach;
#[cfg(test)]
mod tests;

use wasmparser::{Validator, WasmFeatures};

pub use error::Error;
pub use poll::FLAG_BYTES;

/// How to flatten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Jump tables with at most this many entries become compares and branches; 0 leaves all as they are.
    ///
    /// Default: 3. (2 to 5 are equally fast, others slower; CPython 3.14, wasmtime 48.)
    pub small_br_table: u32,
    /// Calls of functions of at most this many instructions become the functions' code; 0 leaves all as they are.
    ///
    /// Default: 150. (8 % faster than none over six workloads, at a fifth more code; 100 to 200 are alike, CPython 3.14.)
    pub small_function: usize,
    /// The function, as `module!function`, that allocates what host functions return, where lowerings name several.
    ///
    /// Default: that of the C library.
    pub allocator: String,
    /// Functions, as `module!function`, that are exported too, each with the name that it gets.
    ///
    /// Default: none.
    pub also_export: Vec<(String, String)>,
    /// A library that is linked in as well: see [`Shim`].
    ///
    /// Default: none.
    pub shim: Option<Shim>,
    /// Whether every loop reads a byte that the host makes unreadable to end the guest: see [`FLAG_BYTES`].
    ///
    /// Default: yes.
    pub interrupts: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            small_br_table: 3,
            small_function: 150,
            allocator: "libc.so!cabi_realloc".to_owned(),
            also_export: Vec::new(),
            shim: None,
            interrupts: true,
        }
    }
}

/// A core module that becomes part of the program, and may take the place of some of its functions.
///
/// It is a position-independent library (`wasm-ld -shared`) without tables and without pointers in its data. It imports
/// the memory, the stack pointer and its own base address from `env`, and functions of the component's libraries by
/// library and name, static ones too. Its data lies above the component's memory, which grows by as much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shim {
    /// The core module in the binary format.
    pub module: Vec<u8>,
    /// Functions of the component, as `module!function`, each with the shim's export that is called in its place. What
    /// the shim imports is always the component's own function.
    ///
    /// Every other export of the shim is exported by the flattened module.
    pub replace: Vec<(String, String)>,
}

/// A flattened component.
#[derive(Debug, Clone)]
pub struct Flattened {
    /// The core module in the binary format.
    pub module: Vec<u8>,
    /// What flattening did.
    pub stats: Stats,
}

/// What flattening did, for people who read build logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Functions of all core instances, imports among them.
    pub functions_in: usize,
    /// Functions with a body in the flattened module.
    pub functions_out: usize,
    /// Functions that the flattened module imports.
    pub imports: usize,
    /// Functions that only forwarded to another one.
    pub trampolines: usize,
    /// Functions that the shim took the place of.
    pub replaced: usize,
    /// Reads of globals that became constants.
    pub globals_folded: u64,
    /// Jump tables that became compares.
    pub br_tables_lowered: u64,
    /// Calls that became the code of what they called.
    pub inlined: u64,
    /// Functions that nothing calls any more since.
    pub emptied: usize,
    /// Types of functions that were called through the table, which is gone.
    pub dispatchers: usize,
    /// Polls of the interrupt memory: as many as there are loops.
    pub polls: u64,
    /// Bytes in data segments.
    pub data_bytes: usize,
    /// Number of data segments.
    pub data_segments: usize,
    /// Size of the flattened module in bytes.
    pub bytes: usize,
}

/// The proposals that input may use. Whatever is not listed is refused by the validator, so that the other modules
/// need not know about it: exceptions, threads, garbage collection, several memories, 64-bit memories.
fn features() -> WasmFeatures {
    WasmFeatures::WASM2
        .union(WasmFeatures::TAIL_CALL)
        .union(WasmFeatures::EXTENDED_CONST)
        .union(WasmFeatures::COMPONENT_MODEL)
}

/// Flattens `component`, a pre-initialised component in the binary format.
///
/// # Errors
/// When the bytes are no valid component, and when it uses something that cannot be flattened: see [`Error`].
pub fn flatten(component: &[u8], options: &Options) -> Result<Flattened, Error> {
    if !wasmparser::Parser::is_component(component) {
        return Err(Error::NotAComponent);
    }
    Validator::new_with_features(features()).validate_all(component)?;
    let mut linked = component::link(component)?;
    if let Some(shim) = &options.shim {
        if !wasmparser::Parser::is_core_wasm(&shim.module) {
            return Err(Error::unsupported("a shim that is no core module"));
        }
        Validator::new_with_features(features()).validate_all(&shim.module)?;
        merge::merge(&mut linked, shim)?;
    }
    for (name, export) in &options.also_export {
        let function = linked.program.functions.iter().position(|function| function.name == *name);
        let function = function.ok_or_else(|| Error::unsupported(format!("no function {name:?} to export")))?;
        linked.exports.push((export.clone(), function));
    }
    let reached = reach::reach(&linked.program, &linked.exports, &options.allocator)?;
    emit::emit(&linked, &reached, options)
}
