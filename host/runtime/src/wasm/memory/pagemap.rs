//! Which pages of a private mapping have been written to: the kernel knows (`PAGEMAP_SCAN`, Linux 6.7 and later).
//! Where it does not say, the answer is "all of them may have been": slower, never wrong.

use std::ops::Range;

/// The parts of `memory` that may differ from what is mapped there, as ranges of bytes in ascending order.
#[cfg(target_os = "linux")]
pub fn written(memory: *const u8, length: usize) -> Vec<Range<usize>> {
    linux::written(memory, length).unwrap_or_else(|| everything(length))
}

#[cfg(not(target_os = "linux"))]
pub fn written(_memory: *const u8, length: usize) -> Vec<Range<usize>> {
    everything(length)
}

fn everything(length: usize) -> Vec<Range<usize>> {
    std::iter::once(0..length).collect()
}

/// Whether this kernel tells which pages were written to.
pub fn is_supported() -> bool {
    #[cfg(target_os = "linux")]
    {
        static SUPPORTED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        *SUPPORTED.get_or_init(|| linux::written(std::ptr::null(), 0).is_some())
    }
    #[cfg(not(target_os = "linux"))]
    false
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::ops::Range;
    use std::os::fd::AsRawFd;
    use std::sync::OnceLock;

    /// `struct pm_scan_arg` of `linux/fs.h`.
    #[repr(C)]
    struct ScanArgument {
        size: u64,
        flags: u64,
        start: u64,
        end: u64,
        walk_end: u64,
        vec: u64,
        vec_len: u64,
        max_pages: u64,
        category_inverted: u64,
        category_mask: u64,
        category_anyof_mask: u64,
        return_mask: u64,
    }

    /// `struct page_region` of `linux/fs.h`.
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Region {
        start: u64,
        end: u64,
        categories: u64,
    }

    /// `_IOWR('f', 16, struct pm_scan_arg)`.
    const PAGEMAP_SCAN: u64 = (3 << 30) | ((size_of::<ScanArgument>() as u64) << 16) | ((b'f' as u64) << 8) | 16;

    const IS_FILE: u64 = 1 << 2;
    const IS_PRESENT: u64 = 1 << 3;
    const IS_SWAPPED: u64 = 1 << 4;
    const IS_ZERO: u64 = 1 << 5;

    /// Regions that one call reports; more take more calls.
    const REGIONS: usize = 128;

    pub fn written(memory: *const u8, length: usize) -> Option<Vec<Range<usize>>> {
        let map = pagemap()?;
        let base = memory as u64;
        let end = base + length as u64;
        let mut found = Vec::new();
        let mut start = base;
        let mut regions = [Region::default(); REGIONS];
        loop {
            let mut argument = ScanArgument {
                size: size_of::<ScanArgument>() as u64,
                flags: 0,
                start,
                end,
                walk_end: 0,
                vec: regions.as_mut_ptr() as u64,
                vec_len: REGIONS as u64,
                max_pages: 0,
                // A page that was written to is the process's own: there, and neither the file's nor the zero page.
                category_inverted: IS_FILE | IS_ZERO,
                category_mask: IS_FILE | IS_ZERO,
                category_anyof_mask: IS_PRESENT | IS_SWAPPED,
                return_mask: 0,
            };
            // SAFETY: the structures are those of the kernel's interface, and `vec` points to as many regions as
            // `vec_len` says. The call reads page tables only, whatever lies at the addresses.
            let count = unsafe { libc::ioctl(map.as_raw_fd(), PAGEMAP_SCAN as _, &raw mut argument) };
            let reported = regions.get(..usize::try_from(count).ok()?)?;
            for region in reported {
                found.push((region.start - base) as usize..(region.end - base) as usize);
            }
            // A scan stops before the end only when its regions are full.
            if argument.walk_end >= end || count == 0 {
                return Some(found);
            }
            start = argument.walk_end;
        }
    }

    /// This process's page map; `None` where there is none.
    fn pagemap() -> Option<&'static File> {
        static PAGEMAP: OnceLock<Option<(File, u32)>> = OnceLock::new();
        let opened = PAGEMAP.get_or_init(|| Some((File::open("/proc/self/pagemap").ok()?, std::process::id())));
        // In a forked child the file is still the parent's: its pages say nothing of ours.
        opened.as_ref().filter(|(_, process)| *process == std::process::id()).map(|(file, _)| file)
    }
}
