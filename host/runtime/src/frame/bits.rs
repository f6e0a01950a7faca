//! Bitmaps: validity that is only made when the first NULL comes, and 64 bits of a bitmap at once. Knows nothing of
//! the wire.

use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};

/// The NULLs of a column that is being read. Costs nothing until there is one.
#[derive(Debug, Default)]
pub(super) struct Nulls {
    /// One bit a row up to the last NULL, 1 where there is a value.
    valid: Vec<u8>,
    count: usize,
}

impl Nulls {
    /// Makes `row` NULL.
    #[inline]
    pub(super) fn set(&mut self, row: usize) {
        let byte = row / 8;
        if byte >= self.valid.len() {
            self.valid.resize(byte + 1, 0xFF);
        }
        self.valid[byte] &= !(1 << (row % 8));
        self.count += 1;
    }

    /// Makes `count` rows from `start` on NULL: bit by bit only at the ends, because a guest chooses the count.
    pub(super) fn set_run(&mut self, start: usize, count: usize) {
        let end = start + count;
        let (first, last) = (start.div_ceil(8), end / 8);
        if first >= last {
            return (start..end).for_each(|row| self.set(row));
        }
        (start..first * 8).for_each(|row| self.set(row));
        self.valid.resize(self.valid.len().max(last), 0xFF);
        self.valid[first..last].fill(0);
        self.count += (last - first) * 8;
        (last * 8..end).for_each(|row| self.set(row));
    }

    /// The validity of `rows` rows; `None` if all are valid.
    pub(super) fn finish(mut self, rows: usize) -> Option<NullBuffer> {
        if self.count == 0 {
            return None;
        }
        self.valid.resize(rows.div_ceil(8), 0xFF);
        Some(NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(self.valid), 0, rows)))
    }
}

/// `count` (at most 64) bits of `bits` from bit `start` on, the first one lowest. Bits above `count` are 0.
#[inline]
pub(super) fn word(bits: &BooleanBuffer, start: usize, count: usize) -> u64 {
    debug_assert!(count <= 64 && start + count <= bits.len());
    let first = bits.offset() + start;
    let bytes = bits.values().get(first / 8..).unwrap_or_default();
    let shift = first % 8;
    let low = match bytes.first_chunk::<8>() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => {
            let mut eight = [0; 8];
            eight[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(eight)
        }
    };
    let high = bytes.get(8).map_or(0, |byte| u64::from(*byte));
    // A shift by 64 - 0 bits would overflow: then nothing of the ninth byte is wanted.
    let word = if shift == 0 { low } else { low >> shift | high << (64 - shift) };
    word & ones(count)
}

/// The lowest `count` (at most 64) bits set.
#[inline]
pub(super) fn ones(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

/// The validity of `count` (at most 64) rows from `start` on.
#[inline]
pub(super) fn valid(nulls: Option<&NullBuffer>, start: usize, count: usize) -> u64 {
    nulls.map_or(ones(count), |nulls| word(nulls.inner(), start, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_equal_single_bits_at_every_offset() {
        let bits: Vec<bool> = (0..200_u32).map(|bit| bit.wrapping_mul(2_654_435_761) >> 30 == 1).collect();
        let all = BooleanBuffer::from(bits.clone());
        for offset in 0..20 {
            let bits = &bits[offset..];
            let buffer = all.slice(offset, bits.len());
            for start in (0..bits.len()).step_by(7) {
                for count in [0, 1, 7, 8, 9, 63, 64] {
                    let count = count.min(bits.len() - start);
                    let expected = (0..count).fold(0, |word, bit| word | u64::from(bits[start + bit]) << bit);
                    assert_eq!(word(&buffer, start, count), expected, "offset {offset}, start {start}, count {count}");
                }
            }
        }
    }

    #[test]
    fn nulls_are_where_they_were_set() {
        assert!(Nulls::default().finish(10).is_none());
        let mut nulls = Nulls::default();
        nulls.set(3);
        nulls.set_run(9, 2);
        let nulls = nulls.finish(70).expect("there are nulls");
        assert_eq!((0..70).filter(|row| nulls.is_null(*row)).collect::<Vec<_>>(), [3, 9, 10]);
        assert_eq!((nulls.len(), nulls.null_count()), (70, 3));
    }

    #[test]
    fn runs_of_nulls_equal_single_ones() {
        for start in 0..20 {
            for count in 0..40 {
                let (mut run, mut single) = (Nulls::default(), Nulls::default());
                for nulls in [&mut run, &mut single] {
                    nulls.set(0);
                }
                run.set_run(start + 1, count);
                (start + 1..start + 1 + count).for_each(|row| single.set(row));
                assert_eq!(run.count, single.count);
                assert_eq!(run.finish(80), single.finish(80), "{count} from {start}");
            }
        }
    }
}
