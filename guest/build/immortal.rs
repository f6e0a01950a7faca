//! Makes the objects of the image immortal: sets their reference counts, in the module's data, to the value that
//! CPython never changes.
//!
//! Owns the knowledge of where CPython keeps the count and what the value is: the first word of every object, and
//! `_Py_IMMORTAL_INITIAL_REFCNT` of `Include/refcount.h` (CPython 3.14) for 32-bit builds.

use anyhow::{Context, Result, bail, ensure};
use wasm_encoder::{ConstExpr, DataSection, Module, RawSection, SectionId};
use wasmparser::{DataKind, Operator, Parser, Payload};

/// `_Py_IMMORTAL_INITIAL_REFCNT`: 5 << 28.
const IMMORTAL: u32 = 5 << 28;

/// `_Py_IMMORTAL_MINIMUM_REFCNT`: counts from here on are immortal already.
const LEAST_IMMORTAL: u32 = 1 << 30;

/// No object of the image is referred to as often as this; a count beyond it is not a count.
const MOST_REFERENCES: u32 = 1 << 24;

/// The grain in which memory is written to the module: what is zero in it is left out.
const PAGE: usize = 4096;

/// Sets the count of each object whose address is in `addresses` (32-bit words, little endian). Gives the new module,
/// and how many objects were not immortal before.
///
/// # Errors
/// When an address does not hold what can be a reference count: then the list is not of this memory.
pub fn make_immortal(module: &[u8], addresses: &[u8]) -> Result<(Vec<u8>, usize)> {
    let mut memory = memory(module)?;
    let mut changed = 0;
    for word in addresses.chunks_exact(4) {
        let address = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        let place = memory.get_mut(address as usize..).and_then(|rest| rest.get_mut(..4));
        let place = place.with_context(|| format!("no memory at the object {address:#x}"))?;
        let count = u32::from_le_bytes([place[0], place[1], place[2], place[3]]);
        if count >= LEAST_IMMORTAL {
            continue;
        }
        ensure!(
            (1..MOST_REFERENCES).contains(&count),
            "the word {count:#x} at {address:#x} is no reference count: the object is gone"
        );
        place.copy_from_slice(&IMMORTAL.to_le_bytes());
        changed += 1;
    }
    ensure!(changed > 10_000, "only {changed} objects found: the list is not complete");
    Ok((with_memory(module, &memory)?, changed))
}

/// The memory that the module starts with, up to its last byte that is not zero.
fn memory(module: &[u8]) -> Result<Vec<u8>> {
    let mut memory = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::DataSection(section) = payload? else { continue };
        for data in section {
            let data = data?;
            let DataKind::Active { memory_index: 0, offset_expr } = &data.kind else {
                bail!("a segment that is not of the first memory");
            };
            let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else {
                bail!("a segment at no constant address");
            };
            let start = value as u32 as usize;
            let end = start + data.data.len();
            if memory.len() < end {
                memory.resize(end, 0);
            }
            memory[start..end].copy_from_slice(data.data);
        }
    }
    Ok(memory)
}

/// The module with another memory to start with.
fn with_memory(module: &[u8], memory: &[u8]) -> Result<Vec<u8>> {
    let mut data = DataSection::new();
    let mut pages = memory.chunks(PAGE).zip((0_i32..).step_by(PAGE)).peekable();
    while let Some((page, address)) = pages.next() {
        if page.iter().all(|byte| *byte == 0) {
            continue;
        }
        // One segment for a run of pages: each segment costs time when the module is compiled.
        let mut run = page.to_vec();
        while let Some((next, _)) = pages.next_if(|(page, _)| page.iter().any(|byte| *byte != 0)) {
            run.extend_from_slice(next);
        }
        data.active(0, &ConstExpr::i32_const(address), run);
    }
    let mut out = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload?.as_section() {
            Some((id, _)) if id == SectionId::Data as u8 => {
                out.section(&data);
            }
            Some((id, range)) => {
                out.section(&RawSection { id, data: module.get(range).context("a section outside of the module")? });
            }
            None => {}
        }
    }
    Ok(out.finish())
}
