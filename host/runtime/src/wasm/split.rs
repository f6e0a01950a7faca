//! Takes the memory out of the image: a module without data, and the bytes that its memory starts with. The host maps
//! the bytes into each sandbox itself (`memory`), so that wasmtime finds nothing to copy.

use wasm_encoder::{Module, RawSection, SectionId};
use wasmparser::{BinaryReaderError, Data, DataKind, Operator, Parser, Payload};

use super::memory::WASM_PAGE;

/// The module without its data, and the contents of its first memory, as long as the module says.
///
/// # Errors
/// What is not as the build of the image makes it, in words.
pub fn split(image: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
    let malformed = |error: BinaryReaderError| error.to_string();
    let mut module = Module::new();
    let mut memory = Vec::new();
    for payload in Parser::new(0).parse_all(image) {
        let payload = payload.map_err(malformed)?;
        match &payload {
            Payload::MemorySection(section) => {
                let first = section.clone().into_iter().next().ok_or("there is no memory")?.map_err(malformed)?;
                let pages = usize::try_from(first.initial).map_err(|_| "the memory is too large")?;
                memory = vec![0; pages.checked_mul(WASM_PAGE).ok_or("the memory is too large")?];
            }
            Payload::DataSection(section) => {
                for data in section.clone() {
                    write(&mut memory, &data.map_err(malformed)?)?;
                }
                continue;
            }
            // Says how many data segments there are.
            Payload::DataCountSection { .. } => continue,
            _ => {}
        }
        if let Some((id, range)) = payload.as_section()
            && id != SectionId::Data as u8
        {
            module.section(&RawSection { id, data: image.get(range).ok_or("a section outside of the module")? });
        }
    }
    if memory.is_empty() {
        return Err("there is no memory".into());
    }
    Ok((module.finish(), memory))
}

fn write(memory: &mut [u8], data: &Data<'_>) -> Result<(), String> {
    let DataKind::Active { memory_index: 0, offset_expr } = &data.kind else {
        return Err("a segment that is not of the first memory".into());
    };
    let operator = offset_expr.get_operators_reader().read().map_err(|error| error.to_string())?;
    let Operator::I32Const { value } = operator else { return Err("a segment at no constant address".into()) };
    memory
        .get_mut(value as u32 as usize..)
        .and_then(|rest| rest.get_mut(..data.data.len()))
        .ok_or("a segment outside of the memory")?
        .copy_from_slice(data.data);
    Ok(())
}
