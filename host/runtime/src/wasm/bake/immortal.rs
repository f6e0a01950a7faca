//! Makes the objects of an image immortal: sets their reference counts to the value that CPython never changes.
//!
//! Owns the knowledge of where CPython keeps the count and what the value is: the first word of every object, and
//! `_Py_IMMORTAL_INITIAL_REFCNT` of `Include/refcount.h` (CPython 3.14) for 32-bit builds.

/// `_Py_IMMORTAL_INITIAL_REFCNT`: 5 << 28.
const IMMORTAL: u32 = 5 << 28;

/// `_Py_IMMORTAL_MINIMUM_REFCNT`: counts from here on are immortal already.
const LEAST_IMMORTAL: u32 = 1 << 30;

/// No object of the image is referred to as often as this; a count beyond it is not a count.
const MOST_REFERENCES: u32 = 1 << 24;

/// The image has more objects than this: the standard library alone.
const LEAST_OBJECTS: usize = 10_000;

/// Sets the count of each object whose address is in `addresses` (32-bit words, little endian).
///
/// # Errors
/// When an address does not hold what can be a reference count, or there are too few: then the list is not of this
/// memory.
pub fn make_immortal(memory: &mut [u8], addresses: &[u8]) -> Result<(), String> {
    let mut found = 0;
    for word in addresses.chunks_exact(4) {
        let address = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        let place = memory.get_mut(address as usize..).and_then(|rest| rest.first_chunk_mut::<4>());
        let place = place.ok_or_else(|| format!("no memory at the object {address:#x}"))?;
        let count = u32::from_le_bytes(*place);
        found += 1;
        if count >= LEAST_IMMORTAL {
            continue;
        }
        if !(1..MOST_REFERENCES).contains(&count) {
            return Err(format!("the word {count:#x} at {address:#x} is no reference count: the object is gone"));
        }
        *place = IMMORTAL.to_le_bytes();
    }
    if found < LEAST_OBJECTS {
        return Err(format!("only {found} objects found: the list is not complete"));
    }
    Ok(())
}
