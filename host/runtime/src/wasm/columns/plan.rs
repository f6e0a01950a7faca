//! Where a bundle's buffers lie in the guest's memory, and the words that tell the loop so: `struct plan` in
//! `guest/shim/columns.c` is the other side. Pointers of the guest are 32 bits, little endian.

use arrow::datatypes::DataType;

use super::kind::{Kind, float_range, int_range, ratio};
use super::{Native, arguments, broken};
use crate::function::{Argument, Binding};

/// The most arguments: `MOST_ARGUMENTS` there.
const MOST: usize = 8;

/// Where the words of the plan lie in it.
const NATIVE: usize = 0;
const HANDLE: usize = 40;
const ROWS: usize = 44;
const ARITY: usize = 48;
const KIND: usize = 52;
const LIMIT: usize = 56;
const LEAST: usize = 64;
const MOST_INT: usize = 72;
const BOUND: usize = 80;
const EXACT: usize = 88;
const UNIT: usize = 96;
const VALUES: usize = 104;
const OFFSETS: usize = 108;
const VALID: usize = 112;
const NULLS: usize = 116;
const BYTES: usize = 120;
const LENGTH: usize = 124;
const ARGUMENTS: usize = 128;
const ARGUMENT: usize = 20;
const SIZE: usize = ARGUMENTS + MOST * ARGUMENT;

/// Of the block and of each buffer in it.
pub const ALIGNMENT: u32 = 8;

/// A buffer: where it starts in the block, and its size in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    pub start: usize,
    pub size: usize,
}

/// The buffers of one argument.
pub struct Input {
    kind: Kind,
    constant: bool,
    pub values: Place,
    pub offsets: Place,
    pub valid: Option<Place>,
}

/// A bundle's plan.
pub struct Plan {
    /// How many bytes all of it takes.
    pub size: usize,
    pub result: DataType,
    pub rows: usize,
    /// The most bytes of results whose lengths vary.
    pub limit: usize,
    handle: u32,
    pub kind: Kind,
    pub values: Place,
    pub offsets: Place,
    pub valid: Place,
    inputs: Vec<Input>,
}

impl Plan {
    /// `None` for what is left to frames: other types, too many arguments, and bundles whose size is near a limit.
    pub fn new(binding: &Binding, arguments: &[Argument], rows: usize, reply_limit: usize) -> Option<Plan> {
        if arguments.len() > MOST || rows == 0 {
            return None;
        }
        let kind = Kind::of(&binding.result)?;
        let most = match &binding.result {
            DataType::Utf8View | DataType::BinaryView => return None,
            DataType::LargeUtf8 | DataType::LargeBinary => u32::MAX as usize,
            _ => i32::MAX as usize,
        };
        let mut size = SIZE;
        let mut place = |bytes: usize| {
            let start = size;
            size = size.saturating_add(bytes).saturating_add(7) & !7;
            Place { start, size: bytes }
        };
        let mut inputs = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let (array, constant) = (argument.array(), matches!(argument, Argument::Constant(_)));
            let kind = Kind::of(array.data_type())?;
            if kind.is_moment() && !arguments::are_moments(array.as_ref(), kind) {
                return None;
            }
            let length = array.len();
            inputs.push(Input {
                kind,
                constant,
                values: place(match kind {
                    Kind::Bools => length.div_ceil(8),
                    Kind::Texts | Kind::Bytes => arguments::bytes(array.as_ref()),
                    _ => length.saturating_mul(8),
                }),
                offsets: place(if kind.varies() { (length + 1).saturating_mul(4) } else { 0 }),
                valid: (array.null_count() > 0).then(|| place(length.div_ceil(8))),
            });
        }
        let values = place(match kind {
            Kind::Bools => rows,
            Kind::Texts | Kind::Bytes => 0,
            _ => rows.saturating_mul(8),
        });
        let offsets = place(if kind.varies() { (rows + 1).saturating_mul(4) } else { 0 });
        let valid = place(rows.div_ceil(8));
        // A reply in a frame takes up to 9 bytes a value: the way by frames knows whether this one is too large.
        if size > i32::MAX as usize || rows.saturating_mul(9) > reply_limit {
            return None;
        }
        let (result, limit) = (binding.result.clone(), reply_limit.min(most));
        let handle = u32::try_from(binding.handle).ok()?;
        Some(Plan { size, result, rows, limit, handle, kind, values, offsets, valid, inputs })
    }

    /// Writes the plan and the arguments into `space`, which lies at `base` in the guest's memory.
    pub fn write(&self, space: &mut [u8], base: u32, native: &Native, arguments: &[Argument]) {
        let address = |place: Place| base.wrapping_add(place.start as u32);
        for (index, word) in native.iter().enumerate() {
            put(space, NATIVE + 4 * index, *word);
        }
        put(space, HANDLE, self.handle);
        put(space, ROWS, self.rows as u32);
        put(space, ARITY, self.inputs.len() as u32);
        put(space, KIND, self.kind as u32);
        put(space, LIMIT, self.limit as u32);
        let (least, most) = int_range(&self.result);
        let (bound, exact) = float_range(&self.result);
        space[LEAST..LEAST + 8].copy_from_slice(&least.to_le_bytes());
        space[MOST_INT..MOST_INT + 8].copy_from_slice(&most.to_le_bytes());
        space[BOUND..BOUND + 8].copy_from_slice(&bound.to_le_bytes());
        space[EXACT..EXACT + 8].copy_from_slice(&exact.to_le_bytes());
        space[UNIT..UNIT + 8].copy_from_slice(&ratio(&self.result).wire_per_arrow.to_le_bytes());
        put(space, VALUES, address(self.values));
        put(space, OFFSETS, address(self.offsets));
        put(space, VALID, address(self.valid));
        for (index, (input, argument)) in self.inputs.iter().zip(arguments).enumerate() {
            let at = ARGUMENTS + ARGUMENT * index;
            put(space, at, input.kind as u32);
            put(space, at + 4, u32::from(input.constant));
            put(space, at + 8, address(input.values));
            put(space, at + 12, address(input.offsets));
            put(space, at + 16, input.valid.map_or(0, address));
            arguments::write(space, input, argument.array().as_ref());
        }
    }
}

/// What the loop left in the plan.
pub struct Said<'m> {
    /// Whether some results are NULL.
    pub nulls: bool,
    /// The results' bytes, or an error's text.
    pub bytes: &'m [u8],
    /// How many there are, or would have been.
    pub length: u32,
}

/// Reads it. `bytes` is empty where the place is not within the memory, which is an error only for who reads it.
pub fn said<'m>(space: &[u8], memory: &'m [u8]) -> wasmtime::Result<Said<'m>> {
    let word = |at: usize| {
        let bytes = space.get(at..at + 4).and_then(|bytes| bytes.first_chunk()).copied();
        bytes.map(u32::from_le_bytes).ok_or_else(|| broken("a plan that is cut short"))
    };
    let (pointer, length) = (word(BYTES)?, word(LENGTH)?);
    let bytes = memory.get(pointer as usize..).and_then(|rest| rest.get(..length as usize)).unwrap_or_default();
    Ok(Said { nulls: word(NULLS)? != 0, bytes, length })
}

/// The plan's part of a space is as long as [`SIZE`], see [`Plan::new`].
fn put(space: &mut [u8], at: usize, word: u32) {
    space[at..at + 4].copy_from_slice(&word.to_le_bytes());
}
